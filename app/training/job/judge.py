"""A trained network, made ready to serve, and judged on photos that it never saw."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from time import monotonic
from typing import Any, Final

import numpy as np

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.subjects import subject_key
from app.domain.training import (
    EnrolledPhotos,
    JobPlaces,
    Monitor,
    Preset,
    Stage,
    TrainingOptions,
)
from app.inference.bundle import CALIBRATION, GOLDEN, Bundle, load_bundle
from app.inference.decode import DecodeLimits
from app.inference.manifest import CalibrationDocument
from app.inference.pipeline import Pipeline
from app.training.acceptance.comparison import compare
from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.decision import Duties, decide_activation
from app.training.acceptance.gate import judge
from app.training.acceptance.pricing import NOBODY, calibrate_owner
from app.training.acceptance.regression import (
    Enrolled,
    embed_enrolled,
    namesakes,
    regressions,
)
from app.training.acceptance.sample import Sample
from app.training.data.dataset import Dataset
from app.training.data.examine import Examined
from app.training.data.inspection import DataReport
from app.training.data.split import SPLIT, Split, with_earlier
from app.training.datasets import Side
from app.training.embedding_set import EmbeddingSet
from app.training.job.bundle import Draft, provenance, write_golden
from app.training.job.memory import Decision, write_json
from app.training.job.unseen import embed_unseen, known_embeddings
from app.training.leavings import let_go
from app.training.presets.trained import Trained
from app.training.report.card import model_card
from app.training.report.findings import Findings
from app.training.report.write import write_report

CARD: Final = "model_card.md"


_NOTHING_GAINED: Final = (
    "Training found nothing that was better on the validation side than what it started from, so "
    "the new bundle embeds as the active one does; only its thresholds are its own."
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained network, and all that it came from.

    Attributes:
        draft: Its bundle: networks and sections are written.
        base: The bundle that the job started from, which it is held against.
        trained: What training gave.
        dataset: Distinct, usable photos.
        split: The side of each.
        examined: All photos, the unusable ones too.
        data: What was found in them.
        options: Of the job.
        began: When the job's process began, by `monotonic`.
    """

    draft: Draft
    base: Bundle
    trained: Trained
    dataset: Dataset
    split: Split
    examined: Sequence[Examined]
    data: DataReport
    options: TrainingOptions
    began: float

    @property
    def subject(self) -> str | None:
        """Key of the subject that the owner is; None for a bundle that is for everybody."""
        if self.options.preset is Preset.COMPACT:
            return None
        return subject_key(self.options.subject)


def judge_candidate(
    candidate: Candidate, places: JobPlaces, monitor: Monitor, enrolled: EnrolledPhotos
) -> Decision:
    """Calibrate, compare with the base, decide; finish the bundle and write the report.

    Everything is measured with the exported network, as it would serve.

    Args:
        candidate: What is judged.
        places: The report goes to the job's folder.
        monitor: Told how far it is; it may stop this.
        enrolled: Photos of enrolled subjects, for the regression test.

    Raises:
        StorageError: If the report can't be written.
        JobStoppedError: If the monitor asked for it.
    """
    options, base, draft = candidate.options, candidate.base, candidate.draft
    sample = Sample.of(
        candidate.dataset,
        candidate.split,
        candidate.examined,
        everybody=candidate.subject is None,
    )
    draft.sections["training"] = provenance(base, candidate.trained, options, _counts(candidate))
    bundle = _unpriced_bundle(draft)
    decider = bundle.manifest.decider(bundle.calibration)
    photos = embed_unseen(
        sample,
        candidate.dataset,
        candidate.examined,
        bundle,
        threads=places.threads,
        monitor=monitor,
    )
    calibration = calibrate_owner(
        sample, photos, decider, subject=candidate.subject, seed=options.seed
    )
    contest = Contest.of(
        sample,
        _contender(draft.writer.version, decider, calibration, candidate, photos),
        Contender(
            base.manifest.version,
            base.manifest.decider(base.calibration).about(candidate.subject),
            known_embeddings(sample, candidate.dataset, candidate.examined),
        ),
    )
    limits = DecodeLimits(places.max_image_bytes, places.max_image_pixels)
    gallery = embed_enrolled(
        enrolled(),
        Pipeline(bundle, engines=1, limits=limits),
        Pipeline(base, engines=1, limits=limits),
        monitor,
        owner=candidate.subject,
    )
    let_go()
    comparison = compare(contest, max_fmr=places.max_fmr, seed=options.seed)
    monitor.stage(Stage.GATE)
    gate = judge(contest, max_fmr=places.max_fmr, seed=options.seed)
    lost = regressions(
        contest,
        gallery,
        max_fmr=places.max_fmr,
        seed=options.seed,
        same=namesakes(sample, candidate.dataset.photos, gallery),
    )
    duties = _duties(candidate, gallery, places.max_fmr)
    decision = decide_activation(options.activate, gate, lost, calibration, duties)
    if bundle.manifest.fingerprint == base.manifest.fingerprint:
        decision = replace(decision, reasons=(_NOTHING_GAINED, *decision.reasons))
    for reason in decision.reasons:
        monitor.log(reason)
    findings = Findings(
        version=draft.writer.version,
        base=base,
        options=options,
        trained=candidate.trained,
        dataset=candidate.dataset,
        split=candidate.split,
        data=candidate.data,
        contest=contest,
        comparison=comparison,
        gate=gate,
        regressions=lost,
        decision=decision,
        calibration=calibration,
        seconds=monotonic() - candidate.began,
    )
    _finish(candidate, calibration, sample, model_card(findings))
    write_report(places.work_dir, findings)
    return decision


