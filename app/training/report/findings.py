"""All that a finished job has found out."""

from dataclasses import dataclass

from app.domain.calibration import Calibration
from app.domain.training import TrainingOptions
from app.inference.bundle import Bundle
from app.training.acceptance.comparison import Comparison
from app.training.acceptance.contest import Contest
from app.training.acceptance.gate import GateResult
from app.training.acceptance.regression import RegressionResult
from app.training.data.dataset import Dataset
from app.training.data.inspection import DataReport
from app.training.data.split import Split
from app.training.job.memory import Decision
from app.training.presets.trained import Trained


@dataclass(frozen=True, slots=True)
class Findings:
    """What report and model card are made of.

    Attributes:
        version: Of the new bundle.
        base: The bundle that it started from and is held against.
        options: Of the job.
        trained: What training gave.
        dataset: Distinct, usable photos.
        split: The side of each.
        data: What was found in all photos.
        contest: Both bundles on the test side.
        comparison: Their rates, side by side.
        gate: Which is better.
        regressions: What other people lose.
        decision: Whether the new bundle shall serve.
        calibration: Of the new bundle.
        seconds: That the job's process took.
    """

    version: str
    base: Bundle
    options: TrainingOptions
    trained: Trained
    dataset: Dataset
    split: Split
    data: DataReport
    contest: Contest
    comparison: Comparison
    gate: GateResult
    regressions: tuple[RegressionResult, ...]
    decision: Decision
    calibration: Calibration
    seconds: float
