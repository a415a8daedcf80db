"""What the services change, as plain values; portable SQL only."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from app.storage.json_values import face_to_json, quality_to_json, reasons_to_json
from app.storage.path_text import to_text
from app.storage.person_rows import lies_with
from app.storage.records import (
    EmbeddingRecord,
    FileStamp,
    ImageRecord,
    SkippedRecord,
    SubjectRecord,
)
from app.storage.repositories import GalleryReader, chunks
from app.storage.tables import Embedding, HeldPhoto, Image, PendingRemoval, SkippedFile, Subject
from app.storage.vectors import VectorCodec


class GalleryWriter(GalleryReader):
    """Changes within one write transaction.

    Attributes:
        revision_after: The gallery's revision once this transaction is committed.
        changed: Whether anything was changed; if not, nothing is committed.
    """

    def __init__(self, connection: Connection, codec: VectorCodec, revision_after: int) -> None:
        super().__init__(connection, codec)
        self.revision_after = revision_after
        self.changed = False

    def add_subject(self, name: str, key: str, created_at: str) -> SubjectRecord:
        """Add a subject; `key` must be new."""
        values = {
            "name": name,
            "name_key": key,
            "created_at": created_at,
            "revision": self.revision_after,
        }
        self._do(insert(Subject), values)
        added = self.subject(key)
        assert added is not None
        return added

    def remove_subject(self, subject_id: int) -> None:
        """Delete a subject with its images and their embeddings."""
        self._do(delete(Subject).where(Subject.id == subject_id))

    def add_image(self, subject_id: int, image: ImageRecord) -> None:
        """Add an image; its path must be new."""
        values = {
            "image_id": image.image_id,
            "subject_id": subject_id,
            "path": image.path,
            "sha256": image.sha256,
            "source_sha256": image.source_sha256,
            "size": image.stamp.size,
            "mtime_ns": image.stamp.mtime_ns,
            "source": image.source,
            "face_policy": image.face_policy.value,
            "created_at": image.created_at,
        }
        self._do(insert(Image), values)
        self._touch(subject_id)

    def restamp_image(self, image_id: str, stamp: FileStamp) -> None:
        """Note that a file was touched but not changed."""
        self._do(
            update(Image)
            .where(Image.image_id == image_id)
            .values(size=stamp.size, mtime_ns=stamp.mtime_ns)
        )

    def replace_content(self, image_id: str, sha256: str, stamp: FileStamp) -> None:
        """Note that a file has new content; embeddings of the old content go."""
        self._touch_owner(image_id)
        self._do(delete(Embedding).where(Embedding.image_id == image_id))
        self._do(
            update(Image)
            .where(Image.image_id == image_id)
            .values(sha256=sha256, source_sha256=sha256, size=stamp.size, mtime_ns=stamp.mtime_ns)
        )

    def remove_image(self, image_id: str) -> None:
        """Delete an image with its embeddings."""
        self._touch_owner(image_id)
        self._do(delete(Image).where(Image.image_id == image_id))

    def put_embedding(self, image_id: str, fingerprint: str, value: EmbeddingRecord) -> None:
        """Add or replace the embedding of an image under one fingerprint."""
        self._do(
            delete(Embedding).where(
                Embedding.image_id == image_id, Embedding.fingerprint == fingerprint
            )
        )
        values = {
            "image_id": image_id,
            "fingerprint": fingerprint,
            "vector": self._codec.encode(value.vector, image_id, fingerprint),
            "key_id": self._codec.key_id,
            "face": face_to_json(value.face),
            "quality": quality_to_json(value.quality),
        }
        self._do(insert(Embedding), values)
        self._touch_owner(image_id)

    def remove_embedding(self, image_id: str, fingerprint: str) -> None:
        """Delete the embedding of an image under one fingerprint."""
        self._touch_owner(image_id)
        self._do(
            delete(Embedding).where(
                Embedding.image_id == image_id, Embedding.fingerprint == fingerprint
            )
        )

    def put_skipped(self, record: SkippedRecord) -> None:
        """Add or replace what is known of an unusable folder photo."""
        self._do(
            delete(SkippedFile).where(
                SkippedFile.path == record.path, SkippedFile.fingerprint == record.fingerprint
            )
        )
        values = {
            "path": record.path,
            "fingerprint": record.fingerprint,
            "sha256": record.sha256,
            "size": record.stamp.size,
            "mtime_ns": record.stamp.mtime_ns,
            "reasons": reasons_to_json(record.reasons),
        }
        self._do(insert(SkippedFile), values)

    def remove_skipped(self, paths: Iterable[str]) -> None:
        """Forget what is known of these folder photos, under every fingerprint."""
        for chunk in chunks(paths):
            self._do(delete(SkippedFile).where(SkippedFile.path.in_(chunk)))

    def forget_files_of(self, key: str) -> None:
        """Forget what is known of a subject's unusable and missing photos."""
        for table in (SkippedFile, HeldPhoto):
            self._do(delete(table).where(lies_with(key, table.path)))

    def add_pending_removals(self, paths: Iterable[str]) -> None:
        """Note files and folders to delete, whatever their names; noting one twice is fine."""
        known = set(self.pending_removals())
        values = [{"path": to_text(path)} for path in sorted(set(paths) - known)]
        if values:
            self._do(insert(PendingRemoval), values)

    def clear_pending_removals(self, paths: Iterable[str]) -> None:
        """Note that these files are gone."""
        for chunk in chunks(map(to_text, paths)):
            self._do(delete(PendingRemoval).where(PendingRemoval.path.in_(chunk)))

    def hold_photos(self, paths: Collection[str]) -> None:
        """Replace the photos that are missing since a loss that nobody has confirmed yet."""
        self._do(delete(HeldPhoto))
        if paths:
            self._do(insert(HeldPhoto), [{"path": path} for path in sorted(paths)])

    def _touch(self, subject_id: int) -> None:
        self._do(
            update(Subject).where(Subject.id == subject_id).values(revision=self.revision_after)
        )

    def _touch_owner(self, image_id: str) -> None:
        owner = select(Image.subject_id).where(Image.image_id == image_id).scalar_subquery()
        self._do(update(Subject).where(Subject.id == owner).values(revision=self.revision_after))

    def _do(
        self, statement: Any, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        self._connection.execute(statement, values)
        self.changed = True
