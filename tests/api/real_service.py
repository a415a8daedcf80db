"""The service with the bundle that the repository ships, and all that it holds of people."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from app.runtime import open_serving_runtime
from app.settings import Settings
from tests.api.service import Service
from tests.hostile_pictures import portrait

MODEL_DIR = Path(__file__).parents[2] / "model"
# The audit log takes note of verdicts; rows that tell of a person must not change.
GALLERY_TABLES = ("subjects", "images", "embeddings", "pending_removals", "gallery_state")
State = tuple[dict[str, list[Any]], dict[str, str]]


@contextmanager
def service_with_anna(folder: Path) -> Iterator[Service]:
    settings = Settings(
        host="127.0.0.1",
        application_data_dir=folder,
        data_dir=folder / "data",
        model_dir=MODEL_DIR,
        inference_threads=1,
        log_format="json",
        sync_interval=0,
    )
    with Service(settings, open_serving_runtime) as service:
        assert service.enroll(portrait(), subject="Anna").status_code == 201
        yield service


def state_of(service: Service) -> State:
    """Every row of the gallery, and every file beside the database."""
    root = service.state["runtime"].settings.application_data_dir
    with closing(sqlite3.connect(root / "facetwin.sqlite")) as database:
        rows = {
            table: database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in GALLERY_TABLES
        }
    files = {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith("facetwin.sqlite")
    }
    return rows, files
