"""What changing the model costs those who verify meanwhile: `python -m benchmarks.swap`.

One client verifies without a pause: alone first, then while two versions take over from each other
again and again. With `--train` a third part follows: a job trains on the folder given by
`--data-dir`, its model is activated whatever it is worth, and then the one before again.

Exit code 1 if a request failed, an answer was of two models, or p95 grew beyond three times its
idle value.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any, Final

from app.inference.bundle import active_version, set_active
from benchmarks.calls import Caller
from benchmarks.clients import verify_many
from benchmarks.report import publish, rounded
from benchmarks.sampling import Sampler
from benchmarks.server import Server, environment_of, gallery, running
from benchmarks.steady_client import SteadyClient, latency
from tests.model_folder import add_version

LIMIT: Final = 3.0
"""Times the idle p95 that another p95 may be."""

OTHER: Final = "shifted"
"""The second version: the active bundle with the face aligned two pixels lower."""

_WARM_UP: Final = 40
_POLL_SECONDS: Final = 0.5
_JSON: Final = {"Content-Type": "application/json"}


def main() -> None:
    options = _arguments()
    settings = {"FACETWIN_DATA_DIR": str(options.data_dir.absolute())} if options.data_dir else {}
    with _models() as (models, base), gallery(options.references) as folder:
        settings["FACETWIN_MODEL_DIR"] = str(models)
        if options.max_fmr:
            settings["FACETWIN_MAX_FMR"] = str(options.max_fmr)
        with running(folder, settings) as server:
            client, figures = SteadyClient(server.port), dict[str, Any]()
            sampler = Sampler(server.process.pid, folder)
            verify_many(server.port, clients=1, requests=_WARM_UP)
            with client.at_work(), sampler.every(1.0):
                figures["idle"] = _idle(client, options.seconds)
                figures["swaps"] = _swaps(client, server, base, options.seconds)
                if options.train:
                    figures["training"] = _training(client, server, base, options)
            memory = [sample.rss_mib for sample in sampler.samples]
    figures |= {"rss_mib_at_start": rounded(memory[0]), "rss_mib_at_end": rounded(memory[-1])}
    figures |= {"rss_mib_peak": rounded(max(memory))}
    for part in ("swaps", "training"):
        if part in figures:
            ratio = figures[part]["p95_ms"] / figures["idle"]["p95_ms"]
            figures[part]["p95_over_idle"] = rounded(ratio)
    figures["failed"], figures["mixed"] = client.failed(), client.mixed()
    figures["problems"] = _problems(figures)
    figures["references"] = options.references
    publish("swap", figures, model=base, as_json=options.json)
    sys.exit(1 if figures["problems"] else 0)


@contextmanager
def _models() -> Iterator[tuple[Path, str]]:
    """A model folder with the active bundle and an altered copy; the name of the former."""
    source = Path(environment_of(Path())["FACETWIN_MODEL_DIR"])
    base = active_version(source)
    with TemporaryDirectory(prefix="facetwin-models-") as name:
        models = Path(name)
        shutil.copytree(source / base, models / base)
        add_version(models, OTHER, shift=2.0, source=source / base)
        set_active(models, base)
        yield models, base


def _idle(client: SteadyClient, seconds: float) -> dict[str, Any]:
    started = perf_counter()
    sleep(seconds)
    return latency(client.between(started, perf_counter()))


def _swaps(client: SteadyClient, server: Server, base: str, seconds: float) -> dict[str, Any]:
    """Let the versions take turns, at least once each way."""
    caller, taken = Caller(server.port), list[float]()
    started = perf_counter()
    while perf_counter() - started < seconds or len(taken) % 2:
        taken.append(_activate(caller, base if len(taken) % 2 else OTHER))
    span = (started, perf_counter())
    caller.close()
    # The first one embeds all references, the others find them embedded.
    first, *others = taken
    return {
        "swaps": len(taken),
        "first_swap_seconds": rounded(first),
        "other_swaps_seconds": rounded(sum(others) / len(others)),
        **latency(client.between(*span)),
    }


def _activate(caller: Caller, version: str) -> float:
    """Have a version serve; seconds that it took.

    Raises:
        RuntimeError: If it does not.
    """
    started = perf_counter()
    answer = caller.call("POST", f"/models/{version}/activate")
    while answer.status == 202 and not _has_ended(answer.document["activation"]):
        sleep(_POLL_SECONDS)
        found = caller.get("/models").document
        answer.document["activation"] = found["activation"]
    if answer.status not in {200, 202} or answer.document["activation"]["state"] != "done":
        raise RuntimeError(f"{version} was not activated: {answer.document}")
    return perf_counter() - started


def _has_ended(activation: dict[str, Any]) -> bool:
    return activation["state"] in {"done", "failed"}


def _training(
    client: SteadyClient, server: Server, base: str, options: argparse.Namespace
) -> dict[str, Any]:
    """A whole job with its activation, until the model before serves again."""
    caller = Caller(server.port)
    asked = f'{{"preset": "{options.preset}", "activate": "always"}}'.encode()
    started = perf_counter()
    answer = caller.call("POST", "/train", asked, _JSON)
    if answer.status != 202:
        raise RuntimeError(f"training was refused: {answer.document}")
    url = answer.document["status_url"]
    stages: dict[str, tuple[float, float]] = {}
    job = caller.get(url).document
    while job["state"] in {"queued", "running"}:
        now = perf_counter()
        name = job["stage"] or job["state"]
        stages[name] = (stages.get(name, (now, now))[0], now)
        sleep(_POLL_SECONDS)
        job = caller.get(url).document
    if job["state"] != "succeeded" or not job["outcome"]["activated"]:
        raise RuntimeError(f"the job ended without a new model: {job}")
    trained = perf_counter()
    _wait_until_serving(caller, job["outcome"]["version"])
    followed = perf_counter() - trained
    back = _activate(caller, base)
    ended = perf_counter()
    caller.close()
    return {
        "preset": options.preset,
        "judgement": job["outcome"]["judgement"],
        "job_seconds": rounded(trained - started),
        "followed_after_seconds": rounded(followed),
        "back_seconds": rounded(back),
        **latency(client.between(started, ended)),
        "stages": {
            name: latency(client.between(first, last + _POLL_SECONDS))
            for name, (first, last) in stages.items()
        },
    }


def _wait_until_serving(caller: Caller, version: str) -> None:
    limit = perf_counter() + 60
    while caller.get("/version").document["model"]["version"] != version:
        if perf_counter() > limit:
            raise RuntimeError(f"the service did not follow to {version}")
        sleep(0.05)


def _problems(figures: dict[str, Any]) -> list[str]:
    problems = []
    if figures["failed"]:
        problems.append(f"{len(figures['failed'])} requests failed")
    if figures["mixed"]:
        problems.append(f"{len(figures['mixed'])} answers were of two models")
    for part in ("swaps", "training"):
        ratio = figures.get(part, {}).get("p95_over_idle", 0.0)
        if ratio > LIMIT:
            problems.append(f"p95 during {part} was {ratio} times its idle value")
    return problems


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=50, help="photos in the gallery")
    parser.add_argument("--seconds", type=float, default=30, help="length of each part")
    parser.add_argument("--train", action="store_true", help="train a model, too")
    parser.add_argument("--data-dir", type=Path, help="holds anchor/, positive/ and negative/")
    parser.add_argument(
        "--max-fmr",
        type=float,
        help="FACETWIN_MAX_FMR: what the photos of --data-dir have people enough to support",
    )
    parser.add_argument("--preset", default="finetune", help="how to train")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if options.train and not options.data_dir:
        parser.error("--train needs --data-dir")
    return options


if __name__ == "__main__":
    main()
