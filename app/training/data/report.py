"""The report on training photos, as the command line, the API and a job's report show it."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from app.domain.training import Role

LISTED: Final = 100
"""Entries of a list that are written out; counts are of all."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True)


class Problem(_Section):
    """Something that is wrong; `message` says what to do."""

    code: str
    message: str


class RoleReport(_Section):
    """One of the three folders."""

    images: int = Field(description="Files that look like photos.")
    faces_found: int = Field(description="Those that show a face.")
    usable: int = Field(description="Those whose face is good enough.")
    rejected: dict[str, int] = Field(description="The others, counted by reason.")
    duplicates: int = Field(description="Files whose content is there already.")
    near_duplicates: int = Field(
        description="Usable photos that are copies of another, or frames of one burst with it."
    )
    groups: int = Field(description="Usable photos, where those that belong together count once.")


class RejectedFile(_Section):
    """A file that can't be used, and why."""

    file: str
    reasons: list[str]


class SharedPhoto(_Section):
    """One photo in two roles, the same content or a copy."""

    files: tuple[str, str]


class LookAlike(_Section):
    """A negative that looks like the owner."""

    file: str
    person: str
    score: float = Field(description="Decision score of the active bundle against the owner.")
    certain: bool = Field(description="Whether the bundle can't tell it from the owner.")


class Outlier(_Section):
    """A photo of the owner that looks like someone else's."""

    file: str
    matched: float = Field(description="Share of the owner's other photos that it matches.")


class DataReport(_Section):
    """What was found. `problems` void the result: who meets one must not train."""

    model: str = Field(description="The bundle that looked at the photos.")
    roles: dict[Role, RoleReport]
    people: int = Field(description="People among the negatives.")
    people_with_two: int = Field(description="Those of them with two photos that are no copies.")
    owner_groups: int = Field(description="Distinct photos of the owner, in both folders.")
    rejected_files: list[RejectedFile]
    in_two_roles: list[SharedPhoto]
    owner_lookalikes: list[LookAlike]
    outliers: list[Outlier]
    joined_people: list[list[str]] = Field(
        description="Names among the negatives that share a photo, and are taken for one person."
    )
    problems: list[Problem]
    warnings: list[Problem]

    @property
    def usable(self) -> bool:
        """Whether training makes sense."""
        return not self.problems
