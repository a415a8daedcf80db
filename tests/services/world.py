"""A gallery on disk with the dummy pipeline, to be closed and opened again."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from app.domain.signing import ServiceKey
from app.services.audit import AuditLog
from app.services.encryption import EncryptionAtRest
from app.services.enrollment import Enrollment, EnrollmentResult, Upload
from app.services.gallery import Gallery, SyncReport
from app.services.settling import Clock
from app.services.training_search import TrainingPlaces
from app.services.training_traces import TrainingTraces
from app.services.verification import Verification, VerificationResult, VerifyOptions
from app.storage.cipher import read_cipher
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.home import GalleryHome
from app.storage.layout import MARKER
from tests.dummy_pipeline import DummyPipeline

SERVICE_SECRET = "a service key for tests only, 32+"
SERVICE_KEY = ServiceKey(SERVICE_SECRET.encode())
OPTIONS = VerifyOptions(max_fmr=0.001)


def training_places(root: Path) -> TrainingPlaces:
    """Where training keeps what it keeps in a world."""
    return TrainingPlaces(root / "data", root / "training", root / "model")


class Session:
    """One process's view of the gallery.

    Args:
        claim: Whether the folder is marked as this gallery's, as a first synchronisation does.
        settle_seconds: How long a file in the folder must stand still.
        clock: Measures that.
        key: Encrypts what lies on the disk, as the setting encryption_key takes it.
    """

    def __init__(
        self,
        root: Path,
        pipeline: DummyPipeline,
        *,
        claim: bool = True,
        settle_seconds: float = 0.0,
        clock: Clock | None = None,
        key: str | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.database = Database(f"sqlite:///{root / 'facetwin.sqlite'}", read_cipher(key))
        self.database.migrate()
        self.audit = AuditLog(self.database, SERVICE_KEY)
        images = root / "verification_images"
        self.files = ReferenceFiles(images, self.database.cipher)
        self.encryption = EncryptionAtRest(self.database, self.files, self.audit, nullcontext)
        self.home = GalleryHome(images, self.database)
        if claim and images.is_dir() and not (images / MARKER).exists():
            self.home.claim()
        self.gallery = Gallery(
            self.database,
            images,
            pipeline,
            self.audit,
            settle_seconds=settle_seconds,
            clock=clock,
            traces=TrainingTraces(self.database, training_places(root)),
        )
        self.enrollment = Enrollment(self.gallery, pipeline, self.audit)
        self.verification = Verification(self.gallery, pipeline, self.audit)

    def enroll(self, subject: str, *photos: bytes) -> EnrollmentResult:
        return self.enrollment.enroll(subject, self.uploads(*photos))

    @staticmethod
    def uploads(*photos: bytes) -> list[Upload]:
        return [Upload(f"{i}.jpg", data) for i, data in enumerate(photos)]

    def verify(self, subject: str, data: bytes) -> VerificationResult:
        return self.verification.verify(data, subject, OPTIONS)


class World:
    """A folder that several sessions share; `images` is verification_images."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = root / "verification_images"
        self.images.mkdir()
        self._open: list[Session] = []

    def open(self, pipeline: DummyPipeline | None = None, **options: Any) -> Session:
        session = Session(self.root, pipeline or DummyPipeline(), **options)
        self._open.append(session)
        session.encryption.prepare()
        return session

    def restart(
        self, pipeline: DummyPipeline | None = None, **options: Any
    ) -> tuple[Session, SyncReport]:
        """Close all sessions, open a new one and synchronise it."""
        self.close()
        session = self.open(pipeline, **options)
        report = session.gallery.sync()
        session.encryption.finish()
        return session, report

    def close(self) -> None:
        for session in self._open:
            session.audit.close()
            session.database.close()
        self._open.clear()

    def put(self, path: str, data: bytes) -> Path:
        """Put a file into verification_images by hand."""
        place = self.images / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def files(self) -> list[str]:
        """All files of verification_images, hidden ones too, but not the marker."""
        found = (p for p in self.images.rglob("*") if not p.is_dir() and p.name != MARKER)
        return sorted(p.relative_to(self.images).as_posix() for p in found)

    def rows(self, table: str) -> Sequence[tuple[object, ...]]:
        """A table as another program sees it."""
        with closing(sqlite3.connect(self.root / "facetwin.sqlite")) as connection:
            return connection.execute(f"SELECT * FROM {table}").fetchall()
