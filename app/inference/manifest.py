"""What a bundle says about itself: manifest.json and calibration.json."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from app.domain.calibration import BUCKETS, Buckets, Calibration, OperatingPoint
from app.domain.decisions import Decider
from app.domain.entities import Floats, ReasonCode
from app.domain.quality import Gate
from app.domain.scoring import FUSIONS, L1Head, ScoreName
from app.inference.align import AlignmentTemplate
from app.inference.detect import DetectorSettings

FORMAT = 1
"""Version of the layout of a bundle; a loader refuses others."""

Rate = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """A file of the bundle."""

    sha256: Sha256
    bytes: int


class DetectorSection(_Strict):
    """The cascade: .tflite files and parameters (see `DetectorSettings`)."""

    proposal: str
    refinement: str
    output: str
    min_face: FiniteFloat
    factor: Annotated[float, Field(gt=0, lt=1)]
    thresholds: tuple[Rate, Rate, Rate]
    overlaps: tuple[Rate, Rate, Rate, Rate]
    max_candidates: Annotated[int, Field(gt=0)]
    mirrored_look: bool = False

    def settings(self) -> DetectorSettings:
        """As the detector takes them."""
        names = [field.name for field in fields(DetectorSettings)]
        return DetectorSettings(**{name: getattr(self, name) for name in names})


class AlignmentSection(_Strict):
    """Template of the aligned face, in pixels, and what of a photo is embedded."""

    size: Annotated[int, Field(gt=0)]
    points: tuple[tuple[FiniteFloat, FiniteFloat], ...] = Field(min_length=5, max_length=5)
    method: Literal["similarity", "central_crop"] = "similarity"
    """`similarity` embeds the aligned face, `central_crop` the middle of the photo, wherever the
    face is (see `app.inference.align.central_crop`); quality is of an aligned face with either."""

    def template(self) -> AlignmentTemplate:
        """As alignment takes it."""
        return AlignmentTemplate(self.size, np.array(self.points, np.float32))


class EmbeddingSection(_Strict):
    """The embedding network: input is `(pixels - mean) * scale`, RGB."""

    network: str
    keras: str | None
    commonness: str | None = None
    """Network that tells how alike strangers look to an embedding; appended as its last number."""
    precision: Literal["float32", "float16", "int8"]
    dimension: Annotated[int, Field(gt=0)]
    """Numbers of an embedding, the commonness included."""
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    scale: FiniteFloat
    mirror: bool
    """Whether the mean with the mirrored face is taken."""
    unit_length: bool

    def face(self, embedding: Floats) -> Floats:
        """What of an embedding is the face: all but the commonness, if there is one."""
        return embedding[:-1] if self.commonness else embedding


class HeadSection(_Strict):
    """The Siamese head `sigmoid(bias - weights . |a - b|)`."""

    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    bias: FiniteFloat


class ScoreSection(_Strict):
    """How two embeddings, and then all references of a subject, are scored."""

    decision: ScoreName
    fusion: Annotated[str, Field(pattern=f"^({'|'.join(FUSIONS)})$")]
    head: HeadSection


class GateSection(_Strict):
    """A quality gate."""

    limit: FiniteFloat
    blocking: bool


class Manifest(_Strict):
    """manifest.json. Free-form sections are provenance for people; nothing computes with them."""

    format: Literal[1]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    preset: str
    created: str
    fingerprint: Sha256
    files: dict[str, FileEntry]
    detector: DetectorSection
    alignment: AlignmentSection
    embedding: EmbeddingSection
    score: ScoreSection
    quality: dict[ReasonCode, GateSection]
    quality_alignment: AlignmentSection | None = None
    """Template of the aligned face that quality is measured on, for which the limits in `quality`
    hold; None for `alignment`. A bundle that embeds another crop than the one it took its gates
    from has that one here: a smaller crop shows less of a blur."""
    licence: str
    training: dict[str, Any]
    versions: dict[str, str]
    checksum: Sha256
    """sha256 of this document's canonical JSON without `checksum`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        normalised = self.score.decision is ScoreName.NORMALISED_COSINE
        if normalised and not self.embedding.commonness:
            raise ValueError("the score normalised_cosine needs a network `commonness`")
        if self.score.decision is ScoreName.COSINE and self.embedding.commonness:
            raise ValueError("the score cosine would take a commonness for a part of the face")
        if len(self.score.head.weights) != self.embedding.dimension:
            raise ValueError(
                f"the head has {len(self.score.head.weights)} weights for embeddings of "
                f"{self.embedding.dimension} numbers"
            )
        if self.quality_alignment and self.quality_alignment.method != "similarity":
            raise ValueError("quality can only be measured on an aligned face")
        return self

    def measured_alignment(self) -> AlignmentSection:
        """Of the aligned face that quality is measured on."""
        return self.quality_alignment or self.alignment

    def gates(self) -> dict[ReasonCode, Gate]:
        """As `domain.quality.assess` takes them."""
        return {code: Gate(g.limit, g.blocking) for code, g in self.quality.items()}

    def decider(self, calibration: Calibration) -> Decider:
        """Score, head, fusion and calibration in one."""
        head = L1Head(np.array(self.score.head.weights, np.float32), self.score.head.bias)
        return Decider(self.score.decision, head, self.score.fusion, calibration)


