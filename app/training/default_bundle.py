"""Building the default bundle from published weights: `facetwin model build-default`."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.entities import FacePolicy
from app.domain.errors import BundleError, FacetwinError
from app.domain.scoring import L1Head, ScoreName
from app.inference.align import AlignmentTemplate
from app.inference.bundle import CALIBRATION, GOLDEN, load_bundle
from app.inference.decode import DecodeLimits
from app.inference.manifest import CalibrationDocument
from app.inference.pipeline import Pipeline
from app.training.adaptation.adapt import adapt
from app.training.adaptation.config import AdaptationConfig
from app.training.adaptation.faces import collect
from app.training.bundle_sections import (
    PUBLISHED_HEAD,
    counts,
    provenance,
    score_section,
    write_networks,
)
from app.training.bundle_writer import BundleWriter
from app.training.calibrate import calibrate
from app.training.datasets import CelebA, LabelledImage, Side, read_folder, without
from app.training.embedding_set import EmbeddingSet, embed_all
from app.training.export import Precision
from app.training.head import HeadTraining, train_head
from app.training.lfw import lfw_root
from app.training.model_card import model_card
from app.training.plan import SEED, Plan
from app.training.published import ExportedNetworks, export_published, published_embedding
from app.training.screening import Screened, screen
from app.training.selection import Candidate, bucket_tar, compare
from app.training.template_search import derive_template

INT8_TOLERANCE: Final = 0.002
"""int8 is taken when it loses at most this much true accept rate against float16."""


def build_default(plan: Plan) -> Path:
    """Build, calibrate and publish the default bundle.

    Raises:
        FacetwinError: If weights or data are missing or not the published ones.
    """
    published = export_published()
    celeba = CelebA.read(plan.data)
    template, placements = derive_template(plan, published, celeba)
    photos = [*celeba.side(Side.TRAIN), *celeba.side(Side.VALIDATION)]
    validation = {image.identity for image in celeba.side(Side.VALIDATION)}
    screened = _screen(plan, published, template, photos)
    kept = without(photos, [s.identity for s in screened])
    learned = [image for image in kept if image.identity not in validation]
    exported = _adapted(plan, published, template, learned) if plan.celeba else published
    embedded = _embed(plan, exported, template, Precision.INT8, kept)
    train = _renumbered(embedded, learned)
    chosen = [i for i in kept if i.identity in validation]
    plan.report("train the head", 0, 1)
    head = _train_head(train) if plan.celeba else PUBLISHED_HEAD
    precision, precisions, valid = _choose_precision(plan, exported, template, chosen, embedded)
    plan.report("choose score and fusion", 0, 1)
    scores = list(ScoreName) if plan.celeba else [ScoreName.COSINE]
    candidates = compare(valid, head, scores, SEED)
    writer = BundleWriter(plan.model_dir, plan.version)
    sections = write_networks(writer, exported, precision, template, celeba=plan.celeba)
    sections |= score_section(candidates[0], head)
    sections["training"] = provenance(
        placements, screened, precisions, candidates, train, celeba=plan.celeba
    )
    decider = Decider(candidates[0].score, head, candidates[0].fusion, Calibration({}))
    calibration = calibrate(
        valid, decider, seed=SEED, progress=lambda b: plan.report(f"calibrate bucket {b}", 0, 1)
    )
    data = {"set": "CelebA validation identities", **counts(valid)}
    document = CalibrationDocument.of(calibration, data)
    writer.add_json(CALIBRATION, document.model_dump(mode="json"))
    _write_golden(writer, plan, sections)
    writer.add("model_card.md", model_card(plan.version, sections, document).encode())
    writer.manifest(sections)
    load_bundle(writer.directory)
    return writer.publish()


def _screen(
    plan: Plan,
    published: ExportedNetworks,
    template: AlignmentTemplate,
    photos: Sequence[LabelledImage],
) -> list[Screened]:
    """Identities that may be LFW's, judged by the published weights."""
    strangers = read_folder(lfw_root(plan.data) / "images")
    return screen(
        _embed(plan, published, template, Precision.INT8, photos),
        _embed(plan, published, template, Precision.INT8, strangers),
    )


