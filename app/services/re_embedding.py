"""Embeds every reference under the fingerprint of a bundle that is to serve next.

The gallery under the coming bundle is an ordinary one, so it works like another process beside the
one that serves: what is found is recorded in batches, an interruption loses nothing, and what was
embedded under this bundle before, as on the way back to it, is not embedded again.
"""

import time
from collections.abc import Callable
from typing import Final

from app.domain.errors import BundleError, StorageError
from app.services.gallery import Gallery, Progress
from app.services.photo_intake import never
from app.storage.database import Database
from app.storage.model_rows import embedding_counts, left_behind

ATTEMPTS: Final = 10
PAUSE_SECONDS: Final = 0.5
"""Between two looks at photos that were being written or rewritten; together longer than such a
photo needs to settle."""


class ReEmbedding:
    """One gallery on its way to another bundle.

    Args:
        database: Of both galleries.
        gallery: Under the coming bundle.
        fingerprint: Of the coming bundle.
        before: Of the bundle whose references must not be lost; None for any other.
    """

    def __init__(
        self, database: Database, gallery: Gallery, fingerprint: str, before: str | None
    ) -> None:
        self._database = database
        self._gallery = gallery
        self._fingerprint = fingerprint
        self._before = before

    def embed(
        self, progress: Progress, *, workers: int = 1, stopping: Callable[[], bool] = never
    ) -> None:
        """Embed what is there now, which may take long.

        Raises:
            StorageError: If database or folder can't be used.
        """
        self._gallery.sync(progress, workers=workers, stopping=stopping)

    def finish(self, *, stopping: Callable[[], bool] = never) -> None:
        """Embed what has come since, and make sure that nothing is missing.

        Raises:
            StorageError: If photos of references can't be looked at, and if it was stopped.
            BundleError: If the coming bundle can use no reference at all.
        """
        # Embeddings that were damaged since they were made are noticed when they are read.
        self._gallery.reference_count()
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            self._gallery.sync(workers=1, stopping=stopping)
            if stopping():
                raise StorageError("It was stopped before all references were embedded.")
            if not self._missing():
                break
        else:
            raise StorageError(self._why(self._missing()))
        self._require_some()
        # Read into memory now, not by the first request.
        self._gallery.reference_count()

    def _missing(self) -> int:
        with self._database.read_apart() as connection:
            return left_behind(connection, self._fingerprint, self._before)

    def _why(self, missing: int) -> str:
        problems = " ".join(problem.message for problem in self._gallery.health().degraded)
        return (
            f"{missing} references can't be embedded by the model, because their photos can't be "
            f"read or looked at now: nobody could be compared with them. {problems or _SEE}"
        )

    def _require_some(self) -> None:
        with self._database.read_apart() as connection:
            counts = embedding_counts(connection)
        own = counts.pop(self._fingerprint, 0)
        before = counts.get(self._before, 0) if self._before else max(counts.values(), default=0)
        if before and not own:
            raise BundleError(
                f"The model can use none of the {before} references: it finds no usable face on "
                "any of their photos."
            )


_SEE: Final = "`facetwin sync` lists the files that can't be used."
