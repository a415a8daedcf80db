"""What is so wrong with photos that a result would mean nothing."""

from collections.abc import Iterator

from app.domain.training import Role
from app.training.data.facts import Facts, counted
from app.training.data.report import Problem


def problems(facts: Facts) -> list[Problem]:
    """What voids the result."""
    found = [*_copies_of_the_owner(facts), *_owner_among_negatives(facts), *_too_few_people(facts)]
    if facts.owner_needed:
        found = [*_empty(facts), *_too_few_photos(facts), *_copied(facts), *found]
    return [*found, *_two_owners(facts)]


def _empty(facts: Facts) -> Iterator[Problem]:
    for role in (Role.ANCHOR, Role.POSITIVE):
        if not facts.roles[role].images:
            yield Problem(
                code=f"{role.value}_empty",
                message=f"The folder {role.value}/ is missing or holds no photos. Put photos of "
                "the owner there; links are not followed.",
            )


def _too_few_photos(facts: Facts) -> Iterator[Problem]:
    enough = facts.enough
    few = [
        f"{facts.roles[role].groups} in {role.value}/"
        for role in (Role.ANCHOR, Role.POSITIVE)
        if facts.roles[role].images and facts.roles[role].groups < enough.role_photos
    ]
    if facts.owner_groups >= enough.owner_photos and not few:
        return
    found = ", ".join(few) or f"{facts.owner_groups} in anchor/ and positive/ together"
    yield Problem(
        code="too_few_owner_photos",
        message=f"There are too few distinct usable photos of the owner: {found}. It takes at "
        f"least {enough.owner_photos} in both folders, and {enough.role_photos} in each; copies "
        "and frames of one burst count once. Add photos of other days, places and light.",
    )


def _copied(facts: Facts) -> Iterator[Problem]:
    """Positives that are anchors, by content or as copies."""
    distinct = {e.sha256 for e in facts.photos if e.usable and e.photo.role is Role.POSITIVE}
    shared = facts.shared_by_own_roles
    copied = {positive.sha256 for _anchor, positive in shared}
    if distinct and len(copied) > facts.enough.copied_share * len(distinct):
        yield Problem(
            code="positives_copied",
            message=f"{len(copied)} of {len(distinct)} photos in positive/ are copies of photos in "
            f"anchor/ ({shared[0][1].photo.name} is {shared[0][0].photo.name}). A photo proves "
            "nothing about itself: put other photos of the owner into positive/.",
        )


def _copies_of_the_owner(facts: Facts) -> Iterator[Problem]:
    leaked = facts.rows.leaked
    if leaked:
        yield Problem(
            code="owner_photos_in_negative",
            message="Photos in negative/ that are in anchor/ or positive/ too, as files or copies: "
            f"{counted(e.photo.name for e in leaked)}. Delete them where they don't belong.",
        )


def _owner_among_negatives(facts: Facts) -> Iterator[Problem]:
    certain = facts.alike.certain
    if certain:
        files = [facts.rows.photos[row].photo.name for row, _score in certain]
        yield Problem(
            code="owner_among_negatives",
            message="Photos in negative/ that the active model takes for the owner: "
            f"{counted(files)}. Delete those that show the owner. A twin must be left out too: as "
            "a stranger they would teach the model to reject the owner.",
        )


def _too_few_people(facts: Facts) -> Iterator[Problem]:
    enough, role = facts.enough, Role.NEGATIVE.value
    if not facts.roles[Role.NEGATIVE].images:
        yield Problem(
            code="negative_empty",
            message=f"The folder {role}/ is missing or holds no photos. Put photos of at least "
            f"{enough.people} other people there, for example of LFW: a folder for each person, or "
            "single files; links are not followed.",
        )
    elif facts.people < enough.people:
        yield Problem(
            code="too_few_people",
            message=f"{role}/ shows {facts.people} people on usable photos; it takes at "
            f"least {enough.people}, since they are divided among training, validation and test. "
            "A folder is one person, and so is a file that lies in none.",
        )
    elif not facts.owner_needed and facts.people_with_two < enough.people:
        yield Problem(
            code="too_few_photos_of_people",
            message=f"Only {facts.people_with_two} people in {role}/ have two different usable "
            f"photos; without an owner it takes at least {enough.people}. Put all photos of a "
            "person into a folder of their own.",
        )


def _two_owners(facts: Facts) -> Iterator[Problem]:
    own = len(facts.rows.owner)
    if facts.several_owners:
        yield Problem(
            code="several_owners",
            message=f"Of {own} photos in anchor/ and positive/, these don't look like most of the "
            f"others: {counted(facts.outliers)}. Both folders must show one person: delete the "
            "photos of others, or put each subject's into a folder of their name.",
        )
