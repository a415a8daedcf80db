"""`facetwin evaluate robustness`: what the decision loses when the probe gets worse.

References stay as they are, as enrolment would keep them. Every degraded probe is stored as a file
and goes the whole way of a photo through the pipeline that serves.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel

from app.domain.decisions import Decider
from app.domain.entities import FacePolicy, Floats
from app.domain.ports import FacePipeline
from app.training.embedding_set import EmbeddingSet, Progress, embed_all
from app.training.evaluation.curves import FAILED, Comparisons, error_curve
from app.training.evaluation.degrade import DEGRADATIONS
from app.training.evaluation.degraded_probes import degrade_all
from app.training.evaluation.folder_report import (
    FEW_IDENTITIES,
    read_people,
    require_pairs,
    require_usable,
)
from app.training.evaluation.intervals import (
    ROUNDS,
    ImpostorTrials,
    fnmr_interval,
    tar_interval,
)
from app.training.evaluation.pairing import Rows, cross_scores
from app.training.evaluation.probe_sample import draw_sample, probe_pairs
from app.training.evaluation.rates import is_supported, percent
from app.training.evaluation.sections import ModelSection
from app.training.metrics import Interval

CLEAN: Final = "clean"
UNSUPPORTED: Final = "unsupported"


class RobustnessRow(BaseModel):
    """One degradation.

    Attributes:
        not_found: Degraded probes without a face.
        inconclusive: Degraded probes that a quality gate refuses.
        tar_at_clean_threshold: True accept rate at the threshold that clean impostor probes set:
            what a deployed service sees. A probe that failed is an error.
        fmr_at_clean_threshold: False match rate of the degraded impostor probes there.
        tar_at_own_threshold: True accept rate at the threshold that the degraded impostor probes
            set.
    """

    degradation: str
    description: str
    probes: int
    not_found: int
    inconclusive: int
    tar_at_clean_threshold: Interval | None
    fmr_at_clean_threshold: Interval | None
    tar_at_own_threshold: Interval | None


class RobustnessReport(BaseModel):
    """Every degradation; rates are null where too few false matches support them.

    Attributes:
        fmr: The false match rate that thresholds are set at.
        unusable: Photos of the sample that were left out because they fail as they are.
    """

    model: ModelSection
    face_policy: FacePolicy
    seed: int
    fmr: float
    identities: int
    photos: int
    unusable: int
    genuine_pairs: int
    impostor_pairs: int
    degradations: list[RobustnessRow]

    def rows(self) -> list[tuple[str, ...]]:
        """The report as a table."""
        return [
            (
                row.description,
                f"{row.not_found} / {row.inconclusive} of {row.probes}",
                percent(row.tar_at_clean_threshold) if row.tar_at_clean_threshold else UNSUPPORTED,
                f"{row.fmr_at_clean_threshold.value:.2g}"
                if row.fmr_at_clean_threshold
                else UNSUPPORTED,
                percent(row.tar_at_own_threshold) if row.tar_at_own_threshold else UNSUPPORTED,
            )
            for row in self.degradations
        ]

    def notes(self) -> list[str]:
        """What a reader of the rates should know."""
        if self.identities >= FEW_IDENTITIES:
            return []
        return [f"{self.identities} identities are few: the intervals are narrower than the truth."]


def evaluate_robustness(
    pipeline: FacePipeline,
    data: Path,
    *,
    probes: int,
    fmr: float,
    policy: FacePolicy,
    seed: int,
    threads: int,
    progress: Progress | None = None,
) -> RobustnessReport:
    """Measure a bundle on degraded probes of `data/<identity>/*`.

    Args:
        pipeline: The bundle at work.
        data: The set.
        probes: Most photos to degrade.
        fmr: False match rate that thresholds are set at.
        policy: Which face of a photo is meant.
        seed: Of drawing probes and pairs, of noise and of the bootstrap.
        threads: Photos in work at once.
        progress: Called with (done, total) after each photo and each degradation.

    Raises:
        InvalidRequestError: If the folder is not such a set or there is nothing to compare.
    """
    images = read_people(data)
    require_pairs(images, data)
    sample = draw_sample(images, probes=probes, seed=seed)
    total = len(sample.images) + sample.probes * len(DEGRADATIONS)

    def advance(done: int) -> None:
        if progress:
            progress(done, total)

    clean = embed_all(
        pipeline,
        sample.images,
        threads=threads,
        policy=policy,
        progress=lambda done, _total: advance(done),
    )
    worse = degrade_all(
        pipeline,
        clean,
        sample.probes,
        policy=policy,
        seed=seed,
        threads=threads,
        progress=lambda done, _total: advance(len(sample.images) + done * len(DEGRADATIONS)),
    )
    compared = ProbeComparisons(clean, sample.probes, pipeline.decider, seed)
    return RobustnessReport(
        model=ModelSection.of(pipeline),
        face_policy=policy,
        seed=seed,
        fmr=fmr,
        identities=len(np.unique(clean.identities[clean.usable])),
        photos=len(clean.images),
        unusable=int(np.count_nonzero(~clean.usable)),
        genuine_pairs=len(compared.genuine[0]),
        impostor_pairs=len(compared.impostor[0]),
        degradations=compared.rows(worse, fmr),
    )


class ProbeComparisons:
    """The same pairs of probe and reference, whatever became of the probes.

    Args:
        clean: Probes, then further references, as they are.
        probes: How many of them are probes.
        decider: Scores pairs.
        seed: Of drawing impostor pairs and of the bootstrap.

    Raises:
        InvalidRequestError: If there is no genuine or no impostor pair of usable photos.
    """

    def __init__(self, clean: EmbeddingSet, probes: int, decider: Decider, seed: int) -> None:
        self._references, self._probes, self._decider = clean, probes, decider
        self.genuine, self.impostor = probe_pairs(clean, probes, seed=seed)
        self._tried = clean.usable[:probes]
        self._clean = self.against(clean)
        require_usable(self._clean)
        self._weights = self._clean.weights(ROUNDS, seed)

    def against(self, probes: EmbeddingSet) -> Comparisons:
        """Compare degraded probes, of the same rows as the clean ones, with the references."""
        made = tuple(rows[probes.usable[self.impostor[0]]] for rows in self.impostor)
        identities = self._references.identities
        genuine = self._scores(probes, self.genuine)
        genuine[~probes.usable[self.genuine[0]]] = FAILED
        return Comparisons(
            genuine=genuine,
            owners=identities[self.genuine[0]],
            impostor=self._scores(probes, (made[0], made[1])),
            first=identities[made[0]],
            second=identities[made[1]],
        )

    def rows(self, worse: Sequence[EmbeddingSet], fmr: float) -> list[RobustnessRow]:
        """The clean probes, then each of `DEGRADATIONS`, whose results `worse` holds."""
        threshold = None
        if is_supported(self._clean, fmr):
            threshold = float(error_curve(self._clean).thresholds_at(fmr))
        described = [(CLEAN, "as it is"), *((d.name, d.description) for d in DEGRADATIONS)]
        return [
            self._row(names, probes, fmr, threshold)
            for names, probes in zip(described, (self._references, *worse), strict=True)
        ]

    def _row(
        self, names: tuple[str, str], probes: EmbeddingSet, fmr: float, threshold: float | None
    ) -> RobustnessRow:
        compared = self.against(probes)
        found, usable = (flags[: self._probes] for flags in (probes.found, probes.usable))
        at_clean = None if threshold is None else self._at(compared, threshold)
        supported = is_supported(compared, fmr)
        return RobustnessRow(
            degradation=names[0],
            description=names[1],
            probes=int(np.count_nonzero(self._tried)),
            not_found=int(np.count_nonzero(self._tried & ~found)),
            inconclusive=int(np.count_nonzero(self._tried & found & ~usable)),
            tar_at_clean_threshold=at_clean[0] if at_clean else None,
            fmr_at_clean_threshold=at_clean[1] if at_clean else None,
            tar_at_own_threshold=tar_interval(compared, fmr, self._weights) if supported else None,
        )

    def _at(self, compared: Comparisons, threshold: float) -> tuple[Interval, Interval | None]:
        missed = fnmr_interval(compared, threshold, self._weights)
        accepted = Interval(1 - missed.value, 1 - missed.high, 1 - missed.low)
        if not len(compared.impostor):
            return accepted, None
        trials = ImpostorTrials.of(compared.first, compared.second, self._weights)
        return accepted, trials.rate(compared.impostor >= np.float32(threshold))

    def _scores(self, probes: EmbeddingSet, rows: Rows) -> Floats:
        return cross_scores(probes.embeddings, self._references.embeddings, rows, self._decider)
