"""What the services read, as plain values; portable SQL only."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, and_, func, or_, select

from app.domain.entities import FacePolicy, Floats
from app.storage.json_values import face_from_json, quality_from_json, reasons_from_json
from app.storage.path_text import from_text
from app.storage.records import (
    FileStamp,
    FolderImage,
    ImageRecord,
    SkippedRecord,
    StoredEmbedding,
    StoredReference,
    SubjectRecord,
)
from app.storage.tables import (
    Embedding,
    GalleryState,
    HeldPhoto,
    Image,
    PendingRemoval,
    SkippedFile,
    Subject,
)
from app.storage.vectors import DamagedError, VectorCodec

_T = TypeVar("_T")
_CHUNK: Final = 500
"""Values in one IN list; databases limit them."""


class GalleryReader:
    """Questions to one state of the gallery."""

    def __init__(self, connection: Connection, codec: VectorCodec) -> None:
        self._connection = connection
        self._codec = codec

    @property
    def connection(self) -> Connection:
        """The transaction's connection, for rows of other tables that belong to it."""
        return self._connection

    def revision(self) -> int:
        """The gallery's revision in this transaction."""
        return self._connection.scalars(select(GalleryState.revision)).one()

    def subjects(self) -> list[SubjectRecord]:
        """All subjects, by name without regard to case."""
        rows = self._connection.execute(select(Subject).order_by(Subject.name_key))
        return [_subject(row) for row in rows]

    def subject(self, key: str) -> SubjectRecord | None:
        """The subject of this key, if there is one."""
        row = self._connection.execute(select(Subject).where(Subject.name_key == key)).first()
        return None if row is None else _subject(row)

    def references(self, fingerprint: str, subjects: Iterable[int]) -> Iterator[StoredReference]:
        """Images of these subjects that are embedded under `fingerprint`, oldest first.

        Raises:
            StorageError: If the key of an embedding is not at hand.
        """
        columns = (
            Image.subject_id,
            Image.image_id,
            Image.path,
            Image.created_at,
            Embedding.vector,
            Embedding.key_id,
        )
        for chunk in chunks(subjects):
            rows = self._connection.execute(
                select(*columns)
                .join(Embedding, Embedding.image_id == Image.image_id)
                .where(Embedding.fingerprint == fingerprint, Image.subject_id.in_(chunk))
                .order_by(Image.created_at, Image.image_id)
            )
            for row in rows:
                yield StoredReference(
                    row.subject_id,
                    row.image_id,
                    row.path,
                    row.created_at,
                    self._undamaged(row, fingerprint),
                )

    def images(
        self, subject_id: int, fingerprint: str
    ) -> list[tuple[ImageRecord, StoredEmbedding | None]]:
        """Images of a subject, oldest first, each with its embedding under `fingerprint`."""
        rows = self._connection.execute(
            select(Image, Embedding.vector, Embedding.key_id, Embedding.face, Embedding.quality)
            .outerjoin(Embedding, _embedded_under(fingerprint))
            .where(Image.subject_id == subject_id)
            .order_by(Image.created_at, Image.image_id)
        )
        return [(_image(row), self._embedding(row, fingerprint)) for row in rows]

    def folder_images(
        self, fingerprint: str, paths: Iterable[str] | None = None
    ) -> dict[str, FolderImage]:
        """Every image by its path; or only those of `paths`, some hundreds at most."""
        query = (
            select(Image, Subject.name_key, Embedding.image_id.label("embedded"))
            .join(Subject, Subject.id == Image.subject_id)
            .outerjoin(Embedding, _embedded_under(fingerprint))
        )
        if paths is not None:
            query = query.where(Image.path.in_(list(paths)))
        rows = self._connection.execute(query)
        return {
            row.path: FolderImage(_image(row), row.name_key, row.embedded is not None)
            for row in rows
        }

    def known_paths(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that belong to an image."""
        found: set[str] = set()
        for chunk in chunks(paths):
            found.update(self._connection.scalars(select(Image.path).where(Image.path.in_(chunk))))
        return found

    def counts(self) -> dict[int, int]:
        """How many images each subject has, embedded or not; subjects without any are absent."""
        rows = self._connection.execute(
            select(Image.subject_id, func.count()).group_by(Image.subject_id)
        )
        return {row[0]: row[1] for row in rows}

    def twin(self, subject_id: int, hashes: Iterable[str]) -> ImageRecord | None:
        """An image of the subject that was stored, or sent, as a file of one of these sha256."""
        wanted = list(hashes)
        row = self._connection.execute(
            select(Image)
            .where(
                Image.subject_id == subject_id,
                or_(Image.sha256.in_(wanted), Image.source_sha256.in_(wanted)),
            )
            .order_by(Image.created_at, Image.image_id)
            .limit(1)
        ).first()
        return None if row is None else _image(row)

    def skipped(self, fingerprint: str) -> dict[str, SkippedRecord]:
        """Folder photos found unusable under `fingerprint`, by path."""
        rows = self._connection.execute(
            select(SkippedFile).where(SkippedFile.fingerprint == fingerprint)
        )
        return {row.path: _skipped(row) for row in rows}

    def skipped_paths(self) -> set[str]:
        """Paths of folder photos found unusable under any fingerprint."""
        return set(self._connection.scalars(select(SkippedFile.path)))

    def pending_removals(self) -> list[str]:
        """Paths of files whose rows are deleted already, and of their folders with a slash."""
        return [from_text(text) for text in self._connection.scalars(select(PendingRemoval.path))]

    def held_photos(self) -> frozenset[str]:
        """Paths of photos that are missing since a loss that nobody has confirmed yet."""
        return frozenset(self._connection.scalars(select(HeldPhoto.path)))

    def _undamaged(self, row: Any, fingerprint: str) -> Floats | None:
        try:
            return self._codec.decode(row.vector, row.key_id, row.image_id, fingerprint)
        except DamagedError:
            return None

    def _embedding(self, row: Row[Any], fingerprint: str) -> StoredEmbedding | None:
        if row.vector is None:
            return None
        decode = partial(self._codec.decode, row.vector, row.key_id, row.image_id, fingerprint)
        return StoredEmbedding(face_from_json(row.face), quality_from_json(row.quality), decode)


def _embedded_under(fingerprint: str) -> Any:
    return and_(Embedding.image_id == Image.image_id, Embedding.fingerprint == fingerprint)


def chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Split values so that each part fits into one IN list."""
    remaining = iter(values)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def _subject(row: Row[Any]) -> SubjectRecord:
    return SubjectRecord(row.id, row.name, row.name_key, row.created_at, row.revision)


def _image(row: Any) -> ImageRecord:
    return ImageRecord(
        row.image_id,
        row.path,
        row.sha256,
        row.source_sha256,
        FileStamp(row.size, row.mtime_ns),
        row.source,
        FacePolicy(row.face_policy),
        row.created_at,
    )


def _skipped(row: Row[Any]) -> SkippedRecord:
    return SkippedRecord(
        row.path,
        row.fingerprint,
        row.sha256,
        FileStamp(row.size, row.mtime_ns),
        reasons_from_json(row.reasons),
    )