class PointSection(_Strict):
    """An operating point (see `OperatingPoint`)."""

    target_fmr: Annotated[float, Field(gt=0, lt=1)]
    threshold: FiniteFloat
    fmr: Rate
    fmr_interval: tuple[Rate, Rate]
    fnmr: Rate
    fnmr_interval: tuple[Rate, Rate]
    false_matches: Annotated[int, Field(ge=0)]
    identity_pairs: Annotated[int, Field(ge=0)]
    inherited: bool


BucketSections = dict[
    Annotated[str, Field(pattern=f"^({'|'.join(map(str, BUCKETS))})$".replace("+", r"\+"))],
    list[PointSection],
]


class CalibrationDocument(_Strict):
    """calibration.json; `subject` and `others` as in `Calibration`."""

    data: dict[str, Any]
    buckets: BucketSections
    subject: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    others: BucketSections = {}

    @model_validator(mode="after")
    def _others_than_whom(self) -> Self:
        if self.others and self.subject is None:
            raise ValueError("others than whom? `others` needs a `subject`")
        return self

    def calibration(self) -> Calibration:
        """As decisions take it."""
        return Calibration(_buckets(self.buckets), self.subject, _buckets(self.others))

    @classmethod
    def of(cls, calibration: Calibration, data: Mapping[str, Any]) -> Self:
        """The document of a calibration, with a description of the data behind it."""
        return cls(
            data=dict(data),
            buckets=_sections(calibration.buckets),
            subject=calibration.subject,
            others=_sections(calibration.others),
        )


def _buckets(sections: BucketSections) -> Buckets:
    return {
        bucket: tuple(OperatingPoint(**point.model_dump()) for point in points)
        for bucket, points in sections.items()
    }


def _sections(buckets: Buckets) -> BucketSections:
    return {
        bucket: [
            PointSection(**{name: getattr(point, name) for name in PointSection.model_fields})
            for point in points
        ]
        for bucket, points in buckets.items()
    }


def canonical(document: Mapping[str, Any]) -> bytes:
    """JSON that is the same for equal documents."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def checksum_of(document: Mapping[str, Any]) -> str:
    """sha256 of a manifest document without its own checksum."""
    return hashlib.sha256(
        canonical({k: v for k, v in document.items() if k != "checksum"})
    ).hexdigest()


def fingerprint_of(document: Mapping[str, Any]) -> str:
    """Hash of all that an embedding depends on: networks, detector, alignment, preprocessing."""
    detector, embedding = dict(document["detector"]), dict(document["embedding"])
    alignment = dict(document["alignment"])
    embedding.pop("keras", None)
    # What came later counts only where it is used, so that older bundles keep their fingerprint.
    for section, name in ((embedding, "commonness"), (detector, "mirrored_look")):
        if not section.get(name):
            section.pop(name, None)
    if alignment.get("method") == "similarity":
        del alignment["method"]
    networks = [detector[name] for name in ("proposal", "refinement", "output")]
    networks.append(embedding["network"])
    if embedding.get("commonness"):
        networks.append(embedding["commonness"])
    parts = {
        "files": [document["files"][name]["sha256"] for name in networks],
        "detector": detector,
        "alignment": alignment,
        "embedding": embedding,
    }
    return hashlib.sha256(canonical(parts)).hexdigest()
