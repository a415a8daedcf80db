"""Holds a look at the folder against the rows of one moment; touches neither."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.domain.entities import ReasonCode
from app.domain.subjects import subject_key
from app.services.finding_recorder import Tally
from app.services.photo_examiner import Task, twins_of
from app.services.photos import duplicate_of, invalid
from app.storage.files import ReferenceFiles
from app.storage.path_text import printable
from app.storage.records import FolderImage, SkippedRecord, SubjectRecord
from app.storage.repositories import GalleryReader
from app.storage.scan import FolderFile, FolderScan

_UNDELETED: Final = invalid(
    "Its reference was deleted, but the file can't be removed. Delete it, or make it deletable."
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows of the folder.

    Attributes:
        revision: Of the gallery at this moment.
        images: References by path.
        skipped: Unusable photos by path, under the fingerprint in use.
        skipped_paths: Unusable photos under any fingerprint.
        subjects: Everyone, with references or without.
        doomed: Files whose rows are deleted already.
        held: Photos that are missing since a loss that nobody has confirmed.
    """

    revision: int
    images: Mapping[str, FolderImage]
    skipped: Mapping[str, SkippedRecord]
    skipped_paths: frozenset[str]
    subjects: tuple[SubjectRecord, ...]
    doomed: frozenset[str]
    held: frozenset[str]


def read_known(rows: GalleryReader, fingerprint: str) -> Known:
    """Read what a look at the folder is held against, in one transaction."""
    return Known(
        revision=rows.revision(),
        images=rows.folder_images(fingerprint),
        skipped=rows.skipped(fingerprint),
        skipped_paths=frozenset(rows.skipped_paths()),
        subjects=tuple(rows.subjects()),
        doomed=frozenset(rows.pending_removals()),
        held=rows.held_photos(),
    )


def gone(scan: FolderScan, known: Known, files: ReferenceFiles) -> frozenset[str]:
    """Paths of references whose photo is not there."""
    present = {file.path for file in scan.files}
    # The listing is older than the rows: an upload may have come since.
    return frozenset(
        path
        for path in known.images
        if path not in present and not scan.hides(path) and not files.exists(path)
    )


def still_held(scan: FolderScan, known: Known) -> frozenset[str]:
    """Held photos that have not come back, as far as the folder can be seen."""
    present = {file.path for file in scan.files}
    return frozenset(path for path in known.held & known.images.keys() if path not in present)


def there(scan: FolderScan, known: Known) -> int:
    """How many references' photos lie in the folder, as far as their size tells."""
    sizes = {file.path: file.stamp.size for file in scan.files}
    return sum(
        scan.hides(path) or sizes.get(path) == entry.image.stamp.size
        for path, entry in known.images.items()
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What follows from comparing.

    Attributes:
        tasks: Photos to look at.
        changed: Those of the files that are new or changed and so may still be written to.
    """

    tasks: tuple[Task, ...]
    changed: tuple[FolderFile, ...]


class Comparer:
    """Sorts the files of a look into what is settled, what is known, and what is to be done.

    Args:
        scan: What lies in the folder.
        known: The rows.
        forgotten: Findings that the database does not keep, by path.
        removed: Paths of references that are to be removed.
    """

    def __init__(
        self,
        scan: FolderScan,
        known: Known,
        forgotten: Mapping[str, SkippedRecord],
        removed: frozenset[str],
    ) -> None:
        self._scan = scan
        self._known = known
        self._forgotten = forgotten
        kept = {path: entry for path, entry in known.images.items() if path not in removed}
        self._twins = twins_of(kept)
        # Two references may have swapped their names: what a changed one contains is not known.
        stamps = {file.path: file.stamp for file in scan.files}
        self._sure_twins = twins_of(
            {p: e for p, e in kept.items() if stamps.get(p, e.image.stamp) == e.image.stamp}
        )

    def compare(self, tally: Tally) -> Comparison:
        """Count in `tally` what nothing has to be done for, and list the rest."""
        for path, why in self._scan.refused:
            tally.skip(path, invalid(why))
        for path in self._known.doomed:
            tally.skip(printable(path), _UNDELETED)
        tasks, changed = [], []
        for file in self._scan.files:
            if file.path in self._known.doomed or self._is_settled(file, tally):
                continue
            image, skipped = self._known.images.get(file.path), self._known.skipped.get(file.path)
            tasks.append(Task(file, image, skipped, self._sure_twins if image else self._twins))
            if image is None or image.image.stamp != file.stamp:
                changed.append(file)
        return Comparison(tuple(tasks), tuple(changed))

    def _is_settled(self, file: FolderFile, tally: Tally) -> bool:
        """Count a photo of unchanged size and time, if nothing more has to be done for it."""
        image = self._known.images.get(file.path)
        if image and image.embedded and image.image.stamp == file.stamp:
            tally.unchanged += 1
            return True
        skipped = self._known.skipped.get(file.path)
        if skipped and skipped.stamp == file.stamp:
            tally.skip(file.path, *skipped.reasons)
            return True
        return self._is_still_unusable(file, tally)

    def _is_still_unusable(self, file: FolderFile, tally: Tally) -> bool:
        """Whether a finding of this process holds on; a duplicate's does if its twin stays."""
        found = self._forgotten.get(file.path)
        if found is None or found.stamp != file.stamp:
            return False
        reasons = found.reasons
        if any(reason.code is ReasonCode.DUPLICATE_IMAGE for reason in reasons):
            twin = self._twins.get((subject_key(file.subject), found.sha256), file.path)
            if twin == file.path:
                return False
            reasons = (duplicate_of(twin),)
        tally.forgotten[file.path] = found
        tally.skip(file.path, *reasons)
        return True
