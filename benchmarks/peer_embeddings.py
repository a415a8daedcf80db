"""Photo sets run through a side, with a cache that survives an interruption."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet
from benchmarks.peer_engine import Engine, Result

Progress = Callable[[int, int], None]

_KEPT: Final = ("embedding", "blocking", "reason")


class Cache:
    """Results of one version of one side, a line of JSON for each photo.

    A photo is known by its sha256. Times are not kept.

    Args:
        path: The file, made if it is not there; the part of a line that an interruption left at
            its end is dropped.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a+", encoding="utf-8")
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self._file.truncate(len(whole.encode()))
        self._known: dict[str, Result] = {}
        for line in whole.splitlines():
            fields: dict[str, Any] = json.loads(line)
            key = fields.pop("sha256")
            self._known[key] = Result(**fields)

    def get(self, key: str) -> Result | None:
        """The result of the photo with this sha256."""
        return self._known.get(key)

    def put(self, key: str, result: Result) -> None:
        """Keep a result, and write it at once."""
        fields = asdict(result)
        self._file.write(json.dumps({"sha256": key, **{k: fields[k] for k in _KEPT}}) + "\n")
        self._file.flush()
        self._known[key] = result

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def embed_photos(
    engine: Engine,
    images: Sequence[LabelledImage],
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> EmbeddingSet:
    """Run every photo through `engine`.

    Args:
        engine: The side.
        images: The photos, in the order of the result.
        folder: Where results are kept and looked for; without it every photo is run.
        progress: Called with (done, total) after each photo.
    """
    cache = Cache(folder / f"{engine.name}-{engine.version}.jsonl") if folder else None
    results = []
    try:
        for image in images:
            results.append(_result(engine, image.path, cache))
            if progress:
                progress(len(results), len(images))
    finally:
        if cache:
            cache.close()
    return collect(images, results)


def _result(engine: Engine, path: Path, cache: Cache | None) -> Result:
    if cache is None:
        return engine.analyze(path)
    key = sha256(path.read_bytes()).hexdigest()
    result = cache.get(key)
    if result is None:
        result = engine.analyze(path)
        cache.put(key, result)
    return result


def collect(images: Sequence[LabelledImage], results: Sequence[Result]) -> EmbeddingSet:
    """Results of photos as the evaluation takes them."""
    dimension = max((len(r.embedding) for r in results), default=0)
    missing = [0.0] * dimension
    _names, identities = np.unique([i.identity for i in images], return_inverse=True)
    return EmbeddingSet(
        images=tuple(images),
        identities=identities.astype(np.intp),
        embeddings=np.array([r.embedding or missing for r in results], np.float32),
        found=np.array([bool(r.embedding) for r in results]),
        usable=np.array([bool(r.embedding) and not r.blocking for r in results]),
        measures=({},) * len(images),
        reasons=tuple(tuple(r.blocking) if r.embedding else (r.reason,) for r in results),
    )
