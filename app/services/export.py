"""Export: a person gets all that is stored about them, as one zip file.

Photos go through memory one at a time; nothing is written to the disk.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from app.domain.audit import Action, Actor, AuditEvent
from app.domain.subjects import subject_key
from app.services.audit import AuditLog
from app.services.erasure import existing
from app.storage.cipher import UndecryptableError
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.json_values import face_to_json, quality_to_json
from app.storage.layout import is_folder_path
from app.storage.path_text import is_text, printable
from app.storage.person_rows import fingerprints, unusable_files
from app.storage.records import ImageRecord, StoredEmbedding, SubjectRecord
from app.storage.repositories import GalleryReader

README: Final = """This archive holds all that the face-verification service stores of one person.

person.json  the name, every reference photo with its hashes, the face that was found on it, its
             quality and its embeddings (one list of numbers per version of the model), files
             that could not be used with the reasons, and the entries of the audit log. Files that
             could not be read (links, very large or damaged files) are named under
             files_left_out.
photos/      the photos and other files in the person's folder.

An embedding is a list of numbers that describes a face. Treat it like the photo itself.
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file on its way out; `chunks` can be read once."""

    filename: str
    chunks: Iterator[bytes]


class SubjectExport:
    """Collects what is stored of a person."""

    def __init__(
        self, database: Database, files: ReferenceFiles, audit: AuditLog, max_file_bytes: int
    ) -> None:
        self._database = database
        self._files = files
        self._audit = audit
        self._max_file_bytes = max_file_bytes

    def archive(self, name: str, actor: Actor) -> Archive:
        """All that is stored about a subject; the audit log tells of the export.

        Raises:
            SubjectNotFoundError: If there is none.
            StorageError: If it can't be read.
        """
        key = subject_key(name)
        pseudonym = self._audit.pseudonym(key)
        files = [p for p in self._files.everything_of(key) if not is_folder_path(p)]
        own = [path for path in files if is_text(path)]
        with self._database.read() as rows:
            subject = existing(rows, key)
            document = _document(rows, subject, own)
        self._audit.record(AuditEvent(Action.EXPORT, actor, pseudonym, "exported"))
        self._audit.flush()
        entries = [asdict(entry) for entry in self._audit.about(pseudonym)]
        document["audit"] = {"pseudonym": pseudonym, "entries": entries}
        paths = sorted({reference["path"] for reference in document["references"]}.union(own))
        unnameable = [printable(path) for path in files if not is_text(path)]
        return Archive(f"{subject.name}.zip", self._chunks(document, paths, unnameable))

    def _chunks(
        self, document: dict[str, Any], paths: Sequence[str], missing: list[str]
    ) -> Iterator[bytes]:
        sink = _Sink()
        with ZipFile(sink, "w", ZIP_STORED) as archive:
            archive.writestr("README.txt", README)
            for path in paths:
                data = self._content(path)
                if data is None:
                    missing.append(path)
                    continue
                archive.writestr(f"photos/{_harmless(path)}", data)
                yield sink.take()
            document["files_left_out"] = missing
            text = json.dumps(document, indent=2, default=float, ensure_ascii=False)
            archive.writestr("person.json", text, ZIP_DEFLATED)
        yield sink.take()

    def _content(self, path: str) -> bytes | None:
        """Content of a file; None if it is gone, a link, unreadable or far too large."""
        if not self._files.exists(path):
            return None
        try:
            data, _stamp = self._files.read(path, self._max_file_bytes)
        except (OSError, UndecryptableError):
            return None
        return data if len(data) <= self._max_file_bytes else None


def _document(rows: GalleryReader, subject: SubjectRecord, own: Sequence[str]) -> dict[str, Any]:
    references: dict[str, dict[str, Any]] = {}
    # The empty fingerprint is nobody's: it lists the images that have no embedding at all.
    for fingerprint in (*fingerprints(rows.connection, subject.id), ""):
        for image, embedding in rows.images(subject.id, fingerprint):
            reference = references.setdefault(image.image_id, _reference(image))
            if embedding is not None:
                reference["embeddings"].append(_embedding(fingerprint, embedding))
    return {
        "subject": subject.name,
        "created_at": subject.created_at,
        "references": list(references.values()),
        "unusable": unusable_files(rows.connection, own),
    }


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _harmless(path: str) -> str:
    """A path that no program takes for a way out of the archive."""
    return "".join("_" if c == "\\" or not c.isprintable() else c for c in path)


def _reference(image: ImageRecord) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "path": image.path,
        "filename": PurePosixPath(image.path).name,
        "source": image.source,
        "created_at": image.created_at,
        "sha256": image.sha256,
        "source_sha256": image.source_sha256,
        "size": image.stamp.size,
        "mtime_ns": image.stamp.mtime_ns,
        "face_policy": image.face_policy.value,
        "embeddings": [],
    }


def _embedding(fingerprint: str, embedding: StoredEmbedding) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "vector": embedding.vector.tolist(),
        "face": face_to_json(embedding.face),
        "quality": quality_to_json(embedding.quality),
    }
