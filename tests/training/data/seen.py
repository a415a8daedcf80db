"""Examined photos made of nothing: people are directions, photos are hashes with flipped bits."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from app.domain.entities import Floats
from app.domain.training import Role
from app.training.data.examine import Examined
from app.training.data.faces import KnownFace
from app.training.data.photos import TrainingPhoto

COMMONNESS = 0.09
"""As the default bundle gives it: a photo scores about 0.82 against itself."""

DAY_NS = 86_400 * 10**9


def random_of(text: str) -> np.random.Generator:
    return np.random.default_rng(list(sha256(text.encode()).digest()))


def direction(person: str) -> Floats:
    """A unit vector (128,); two people are nearly at right angles."""
    vector = random_of(person).standard_normal(128)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def looking(person: str, cosine: float = 0.98, seed: str = "") -> Floats:
    """An embedding at this cosine to the person's direction, with its commonness."""
    base, other = direction(person), direction(f"aside of {person} {seed}")
    aside = other - (other @ base) * base
    aside /= np.linalg.norm(aside)
    vector = cosine * base + np.sqrt(1 - cosine**2) * aside
    return np.append(vector, COMMONNESS).astype(np.float32)


def flipped(value: int, bits: int) -> int:
    """A hash in which so many bits differ."""
    return value ^ ((1 << bits) - 1)


def some_hash(text: str) -> int:
    return int.from_bytes(random_of(text).bytes(32))


def seen(
    name: str,
    who: str = "owner",
    *,
    content: str | None = None,
    near: tuple[str, int] | None = None,
    embedding: Floats | None = None,
    at: float | None = None,
    reasons: tuple[str, ...] = (),
) -> Examined:
    """A photo `role/...` of a person.

    Args:
        name: Path in the data folder; of a negative, the first folder is the person's name.
        who: Whose direction the embedding has.
        content: What makes the file's content; by default its name.
        near: Another photo's name, and the bits in which the hashes of the two differ.
        embedding: In the place of one of `who`.
        at: Seconds when it was taken; by default a day of its own.
        reasons: Why it can't be used.
    """
    role, _, file = name.partition("/")
    person = file.partition("/")[0] if role == Role.NEGATIVE.value else ""
    digest = sha256((content or name).encode()).hexdigest()
    face = some_hash(f"face of {content or name}")
    scene = some_hash(f"scene of {content or name}")
    if near:
        face = flipped(some_hash(f"face of {near[0]}"), near[1])
    path = Path("data", name)
    return Examined(
        TrainingPhoto(path, Role(role), person, name),
        digest,
        face,
        looking(who, seed=content or name) if embedding is None else embedding,
        {},
        reasons,
        0 if "no_face" in reasons else 1,
        scene,
        int(at * 1e9) if at is not None else int(digest[:6], 16) * DAY_NS,
        KnownFace(path, digest, 1920, np.zeros((5, 2), np.float32)),
    )


def owner(anchors: int = 10, positives: int = 10) -> list[Examined]:
    """Distinct photos of the owner."""
    return [seen(f"anchor/a{chr(97 + i)}.jpg") for i in range(anchors)] + [
        seen(f"positive/p{chr(97 + i)}.jpg") for i in range(positives)
    ]


def strangers(people: int = 24, photos: int = 2) -> list[Examined]:
    """Folders of other people."""
    return [
        seen(f"negative/n{person}/{chr(97 + photo)}.jpg", f"n{person}")
        for person in range(people)
        for photo in range(photos)
    ]


def codes(problems: Sequence[object]) -> set[str]:
    """Codes of problems or warnings."""
    return {problem.code for problem in problems}  # type: ignore[attr-defined]
