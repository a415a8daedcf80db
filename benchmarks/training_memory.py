"""Memory of training jobs on many photos: `python -m benchmarks.training_memory --data DIR`.

George_W_Bush of LFW is the owner (430 photos), `--people` others are the negatives. Each preset
runs a whole job of one epoch in a process of its own; what counts is the most that was ever
resident.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from app.cli.options import read_settings
from app.cli.output import print_error, print_note
from app.domain.errors import FacetwinError
from app.domain.training import Activation, JobPlaces, Preset, TrainingOptions
from benchmarks.report import data_parser, publish
from benchmarks.seed_protocol import lay_out
from benchmarks.seed_protocol_data import MIN_IMPOSTORS, OWNER, Protocol
from benchmarks.seed_protocol_training import train

_SEED: Final = 11
_THREADS: Final = 2


def main() -> None:
    parser = data_parser(__doc__)
    parser.add_argument("--people", type=int, default=4_400, help="other people, 10,000 photos")
    parser.add_argument("--presets", nargs="+", type=Preset, choices=Preset, default=list(Preset))
    options = parser.parse_args()
    try:
        protocol = Protocol.read(
            options.data, negatives=options.people, impostors=MIN_IMPOSTORS, seed=_SEED
        )
        with TemporaryDirectory(prefix="facetwin-memory-") as folder:
            figures = _measured(protocol, Path(folder), options.presets)
    except FacetwinError as error:
        print_error(error.message)
        sys.exit(1)
    publish("training_memory", figures, model=figures.pop("base"), as_json=options.json)


def _measured(protocol: Protocol, folder: Path, presets: list[Preset]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "base": lay_out(protocol, folder),
        "photos_of_the_owner": len(protocol.anchors) + len(protocol.positives),
        "photos_of_others": len(protocol.negatives),
    }
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
