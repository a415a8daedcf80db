"""Activations in children that kill themselves: `python -m tests.activation_kills FOLDER`.

In a process of its own, as forking needs a process with a single thread. Prints what serves after a
kill before each durable step in turn, until one child ends by itself.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from app import activation
from app.activation import activate_version
from app.runtime import Runtime, open_runtime
from app.services.enrollment import Upload
from app.services.verification import VerifyOptions
from app.settings import Settings
from app.storage.database import Database
from app.storage.model_rows import remove_other_fingerprints
from tests.dummy_bundles import FINGERPRINTS, DummyBundles
from tests.dummy_pipeline import photo
from tests.services.test_crashes import STEPS

PEOPLE = ("alice", "bob")
_OPTIONS = VerifyOptions(max_fmr=0.001)


def enroll_people(settings: Settings, bundles: DummyBundles) -> None:
    """Two people with two photos each."""
    runtime = opened(settings, bundles)
    for name in PEOPLE:
        runtime.enrollment.enroll(name, [Upload("p.jpg", photo(name, i)) for i in range(2)])
    runtime.close()


def opened(settings: Settings, bundles: DummyBundles) -> Runtime:
    """As the next process opens it: with the bundle that the pointer names."""
    pointer = bundles.pointer()
    assert pointer is not None
    return open_runtime(settings, pipeline=bundles.load(pointer))


def serves(settings: Settings, bundles: DummyBundles) -> str:
    """The version that the next process serves with, after everyone was verified by it."""
    runtime = opened(settings, bundles)
    try:
        for name in PEOPLE:
            result = runtime.verification.verify(photo(name, "probe"), name, _OPTIONS)
            assert result.verdict.verified
            assert len(result.references) == 2
            assert result.fingerprint == FINGERPRINTS[result.version]
        assert runtime.audit.verify().ok
    finally:
        runtime.close()
    return result.version


def begin_anew(settings: Settings, bundles: DummyBundles) -> None:
    """The first model is active, and the second has everything to embed."""
    bundles.point_to("one")
    database = Database(settings.database_url)
    with database.write_apart() as connection:
        remove_other_fingerprints(connection, [FINGERPRINTS["one"]])
    database.close()


def killed_before(settings: Settings, step: int) -> bool:
    """Activate in a child that kills itself before its nth durable step; whether it did."""
    child = os.fork()
    if child == 0:
        try:
            _kill_before(step)
            activate_version(settings, "two")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _kill_before(step: int) -> None:
    left = iter(range(step))

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return wrapped

    for owner, name in STEPS:
        setattr(owner, name, wrap(getattr(owner, name)))


def main(folder: Path) -> None:
    settings = Settings(application_data_dir=folder / "data", model_dir=folder / "model")
    bundles = DummyBundles(settings.model_dir)
    setattr(activation, "bundle_shelf", lambda _settings: bundles)  # noqa: B010
    enroll_people(settings, bundles)
    found: list[str] = []
    for step in count():
        begin_anew(settings, bundles)
        is_killed = killed_before(settings, step)
        found.append(serves(settings, bundles))
        if not is_killed:
            break
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
