"""What the bundles of the seed tutorial's protocol make of its photos; kept in a folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.cli.output import progress_bar
from app.domain.decisions import Decider
from app.domain.entities import FacePolicy, Floats
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet, embed_all
from app.training.evaluation.degrade import DEGRADATIONS
from app.training.evaluation.degraded_probes import degrade_all
from benchmarks.seed_protocol_data import Protocol

CLEAN: Final = "clean"
WAYS: Final = tuple(d for d in DEGRADATIONS if d.name in {"blur", "low_light", "face_60px"})
_REFERENCES: Final = "references"
_SEED: Final = 11


@dataclass(frozen=True, slots=True)
class Seen:
    """What a bundle makes of n photos.

    Attributes:
        embeddings: Shape (n, d).
        usable: Whether a photo may decide anything, shape (n,).
    """

    embeddings: Floats
    usable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a bundle makes of all photos.

    Attributes:
        decider: The bundle's.
        references: Photos that references are drawn from.
        probes: The held-out photos by the name of their degradation.
        impostors: Likewise, one photo a person.
    """

    decider: Decider
    references: Seen
    probes: dict[str, Seen]
    impostors: dict[str, Seen]


def embed(bundle: Bundle, protocol: Protocol, folder: Path, *, threads: int) -> Embedded:
    """Run a bundle on all photos, as it would serve; what `folder` holds is not done again."""
    manifest = bundle.manifest
    kept = folder / f"{manifest.version}-{manifest.fingerprint[:16]}"
    pipeline = Pipeline(bundle, engines=threads, limits=DecodeLimits())
    with progress_bar(f"{manifest.version}: embed") as progress:
        see = partial(embed_all, pipeline, threads=threads, progress=progress)
        every_way = partial(_every_way, pipeline, see, threads=threads, progress=progress)
        references = kept_or_made(kept, _REFERENCES, lambda: {CLEAN: see(protocol.positives)})
        return Embedded(
            pipeline.decider,
            references[CLEAN],
            kept_or_made(kept, "probes", lambda: every_way(protocol.probes)),
            kept_or_made(kept, "impostors", lambda: every_way(protocol.impostors)),
        )


def _every_way(
    pipeline: Pipeline,
    see: Callable[[Sequence[LabelledImage]], EmbeddingSet],
    images: tuple[LabelledImage, ...],
    *,
    threads: int,
    progress: Callable[[int, int], None],
) -> dict[str, EmbeddingSet]:
    clean = see(images)
    worse = degrade_all(
        pipeline,
        clean,
        len(images),
        policy=FacePolicy.PROMINENT,
        seed=_SEED,
        threads=threads,
        progress=progress,
        ways=WAYS,
    )
    return {CLEAN: clean} | {way.name: found for way, found in zip(WAYS, worse, strict=True)}


def kept_or_made(
    folder: Path, name: str, make: Callable[[], dict[str, EmbeddingSet]]
) -> dict[str, Seen]:
    """What was kept under this name, or what `make` gives."""
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {}
        for way, found in make().items():
            arrays |= {f"{way}/embeddings": found.embeddings, f"{way}/usable": found.usable}
        writing = path.with_suffix(".new")
        with writing.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        writing.replace(path)
    with np.load(path) as kept:
        ways = dict.fromkeys(key.split("/")[0] for key in kept.files)
        return {way: Seen(kept[f"{way}/embeddings"], kept[f"{way}/usable"]) for way in ways}
