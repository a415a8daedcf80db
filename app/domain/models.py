"""Versions of the model: what is known of each without loading it, and how one comes to serve."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """A bundle as its manifest tells of it.

    Attributes:
        created: ISO 8601 UTC.
        bytes: Of all its files on the disk.
        problem: Why it can't be used, as far as that shows without reading the networks; then the
            other members may be None.
    """

    version: str
    fingerprint: str | None = None
    created: str | None = None
    preset: str | None = None
    licence: str | None = None
    bytes: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class BundleDescription:
    """All that a bundle says about itself: the manifest as JSON, and the model card."""

    manifest: Mapping[str, Any]
    card: str


class ActivationState(StrEnum):
    """How far an activation is."""

    LOADING = "loading"
    """The bundle is checked, loaded and tested."""
    EMBEDDING = "embedding"
    """The references are embedded; the model before still serves."""
    DONE = "done"
    """It serves."""
    FAILED = "failed"
    """The model before goes on serving."""

    @property
    def ended(self) -> bool:
        """Whether nothing works on it any more."""
        return self in {ActivationState.DONE, ActivationState.FAILED}


@dataclass(frozen=True, slots=True)
class ActivationStatus:
    """An activation at one moment.

    Attributes:
        done: References looked at.
        total: References to look at; 0 while that is not known, or if all are embedded.
        code: Of the problem, if it failed.
        message: Why it failed.
        warnings: What the change costs, once it is done.
    """

    version: str
    state: ActivationState
    done: int = 0
    total: int = 0
    code: str | None = None
    message: str | None = None
    warnings: tuple[str, ...] = ()
