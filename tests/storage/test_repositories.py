from collections.abc import Callable

import numpy as np

from app.domain.entities import FacePolicy, Quality
from app.storage.database import Database
from app.storage.gallery_writer import GalleryWriter
from app.storage.records import EmbeddingRecord, FileStamp, ImageRecord, SkippedRecord
from tests.storage.test_json_values import FACE, QUALITY

OLD, NEW = "a" * 64, "b" * 64
STAMP = FileStamp(10, 1_700_000_000_123_456_789)


def image(
    image_id: str, path: str, created_at: str = "2026-01-01T00:00:00.000+00:00"
) -> ImageRecord:
    return ImageRecord(
        image_id, path, f"{image_id}-sha", "source", STAMP, "upload", FacePolicy.SINGLE, created_at
    )


def embedding(value: float) -> EmbeddingRecord:
    # Measurements may come as numpy numbers, which json does not know.
    measures = dict(zip(["sharpness"], np.array([value], np.float32), strict=True))
    quality = Quality(measures, QUALITY.reasons)
    return EmbeddingRecord(np.full(4, value, np.float32), FACE, quality)


def filled(rows: GalleryWriter) -> int:
    subject = rows.add_subject("Alice", "alice", "now")
    for name, created_at in (("x", "2"), ("y", "1")):
        rows.add_image(subject.id, image(name, f"alice/{name}.jpg", created_at))
    rows.put_embedding("x", OLD, embedding(1))
    rows.put_embedding("y", OLD, embedding(2))
    rows.put_embedding("x", NEW, embedding(3))
    return subject.id


def test_references_are_those_of_one_fingerprint_oldest_first(database: Database) -> None:
    with database.write() as rows:
        alice = filled(rows)
    with database.read() as reader:
        old = list(reader.references(OLD, [alice]))
        assert [(r.image_id, r.vector.tolist() if r.vector is not None else None) for r in old] == [
            ("y", [2.0] * 4),
            ("x", [1.0] * 4),
        ]
        assert [r.image_id for r in reader.references(NEW, [alice])] == ["x"]
        assert list(reader.references(OLD, [])) == []
        assert list(reader.references(OLD, [alice + 1])) == []
        images = reader.images(alice, NEW)
        assert [(i.image_id, e is None) for i, e in images] == [("y", True), ("x", False)]
        assert images[1][0] == image("x", "alice/x.jpg", "2")
        assert images[1][1] is not None
        assert images[1][1].face == FACE


def test_more_subjects_than_fit_into_one_list(database: Database) -> None:
    with database.write() as rows:
        subjects = [rows.add_subject(f"s{i}", f"s{i}", "now") for i in range(1100)]
        for subject in subjects:
            rows.add_image(subject.id, image(subject.key, f"{subject.key}/a.jpg"))
            rows.put_embedding(subject.key, OLD, embedding(subject.id))
    with database.read() as reader:
        found = list(reader.references(OLD, [s.id for s in subjects]))
        assert [r.subject_id for r in sorted(found, key=lambda r: r.subject_id)] == [
            s.id for s in subjects
        ]


def test_deleting_takes_everything_along(database: Database) -> None:
    with database.write() as rows:
        alice = filled(rows)
    with database.write() as rows:
        rows.remove_subject(alice)
    with database.read() as reader:
        assert reader.subjects() == []
        assert reader.folder_images(OLD) == {}
        assert list(reader.references(OLD, [alice])) == []


def test_every_change_of_a_subject_moves_its_revision(database: Database) -> None:
    with database.write() as rows:
        filled(rows)
        bob = rows.add_subject("bob", "bob", "now")
    changes: list[Callable[[GalleryWriter], None]] = [
        lambda rows: rows.put_embedding("y", NEW, embedding(4)),
        lambda rows: rows.replace_content("y", "new", STAMP),
        lambda rows: rows.remove_image("x"),
    ]
    for change in changes:
        with database.write() as rows:
            change(rows)
            after = rows.revision_after
        with database.read() as reader:
            alice = reader.subject("alice")
            assert alice is not None
            assert alice.revision == after
            assert reader.subject("bob") == bob


def test_new_content_drops_the_embeddings_of_the_old(database: Database) -> None:
    with database.write() as rows:
        filled(rows)
        rows.replace_content("x", "other", FileStamp(11, 12))
    with database.read() as reader:
        entry = reader.folder_images(OLD, ["alice/x.jpg"])["alice/x.jpg"]
        assert not entry.embedded
        assert (entry.image.sha256, entry.image.source_sha256) == ("other", "other")
        assert entry.image.stamp == FileStamp(11, 12)
        assert not reader.folder_images(NEW)["alice/x.jpg"].embedded
        assert reader.folder_images(OLD)["alice/y.jpg"].embedded


def test_a_twin_is_found_by_either_hash(database: Database) -> None:
    with database.write() as rows:
        alice = filled(rows)
        bob = rows.add_subject("bob", "bob", "now")
        for hashes in (["x-sha"], ["nothing", "x-sha"]):
            twin = rows.twin(alice, hashes)
            assert twin is not None
            assert twin.image_id == "x"
        assert rows.twin(alice, ["source"]) is not None
        assert rows.twin(alice, ["nothing"]) is None
        assert rows.twin(bob.id, ["x-sha"]) is None


def test_skipped_files_are_kept_by_fingerprint(database: Database) -> None:
    first, second = (
        SkippedRecord("alice/z.jpg", fingerprint, "sha", STAMP, QUALITY.reasons)
        for fingerprint in (OLD, NEW)
    )
    with database.write() as rows:
        rows.put_skipped(first)
        rows.put_skipped(first)
        rows.put_skipped(second)
    with database.read() as reader:
        assert reader.skipped(OLD) == {"alice/z.jpg": first}
        assert reader.skipped_paths() == {"alice/z.jpg"}
    with database.write() as rows:
        rows.remove_skipped(["alice/z.jpg"])
        assert rows.skipped(OLD) == rows.skipped(NEW) == {}


def test_pending_removals_may_be_noted_twice(database: Database) -> None:
    with database.write() as rows:
        rows.add_pending_removals(["a.jpg", "b.jpg", "a.jpg"])
        rows.add_pending_removals(["b.jpg"])
        assert sorted(rows.pending_removals()) == ["a.jpg", "b.jpg"]
        rows.clear_pending_removals(["a.jpg"])
        assert rows.pending_removals() == ["b.jpg"]
