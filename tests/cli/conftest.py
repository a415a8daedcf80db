import os
from pathlib import Path

import pytest

from tests.conftest import MODEL_DIR


@pytest.fixture(autouse=True)
def application_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery of its own for each test, and the bundle that the repository ships."""
    for name in [name for name in os.environ if name.startswith("FACETWIN_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "application_data"
    monkeypatch.setenv("FACETWIN_APPLICATION_DATA_DIR", str(folder))
    # Who erases a person here must not meet training photos of whoever runs the tests.
    monkeypatch.setenv("FACETWIN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(MODEL_DIR))
    return folder
