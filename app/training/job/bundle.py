"""The bundle of a trained network: the base's detector and gates, and an embedding of its own."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from app.domain.entities import FacePolicy
from app.domain.scoring import ScoreName
from app.domain.training import Preset, TrainingOptions
from app.inference.bundle import GOLDEN, Bundle, load_bundle
from app.inference.decode import DecodeLimits
from app.inference.manifest import AlignmentSection, EmbeddingSection, HeadSection, ScoreSection
from app.inference.pipeline import Pipeline
from app.training.bundle_sections import versions
from app.training.bundle_writer import BundleWriter
from app.training.export import Precision, to_tflite
from app.training.keras_file import packed_keras
from app.training.presets.trained import Trained

NETWORK: Final = "embedding.tflite"
KERAS: Final = "embedding.keras"

PRECISIONS: Final = {
    Preset.SEED: Precision.FLOAT16,
    Preset.FINETUNE: Precision.INT8,
    Preset.COMPACT: Precision.INT8,
}
"""The tutorial's network gives 4,096 numbers whose small differences decide, so its weights are
rounded less. What rounding costs is in every figure: the exported network is what is evaluated."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A bundle that is being written.

    Attributes:
        writer: Of its files.
        sections: Of its manifest, so far.
    """

    writer: BundleWriter
    sections: dict[str, Any]


def draft_bundle(
    writer: BundleWriter, base: Bundle, trained: Trained, options: TrainingOptions
) -> Draft:
    """Write networks and golden images; calibration, card and manifest are still to come.

    Args:
        writer: Of the new bundle.
        base: The bundle that the job started from; its detector and quality gates are kept.
        trained: What training gave.
        options: Of the job.
    """
    for name in _detector_files(base):
        writer.add(name, base.networks[name])
    writer.add(NETWORK, to_tflite(trained.model, PRECISIONS[options.preset]))
    writer.add(KERAS, packed_keras(trained.model))
    if trained.commonness:
        writer.add(_commonness_name(base), trained.commonness)
    manifest = base.manifest
    sections: dict[str, Any] = {
        "preset": options.preset.value,
        "detector": manifest.detector.model_dump(),
        "alignment": _alignment(trained).model_dump(),
        "embedding": _embedding(base, trained, PRECISIONS[options.preset]).model_dump(),
        "score": _score(base, trained, options).model_dump(mode="json"),
        "quality": {code.value: gate.model_dump() for code, gate in manifest.quality.items()},
        "licence": licence(base, options.preset),
        "versions": versions(),
    }
    if measured := _quality_alignment(base, trained):
        # Only where it is needed: an earlier version of the service knows no such entry.
        sections["quality_alignment"] = measured.model_dump()
    return Draft(writer, sections)


def write_golden(draft: Draft, base: Bundle) -> None:
    """Copy the base's golden images, with the embedding that the new pipeline gives each.

    Sections, networks and calibration must have been written.
    """
    writer = draft.writer
    writer.add_json(GOLDEN, [])
    writer.manifest(draft.sections)
    pipeline = Pipeline(load_bundle(writer.directory), engines=1, limits=DecodeLimits())
    entries = []
    for name, data in golden_images(base):
        writer.add(name, data)
        embedding = pipeline.analyze(data, FacePolicy.PROMINENT).embedding
        entries.append({"file": name, "embedding": [float(value) for value in embedding]})
    writer.add_json(GOLDEN, entries)


def golden_images(base: Bundle) -> Iterable[tuple[str, bytes]]:
    """Name and content of the golden images of a bundle."""
    for entry in json.loads((base.directory / GOLDEN).read_bytes()):
        yield entry["file"], (base.directory / entry["file"]).read_bytes()


def provenance(
    base: Bundle, trained: Trained, options: TrainingOptions, data: dict[str, Any]
) -> dict[str, Any]:
    """How the bundle came to be, for people; paths and names are left out.

    Args:
        base: What the job started from.
        trained: What training gave.
        options: Of the job.
        data: Counts of the photos, and the sha256 of the split.
    """
    return {
        "preset": options.preset.value,
        "seed": options.seed,
        "base": {"version": base.manifest.version, "fingerprint": base.manifest.fingerprint},
        "architecture": trained.architecture,
        "configuration": json.loads(json.dumps(trained.config, default=str)),
        "history": [asdict(record) for record in trained.history],
        "data": data,
    }


def licence(base: Bundle, preset: Preset) -> str:
    """What the weights may be used for: nothing that is built on a base is freer than it."""
    own = "The embedding was trained on the photos of whoever ran the job, who answers for them. "
    if preset is Preset.FINETUNE:
        return own + f"It started from {base.manifest.version}: {base.manifest.licence}"
    return own + (
        "It has no weights of another bundle; the detector's are MIT (MTCNN). Data check and "
        f"quality gates are those of {base.manifest.version}."
    )


def _detector_files(base: Bundle) -> tuple[str, str, str]:
    detector = base.manifest.detector
    return detector.proposal, detector.refinement, detector.output


def _commonness_name(base: Bundle) -> str:
    return base.manifest.embedding.commonness or "commonness.tflite"


def _alignment(trained: Trained) -> AlignmentSection:
    return AlignmentSection(
        size=trained.template.size,
        points=tuple((float(x), float(y)) for x, y in trained.template.points),
        method="central_crop" if trained.central else "similarity",
    )


def _quality_alignment(base: Bundle, trained: Trained) -> AlignmentSection | None:
    """The base's, whose limits are kept; None if the network takes the same faces."""
    measured = base.manifest.measured_alignment()
    template = measured.template()
    same_size = template.size == trained.template.size
    if same_size and np.array_equal(template.points, trained.template.points):
        return None
    return AlignmentSection(size=measured.size, points=measured.points)


def _embedding(base: Bundle, trained: Trained, precision: Precision) -> EmbeddingSection:
    dimension = int(trained.model.output.shape[-1])
    return EmbeddingSection(
        network=NETWORK,
        keras=KERAS,
        commonness=_commonness_name(base) if trained.commonness else None,
        precision=precision.value,
        dimension=dimension + (trained.commonness is not None),
        mean=trained.mean,
        scale=trained.scale,
        mirror=trained.mirror,
        unit_length=trained.unit_length,
    )


def _score(base: Bundle, trained: Trained, options: TrainingOptions) -> ScoreSection:
    """The base's own way to decide where the embedding is still comparable by it."""
    head = HeadSection(weights=tuple(map(float, trained.head.weights)), bias=trained.head.bias)
    if options.preset is Preset.SEED:
        return ScoreSection(decision=ScoreName.L1_LOGIT, fusion="mean", head=head)
    if options.preset is Preset.FINETUNE:
        score = base.manifest.score
        return ScoreSection(decision=score.decision, fusion=score.fusion, head=head)
    return ScoreSection(decision=ScoreName.COSINE, fusion="mean", head=head)
