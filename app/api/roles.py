"""Which role a call needs. What is not listed here is the administrator's."""

import re
from typing import Final

from app.domain.access import Role

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Orchestrators ask these without a key."""

_LEAST_ROLES: Final = (
    (Role.VERIFY, "POST", re.compile(r"/(verify|compare|detect)")),
    (Role.ENROLL, "POST", re.compile(r"/enroll")),
    (Role.ENROLL, "GET", re.compile(r"/subjects(/[^/]+)?")),
)


def needed_role(method: str, path: str) -> Role:
    """The least role that may call this; also for paths that do not exist."""
    for role, its_method, its_path in _LEAST_ROLES:
        if method == its_method and its_path.fullmatch(path):
            return role
    return Role.ADMIN
