import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.world import TrainingWorld


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("FACETWIN_"):
            monkeypatch.delenv(name)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[TrainingWorld]:
    world = TrainingWorld(tmp_path)
    yield world
    world.close()
