"""What encryption at rest costs: `python -m benchmarks.encryption`.

A gallery of random embeddings and photos of random bytes is stored plain, encrypted, and brought
under another key. Loading is the best of several times, as the first ones warm the disk's cache.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from app.domain.entities import Box, Face, FacePolicy, Landmarks, Quality
from app.domain.signing import KEY_BYTES, ServiceKey
from app.services.audit import AuditLog
from app.services.encryption import EncryptionAtRest
from app.services.photo_sealing import PhotoSealing
from app.services.snapshot import SnapshotCache
from app.services.vector_sealing import VectorSealing
from app.storage.cipher import new_key, read_cipher
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.records import EmbeddingRecord, FileStamp, ImageRecord
from benchmarks.report import publish, rounded

DIMENSIONS = 128
A_SUBJECT = 50
PHOTO_BYTES = 60_000
REPETITIONS = 7
FINGERPRINT = "f" * 64
_EYE = (0.0, 0.0)
_FACE = Face(Box(0.0, 0.0, 1.0, 1.0), Landmarks(_EYE, _EYE, _EYE, _EYE, _EYE), 1.0)
_QUALITY = Quality({"sharpness": 1.0}, ())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=10_000, help="embeddings")
    parser.add_argument("--photos", type=int, default=1000, help="how many of them have a photo")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    figures: dict[str, Any] = {"references": options.references, "photos": options.photos}
    with TemporaryDirectory() as name:
        figures |= _measure(Path(name), options.references, options.photos)
    publish("encryption", figures, model="none", as_json=options.json)


def _measure(folder: Path, references: int, photos: int) -> dict[str, float]:
    old, new = new_key(), new_key()
    (folder / "images").mkdir()
    _fill(folder, references, photos)
    figures = {"load_plain_ms": _load(folder, None)}
    figures |= _change("turn_on", folder, old)
    figures["load_encrypted_ms"] = _load(folder, old)
    figures["check_at_start_ms"] = _check(folder, old)
    figures |= _change("rotate", folder, f"{new},{old}")
    return figures


def _opened(folder: Path, key: str | None) -> tuple[Database, ReferenceFiles]:
    database = Database(f"sqlite:///{folder}/facetwin.sqlite", read_cipher(key))
    database.migrate()
    return database, ReferenceFiles(folder / "images", database.cipher)


def _fill(folder: Path, references: int, photos: int) -> None:
    database, files = _opened(folder, None)
    generator = np.random.default_rng(1)
    with database.write() as rows:
        subject = 0
        for number in range(references):
            if number % A_SUBJECT == 0:
                name = f"s{number // A_SUBJECT}"
                subject = rows.add_subject(name, name, "now").id
            image_id, path = f"{number:032d}", f"{name}/{number}.jpg"
            stamp = FileStamp(0, 0)
            if number < photos:
                stamp = files.stage(path, generator.bytes(PHOTO_BYTES))
            image = ImageRecord(
                image_id, path, image_id, image_id, stamp, "upload", FacePolicy.PROMINENT, "now"
            )
            rows.add_image(subject, image)
            vector = generator.standard_normal(DIMENSIONS).astype(np.float32)
            rows.put_embedding(image_id, FINGERPRINT, EmbeddingRecord(vector, _FACE, _QUALITY))
    files.publish(files.staged())
    database.close()


def _load(folder: Path, key: str | None) -> float:
    """Milliseconds in which all embeddings are read into memory."""
    database, _files = _opened(folder, key)
    best = min(
        _seconds(lambda: SnapshotCache(database, FINGERPRINT).current()) for _ in range(REPETITIONS)
    )
    database.close()
    return rounded(best * 1000)


def _check(folder: Path, key: str) -> float:
    """Milliseconds in which a start looks at every embedding and at the head of every photo."""
    database, files = _opened(folder, key)

    def check() -> None:
        VectorSealing(database, database.cipher).run()
        PhotoSealing(database, files, database.cipher).run()

    best = min(_seconds(check) for _ in range(REPETITIONS))
    database.close()
    return rounded(best * 1000)


def _change(name: str, folder: Path, key: str) -> dict[str, float]:
    """Seconds in which embeddings and photos are brought under the first key."""
    database, files = _opened(folder, key)
    audit = AuditLog(database, ServiceKey(bytes(KEY_BYTES)))
    at_rest = EncryptionAtRest(database, files, audit, nullcontext)
    figures = {
        f"{name}_embeddings_s": rounded(_seconds(at_rest.prepare)),
        f"{name}_photos_s": rounded(_seconds(PhotoSealing(database, files, database.cipher).run)),
    }
    at_rest.finish()
    database.close()
    return figures


def _seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


if __name__ == "__main__":
    main()
