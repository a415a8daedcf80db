"""What every benchmark prints: its figures, the machine, the versions."""

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from app import __version__

_PACKAGES: Final = ("ai-edge-litert", "numpy", "opencv-python-headless", "fastapi", "uvicorn")


def arguments(description: str, *, requests: int) -> argparse.Namespace:
    """The options that all benchmarks take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--references", type=int, default=50, help="photos in the gallery")
    parser.add_argument("--requests", type=int, default=requests, help="requests or repetitions")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def data_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that benchmarks on the research data take."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the research data")
    parser.add_argument("--limit", type=_at_least_two, help="photos of each set, for a trial")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _at_least_two(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError("at least 2 photos are needed")
    return number


def publish(name: str, figures: dict[str, Any], *, model: str, as_json: bool) -> None:
    """Print a benchmark's result for a person or for a program."""
    document = {"benchmark": name, **figures, "model": model, **_environment()}
    if as_json:
        print(json.dumps(document))
        return
    for key, value in document.items():
        print(f"{key:<24} {value}")


def rounded(value: float) -> float:
    """As many digits as a noisy machine deserves."""
    return round(value, 2)


def _environment() -> dict[str, Any]:
    return {
        "machine": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "facetwin": __version__,
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
