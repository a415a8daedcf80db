"""The report as data: everything on the page but the pictures."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.domain.training import Judgement, TrainingOptions
from app.inference.manifest import CalibrationDocument
from app.training.acceptance.comparison import Comparison
from app.training.acceptance.gate import GateResult
from app.training.acceptance.hardest import HardError
from app.training.acceptance.regression import RegressionResult
from app.training.data.dataset import Dataset
from app.training.data.report import DataReport
from app.training.data.split import Split
from app.training.datasets import Side
from app.training.evaluation.sections import ModelSection
from app.training.report.findings import Findings

FORMAT: Final = 1


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True)


class VerdictSection(_Section):
    """What came of the job."""

    sentence: str
    judgement: Judgement | None
    activate: bool
    reasons: list[str]


class SideSection(_Section):
    """What is on one side of the split."""

    owner_photos: int
    owner_groups: int = Field(description="Photos that belong together count once.")
    other_people: int
    other_photos: int


class SplitSection(_Section):
    """How the usable photos were divided before training."""

    seed: int
    sides: dict[Side, SideSection]


class EpochSection(_Section):
    """An epoch; null is what could not be computed."""

    epoch: int
    loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float | None
    seconds: float


class TrainingSection(_Section):
    """How the network was trained."""

    architecture: str
    options: dict[str, Any]
    hyper_parameters: dict[str, Any]
    history: list[EpochSection]
    seconds: float = Field(description="Of the job, until the report was written.")


class ShownError(_Section):
    """One of the worst errors; files are null for photos that are not in the data set."""

    error: HardError
    probe_file: str | None
    reference_file: str | None


class ReportDocument(_Section):
    """report.json of a job that trained."""

    format: int = FORMAT
    version: str
    base: ModelSection
    verdict: VerdictSection
    comparison: Comparison
    gate: GateResult
    regressions: list[RegressionResult]
    calibration: CalibrationDocument
    training: TrainingSection
    hardest_errors: list[ShownError]
    split: SplitSection
    data: DataReport


class RefusalDocument(_Section):
    """report.json of a job whose photos were refused."""

    format: int = FORMAT
    verdict: VerdictSection
    options: dict[str, Any]
    data: DataReport


def document(findings: Findings, errors: Iterable[HardError]) -> ReportDocument:
    """The report of a job that trained."""
    manifest, trained = findings.base.manifest, findings.trained
    return ReportDocument(
        version=findings.version,
        base=ModelSection(version=manifest.version, fingerprint=manifest.fingerprint),
        verdict=VerdictSection(
            sentence=verdict(findings),
            judgement=findings.decision.judgement,
            activate=findings.decision.activate,
            reasons=list(findings.decision.reasons),
        ),
        comparison=findings.comparison,
        gate=findings.gate,
        regressions=list(findings.regressions),
        calibration=CalibrationDocument.of(findings.calibration, {}),
        training=TrainingSection(
            architecture=trained.architecture,
            options=options_of(findings.options),
            hyper_parameters=plain(trained.config),
            history=[EpochSection(**plain(asdict(record))) for record in trained.history],
            seconds=round(findings.seconds, 1),
        ),
        hardest_errors=[_shown(findings, error) for error in errors],
        split=split_counts(findings.split, findings.dataset),
        data=findings.data,
    )


def refusal(options: TrainingOptions, report: DataReport) -> RefusalDocument:
    """The report of a job that did not train."""
    return RefusalDocument(
        verdict=VerdictSection(
            sentence="Nothing was trained: these photos would give a meaningless result.",
            judgement=None,
            activate=False,
            reasons=[problem.message for problem in report.problems],
        ),
        options=options_of(options),
        data=report,
    )


_JUDGED: Final = {
    Judgement.BETTER: "is better than",
    Judgement.INDISTINGUISHABLE: "can't be told from",
    Judgement.WORSE: "is worse than",
    None: "could not be compared with",
}


def verdict(findings: Findings) -> str:
    """The result in one sentence."""
    base, decision = findings.base.manifest.version, findings.decision
    judged = f"{findings.version} {_JUDGED[decision.judgement]} {base}"
    return (
        f"{judged} and is to take over."
        if decision.activate
        else f"{judged}, which goes on serving."
    )


def split_counts(split: Split, dataset: Dataset) -> SplitSection:
    """How many photos and people are on each side."""
    sides = np.array([side.value for side in split.sides])
    own = np.zeros(len(dataset), np.bool_)
    own[dataset.owner] = True
    found = {}
    for side in Side:
        here = sides == side.value
        found[side] = SideSection(
            owner_photos=int(np.count_nonzero(here & own)),
            owner_groups=len(np.unique(dataset.groups[here & own])),
            other_people=len(np.unique(dataset.people[here & ~own])),
            other_photos=int(np.count_nonzero(here & ~own)),
        )
    return SplitSection(seed=split.seed, sides=found)


def options_of(options: TrainingOptions) -> dict[str, Any]:
    """What was asked for, as JSON."""
    return dict(plain(asdict(options)))


def plain(value: Any) -> Any:
    """As JSON has it: what is no number becomes null, what is unknown to JSON text."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return json.loads(json.dumps(value, default=str))


def _shown(findings: Findings, error: HardError) -> ShownError:
    files = [_file(findings, row) for row in (error.probe, error.reference)]
    return ShownError(error=error, probe_file=files[0], reference_file=files[1])


def _file(findings: Findings, row: int) -> str | None:
    known = int(findings.contest.sample.rows[row])
    return findings.dataset.photos[known].name if known >= 0 else None
