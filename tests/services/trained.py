"""What trainings leave on a disk, made by hand."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from app.domain.clock import utc_now
from app.domain.training import JobState, TrainingOptions
from app.domain.training_jobs import JobEnding, JobFailure
from app.storage.database import Database
from app.storage.job_rows import JobLogRows, JobRows

ANNA, BEN = b"a photo of Anna", b"a photo of Ben"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Trained:
    """Writes files below `root` and rows into the database.

    Photos for training lie in data/, jobs and crops in training/, bundles in model/.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database

    def put(self, path: str, content: bytes = b"x") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def split(self, folder: str, *photos: bytes, owners: Sequence[bytes] = ()) -> Path:
        """Of photos of others, and of the owner's in turn in anchor/ and in positive/."""
        roles = [(p, "negative") for p in photos]
        roles += [(p, ("anchor", "positive")[i % 2]) for i, p in enumerate(owners)]
        entries = [{"sha256": sha256(p), "role": role, "side": "test"} for p, role in roles]
        document = {"seed": 1, "photos": entries}
        return self.put(f"{folder}/split.json", json.dumps(document).encode())

    def crop(self, content: bytes) -> Path:
        digest = sha256(content)
        return self.put(f"training/crops/{digest[:2]}/{digest}-wide-1")

    def bundle(
        self, version: str, subject: str | None, *photos: bytes, owners: Sequence[bytes] = ()
    ) -> None:
        calibration = json.dumps({"subject": subject, "buckets": {}})
        self.put(f"model/{version}/calibration.json", calibration.encode())
        self.split(f"model/{version}", *photos, owners=owners)

    def job(
        self,
        job_id: str,
        subject: str,
        state: JobState = JobState.SUCCEEDED,
        lines: Sequence[str] = ("a line",),
    ) -> None:
        with self.database.write_apart() as connection:
            rows = JobRows(connection)
            rows.add(job_id, subject.casefold(), TrainingOptions(subject=subject), utc_now())
            if state is not JobState.QUEUED:
                rows.begin_next(utc_now())
            JobLogRows(connection).append(job_id, [(utc_now(), line) for line in lines])
            if state.ended:
                failure = JobFailure("training_data_invalid", "\n".join(lines))
                error = failure if state is JobState.FAILED else None
                rows.end(job_id, JobEnding(state, error), utc_now())

    def jobs(self) -> set[str]:
        with self.database.read_apart() as connection:
            return {job.job_id for job in JobRows(connection).newest(10)}

    def log(self, job_id: str) -> list[str]:
        with self.database.read_apart() as connection:
            return [line.message for line in JobLogRows(connection).lines(job_id)]

    def left(self) -> set[str]:
        """All files of trainings."""
        places = (self.root / name for name in ("data", "training", "model"))
        return {
            str(path.relative_to(self.root))
            for place in places
            for path in place.rglob("*")
            if path.is_symlink() or path.is_file()
        }
