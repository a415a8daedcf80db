from pathlib import Path

import hypothesis
import pytest

from app.inference.bundle import Bundle, load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline

MODEL_DIR = Path(__file__).parents[1] / "model"

# A busy machine may take long over any example.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The bundle that the repository ships."""
    return load_active(MODEL_DIR)


@pytest.fixture(scope="session")
def pipeline(bundle: Bundle) -> Pipeline:
    return Pipeline(bundle, engines=2, limits=DecodeLimits())
