"""The seed tutorial's protocol on real people: `python -m benchmarks.seed_protocol --data DIR`.

George_W_Bush of LFW is the owner: 215 anchors, 215 positives, 100 photos held out. Two bundles are
trained, by the presets `seed` and `finetune`, against other people of LFW, and tried beside the
untouched default bundle on the held-out photos and on people whom no bundle was trained on.
References are drawn from the positives. Probes are taken as they are, and degraded: blurred, in low
light, with a face of 60 pixels (as `facetwin evaluate` degrades them), impostors' photos alike.

A photo without a face and an inconclusive photo are errors of every bundle (`unusable_probes`).
`TAR at` is at the threshold that the impostors themselves set at that rate; `FNMR` and `FMR` are
those of the bundle's own threshold for the owner at `max_fmr` 1 %. Intervals (95 %) are by
bootstrap over probe photos and impostor people. `gain` is the difference from the default bundle,
paired over photos and people.

Each training is a process of its own, so that time and memory are its own. With `--work DIR`
everything is kept there: run again, a job that was killed goes on from its last checkpoint, and
what is done is not done again.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any, Final

from app.cli.options import read_settings
from app.cli.output import print_error, print_note, print_table
from app.domain.errors import FacetwinError, InvalidRequestError
from app.domain.subjects import subject_key
from app.domain.training import Activation, JobPlaces, Preset, TrainingOptions
from app.inference.bundle import active_version, load_bundle, set_active
from app.training.presets.seed import SeedConfig
from benchmarks.report import data_parser, publish
from benchmarks.seed_protocol_data import OWNER, Protocol
from benchmarks.seed_protocol_embedding import embed
from benchmarks.seed_protocol_rows import HEADERS, Row, rows
from benchmarks.seed_protocol_training import train

_SEED: Final = 11
_THREADS: Final = 2
_SIZES: Final = {"full": (1000, 1500), "quick": (300, 1000)}
"""People to train against, and people kept out."""
_QUICK_EPOCHS: Final = 2
_PRESETS: Final = (Preset.SEED, Preset.FINETUNE)
_DEFAULT: Final = "default"


def main() -> None:
    options = _arguments()
    negatives, impostors = _SIZES["quick" if options.quick else "full"]
    if options.limit:
        negatives, impostors = options.limit, options.limit
    try:
        protocol = Protocol.read(options.data, negatives=negatives, impostors=impostors, seed=_SEED)
        with _folder(options.work, f"{negatives}-{impostors}") as folder:
            figures, table = _run(protocol, folder, options)
    except FacetwinError as error:
        print_error(error.message)
        sys.exit(1)
    if options.json:
        figures["rows"] = [asdict(row) for row in table]
    else:
        title = "In %, 95 % intervals in brackets"
        print_table(HEADERS, [row.cells() for row in table], title=title)
    publish("seed_protocol", figures, model=figures[_DEFAULT], as_json=options.json)


def _arguments() -> argparse.Namespace:
    parser = data_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer people, and 2 epochs of seed")
    parser.add_argument(
        "--presets",
        nargs="*",
        type=Preset,
        choices=_PRESETS,
        default=_PRESETS,
        help="train only these; without a name, only the default bundle is tried",
    )
    parser.add_argument(
        "--seed-epochs", type=int, help=f"of the preset seed ({SeedConfig().epochs})"
    )
    parser.add_argument("--work", type=Path, help="folder to keep everything in, and to go on from")
    options = parser.parse_args()
    if options.quick and options.seed_epochs is None:
        options.seed_epochs = _QUICK_EPOCHS
    return options


@contextmanager
def _folder(work: Path | None, name: str) -> Iterator[Path]:
    """Where the run works; other sizes work elsewhere."""
    if work:
        folder = work.absolute() / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with TemporaryDirectory(prefix="facetwin-protocol-") as temporary:
            yield Path(temporary)


def _run(
    protocol: Protocol, folder: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], list[Row]]:
    models = folder / "model"
    default = lay_out(protocol, folder)
    figures: dict[str, Any] = {
        _DEFAULT: default,
        "negatives": len({image.identity for image in protocol.negatives}),
        "impostors": len(protocol.impostors),
    }
    versions = {_DEFAULT: default}
    for preset in options.presets:
        epochs = options.seed_epochs if preset is Preset.SEED else None
        versions[preset.value], figures[preset.value] = _train(folder, preset, epochs)
    found = {
        name: embed(load_bundle(models / version), protocol, folder / "seen", threads=_THREADS)
        for name, version in versions.items()
    }
    figures["unusable_probes"] = {
        name: {way: int((~seen.usable).sum()) for way, seen in each.probes.items()}
        for name, each in found.items()
    }
    return figures, list(rows(found, subject_key(OWNER)))


def lay_out(protocol: Protocol, folder: Path) -> str:
    """Photos and the default bundle, as a job wants them; the bundle's name.

    Raises:
        InvalidRequestError: If the folder was begun with another default bundle.
    """
    source, models = read_settings().model_dir, folder / "model"
    default = active_version(source)
    if not models.exists():
        copytree(source / default, models / default)
        set_active(models, default)
    known = load_bundle(models / active_version(models)).manifest.fingerprint
    if known != load_bundle(source / default).manifest.fingerprint:
        raise InvalidRequestError(f"{folder} was begun with another default bundle.")
    data = folder / "data"
    if not data.exists():
        fresh = folder / "data.new"
        protocol.lay_out(fresh)
        fresh.rename(data)
    return default


def _train(folder: Path, preset: Preset, epochs: int | None) -> tuple[str, dict[str, Any]]:
    """Version of the bundle that the preset made, and what making it took."""
    version = f"{preset.value}-{epochs}" if epochs else preset.value
    options = TrainingOptions(
        preset=preset, subject=OWNER, version=version, activate=Activation.NEVER, epochs=epochs
    )
    places = JobPlaces(
        data_dir=folder / "data",
        model_dir=folder / "model",
        work_dir=folder / "jobs" / version,
        crops_dir=folder / "crops",
        threads=_THREADS,
        max_fmr=read_settings().max_fmr,
    )
    print_note(f"{version}: trains")
    outcome, usage = train(options, places)
    assert outcome.version
    figures = usage.figures() | {
        "judgement": outcome.judgement and outcome.judgement.value,
        "reasons": " ".join(outcome.reasons),
    }
    planned = SeedConfig().epochs
    if preset is Preset.SEED and epochs and epochs < planned:
        figures["note"] = f"ONLY {epochs} OF THE TUTORIAL'S {planned} EPOCHS WERE TRAINED"
        print_note(figures["note"])
    return outcome.version, figures


if __name__ == "__main__":
    main()
