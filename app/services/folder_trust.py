"""Whether what a look at the folder shows may be believed: a disk may be missing.

A loss that is not believed is held: the paths of its photos stand in the database, and no process
removes a reference while one of them is missing. So photos may come back one by one, others may be
enrolled and the service may restart meanwhile.
"""

from dataclasses import dataclass

from app.domain.errors import StorageError
from app.services.gallery_health import Problem, files_missing, folder_foreign
from app.services.losses import Loss
from app.services.sync_plan import Known, still_held, there
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
        held: Photos to hold from now on.
    """

    problem: Problem | None
    may_add: bool
    may_remove: bool
    owner: Owner
    held: frozenset[str] = frozenset()


class FolderTrust:
    """Judges looks by the folder's marker and by how many photos are gone."""

    def __init__(self, home: GalleryHome) -> None:
        self._home = home

    def judge(self, scan: FolderScan, known: Known, loss: Loss, *, accept: bool) -> Verdict:
        """What may be done; an unmarked folder that holds the photos is marked.

        Args:
            scan: What was seen.
            known: What should be there.
            loss: What is missing.
            accept: Whether the operator confirmed that what is missing is gone for good.

        Raises:
            StorageError: If the database can't be read.
        """
        total, owner = len(known.images), self._home.owner()
        held = frozenset() if accept else still_held(scan, known)
        if owner is not Owner.OURS:
            found = total if accept else there(scan, known)
            if 2 * found < total:
                problem = folder_foreign(total - found, total)
                return Verdict(problem, False, False, owner, held | loss.missing)
            owner = self._claimed(owner)
        if held or (loss.is_mass and not accept):
            # What vanishes while a disk is not to be trusted belongs to the same loss.
            held |= loss.missing
            problem = files_missing(len(held), total)
            return Verdict(problem, may_add=True, may_remove=False, owner=owner, held=held)
        return Verdict(None, may_add=True, may_remove=True, owner=owner)

    def _claimed(self, owner: Owner) -> Owner:
        try:
            self._home.claim()
        except StorageError:
            # Verification can go on; whoever wants to change the folder is told.
            return owner
        return Owner.OURS
