"""A gallery on disk with the dummy pipeline, to be closed and opened again."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from app.services.enrollment import Enrollment, EnrollmentResult, Upload
from app.services.gallery import Gallery, SyncReport
from app.services.verification import Verification, VerificationResult, VerifyOptions
from app.storage.database import Database
from tests.dummy_pipeline import DummyPipeline

OPTIONS = VerifyOptions(max_fmr=0.001)


class Session:
    """One process's view of the gallery."""

    def __init__(self, root: Path, pipeline: DummyPipeline) -> None:
        self.pipeline = pipeline
        self.database = Database(f"sqlite:///{root / 'facetwin.sqlite'}")
        self.database.migrate()
        self.gallery = Gallery(self.database, root / "verification_images", pipeline)
        self.enrollment = Enrollment(self.gallery, pipeline)
        self.verification = Verification(self.gallery, pipeline)

    def enroll(self, subject: str, *photos: bytes) -> EnrollmentResult:
        uploads = [Upload(f"{i}.jpg", data) for i, data in enumerate(photos)]
        return self.enrollment.enroll(subject, uploads)

    def verify(self, subject: str, data: bytes) -> VerificationResult:
        return self.verification.verify(data, subject, OPTIONS)


class World:
    """A folder that several sessions share; `images` is verification_images."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = root / "verification_images"
        self.images.mkdir()
        self._open: list[Session] = []

    def open(self, pipeline: DummyPipeline | None = None) -> Session:
        session = Session(self.root, pipeline or DummyPipeline())
        self._open.append(session)
        return session

    def restart(self, pipeline: DummyPipeline | None = None) -> tuple[Session, SyncReport]:
        """Close all sessions, open a new one and synchronise it."""
        self.close()
        session = self.open(pipeline)
        return session, session.gallery.sync()

    def close(self) -> None:
        for session in self._open:
            session.database.close()
        self._open.clear()

    def put(self, path: str, data: bytes) -> Path:
        """Put a file into verification_images by hand."""
        place = self.images / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def files(self) -> list[str]:
        """All files of verification_images, hidden ones too."""
        found = (p for p in self.images.rglob("*") if not p.is_dir())
        return sorted(p.relative_to(self.images).as_posix() for p in found)

    def rows(self, table: str) -> Sequence[tuple[object, ...]]:
        """A table as another program sees it."""
        with closing(sqlite3.connect(self.root / "facetwin.sqlite")) as connection:
            return connection.execute(f"SELECT * FROM {table}").fetchall()
