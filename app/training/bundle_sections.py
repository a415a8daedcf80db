"""The sections of the default bundle's manifest."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from typing import Any, Final

import cv2
import numpy as np

from app.domain.entities import ReasonCode
from app.domain.quality import Gate
from app.domain.scoring import L1Head
from app.inference.align import AlignmentTemplate
from app.inference.manifest import EmbeddingSection
from app.training import dlib_weights, mtcnn_networks, networks
from app.training.adaptation.config import AdaptationConfig
from app.training.bundle_writer import BundleWriter
from app.training.commonness import CommonnessConfig
from app.training.embedding_set import EmbeddingSet
from app.training.export import Precision
from app.training.head import HeadTraining
from app.training.plan import SEED
from app.training.published import DETECTOR, RESNET29_DIMENSION, ExportedNetworks
from app.training.screening import MIN_COSINE, Screened
from app.training.selection import Candidate, ChosenWeight
from app.training.template import Placement

GATES: Final = {
    ReasonCode.FACE_TOO_SMALL: Gate(10.0, blocking=True),
    ReasonCode.TOO_BLURRY: Gate(6.0, blocking=True),
    ReasonCode.TOO_DARK: Gate(35.0, blocking=True),
    ReasonCode.TOO_BRIGHT: Gate(230.0, blocking=True),
    ReasonCode.LOW_CONTRAST: Gate(15.0, blocking=False),
    ReasonCode.EXTREME_POSE: Gate(60.0, blocking=False),
    ReasonCode.FACE_CUT_OFF: Gate(0.7, blocking=True),
    ReasonCode.LOW_CONFIDENCE: Gate(0.9, blocking=False),
    ReasonCode.MULTIPLE_FACES: Gate(0.5, blocking=False),
}
"""Limits beyond which a verdict would be a guess.

On CelebA's training photos the share of genuine pairs that match falls only slowly with each
measure: photos with 10 to 16 pixels between the eyes still match half of the time, so stricter
gates would turn away more people than they would spare an error. Beyond 60 degrees of yaw or pitch,
too, every second genuine pair still matches, so an extreme pose is advice, not a refusal.
"""

COMMONNESS: Final = "commonness.tflite"

_ADAPTED: Final = (
    "The detector's weights (pnet, rnet, onet) are MIT (MTCNN). The embedding (embedding.tflite, "
    "embedding.keras) started from public-domain weights (ResNet-29) and was then trained on "
    "CelebA; the commonness, the Siamese head, the alignment and the calibration were fitted on "
    "it. CelebA is released for non-commercial research only: take all of these, and so the "
    "bundle, for non-commercial."
)
_UNTOUCHED: Final = (
    "All weights are as published but for rounding: public domain (ResNet-29) and MIT (MTCNN). "
    "No weight has seen CelebA; the alignment and the calibration were measured on it, and CelebA "
    "is released for non-commercial research only."
)


def published_head(dimension: int) -> L1Head:
    """For the vote policy of a bundle without a trained head: equal weights.

    0.5 is about where two embeddings are as far apart as the published threshold (0.6 at the
    published length). A commonness has no weight.
    """
    weights = np.full(dimension, 4.0, np.float32)
    weights[RESNET29_DIMENSION:] = 0
    return L1Head(weights, 15.5)


def write_networks(
    writer: BundleWriter,
    exported: ExportedNetworks,
    precision: Precision,
    template: AlignmentTemplate,
    *,
    celeba: bool,
) -> dict[str, Any]:
    """Write the network files; give the manifest's sections that follow from them."""
    names = {"proposal": "pnet.tflite", "refinement": "rnet.tflite", "output": "onet.tflite"}
    for role, name in names.items():
        writer.add(name, getattr(exported, role))
    section = embedding_section(precision)
    if exported.commonness:
        writer.add(COMMONNESS, exported.commonness)
        section = section.model_copy(
            update={"commonness": COMMONNESS, "dimension": exported.dimension}
        )
    writer.add(section.network, exported.embeddings[precision])
    writer.add("embedding.keras", exported.keras)
    return {
        "preset": "resnet29",
        "detector": {**names, **asdict(DETECTOR)},
        "alignment": {"size": template.size, "points": template.points.tolist()},
        "embedding": section.model_dump(),
        "quality": {code: asdict(gate) for code, gate in GATES.items()},
        "licence": _ADAPTED if celeba else _UNTOUCHED,
        "versions": versions(),
    }


def embedding_section(precision: Precision) -> EmbeddingSection:
    """How the published embedding network is used."""
    return EmbeddingSection(
        network="embedding.tflite",
        keras="embedding.keras",
        precision=precision.value,
        dimension=RESNET29_DIMENSION,
        mean=networks.RESNET29_MEAN,
        scale=networks.RESNET29_SCALE,
        mirror=True,
        unit_length=True,
    )


def score_section(chosen: Candidate, head: L1Head) -> dict[str, Any]:
    """How to decide."""
    weights = [float(weight) for weight in head.weights]
    return {
        "score": {
            "decision": chosen.score.value,
            "fusion": chosen.fusion,
            "head": {"weights": weights, "bias": head.bias},
        }
    }


@dataclass(frozen=True, slots=True)
class Choices:
    """What a build tried and found, for people to read.

    Attributes:
        placements: Of the alignment template.
        screened: Identities that were left out.
        weight: Of the commonness; None if nothing was trained on CelebA.
        precisions: True accept rate by precision of the weights.
        candidates: Scores and fusions, the best first.
    """

    placements: Sequence[Placement]
    screened: Sequence[Screened]
    weight: ChosenWeight | None
    precisions: Mapping[str, float]
    candidates: Sequence[Candidate]


def provenance(choices: Choices, train: EmbeddingSet | None) -> dict[str, Any]:
    """How the bundle came to be; `train` holds the photos of the head, None if none was trained."""
    weight = choices.weight
    return {
        "seed": SEED,
        "weights": {
            "embedding": f"{dlib_weights.PACKAGE}: {dlib_weights.MEMBER}",
            "embedding_sha256": dlib_weights.SHA256,
            "detector": f"{mtcnn_networks.PACKAGE} {installed('mtcnn')}",
            "detector_sha256": mtcnn_networks.SHA256,
        },
        "head": _head_training(train) if train else {"trained_on": None},
        "adaptation": asdict(AdaptationConfig()) if train else None,
        "commonness": asdict(CommonnessConfig()) | asdict(weight) if weight else None,
        "template_placements": [asdict(p) for p in choices.placements],
        "precision_tar_at_fmr_1e-3": choices.precisions,
        "selection_tar_at_fmr_1e-3": [
            {"score": c.score.value, "fusion": c.fusion, "tars": c.tars} for c in choices.candidates
        ],
        "screening": {
            "min_cosine": MIN_COSINE,
            "identities": [asdict(s) for s in choices.screened],
        },
    }


def _head_training(train: EmbeddingSet) -> dict[str, Any]:
    where = {"trained_on": "CelebA training identities"}
    return where | counts(train) | asdict(HeadTraining())


def counts(photos: EmbeddingSet) -> dict[str, int]:
    """Size of a labelled set."""
    return {
        "photos": len(photos.images),
        "identities": len(np.unique(photos.identities)),
        "not_found": int(np.count_nonzero(~photos.found)),
        "inconclusive": int(np.count_nonzero(photos.found & ~photos.usable)),
    }


def versions() -> dict[str, str]:
    """What the bundle was built with."""
    packages = ("tensorflow", "keras", "numpy", "ai-edge-litert")
    return {
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        **{package: installed(package) for package in packages},
    }
