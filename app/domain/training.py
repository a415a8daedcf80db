"""The words of training: what a job is asked for, where it stands, how it is judged."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from app.domain.entities import FacePolicy
from app.domain.subjects import DEFAULT_SUBJECT


class Role(StrEnum):
    """The folders of training photos, under FACETWIN_DATA_DIR."""

    ANCHOR = "anchor"
    """Photos of the owner, as the seed tutorial's webcam takes them."""
    POSITIVE = "positive"
    """More photos of the owner."""
    NEGATIVE = "negative"
    """Other people: a folder for each, or files, each taken for a person of its own."""


class Preset(StrEnum):
    """How a bundle is trained."""

    SEED = "seed"
    """The seed tutorial's network and training, to the letter."""
    FINETUNE = "finetune"
    """From the active bundle's embedding, on hundreds of photos."""
    COMPACT = "compact"
    """A small embedding from scratch, on a real dataset of many people."""


class Crop(StrEnum):
    """What the preset `seed` is shown."""

    ALIGNED = "aligned"
    """The face, found and aligned."""
    CENTRAL = "central"
    """The middle of the photo, as in the tutorial."""


class Pooling(StrEnum):
    """The max-pooling windows of the preset `seed`."""

    PUBLISHED = "published"
    """64x64 with stride 2, as the tutorial has it."""
    SMALL = "2x2"
    """2x2 with stride 2, as it surely meant."""


class Activation(StrEnum):
    """When a new bundle serves."""

    IF_BETTER = "if_better"
    ALWAYS = "always"
    NEVER = "never"


class Judgement(StrEnum):
    """How a new bundle does against the active one."""

    BETTER = "better"
    INDISTINGUISHABLE = "indistinguishable"
    WORSE = "worse"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    """It ran to its end; whether its bundle serves is another matter."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process died; `resume` continues from the last checkpoint."""

    @property
    def ended(self) -> bool:
        """Whether nothing works on it any more."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


class Stage(StrEnum):
    """What a running job is doing, in this order."""

    CHECK = "check_data"
    TRAIN = "train"
    EXPORT = "export"
    EVALUATE = "evaluate"
    GATE = "gate"
    PUBLISH = "publish"
    ACTIVATE = "activate"


TRAINING_SEED = 20261125


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What a job is asked for.

    Attributes:
        preset: How to train.
        subject: Whom anchor and positive show; the calibration is about this subject, and erasing
            it erases what training keeps of it.
        version: Name of the new bundle; None for one made of preset and time.
        activate: When the new bundle serves.
        seed: Of the split and of all that is drawn.
        epochs: None for the preset's own number.
        crop: What the preset `seed` is shown.
        pooling: Of the preset `seed`.
    """

    preset: Preset = Preset.FINETUNE
    subject: str = DEFAULT_SUBJECT
    version: str | None = None
    activate: Activation = Activation.IF_BETTER
    seed: int = TRAINING_SEED
    epochs: int | None = None
    crop: Crop = Crop.ALIGNED
    pooling: Pooling = Pooling.PUBLISHED


@dataclass(frozen=True, slots=True)
class JobPlaces:
    """Where a job reads and writes, and what it may take.

    Attributes:
        data_dir: Holds anchor/, positive/ and negative/.
        model_dir: Of the bundles.
        work_dir: The job's own folder: checkpoints, split, report.
        crops_dir: Cache of crops that jobs share.
        threads: Photos in work at the same time.
        max_fmr: The false match rate that the service accepts, and the gate looks at.
        max_image_bytes: Larger photos are rejected; by default as FACETWIN_MAX_IMAGE_BYTES.
        max_image_pixels: So are those of more pixels; by default as FACETWIN_MAX_IMAGE_PIXELS.
    """

    data_dir: Path
    model_dir: Path
    work_dir: Path
    crops_dir: Path
    threads: int
    max_fmr: float
    max_image_bytes: int = 20 * 1024 * 1024
    max_image_pixels: int = 50_000_000


class JobStoppedError(Exception):
    """Someone asked the job to stop: it is raised out of `Monitor.progress`, and passes through."""


class Monitor(Protocol):
    """Whom a job tells how far it is. Called from the job's own thread, as often as it likes."""

    def stage(self, stage: Stage) -> None:
        """A stage begins; raises as `progress`."""

    def progress(
        self,
        done: int,
        total: int,
        *,
        what: str | None = None,
        epoch: int | None = None,
        loss: float | None = None,
    ) -> None:
        """`done` of `total` steps of the stage.

        Args:
            done: Steps done.
            total: Steps in all.
            what: Which part of the stage this counts, in a few words; it may change.
            epoch: Of training, from 1.
            loss: Of training, at this step.

        Raises:
            JobStoppedError: If the job shall stop. Long loops call this at least once a second.
        """

    def log(self, message: str) -> None:
        """A line for the job's log; no name of a person but those of files and folders."""


@dataclass(frozen=True, slots=True)
class EnrolledPhoto:
    """A reference of an enrolled subject, for the regression test of a new bundle."""

    subject: str
    data: bytes
    policy: FacePolicy


class EnrolledPhotos(Protocol):
    """The gallery, as far as training may look into it."""

    def __call__(self) -> Iterator[EnrolledPhoto]:
        """References of all subjects with two or more, subject by subject."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a finished job has to tell.

    Attributes:
        version: Of the bundle that was published; None if none was.
        judgement: Against the active bundle; None where they could not be compared.
        activated: Whether the new bundle serves from now on.
        reasons: Why, or why not, one sentence each.
    """

    version: str | None
    judgement: Judgement | None
    activated: bool
    reasons: tuple[str, ...] = ()
