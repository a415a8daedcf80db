"""Aligned faces to embeddings, as the bundle's manifest says."""

import numpy as np

from app.domain.entities import Floats, Pixels
from app.inference.litert import Network
from app.inference.manifest import EmbeddingSection


class Embedder:
    """Runs the embedding network. One instance per thread."""

    def __init__(self, network: bytes, section: EmbeddingSection) -> None:
        self._network = Network(network, name=section.network)
        self._section = section
        self._mean = np.array(section.mean, np.float32)

    def __call__(self, chip: Pixels) -> Floats:
        """Aligned face (size, size, 3), RGB, to its embedding (d,)."""
        views = np.stack([chip, chip[:, ::-1]]) if self._section.mirror else chip[None]
        batch = (views.astype(np.float32) - self._mean) * np.float32(self._section.scale)
        embedding = self._network(batch)[0].mean(axis=0)
        return unit(embedding) if self._section.unit_length else embedding


def unit(embedding: Floats) -> Floats:
    """The embedding scaled to length one."""
    return (embedding / max(float(np.linalg.norm(embedding)), 1e-12)).astype(np.float32)
