"""What was found in the photos, and how they were divided."""

from collections.abc import Iterable, Sequence

from app.training.data.report import LISTED, DataReport, Problem
from app.training.report.document import SplitSection
from app.training.report.markup import Html, element, items, joined, section, table


def data_section(report: DataReport) -> Html:
    """Counts by folder, then all that is wrong or odd."""
    return section(
        "Data",
        _problems("Problems that void the result", report.problems),
        _problems("Warnings", report.warnings),
        _roles(report),
        element(
            "p",
            f"{report.owner_groups} distinct photos of the owner; {report.people} other people, "
            f"{report.people_with_two} of them with two photos that are no copies. "
            f"Looked at by {report.model}.",
        ),
        _rejected(report),
        _listed(
            "In two roles",
            ("Photo", "The same photo"),
            (shared.files for shared in report.in_two_roles),
        ),
        _listed(
            "Negatives that look like the owner",
            ("Photo", "Person", "Score", "Finding"),
            (
                (a.file, a.person, f"{a.score:.4f}", "the owner" if a.certain else "suspect")
                for a in report.owner_lookalikes
            ),
        ),
        _listed(
            "Photos of the owner that look like someone else",
            ("Photo", "Matches of the owner's other photos"),
            ((each.file, f"{each.matched:.0%}") for each in report.outliers),
        ),
        _listed(
            "Names among the negatives that were taken for one person",
            ("First name", "Names that share photos with it"),
            ((names[0], ", ".join(names[1:])) for names in report.joined_people),
        ),
    )


def _problems(title: str, problems: Iterable[Problem]) -> Html:
    told = items(
        joined((element("strong", problem.code), ": ", problem.message)) for problem in problems
    )
    return joined((element("h3", title), told)) if told else told


def _roles(report: DataReport) -> Html:
    return table(
        "Photos by folder",
        (
            "Folder",
            "Images",
            "Faces found",
            "Usable",
            "Duplicates",
            "Near-duplicates",
            "Groups",
            "Rejected",
        ),
        [
            (
                role.value,
                own.images,
                own.faces_found,
                own.usable,
                own.duplicates,
                own.near_duplicates,
                own.groups,
                ", ".join(f"{code}: {number}" for code, number in own.rejected.items()) or "none",
            )
            for role, own in report.roles.items()
        ],
    )


def _rejected(report: DataReport) -> Html:
    return _listed(
        "Rejected files",
        ("File", "Reasons"),
        ((each.file, ", ".join(each.reasons)) for each in report.rejected_files),
    )


def _listed(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    found = list(rows)
    if not found:
        return Html("")
    more = f"{title}: {LISTED} at most" if len(found) == LISTED else f"{title}: {len(found)}"
    made = table(more, head, found)
    return element("details", element("summary", more), made)


def split_section(split: SplitSection) -> Html:
    """Counts of the three sides."""
    return section(
        "Split",
        table(
            f"Made once, with the seed {split.seed}: copies and frames of one burst stay together, "
            "and so do all photos of another person",
            ("Side", "Owner's photos", "Owner's groups", "Other people", "Their photos"),
            [
                (side.value, own.owner_photos, own.owner_groups, own.other_people, own.other_photos)
                for side, own in split.sides.items()
            ],
        ),
    )
