"""Stages of building the default bundle, each through the pipeline that will serve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.entities import FacePolicy
from app.domain.errors import BundleError
from app.domain.scoring import L1Head, ScoreName
from app.inference.align import AlignmentTemplate
from app.inference.bundle import CALIBRATION, GOLDEN, load_bundle
from app.inference.decode import DecodeLimits
from app.inference.manifest import CalibrationDocument
from app.inference.pipeline import Pipeline
from app.training.adaptation.adapt import adapt
from app.training.adaptation.config import AdaptationConfig
from app.training.adaptation.faces import collect
from app.training.bundle_sections import published_head, score_section, write_networks
from app.training.bundle_writer import BundleWriter
from app.training.commonness import Commonness, CommonnessConfig, fit_commonness
from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet, embed_all
from app.training.export import Precision
from app.training.head import HeadTraining, train_head
from app.training.plan import SEED, Plan
from app.training.published import ExportedNetworks, published_embedding
from app.training.screening import Screened, screen
from app.training.selection import Candidate, ChosenWeight, bucket_tar, choose_weight

INT8_TOLERANCE: Final = 0.002
"""int8 is taken when it loses at most this much true accept rate against float16, which takes more
than three times as long."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Networks and a template that can already be tried.

    Attributes:
        plan: What is built.
        networks: In the forms that a bundle needs.
        template: What faces are aligned to.
    """

    plan: Plan
    networks: ExportedNetworks
    template: AlignmentTemplate

    @property
    def score(self) -> ScoreName:
        """What two embeddings of the draft are compared by."""
        common = self.networks.commonness is not None
        return ScoreName.NORMALISED_COSINE if common else ScoreName.COSINE

    def with_commonness(self, commonness: Commonness) -> "Draft":
        """The draft with a network that tells the commonness."""
        networks = replace(self.networks, commonness=commonness.tflite())
        return replace(self, networks=networks)

    def embed(self, precision: Precision, photos: Sequence[LabelledImage]) -> EmbeddingSet:
        """Run photos through the serving pipeline of a throw-away bundle."""
        plan = self.plan
        with TemporaryDirectory() as folder:
            writer = BundleWriter(Path(folder), "draft")
            sections = write_networks(
                writer, self.networks, precision, self.template, celeba=plan.celeba
            )
            candidate = Candidate(self.score, "mean", (0.0,))
            sections |= score_section(candidate, published_head(self.networks.dimension))
            sections["training"] = {}
            writer.add_json(CALIBRATION, CalibrationDocument(data={}, buckets={}).model_dump())
            writer.add_json(GOLDEN, [])
            writer.manifest(sections)
            bundle = load_bundle(writer.publish())
            pipeline = Pipeline(bundle, engines=plan.threads, limits=DecodeLimits())
            stage = f"embed {len(photos)} photos with {precision} weights"
            return embed_all(
                pipeline,
                photos,
                threads=plan.threads,
                progress=lambda done, total: plan.report(stage, done, total),
            )


def check_portraits(draft: Draft, portraits: Sequence[LabelledImage]) -> None:
    """Refuse portraits that can't become golden images, before hours of work.

    Raises:
        BundleError: If one shows no face, or a blocking quality reason holds.
    """
    found = draft.embed(Precision.INT8, portraits)
    for image, reasons in zip(found.images, found.reasons, strict=True):
        if reasons:
            raise BundleError(f"The portrait {image.path.name} is unusable: {', '.join(reasons)}.")


def screened_identities(
    draft: Draft, photos: Sequence[LabelledImage], strangers: Sequence[LabelledImage]
) -> list[Screened]:
    """Identities that may be among `strangers`, judged by the published weights."""
    return screen(
        draft.embed(Precision.INT8, photos),
        draft.embed(Precision.INT8, strangers),
    )


def adapted(draft: Draft, photos: Sequence[LabelledImage]) -> Draft:
    """The draft with the embedding adapted on `photos`."""
    plan, model = draft.plan, published_embedding()
    faces = collect(
        photos,
        draft.template,
        draft.networks.detector,
        threads=plan.threads,
        progress=lambda done, total: plan.report("cut faces out", done, total),
    )
    moved = adapt(model, faces, AdaptationConfig(), plan.report, threads=plan.threads)
    return replace(draft, networks=draft.networks.with_embedding(moved))


def with_commonness(
    draft: Draft, photos: Sequence[LabelledImage], chosen: Sequence[LabelledImage]
) -> tuple[Draft, ChosenWeight]:
    """The draft with the commonness of `photos`, at the weight that the photos `chosen` prefer."""
    config = CommonnessConfig()
    draft.plan.report("fit the commonness", 0, 1)
    shown = found_among(draft.embed(Precision.INT8, photos), photos)
    whole = fit_commonness(shown.embeddings, shown.identities, config)
    valid = draft.with_commonness(whole).embed(Precision.INT8, chosen).renumbered()
    weight = choose_weight(valid, config.weights, SEED)
    return draft.with_commonness(whole.weighted(weight.best)) if weight.best else draft, weight


def trained_head(photos: EmbeddingSet) -> L1Head:
    """The Siamese head, trained on photos that all show a face."""
    return train_head(photos.embeddings, photos.identities, HeadTraining())


def choose_precision(
    draft: Draft, chosen: Sequence[LabelledImage]
) -> tuple[Precision, dict[str, float], EmbeddingSet]:
    """int8 unless float16 is measurably better; with validation photos embedded by the winner."""
    sets = {
        precision: draft.embed(precision, chosen).renumbered()
        for precision in (Precision.INT8, Precision.FLOAT16)
    }
    head = published_head(draft.networks.dimension)
    decider = Decider(draft.score, head, "mean", Calibration({}))
    tars = {p: bucket_tar(photos, decider, "1", SEED) for p, photos in sets.items()}
    close = tars[Precision.INT8] >= tars[Precision.FLOAT16] - INT8_TOLERANCE
    winner = Precision.INT8 if close else Precision.FLOAT16
    return winner, {p.value: tar for p, tar in tars.items()}, sets[winner]


def write_golden(
    writer: BundleWriter, portraits: Sequence[LabelledImage], sections: dict[str, Any]
) -> None:
    """Copy the portraits, with the embedding that the finished pipeline gives each."""
    writer.add_json(GOLDEN, [])
    writer.manifest(sections)
    pipeline = Pipeline(load_bundle(writer.directory), engines=1, limits=DecodeLimits())
    entries = []
    for picture in (image.path for image in portraits):
        name, data = f"golden/{picture.name}", picture.read_bytes()
        writer.add(name, data)
        found = pipeline.analyze(data, FacePolicy.PROMINENT)
        entries.append({"file": name, "embedding": [float(v) for v in found.embedding]})
    writer.add_json(GOLDEN, entries)


def found_among(photos: EmbeddingSet, images: Sequence[LabelledImage]) -> EmbeddingSet:
    """The photos among `images` that show a face, with identities numbered from 0."""
    wanted = frozenset(images)
    keep = np.array([image in wanted for image in photos.images]) & photos.found
    return photos.subset(keep).renumbered()
