"""The rows of the ablation: variants of a two-ended embedding."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from app.domain.entities import Floats
from app.inference.litert import Network
from app.training.adaptation.views import View
from app.training.export import Precision, to_tflite
from benchmarks.ablation_networks import (
    both_ends,
    halfway,
    published_end,
    served_weight,
    to_full_int8,
)
from benchmarks.ablation_trial import Row, Trial, median_cpu_ms

WEIGHTS: Final = (0.2, 0.3, 0.5, 1.0)
"""Of the second end; the served one is tried as well."""

MIRROR: Final = (View(), View(mirrored=True))
FRAMINGS: Final = tuple(View(scale=s, mirrored=m) for s in (0.95, 1.05) for m in (False, True))
"""The face a little smaller and a little larger than the template has it. Cutting them out
interpolates a second time, which serving would not."""


def rows(network: Any, commonness: bytes | None, trial: Trial, sample: Floats) -> Iterator[Row]:
    """Every variant of a two-ended network.

    Args:
        network: From `two_ended`.
        commonness: The bundle's .tflite network, if it has one.
        trial: The photos.
        sample: Prepared faces of training photos, to measure ranges of activations on.
    """
    both = to_tflite(both_ends(network), Precision.INT8)
    ends = trial.embed(both, (*MIRROR, *FRAMINGS), "Both ends")
    mirror, framings = ends[:, : len(MIRROR)], ends[:, len(MIRROR) :]
    yield from _of_one_end(network, mirror, trial)
    served, spent = served_weight(network), trial.cpu_ms(both, MIRROR)
    for weight in sorted({*WEIGHTS, served}):
        variant = f"sum x {weight:g}" + (" (served)" if weight == served else "")
        yield trial.row(variant, summed(mirror, weight), spent)
    more = trial.cpu_ms(both, FRAMINGS)
    yield trial.row("two framings", summed(framings, served), more)
    if commonness:
        embeddings = summed(mirror, served)
        common = Network(commonness, name="commonness")(embeddings)[0][:, 0]
        spent += median_cpu_ms(commonness, embeddings[:1])
        yield trial.row("less commonness", embeddings, spent, common)
    yield from _exported(network, trial, sample)


def _of_one_end(network: Any, ends: Floats, trial: Trial) -> Iterator[Row]:
    """The variants with one end; `ends`, (n, views, 2, d), is of the face and its mirror image."""
    published = to_tflite(published_end(network), Precision.INT8)
    # All have the same layers, so the same time.
    spent = trial.cpu_ms(published, MIRROR)
    plain = trial.cpu_ms(published, MIRROR[:1])
    yield trial.row("published, face only", direction(ends[:, :1, 0]), plain)
    yield trial.row("published", direction(ends[:, :, 0]), spent)
    yield trial.row("adapted", direction(ends[:, :, 1]), spent)
    middle = to_tflite(halfway(network), Precision.INT8)
    embeddings = direction(trial.embed(middle, MIRROR, "Weights halfway"))
    yield trial.row("weights halfway", embeddings, spent)


def _exported(network: Any, trial: Trial, sample: Floats) -> Iterator[Row]:
    """The served sum in every precision."""
    exported = {p.value: to_tflite(network, p) for p in Precision}
    exported["int8 activations"] = to_full_int8(network, sample)
    for variant, content in exported.items():
        embeddings = direction(trial.embed(content, MIRROR, f"Served sum, {variant}"))
        yield trial.row(variant, embeddings, trial.cpu_ms(content, MIRROR))


def summed(ends: Floats, weight: float) -> Floats:
    """The embedding of both ends over views: (n, views, 2, d) gives unit length (n, d)."""
    return direction(ends[:, :, 0] + np.float32(weight) * ends[:, :, 1])


def direction(outputs: Floats) -> Floats:
    """The mean over views at unit length: (n, views, d) gives (n, d)."""
    mean = outputs.mean(axis=1)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return np.asarray(mean / np.maximum(length, 1e-12), np.float32)