def _adapted(
    plan: Plan,
    published: ExportedNetworks,
    template: AlignmentTemplate,
    photos: Sequence[LabelledImage],
) -> ExportedNetworks:
    """The networks with the embedding adapted on `photos`."""
    model = published_embedding()
    faces = collect(
        photos,
        template,
        published.detector,
        threads=plan.threads,
        progress=lambda done, total: plan.report("cut faces out", done, total),
    )
    adapt(model, faces, AdaptationConfig(), plan.report)
    return published.with_embedding(model)


def _train_head(photos: EmbeddingSet) -> L1Head:
    found = photos.found
    return train_head(photos.embeddings[found], photos.identities[found], HeadTraining())


def _embed(
    plan: Plan,
    exported: ExportedNetworks,
    template: AlignmentTemplate,
    precision: Precision,
    photos: Sequence[LabelledImage],
) -> EmbeddingSet:
    """Run photos through the serving pipeline of a throw-away bundle."""
    with TemporaryDirectory() as folder:
        writer = BundleWriter(Path(folder), "draft")
        sections = write_networks(writer, exported, precision, template, celeba=plan.celeba)
        sections |= score_section(Candidate(ScoreName.COSINE, "mean", (0.0,)), PUBLISHED_HEAD)
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


def _choose_precision(
    plan: Plan,
    exported: ExportedNetworks,
    template: AlignmentTemplate,
    chosen: Sequence[LabelledImage],
    embedded: EmbeddingSet,
) -> tuple[Precision, dict[str, float], EmbeddingSet]:
    """int8 unless float16 is measurably better; with validation photos embedded by the winner."""
    sets = {
        Precision.INT8: _renumbered(embedded, chosen),
        Precision.FLOAT16: _embed(plan, exported, template, Precision.FLOAT16, chosen),
    }
    decider = Decider(ScoreName.COSINE, PUBLISHED_HEAD, "mean", Calibration({}))
    tars = {p: bucket_tar(photos, decider, "1", SEED) for p, photos in sets.items()}
    close = tars[Precision.INT8] >= tars[Precision.FLOAT16] - INT8_TOLERANCE
    winner = Precision.INT8 if close else Precision.FLOAT16
    return winner, {p.value: tar for p, tar in tars.items()}, sets[winner]


def _write_golden(writer: BundleWriter, plan: Plan, sections: dict[str, Any]) -> None:
    """Copy the portraits, with the embedding that the finished pipeline gives each."""
    pictures = sorted(plan.pictures.glob("*.jpg"))
    if not pictures:
        raise BundleError(f"{plan.pictures} holds no portraits for the golden images.")
    writer.add_json(GOLDEN, [])
    writer.manifest(sections)
    pipeline = Pipeline(load_bundle(writer.directory), engines=1, limits=DecodeLimits())
    entries = []
    for picture in pictures:
        name = f"golden/{picture.name}"
        writer.add(name, picture.read_bytes())
        try:
            found = pipeline.analyze(picture.read_bytes(), FacePolicy.PROMINENT)
        except FacetwinError as error:
            raise BundleError(
                f"The portrait {picture.name} is unusable: {error.message}"
            ) from error
        entries.append({"file": name, "embedding": [float(v) for v in found.embedding]})
    writer.add_json(GOLDEN, entries)


def _renumbered(photos: EmbeddingSet, images: Sequence[LabelledImage]) -> EmbeddingSet:
    """The found photos among `images`, with identities numbered from 0."""
    wanted = frozenset(images)
    keep = np.array([image in wanted for image in photos.images])
    return photos.subset(keep).renumbered()
