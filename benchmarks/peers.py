"""This service beside the package `face_recognition`: `python -m benchmarks.peers --data DIR`.

On the same photos in one run: time per photo, accuracy on LFW's View 2, and errors on uncropped
photos of CelebA's test people. The peer runs in an environment of its own, which is made at the
first run. A face that is not found is an error, for both. The whole run takes half an hour.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydantic import BaseModel

from app.cli.options import read_settings
from app.cli.output import print_error, print_note, progress_bar
from app.domain.errors import FacetwinError
from app.inference.bundle import load_active
from app.training.datasets import LabelledImage
from app.training.datasets import Side as People
from benchmarks.peer_celeba import CelebaFigures, celeba_figures, celeba_photos
from benchmarks.peer_embeddings import embed_photos
from benchmarks.peer_engine import Engine, EngineError, ours, running, theirs
from benchmarks.peer_environment import PeerUnavailableError, peer_python
from benchmarks.peer_lfw import LfwFigures, lfw_figures, lfw_photos
from benchmarks.peer_side import TOLERANCE_SCORE, Side, distance
from benchmarks.peer_speed import SpeedFigures, measure, photo_sets
from benchmarks.peer_tables import print_celeba, print_lfw, print_speed
from benchmarks.report import data_parser, publish

WHAT: Final = ("speed", "lfw", "celeba")


class Report(BaseModel):
    """What was measured; speed by photo set."""

    speed: dict[str, SpeedFigures] | None = None
    lfw: LfwFigures | None = None
    celeba: CelebaFigures | None = None


class Comparison:
    """Both sides, ready to be measured.

    Args:
        options: Of the command line.
        model_dir: Folder of the bundles; the active one is measured.
        engines: Ours and theirs, running.
    """

    def __init__(
        self, options: argparse.Namespace, model_dir: Path, engines: tuple[Engine, Engine]
    ) -> None:
        self._options = options
        self._engines = engines
        bundle = load_active(model_dir)
        self._decider = bundle.manifest.decider(bundle.calibration)

    def report(self) -> Report:
        """Everything that was asked for."""
        what = self._options.what
        return Report(
            speed=self.speed() if "speed" in what else None,
            lfw=self.lfw() if "lfw" in what else None,
            celeba=self.celeba() if "celeba" in what else None,
        )

    def speed(self) -> dict[str, SpeedFigures]:
        """Time per photo, by photo set."""
        options, figures = self._options, {}
        with TemporaryDirectory() as folder:
            for photos in photo_sets(options.data, Path(folder), options.limit):
                with progress_bar(f"Timing {photos.name}") as progress:
                    figures[photos.name] = measure(
                        self._engines, photos, seed=options.seed, progress=progress
                    )
        return figures

    def lfw(self) -> LfwFigures:
        """Accuracy on View 2."""
        images, pairs = lfw_photos(self._options.data, self._options.limit)
        if self._options.limit is None:
            print_note("This is a run on LFW's View 2: note it in the log of docs/accuracy.md.")
        return lfw_figures(self._sides("LFW", images), pairs)

    def celeba(self) -> CelebaFigures:
        """Errors on uncropped photos."""
        options = self._options
        images = celeba_photos(options.data, options.people, options.limit)
        our, their = self._sides("CelebA", images)
        return celeba_figures(our, their, people=options.people, seed=options.seed)

    def _sides(self, photos: str, images: Sequence[LabelledImage]) -> tuple[Side, Side]:
        found = []
        for engine in self._engines:
            with progress_bar(f"{engine.name} on {photos}") as progress:
                found.append(
                    embed_photos(engine, images, folder=self._options.cache, progress=progress)
                )
        our, their = self._engines
        return (
            Side(our.name, found[0], self._decider),
            Side(their.name, found[1], distance(), TOLERANCE_SCORE),
        )


def main() -> None:
    options = _arguments()
    try:
        with _engines(options) as (model_dir, engines):
            report = Comparison(options, model_dir, engines).report()
    except (FacetwinError, EngineError, PeerUnavailableError) as error:
        print_error(str(error))
        sys.exit(1)
    our, peer = engines
    if "speed" in options.what and not peer.build.get("blas"):
        print_note(
            "The peer's dlib was compiled without BLAS, which makes its encoding several times "
            "slower: state it beside every ratio, or compile it where OpenBLAS is installed."
        )
    figures = report.model_dump(mode="json", exclude_none=True) if options.json else {}
    if not options.json:
        _print(report)
    about = {"peer": peer.version, "peer_build": dict(peer.build)}
    publish("peers", figures | about, model=our.version, as_json=options.json)


@contextmanager
def _engines(options: argparse.Namespace) -> Iterator[tuple[Path, tuple[Engine, Engine]]]:
    """The folder of our bundles, and the processes of both sides."""
    model_dir = read_settings().model_dir
    python = peer_python(options.peer_python)
    with running(ours(model_dir)) as our, running(theirs(python)) as peer:
        yield model_dir, (our, peer)


def _print(report: Report) -> None:
    if report.speed:
        print_speed(report.speed)
    if report.lfw:
        print_lfw(report.lfw)
    if report.celeba:
        print_celeba(report.celeba)


def _what(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(WHAT):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))} can't be measured; choose from {', '.join(WHAT)}"
        )
    return chosen


def _arguments() -> argparse.Namespace:
    parser = data_parser(__doc__)
    parser.add_argument("--peer-python", type=Path, help="interpreter that has face_recognition")
    parser.add_argument("--what", type=_what, default=list(WHAT), help="any of " + ",".join(WHAT))
    parser.add_argument(
        "--people",
        type=People,
        choices=list(People),
        default=People.TEST,
        help="of CelebA; try things on `validation`",
    )
    parser.add_argument("--cache", type=Path, help="folder that keeps embeddings between runs")
    parser.add_argument("--seed", type=int, default=1, help="of impostor pairs and bootstraps")
    return parser.parse_args()


if __name__ == "__main__":
    main()
