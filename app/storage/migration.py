"""Runs the Alembic migrations that come with the package; no alembic.ini is needed."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from app.domain.errors import StorageError

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def configuration(connection: Connection) -> Config:
    """Alembic's configuration, with the connection to use."""
    config = Config()
    # Alembic reads % as the start of a placeholder.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def refuse_unknown(connection: Connection) -> None:
    """Look whether this version knows the tables; nothing is changed.

    Raises:
        StorageError: If a newer version of the package made them.
    """
    scripts = ScriptDirectory.from_config(configuration(connection))
    try:
        for revision in MigrationContext.configure(connection).get_current_heads():
            scripts.get_revision(revision)
    except CommandError as error:
        raise StorageError(_OF_ANOTHER) from error


_OF_ANOTHER: Final = (
    "The database was made by another version of Facetwin. Use that version or a newer one, or "
    "restore a backup."
)


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest version, inside the caller's transaction.

    Raises:
        StorageError: If a newer version of the package made them.
    """
    try:
        command.upgrade(configuration(connection), "head")
    except CommandError as error:
        raise StorageError(_OF_ANOTHER) from error
