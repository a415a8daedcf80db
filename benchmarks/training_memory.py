"""Memory of training jobs on many photos: `python -m benchmarks.training_memory --data DIR`.

George_W_Bush of LFW is the owner (430 photos), everybody else of LFW and people of celeba-small, up
to `--photos`, are the negatives. Each preset runs a whole job of one epoch in a process of its own;
what counts is the most that was ever resident.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from app.cli.options import read_settings
from app.cli.output import print_error, print_note
from app.domain.errors import FacetwinError, InvalidRequestError
from app.domain.training import Activation, JobPlaces, Preset, Role, TrainingOptions
from app.training.datasets import LabelledImage, read_folder
from benchmarks.report import data_parser, publish
from benchmarks.seed_protocol import lay_out
from benchmarks.seed_protocol_data import OWNER, Protocol
from benchmarks.seed_protocol_training import train

_PEOPLE: Final = 4_280
_SEED: Final = 11
_THREADS: Final = 2


def main() -> None:
    parser = data_parser(__doc__)
    parser.add_argument("--photos", type=int, default=10_000, help="of other people")
    parser.add_argument("--presets", nargs="+", type=Preset, choices=Preset, default=list(Preset))
    options = parser.parse_args()
    try:
        protocol = Protocol.read(options.data, negatives=_PEOPLE, impostors=0, seed=_SEED)
        more = read_folder(options.data / "celeba-small")
        with TemporaryDirectory(prefix="facetwin-memory-") as folder:
            base = lay_out(_with(protocol, more, options.photos), Path(folder))
            figures = _measured(Path(folder), options.presets)
    except FacetwinError as error:
        print_error(error.message)
        sys.exit(1)
    publish("training_memory", figures, model=base, as_json=options.json)


def _with(protocol: Protocol, more: Sequence[LabelledImage], photos: int) -> Protocol:
    """The protocol with exactly so many photos of others."""
    others = (*protocol.negatives, *more)
    if len(others) < photos:
        raise InvalidRequestError(f"There are only {len(others)} photos of other people.")
    return replace(protocol, negatives=others[:photos])


def _measured(folder: Path, presets: list[Preset]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for role in Role:
        figures[role.value] = sum(1 for path in (folder / "data" / role).rglob("*.jpg"))
    for preset in presets:
        print_note(f"{preset.value}: trains")
        options = TrainingOptions(
            preset=preset, subject=OWNER, version=preset.value, activate=Activation.NEVER, epochs=1
        )
        places = JobPlaces(
            data_dir=folder / "data",
            model_dir=folder / "model",
            work_dir=folder / "jobs" / preset.value,
            crops_dir=folder / "crops",
            threads=_THREADS,
            max_fmr=read_settings().max_fmr,
        )
        figures[preset.value] = train(options, places)[1].figures()
    return figures


if __name__ == "__main__":
    main()
