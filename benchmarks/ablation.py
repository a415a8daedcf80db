"""What each part of the embedding gains and costs: `python -m benchmarks.ablation --data DIR`.

The active bundle's embedding is the sum of a published and an adapted end, over a face and its
mirror image. The first rows have one end: the published, the adapted, or one with the mean of both
ends' weights; `sum x W` adds the adapted end with weight W. Each of the others changes one thing
about the served sum: the views, the commonness, or the export, which has int8 weights in all other
rows. Rates are over all pairs of CelebA's validation photos that show a face.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from app.cli.options import read_settings
from app.cli.output import print_error, print_table, progress_bar
from app.domain.entities import Floats
from app.domain.errors import FacetwinError
from app.inference.bundle import Bundle, load_active
from app.inference.detect import Detector
from app.training.adaptation.adapt import is_wild
from app.training.adaptation.faces import WideFaces, collect
from app.training.adaptation.runner import prepared
from app.training.adaptation.views import View, cut
from app.training.datasets import CelebA, LabelledImage, Side, without
from benchmarks.ablation_networks import two_ended
from benchmarks.ablation_rows import rows
from benchmarks.ablation_trial import RATES, THREADS, Row, Trial
from benchmarks.report import data_parser, publish

_SEED: Final = 5
_SAMPLE: Final = 200
"""Training photos that the ranges of int8 activations are measured on."""

_TITLE: Final = (
    "True accept rate in % at each false match rate, over all photos and over the uncropped ones "
    "(u); CPU time of the network for one face with its views in ms, median"
)


def main() -> None:
    options = data_parser(__doc__).parse_args()
    try:
        bundle = load_active(read_settings().model_dir)
        figures, table = _measure(bundle, options.data, options.limit)
    except FacetwinError as error:
        print_error(str(error))
        sys.exit(1)
    if options.json:
        figures["rows"] = [asdict(row) for row in table]
    else:
        headers = ("variant", *RATES, *(f"u {name}" for name in RATES), "CPU")
        print_table(headers, [row.cells() for row in table], title=_TITLE)
    publish("ablation", figures, model=bundle.manifest.version, as_json=options.json)


def _measure(bundle: Bundle, data: Path, limit: int | None) -> tuple[dict[str, Any], list[Row]]:
    """Figures about the photos, and the table."""
    cv2.setNumThreads(1)
    network = two_ended(bundle)
    images = _photos(bundle, data, Side.VALIDATION, limit)
    faces = _faces(bundle, images, "Looking for faces")
    section = bundle.manifest.embedding
    commonness = bundle.networks[section.commonness] if section.commonness else None
    table = list(rows(network, commonness, Trial(faces), _sample(bundle, data, limit)))
    uncropped = sum(is_wild(image.path) for image in faces.images)
    return {"photos": len(images), "faces": len(faces.images), "uncropped": uncropped}, table


def _photos(bundle: Bundle, data: Path, side: Side, limit: int | None) -> list[LabelledImage]:
    """One side's photos, at most `limit` of each set, without screened people."""
    screened = bundle.manifest.training.get("screening", {}).get("identities", [])
    images = without(CelebA.read(data).side(side), [s["identity"] for s in screened])
    wild = [image for image in images if is_wild(image.path)]
    small = [image for image in images if not is_wild(image.path)]
    return wild[:limit] + small[:limit]


def _faces(bundle: Bundle, images: Sequence[LabelledImage], title: str) -> WideFaces:
    section = bundle.manifest.detector
    names = (section.proposal, section.refinement, section.output)

    def detector() -> Detector:
        proposal, refinement, output = (bundle.networks[name] for name in names)
        return Detector(proposal, refinement, output, section.settings())

    template = bundle.manifest.alignment.template()
    with progress_bar(title) as progress:
        return collect(images, template, detector, threads=THREADS, progress=progress)


def _sample(bundle: Bundle, data: Path, limit: int | None) -> Floats:
    """Prepared faces of `_SAMPLE` training photos, (n, size, size, 3)."""
    images = _photos(bundle, data, Side.TRAIN, limit)
    order = np.random.default_rng(_SEED).permutation(len(images))[:_SAMPLE]
    faces = _faces(bundle, [images[i] for i in order], "Looking for training faces")
    return prepared([cut(wide, View()) for wide in faces.pixels])


if __name__ == "__main__":
    main()
