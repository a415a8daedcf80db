"""A pipeline that a test can hold up."""

from collections.abc import Callable
from threading import Event
from time import monotonic, sleep

from app.domain.entities import FacePolicy, FaceTemplate
from tests.api.process import PATIENCE
from tests.dummy_pipeline import DummyPipeline


class GatedPipeline(DummyPipeline):
    """Waits at an open or closed gate before it analyzes."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()
        self.gate.set()

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        assert self.gate.wait(PATIENCE)
        return super().analyze(data, policy)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        sleep(0.002)
