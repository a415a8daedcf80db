"""Screening CelebA identities that may also be in LFW: celebrities are in both."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.training.embedding_set import EmbeddingSet

MIN_COSINE: Final = 0.965
"""An identity with a photo this similar to an LFW photo is taken for an LFW person.

The angle corresponds to a distance of about 0.37 between embeddings of the published length.
"""


@dataclass(frozen=True, slots=True)
class Screened:
    """An identity that is left out, and why."""

    identity: str
    lfw_identity: str
    cosine: float


def screen(
    photos: EmbeddingSet, lfw: EmbeddingSet, min_cosine: float = MIN_COSINE
) -> list[Screened]:
    """Identities of `photos` with a photo within `min_cosine` of an LFW photo, nearest first.

    This reads LFW to keep its people out of training and calibration; nothing is fitted to it.
    """
    nearest: dict[str, Screened] = {}
    strangers = lfw.embeddings[lfw.found]
    names = [image.identity for image, found in zip(lfw.images, lfw.found, strict=True) if found]
    for row in np.flatnonzero(photos.found):
        cosines = strangers @ photos.embeddings[row]
        best = int(np.argmax(cosines))
        identity = photos.images[row].identity
        candidate = Screened(identity, names[best], float(cosines[best]))
        if candidate.cosine >= min_cosine and (
            identity not in nearest or candidate.cosine > nearest[identity].cosine
        ):
            nearest[identity] = candidate
    return sorted(nearest.values(), key=lambda s: -s.cosine)
