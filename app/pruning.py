"""Deleting what is not needed any more: bundles, and embeddings that no bundle can use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from app.domain.audit import COMMAND, Action, AuditEvent
from app.domain.errors import BundleError, ModelNotFoundError
from app.domain.models import BundleSummary
from app.domain.training import Preset
from app.first_start import shipped_versions
from app.inference.bundle import read_pointer
from app.inference.disposal import clear_remains, dispose
from app.installed_bundles import bundle_shelf
from app.runtime import audit_log
from app.services.audit import AuditLog
from app.settings import Settings
from app.storage.database import Database
from app.storage.model_rows import embedding_counts, remove_other_fingerprints

_TRAINED: Final = frozenset(preset.value for preset in Preset)
"""Makers of the bundles that a training job can make again."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted.

    Attributes:
        models: Versions.
        kept: Versions that should have been deleted and are in use, with the reason.
        embeddings: How many, of all fingerprints together.
    """

    models: tuple[str, ...]
    kept: dict[str, str]
    embeddings: int


def prunable(settings: Settings, named: Sequence[str], keep: Sequence[str]) -> list[str]:
    """The bundles that `prune` would delete: those that are named, or all that jobs trained.

    Nobody can train the default bundle again, so it is not deleted unless it is named, and never
    if it came with the installation or no other one that no job made would remain.

    Args:
        settings: Where the bundles lie.
        named: Versions to delete; none for all that training jobs made. One whose manifest can't
            be read may be the default bundle, so it has to be named.
        keep: Versions to keep.

    Raises:
        ModelNotFoundError: If a named one does not exist.
        BundleError: If a named one must stay.
        StorageError: If what came with the installation can't be told.
    """
    bundles = {each.version: each for each in bundle_shelf(settings).summaries()}
    for version in (*named, *keep):
        if version not in bundles:
            raise ModelNotFoundError(f"There is no model {version!r}.", version=version)
    active, shipped = read_pointer(settings.model_dir), shipped_versions(settings)
    if not named:
        stay = {active, *shipped, *keep}
        return [v for v, each in bundles.items() if each.preset in _TRAINED and v not in stay]
    wanted = [v for v in bundles if v in named and v not in keep]
    if active in wanted:
        raise BundleError(f"The model {active} is active. Activate another one first.")
    for version in wanted:
        if version in shipped:
            raise BundleError(f"The model {version} came with this installation, so it stays.")
    _refuse_last(list(bundles.values()), wanted)
    return wanted


def _refuse_last(bundles: Sequence[BundleSummary], wanted: Sequence[str]) -> None:
    """Have a sound bundle remain that no job made: it is the way back, and knows everybody."""
    untrained = [each for each in bundles if each.preset and each.preset not in _TRAINED]
    going = [each.version for each in untrained if each.version in wanted]
    if going and not any(u.problem is None and u.version not in wanted for u in untrained):
        raise BundleError(
            f"Without the model {going[-1]} none would be left that no training job made, so it "
            "stays."
        )


def prune(settings: Settings, versions: Sequence[str]) -> Pruned:
    """Delete bundles, then the embeddings of every fingerprint that no remaining bundle has.

    A bundle that a process uses, such as the one that a service answers with, is kept.

    Raises:
        BundleError: If the active bundle is not there or damaged: what is its own can't be told
            from what is not.
        StorageError: If something can't be deleted.
    """
    deleted, kept = [], dict[str, str]()
    _needed(settings)
    clear_remains(settings.model_dir)
    for version in versions:
        try:
            dispose(settings.model_dir, version)
        except BundleError as error:
            kept[version] = error.message
        else:
            deleted.append(version)
    with _opened(settings) as (database, audit):
        with database.write_apart() as connection:
            count = remove_other_fingerprints(connection, _needed(settings))
            details = {"models": sorted(deleted), "embeddings": count}
            audit.append(connection, AuditEvent(Action.PRUNE_MODELS, COMMAND, details=details))
        database.erase_traces()
    return Pruned(tuple(deleted), kept, count)


def unneeded_embeddings(settings: Settings, versions: Sequence[str]) -> int:
    """How many embeddings `prune` would delete with these bundles."""
    with _opened(settings) as (database, _), database.read_apart() as connection:
        counts = embedding_counts(connection)
    needed = _needed(settings, versions)
    return sum(count for fingerprint, count in counts.items() if fingerprint not in needed)


def _needed(settings: Settings, without: Sequence[str] = ()) -> set[str]:
    """Fingerprints of all bundles but those of `without`."""
    active = read_pointer(settings.model_dir)
    bundles = {each.version: each.fingerprint for each in bundle_shelf(settings).summaries()}
    if not active or bundles.get(active) is None:
        raise BundleError(
            "No usable model is active, so what it needs is not known. Activate one first."
        )
    return {name for version, name in bundles.items() if name and version not in without}


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Database, AuditLog]]:
    database = Database(settings.database_url)
    try:
        database.migrate()
        yield database, audit_log(settings, database)
    finally:
        database.close()


@contextmanager
def database_if_there(settings: Settings) -> Iterator[Database | None]:
    """The database, migrated; None if this installation has none yet."""
    if not Path(make_url(settings.database_url).database or "").is_file():
        yield None
        return
    with _opened(settings) as (database, _):
        yield database
