"""Whether what a look at the folder shows may be believed: a disk may be missing."""

from dataclasses import dataclass

from app.domain.errors import StorageError
from app.services.gallery_health import Problem, files_missing, folder_foreign
from app.services.sync_plan import Known, there
from app.storage.home import GalleryHome, Owner
from app.storage.scan import FolderScan


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be done after a look.

    Attributes:
        problem: Why not all of it; None if there is no reason.
        may_add: Whether photos may be taken up.
        may_remove: Whether references whose photos are gone may be removed.
        owner: Whose folder it was when it was judged.
    """

    problem: Problem | None
    may_add: bool
    may_remove: bool
    owner: Owner


class FolderTrust:
    """Judges looks by the folder's marker and by how many photos are gone."""

    def __init__(self, home: GalleryHome) -> None:
        self._home = home

    def judge(
        self, scan: FolderScan, known: Known, missing: frozenset[str], *, accept: bool
    ) -> Verdict:
        """What may be done; an unmarked folder that holds the photos is marked.

        Args:
            scan: What was seen.
            known: What should be there.
            missing: Paths of references whose photos are gone.
            accept: Whether the operator confirmed that most photos are gone for good.

        Raises:
            StorageError: If the database can't be read.
        """
        total, owner = len(known.images), self._home.owner()
        if owner is not Owner.OURS:
            found = total if accept else there(scan, known)
            if 2 * found < total:
                problem = folder_foreign(total - found, total)
                return Verdict(problem, may_add=False, may_remove=False, owner=owner)
            owner = self._claimed(owner)
        if 2 * len(missing) > total and not accept:
            problem = files_missing(len(missing), total)
            return Verdict(problem, may_add=True, may_remove=False, owner=owner)
        return Verdict(None, may_add=True, may_remove=True, owner=owner)

    def _claimed(self, owner: Owner) -> Owner:
        try:
            self._home.claim()
        except StorageError:
            # Verification can go on; whoever wants to change the folder is told.
            return owner
        return Owner.OURS
