"""Aligned faces to embeddings, as the bundle's manifest says."""

import cv2
import numpy as np

from app.domain.entities import Floats, Pixels
from app.inference.litert import Network
from app.inference.manifest import EmbeddingSection


class Embedder:
    """Runs the embedding network. One instance per thread."""

    def __init__(
        self, network: bytes, section: EmbeddingSection, commonness: bytes | None = None
    ) -> None:
        self._network = Network(network, name=section.network)
        self._commonness = Network(commonness, name="commonness") if commonness else None
        self._section = section
        self._mean = np.array(section.mean, np.float32)
        self._scale = np.float32(section.scale)

    def __call__(self, chip: Pixels) -> Floats:
        """Aligned face (size, size, 3), RGB, to its embedding (d,), its commonness last."""
        embedding: Floats = self._network(self._views(chip))[0].mean(axis=0)
        if self._section.unit_length:
            embedding = unit(embedding)
        if self._commonness is None:
            return embedding
        (common,) = self._commonness(embedding[None])
        extended: Floats = np.append(embedding, common[0]).astype(np.float32)
        return extended

    def _views(self, chip: Pixels) -> Floats:
        """What the network sees: the normalized face, and its mirror image if that is wanted."""
        views = np.empty((2 if self._section.mirror else 1, *chip.shape), np.float32)
        views[0] = chip
        # A whole row of means is subtracted at many times the pace of three numbers.
        views[0].reshape(len(chip), -1)[:] -= np.tile(self._mean, chip.shape[1])
        views[0] *= self._scale
        if self._section.mirror:
            cv2.flip(views[0], 1, dst=views[1])
        return views


def unit(embedding: Floats) -> Floats:
    """The embedding scaled to length one."""
    return (embedding / max(float(np.linalg.norm(embedding)), 1e-12)).astype(np.float32)
