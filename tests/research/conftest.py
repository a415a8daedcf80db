import os
from pathlib import Path

import pytest

VARIABLE = "FACETWIN_RESEARCH_DATA"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the research data (see CONTRIBUTING.md)."""
    folder = Path(os.environ.get(VARIABLE, ""))
    if not (folder / "lfw" / "images").is_dir():
        pytest.fail(f"set {VARIABLE} to the folder of the research data")
    return folder
