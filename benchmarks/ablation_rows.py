"""The rows of the ablation: variants of a two-ended embedding."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from app.domain.entities import Floats
from app.inference.litert import Network
from app.training.adaptation.views import View
from app.training.export import Precision, to_tflite
from benchmarks.ablation_networks import (
    ADAPTED,
    PUBLISHED,
    both_ends,
    halfway,
    one_end,
    served_weight,
    to_full_int8,
)
from benchmarks.ablation_trial import Row, Trial, median_cpu_ms

WEIGHTS: Final = (0.2, 0.3, 0.5, 1.0)
"""Of the second end; the served one is tried as well."""

MIRROR: Final = (View(), View(mirrored=True))
FRAMINGS: Final = tuple(View(scale=s, mirrored=m) for s in (0.95, 1.05) for m in (False, True))
"""The face a little smaller and a little larger than the template has it."""


def rows(network: Any, commonness: bytes | None, trial: Trial, sample: Floats) -> Iterator[Row]:
    """Every variant of a two-ended network.

    Args:
        network: From `two_ended`.
        commonness: The bundle's .tflite network, if it has one.
        trial: The photos.
        sample: Prepared faces of training photos, to measure ranges of activations on.
    """
    yield from _of_ends(network, commonness, trial)
    middle = to_tflite(halfway(network), Precision.INT8)
    yield trial.row(
        "one end, weights halfway",
        direction(trial.embed(middle, MIRROR, "Weights halfway")),
        trial.cpu_ms(middle, MIRROR),
    )
    exported = {f"sum as served, {p}": to_tflite(network, p) for p in Precision}
    exported["sum as served, int8 activations too"] = to_full_int8(network, sample)
    for variant, content in exported.items():
        embeddings = direction(trial.embed(content, MIRROR, variant.capitalize()))
        yield trial.row(variant, embeddings, trial.cpu_ms(content, MIRROR))


def _of_ends(network: Any, commonness: bytes | None, trial: Trial) -> Iterator[Row]:
    """The variants that follow from the embeddings of both ends, which are computed once."""
    served = served_weight(network)
    both = to_tflite(both_ends(network), Precision.INT8)
    ends = trial.embed(both, (*MIRROR, *FRAMINGS), "Both ends")
    mirror, framings = ends[:, : len(MIRROR)], ends[:, len(MIRROR) :]
    first, second = (
        to_tflite(one_end(network, unit), Precision.INT8) for unit in (PUBLISHED, ADAPTED)
    )
    plain = trial.cpu_ms(first, MIRROR[:1])
    yield trial.row("published end, face only", direction(mirror[:, :1, 0]), plain)
    yield trial.row("published end", direction(mirror[:, :, 0]), trial.cpu_ms(first, MIRROR))
    yield trial.row("adapted end", direction(mirror[:, :, 1]), trial.cpu_ms(second, MIRROR))
    spent = trial.cpu_ms(both, MIRROR)
    for weight in sorted({*WEIGHTS, served}):
        variant = f"sum, adapted end x {weight:g}" + (" (as served)" if weight == served else "")
        yield trial.row(variant, summed(mirror, weight), spent)
    more = trial.cpu_ms(both, FRAMINGS)
    yield trial.row("sum as served, two framings", summed(framings, served), more)
    if commonness:
        embeddings = summed(mirror, served)
        common = Network(commonness, name="commonness")(embeddings)[0][:, 0]
        spent += median_cpu_ms(commonness, embeddings[:1])
        yield trial.row("sum as served, less commonness", embeddings, spent, common)


def summed(ends: Floats, weight: float) -> Floats:
    """The embedding of both ends over views: (n, views, 2, d) gives unit length (n, d)."""
    return direction(ends[:, :, 0] + np.float32(weight) * ends[:, :, 1])


def direction(outputs: Floats) -> Floats:
    """The mean over views at unit length: (n, views, d) gives (n, d)."""
    mean = outputs.mean(axis=1)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return np.asarray(mean / np.maximum(length, 1e-12), np.float32)
