import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from app.domain.errors import StorageError
from app.storage.database import Database
from app.storage.migration import configuration, upgrade
from app.storage.tables import Base


def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    with database._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_keeps_what_is_there(database: Database) -> None:
    with database.write() as rows:
        rows.add_subject("Alice", "alice", "now")
    database.migrate()
    with database.read() as rows:
        assert [subject.name for subject in rows.subjects()] == ["Alice"]


def test_the_first_migration_can_be_taken_back(database: Database) -> None:
    with database._engine.begin() as connection:
        command.downgrade(configuration(connection), "base")
    with pytest.raises(StorageError, match="no tables"):
        database.revision()
    with database._engine.begin() as connection:
        upgrade(connection)
    assert database.revision() == 0


def test_a_database_of_a_newer_version_is_refused(path: Path, database: Database) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="another version"):
        database.migrate()


def test_migrating_leaves_the_logging_alone(database: Database) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("app").disabled)
    database.migrate()
    assert (root.level, list(root.handlers), logging.getLogger("app").disabled) == before


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_what_can_not_be_asked_for_its_version_is_left_to_the_migration(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "gallery.sqlite"
    if content is not None:
        path.write_bytes(content)
    Database(f"sqlite:///{path}").refuse_unknown()
    assert sorted(tmp_path.iterdir()) == ([] if content is None else [path])


def test_a_place_that_can_not_be_looked_at_is_left_to_the_migration(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path / ('x' * 300)}").refuse_unknown()
