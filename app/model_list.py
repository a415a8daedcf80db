"""All bundles with what this installation does with them, for the API and the command line."""

from dataclasses import dataclass

from app.domain.models import BundleSummary
from app.domain.ports import Bundles
from app.runtime import Runtime, SelfTest
from app.storage.database import Database
from app.storage.model_rows import embedding_counts


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A bundle.

    Attributes:
        bundle: What it says about itself.
        active: Whether the file `active` names it.
        references: How many references are embedded under its fingerprint.
        self_test: Of the bundle that serves; None for all others.
    """

    bundle: BundleSummary
    active: bool
    references: int
    self_test: SelfTest | None

    @property
    def serving(self) -> bool:
        """Whether this process answers with it."""
        return self.self_test is not None


def list_models(
    bundles: Bundles, database: Database | None, serving: Runtime | None = None
) -> list[ListedModel]:
    """All bundles, in alphabetical order; damaged ones have a problem.

    Args:
        bundles: Those that there are.
        database: Migrated; None if there is none yet.
        serving: What this process answers with.

    Raises:
        StorageError: If the database can't be read.
    """
    counts = _counts(database) if database else {}
    pointer, summaries = bundles.pointer(), bundles.summaries()
    own = serving.pipeline if serving else None
    if own and own.version not in {each.version for each in summaries}:
        gone = "Its folder is gone: it serves from memory until the service is restarted."
        summaries.append(BundleSummary(own.version, own.fingerprint, problem=gone))
    return [
        ListedModel(
            bundle=each,
            active=each.version == pointer,
            references=counts.get(each.fingerprint or "", 0),
            self_test=serving.self_test
            if serving and each.version == serving.pipeline.version
            else None,
        )
        for each in sorted(summaries, key=lambda each: each.version)
    ]


def _counts(database: Database) -> dict[str, int]:
    with database.read_apart() as connection:
        return embedding_counts(connection)
