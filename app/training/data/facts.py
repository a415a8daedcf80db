"""All that problems and warnings follow from, and how they name things."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.training import Role
from app.training.data.enough import Enough
from app.training.data.examine import Examined
from app.training.data.likeness import Likeness
from app.training.data.report import RoleReport
from app.training.data.rows import Rows

OWN_ROLES: Final = frozenset({Role.ANCHOR, Role.POSITIVE})
"""The folders of the owner."""

_NAMED: Final = 3
"""Files that a message names; the report lists more."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that problems and warnings follow from."""

    roles: Mapping[Role, RoleReport]
    photos: Sequence[Examined]
    rows: Rows
    alike: Likeness
    enough: Enough
    owner_needed: bool
    left_out: int = 0

    @property
    def people(self) -> int:
        """People among the negatives."""
        return len(np.unique(self.rows.people[self.rows.others]))

    @property
    def people_with_two(self) -> int:
        """Those with two photos that don't belong together, or more."""
        others = self.rows.others
        pairs = {
            (int(person), int(group))
            for person, group in zip(
                self.rows.people[others], self.rows.groups[others], strict=True
            )
        }
        return sum(count > 1 for count in Counter(person for person, _ in pairs).values())

    @property
    def owner_groups(self) -> int:
        """Distinct photos of the owner."""
        return len(np.unique(self.rows.groups[self.rows.owner]))

    @property
    def shared_by_own_roles(self) -> list[tuple[Examined, Examined]]:
        """Photos of `anchor` that are in `positive` too, as pairs in this order."""
        return [p for p in self.rows.copied if {e.photo.role for e in p} == OWN_ROLES]

    @property
    def outliers(self) -> list[str]:
        """Files of the owner that look like someone else's, the least alike first."""
        return [self.rows.photos[row].photo.name for row, _share in self.alike.outliers]

    @property
    def several_owners(self) -> bool:
        """Whether they are too many to be chance."""
        return len(self.outliers) > self.enough.outlier_share * len(self.rows.owner)


def counted(names: Iterable[str]) -> str:
    """How many there are, and the first few of them."""
    known = list(names)
    more = ", ..." if len(known) > _NAMED else ""
    return f"{len(known)} ({', '.join(known[:_NAMED])}{more})"
