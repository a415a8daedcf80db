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
