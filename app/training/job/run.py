"""A training job, stage by stage. Its process may be killed at any point and go on later.

What must not change on the way is kept in the job's folder: which bundle it started from, how the
photos were divided, the checkpoints, and, from the moment before the new bundle appears, what the
gate decided. Everything else is made again from these, or from the cache of crops.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from app.domain.errors import ActivationRunningError, ModelNotFoundError, TrainingDataError
from app.domain.subjects import subject_key
from app.domain.training import (
    Activation,
    EnrolledPhotos,
    JobOutcome,
    JobPlaces,
    Monitor,
    Preset,
    Stage,
    TrainingOptions,
)
from app.inference.bundle import Bundle, active_version, load_bundle
from app.inference.bundle_lock import hold
from app.inference.decode import DecodeLimits
from app.training.bundle_writer import BundleWriter, refuse_to_overwrite
from app.training.data.crops import CropCache
from app.training.data.dataset import Dataset
from app.training.data.examine import Examined, examine
from app.training.data.inspection import DataReport, inspect
from app.training.data.photos import hashes_of_others, left_out, read_photos
from app.training.data.split import SPLIT, Split, known_sides, make_split
from app.training.job.bundle import draft_bundle
from app.training.job.judge import Candidate, judge_candidate
from app.training.job.memory import CHECKPOINTS, JobMemory, read_json, write_json
from app.training.leavings import let_go
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.compact import train_compact
from app.training.presets.finetune import train_finetune
from app.training.presets.seed import train_seed
from app.training.presets.trained import Trained
from app.training.report.write import write_data_report

Activate = Callable[[str], None]

Trainer = Callable[[Dataset, Split, Bundle, TrainingOptions, Checkpoints, Monitor, int], Trained]

TRAINERS: Final[Mapping[Preset, Trainer]] = {
    Preset.SEED: train_seed,
    Preset.FINETUNE: train_finetune,
    Preset.COMPACT: train_compact,
}


def run_job(
    options: TrainingOptions,
    places: JobPlaces,
    monitor: Monitor,
    enrolled: EnrolledPhotos,
    activate: Activate,
) -> JobOutcome:
    """Check the photos, train, evaluate, judge, publish, and activate if the gate lets it.

    Called again with the same arguments after its process died, it goes on from what is on disk.

    Args:
        options: What is asked for.
        places: Where to read and write.
        monitor: Told how far it is.
        enrolled: Photos of enrolled subjects, for the regression test.
        activate: Makes a published bundle serve.

    Raises:
        TrainingDataError: If the photos would give a meaningless result; nothing was trained.
        JobStoppedError: If the monitor asked for it.
        FacetwinError: If there is no usable base, or something can't be written.
    """
    memory = _remembered(options, places)
    if memory.decision is None or not (places.model_dir / memory.version).exists():
        memory = _make(memory, options, places, monitor, enrolled)
    assert memory.decision
    overtaken = _activate(memory, options, places, monitor, activate)
    return JobOutcome(
        memory.version,
        memory.decision.judgement,
        memory.decision.activate and overtaken is None,
        (*([overtaken] if overtaken else []), *memory.decision.reasons),
    )


def _activate(
    memory: JobMemory,
    options: TrainingOptions,
    places: JobPlaces,
    monitor: Monitor,
    activate: Activate,
) -> str | None:
    """Let the new bundle serve if it shall; the reason if something came in between."""
    assert memory.decision
    if memory.activated or not memory.decision.activate:
        return None
    if_better = options.activate is Activation.IF_BETTER
    serving = active_version(places.model_dir)
    if if_better and serving not in {memory.base, memory.version}:
        return _OVERTAKEN.format(base=memory.base, serving=serving)
    monitor.stage(Stage.ACTIVATE)
    try:
        activate(memory.version)
    except ActivationRunningError:
        if not if_better:
            raise
        return _BUSY.format(base=memory.base)
    replace(memory, activated=True).write(places.work_dir)
    return None


_OVERTAKEN: Final = (
    "The new bundle was held against {base}, but {serving} was activated meanwhile, so it does not "
    "take over."
)
_BUSY: Final = (
    "The new bundle was held against {base}, but another one was just being activated, so it does "
    "not take over."
)


def _remembered(options: TrainingOptions, places: JobPlaces) -> JobMemory:
    """Base and version of the job, fixed when it first ran."""
    memory = JobMemory.read(places.work_dir)
    if memory is None:
        made = f"{options.preset.value}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        memory = JobMemory(active_version(places.model_dir), options.version or made)
        refuse_to_overwrite(places.model_dir, memory.version)
        memory.write(places.work_dir)
    return memory


def _make(
    memory: JobMemory,
    options: TrainingOptions,
    places: JobPlaces,
    monitor: Monitor,
    enrolled: EnrolledPhotos,
) -> JobMemory:
    """The new bundle, published; and the memory of what the gate decided."""
    began = monotonic()
    user = _User()
    base = _base(memory, places, user)
    photos = _photos(base, options, places, monitor)
    split = _split(photos.dataset, base, options, places)
    monitor.stage(Stage.TRAIN)
    trained = TRAINERS[options.preset](
        photos.dataset,
        split,
        base,
        options,
        Checkpoints(places.work_dir / CHECKPOINTS),
        monitor,
        places.threads,
    )
    let_go()
    monitor.stage(Stage.EXPORT)
    writer = BundleWriter(places.model_dir, memory.version)
    draft = draft_bundle(writer, base, trained, options)
    # The exported network serves from here on; the model would lie beside it to the end.
    trained = replace(trained, model=None)
    let_go()
    monitor.stage(Stage.EVALUATE)
    decision = judge_candidate(
        Candidate(
            draft,
            base,
            trained,
            photos.dataset,
            split,
            photos.examined,
            photos.report,
            options,
            began,
        ),
        places,
        monitor,
        enrolled,
    )
    monitor.stage(Stage.PUBLISH)
    memory = memory.decided(decision)
    memory.write(places.work_dir)
    writer.publish()
    return memory


class _User:
    """Uses a bundle as long as it lives: nobody deletes it meanwhile."""


def _base(memory: JobMemory, places: JobPlaces, user: _User) -> Bundle:
    try:
        base = load_bundle(places.model_dir / memory.base)
        hold(base.directory, user)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"The job started from the bundle {memory.base}, which is gone. Start a new job.",
            version=memory.base,
        ) from error
    return base


@dataclass(frozen=True, slots=True)
class _Photos:
    """All photos, what was found in them, and those that can be used."""

    examined: Sequence[Examined]
    report: DataReport
    dataset: Dataset


def _photos(base: Bundle, options: TrainingOptions, places: JobPlaces, monitor: Monitor) -> _Photos:
    """Look at the photos.

    Raises:
        TrainingDataError: If they would give a meaningless result.
    """
    monitor.stage(Stage.CHECK)
    crops = CropCache(places.crops_dir)
    photos = read_photos(places.data_dir, options.subject)
    limits = DecodeLimits(places.max_image_bytes, places.max_image_pixels)
    examined = examine(photos, base, crops, threads=places.threads, monitor=monitor, limits=limits)
    # What has left the folders by hand has to leave the cache too.
    others = hashes_of_others(places.data_dir, options.subject)
    crops.keep_only({each.sha256 for each in examined} | others)
    needed = options.preset is not Preset.COMPACT
    report, dataset = inspect(
        examined,
        base,
        crops,
        owner_needed=needed,
        subject=subject_key(options.subject) if needed else None,
        limits=limits,
        left_out=left_out(places.data_dir, options.subject),
    )
    # The end of the job says which problems there are.
    for warning in report.warnings:
        monitor.log(f"{warning.code}: {warning.message}")
    if report.problems:
        write_data_report(places.work_dir, options, report)
        raise TrainingDataError.of(
            [problem.model_dump() for problem in report.problems],
            "Training on these photos would be meaningless:",
        )
    return _Photos(examined, report, dataset)


def _split(dataset: Dataset, base: Bundle, options: TrainingOptions, places: JobPlaces) -> Split:
    """Made once; a job that goes on keeps its own."""
    document = read_json(places.work_dir / SPLIT)
    if document is not None:
        return Split.from_document(document, dataset)
    split = make_split(dataset, options.seed, known_sides(base))
    write_json(places.work_dir / SPLIT, split.document(dataset))
    return split