def _unpriced_bundle(draft: Draft) -> Bundle:
    """The bundle as far as it is: it has no calibration yet."""
    writer = draft.writer
    document = CalibrationDocument.of(NOBODY, {})
    writer.add_json(CALIBRATION, document.model_dump(mode="json"))
    writer.add_json(GOLDEN, [])
    writer.manifest(draft.sections)
    return load_bundle(writer.directory)


def _contender(
    version: str,
    decider: Decider,
    calibration: Calibration,
    candidate: Candidate,
    photos: EmbeddingSet,
) -> Contender:
    priced = replace(decider, calibration=calibration).about(candidate.subject)
    return Contender(version, priced, photos)


def _duties(candidate: Candidate, gallery: Enrolled, max_fmr: float) -> Duties:
    return Duties(
        subject=candidate.subject,
        references=gallery.own,
        others=frozenset(Counter(gallery.subjects).values()),
        max_fmr=max_fmr,
        base=candidate.base.calibration,
    )


def _finish(candidate: Candidate, calibration: Calibration, sample: Sample, card: str) -> None:
    """Write what the bundle still lacks, and load it to be sure of it."""
    draft, writer = candidate.draft, candidate.draft.writer
    data = {
        "set": "photos that the network was not trained on",
        "photos": len(sample),
        "people": len(np.unique(sample.people)),
        "owner": sample.owner is not None,
    }
    document = CalibrationDocument.of(calibration, data)
    writer.add_json(CALIBRATION, document.model_dump(mode="json"))
    writer.add(CARD, card.encode())
    write_golden(draft, candidate.base)
    writer.manifest(draft.sections)
    load_bundle(writer.directory)
    # Behind the manifest, so without a checksum: erasure takes entries out of it.
    split = candidate.split.document(candidate.dataset)
    write_json(writer.directory / SPLIT, with_earlier(split, candidate.dataset, candidate.base))


def _counts(candidate: Candidate) -> dict[str, Any]:
    """How many photos and people of each side; no names."""
    dataset, split = candidate.dataset, candidate.split
    document = json.dumps(split.document(dataset), sort_keys=True)
    return {
        "split_sha256": sha256(document.encode()).hexdigest(),
        "photos_of_the_owner": _by_side(split, dataset.owner),
        "photos_of_others": _by_side(split, dataset.others),
        "other_people": len(np.unique(dataset.people[dataset.others])),
    }


def _by_side(split: Split, rows: Iterable[int]) -> dict[str, int]:
    sides = [split.sides[row] for row in rows]
    return {side.value: sides.count(side) for side in Side}
