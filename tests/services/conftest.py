from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.world import Session, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def session(world: World) -> Session:
    return world.open()
