"""A server process for tests: `python -m tests.api.runner`, settings from the environment.

A photo of `slow` is in work until the file named by TEST_GATE exists; one of `crash` raises an
error that quotes it. Training jobs do what `tests.worker.runner` says.
"""

import os
from pathlib import Path
from time import sleep

from app.domain.entities import FacePolicy, FaceTemplate
from app.server import serve
from app.settings import Settings
from tests.api.service import open_dummy_runtime
from tests.dummy_pipeline import DummyPipeline
from tests.worker.runner import COMMAND


class SlowPipeline(DummyPipeline):
    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        gate = Path(os.environ["TEST_GATE"])
        while b"face:slow" in data and not gate.exists():
            sleep(0.01)
        if b"face:crash" in data:
            cause = OSError(5, "Input/output error", f"/faces/{data.decode()}")
            raise RuntimeError(data) from cause
        return super().analyze(data, policy)


if __name__ == "__main__":
    serve(open_dummy_runtime(Settings(), SlowPipeline()), worker=COMMAND)
