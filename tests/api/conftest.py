import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.runtime import Runtime
from app.settings import Settings
from tests.api.gated import GatedPipeline
from tests.api.service import Service, open_dummy_runtime


@pytest.fixture(scope="session", autouse=True)
def _no_photos_of_the_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Made-up requests delete photos for training: never those of whoever runs the tests.

    Services of a whole module are started before `_no_settings_of_the_machine`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACETWIN_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("FACETWIN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FACETWIN_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        application_data_dir=tmp_path,
        inference_threads=2,
        queue_size=16,
        max_image_bytes=200_000,
        max_request_bytes=400_000,
        max_files_per_request=5,
        log_format="json",
    )


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    with Service(settings) as service:
        yield service


@pytest.fixture
def pipeline() -> Iterator[GatedPipeline]:
    pipeline = GatedPipeline()
    yield pipeline
    pipeline.gate.set()


@pytest.fixture
def gated(pipeline: GatedPipeline) -> Callable[[Settings], Runtime]:
    return lambda settings: open_dummy_runtime(settings, pipeline)
