"""Who calls, and what the role allows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a key is good for. Each role may also do what the roles before it may."""

    VERIFY = "verify"
    """Verify, compare and detect; nothing of the gallery can be listed, read or changed."""
    ENROLL = "enroll"
    """Also enroll photos and list who is enrolled."""
    ADMIN = "admin"
    """Everything: read, delete and export people, scores of single references, metrics."""

    def allows(self, needed: "Role") -> bool:
        """Whether this role may do what `needed` is the least role for."""
        return _RANK[self] >= _RANK[needed]


_RANK: Final = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        name: Identifies the caller in the audit log and for rate limits: `key:<id>`, `local` (no
            keys, this machine), `anonymous` (no keys, any machine) or `cli`.
        sees_scores: Whether answers may show the scores of single references.
    """

    name: str
    role: Role
    sees_scores: bool = False


LOCAL: Final = Caller("local", Role.ADMIN, sees_scores=True)
"""A caller on this machine, where no keys are configured."""

ANONYMOUS: Final = Caller("anonymous", Role.ADMIN)
"""Anyone, where the operator allowed it: everything but scores, which help to climb."""

COMMAND_LINE: Final = Caller("cli", Role.ADMIN, sees_scores=True)
"""Someone at the command line, who can read the files anyway."""
