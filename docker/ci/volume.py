"""Make a volume look like one of another image, or look at it: `volume.py older|newer|is-current`.

Runs in a container of the image, on the folders that the environment names.
"""

import json
import sys
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine, text

from app.inference.bundle import active_version, read_manifest, set_active
from app.inference.manifest import checksum_of, fingerprint_of
from app.settings import Settings
from app.storage.migration import configuration

OLD = "default-0"
"""A bundle that no image ships any more."""


def make_older(settings: Settings) -> None:
    """Tables of the first version with embeddings of another bundle, which is active."""
    version = active_version(settings.model_dir)
    folder = (settings.model_dir / version).rename(settings.model_dir / OLD)
    document = json.loads((folder / "manifest.json").read_text("utf-8"))
    document["version"] = OLD
    document["embedding"]["scale"] *= 1.5
    document["fingerprint"] = fingerprint_of(document)
    document["checksum"] = checksum_of(document)
    (folder / "manifest.json").write_text(json.dumps(document), "utf-8")
    set_active(settings.model_dir, OLD)
    (settings.model_dir / ".shipped").write_text(f"{OLD}\n", "utf-8")
    with create_engine(settings.database_url).begin() as connection:
        connection.execute(
            text("UPDATE embeddings SET fingerprint = :old, vector = zeroblob(length(vector))"),
            {"old": read_manifest(folder).fingerprint},
        )
        command.downgrade(configuration(connection), "0001")


def make_newer(settings: Settings) -> None:
    """As if a migration had run that this image doesn't know."""
    with create_engine(settings.database_url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


def check_current(settings: Settings) -> None:
    """The shipped bundle is active, and every image has its embedding."""
    assert settings.shipped_model_dir
    version = active_version(settings.model_dir)
    assert version == active_version(settings.shipped_model_dir), version
    fingerprint = read_manifest(settings.model_dir / version).fingerprint
    with create_engine(settings.database_url).connect() as connection:
        images = connection.scalar(text("SELECT count(*) FROM images"))
        query = text("SELECT count(*) FROM embeddings WHERE fingerprint = :fingerprint")
        embedded = connection.scalar(query, {"fingerprint": fingerprint})
    assert images == embedded == 1, (images, embedded)
    sys.stdout.write(f"{version} is active, and all references are embedded by it\n")


if __name__ == "__main__":
    actions = {"older": make_older, "newer": make_newer, "is-current": check_current}
    assert Path(Settings().model_dir).is_dir()
    actions[sys.argv[1]](Settings())
