"""Erases what training keeps of a person outside the gallery.

It happens in three steps. What is to go is found and noted in the database; then the files go; then
the caller's transaction, the one that logs the erasure, deletes the rows and the note. After a
crash in between, whoever asks again goes on with the note's help, also if the photos, and with them
their hashes, are gone already.
"""

import json
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from app.domain.audit import Action
from app.domain.clock import utc_now
from app.domain.errors import JobConflictError
from app.services.training_search import (
    SPLIT,
    TrainingFound,
    TrainingPlaces,
    files_in,
    read_json,
    search,
)
from app.storage.audit_rows import AuditRows
from app.storage.database import Database
from app.storage.files import sync_folder
from app.storage.job_erasure import (
    PendingErasure,
    alive_job_about,
    clear_pending_erasure,
    job_started_since,
    jobs_about,
    jobs_mentioning,
    pending_erasure,
    put_pending_erasure,
    remove_jobs,
    running_job,
    silence_jobs,
)
from app.storage.layout import file_errors


@dataclass(frozen=True, slots=True)
class TrainingRemoved:
    """What of a person was removed.

    Attributes:
        files: Photos for training, and files of jobs.
        models: Bundles that were trained on the person; they are not removed.
    """

    files: int = 0
    models: tuple[str, ...] = ()


class TrainingTraces:
    """Finds and erases what training keeps of a person.

    Args:
        database: Migrated.
        places: Where files are kept.
    """

    def __init__(self, database: Database, places: TrainingPlaces) -> None:
        self._database = database
        self._places = places

    def erase(
        self, key: str, pseudonym: str, hashes: Collection[str] = (), *, is_enrolled: bool
    ) -> None:
        """Delete the files; `finish` must follow. Asking again is safe.

        Args:
            key: Of the subject.
            pseudonym: What the audit log calls the person.
            hashes: sha256 of the person's references, as stored and as sent.
            is_enrolled: Whether the gallery knows the person.

        Raises:
            JobConflictError: If a training job runs, or waits and is about the person: it could
                write anew what is erased.
            StorageError: If something can't be deleted.
        """
        with self._database.read_apart() as connection:
            earlier = pending_erasure(connection, pseudonym)
            own_jobs = jobs_about(connection, key)
        known = frozenset(hashes) | (earlier.hashes if earlier else frozenset())
        with file_errors("What training keeps of this person can't be read"):
            found = search(self._places, key, known, own_jobs)
        with self._database.read_apart() as connection:
            is_something = found.is_something or bool(self._jobs(connection, key, found))
        if not (is_something or earlier or (is_enrolled and found.models)):
            return
        pending = self._begin(key, pseudonym, found)
        with file_errors("What training keeps of this person can't be deleted"):
            for split in found.splits:
                _forget_photos(split, pending.hashes)
            for job_id in sorted(pending.jobs):
                draft = self._places.draft_of(job_id)
                if draft is not None:
                    _remove(draft)
                _remove(self._places.jobs_dir / job_id)
            # Any crop may show the person; the cache is made again when it is needed.
            _remove(self._places.crops_dir)
            if found.is_logged:
                # Processes may go on writing to it.
                os.truncate(self._places.log, 0)
            # Last go the photos, by which the rest is found.
            for folder in (*found.half_deleted, *found.folders):
                _remove(folder)

    def finish(self, connection: Connection, key: str, pseudonym: str) -> TrainingRemoved | None:
        """Delete the rows, in the transaction that logs the erasure.

        Returns:
            What was removed; None if there was nothing.

        Raises:
            JobConflictError: If a job has begun since `erase`, or waits and is about the person;
                then the transaction must not be committed.
        """
        pending = pending_erasure(connection, pseudonym)
        if pending is None:
            _refuse(next(iter(jobs_about(connection, key)), None))
            return None
        _refuse(alive_job_about(connection, key))
        _refuse(job_started_since(connection, pending.begun_at))
        remove_jobs(connection, jobs_about(connection, key))
        silence_jobs(connection, sorted(pending.jobs))
        clear_pending_erasure(connection, pseudonym)
        return TrainingRemoved(pending.files, self._models(connection, pseudonym, pending))

    def _begin(self, key: str, pseudonym: str, found: TrainingFound) -> PendingErasure:
        """Note what is to go."""
        with self._database.write_apart() as connection:
            _refuse(alive_job_about(connection, key))
            earlier = pending_erasure(connection, pseudonym)
            jobs = self._jobs(connection, key, found)
            if found.is_something or jobs or earlier:
                _refuse(running_job(connection))
            files = found.files + sum(self._file_count(job_id) for job_id in jobs)
            pending = PendingErasure(utc_now(), found.hashes, jobs, found.models, files)
            pending = pending.joined(earlier)
            put_pending_erasure(connection, pseudonym, pending)
        return pending

    def _jobs(self, connection: Connection, key: str, found: TrainingFound) -> frozenset[str]:
        """Jobs that hold something of the person."""
        mentioned = jobs_mentioning(connection, found.phrases)
        return found.jobs.union(jobs_about(connection, key), mentioned)

    def _file_count(self, job_id: str) -> int:
        return sum(1 for _ in files_in(self._places.jobs_dir / job_id))

    def _models(
        self, connection: Connection, pseudonym: str, pending: PendingErasure
    ) -> tuple[str, ...]:
        """The bundles, with those of an earlier erasure: their splits do not tell any more."""
        entry = AuditRows(connection).last_about(pseudonym, Action.DELETE_SUBJECT)
        before = entry.details.get("models", ()) if entry else ()
        left = {model for model in before if (self._places.model_dir / model).is_dir()}
        return tuple(sorted(pending.models | left))


def _refuse(job_id: str | None) -> None:
    if job_id is not None:
        raise JobConflictError(
            f"The training job {job_id} may hold photos of this person. Cancel it (facetwin jobs "
            f"cancel {job_id}), wait until it has ended, and delete again.",
            job_id=job_id,
        )


def _forget_photos(split: Path, hashes: Collection[str]) -> None:
    """Take photos off a bundle's split; the rest of it stays."""
    document = read_json(split)
    photos = document.get("photos") if isinstance(document, dict) else None
    if not isinstance(photos, list) or not all(isinstance(photo, dict) for photo in photos):
        # Nothing that anyone can read is kept of it either.
        split.unlink(missing_ok=True)
        sync_folder(split.parent)
        return
    document["photos"] = [photo for photo in photos if photo.get("sha256") not in hashes]
    temporary = split.with_name(f".{SPLIT}.new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(split)
    sync_folder(split.parent)


def _remove(folder: Path) -> None:
    """Delete a folder for good; of a link, the link alone."""
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
    while folder.is_dir():
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            # Another erasure is at it.
            continue
    if folder.parent.is_dir():
        sync_folder(folder.parent)
