"""The hardest errors as pairs of faces."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from app.training.acceptance.hardest import ErrorKind, HardError, Side
from app.training.acceptance.words import count, price
from app.training.report.document import ShownError
from app.training.report.faces import SIDE, Picture
from app.training.report.markup import Html, element, joined, section

_HEADINGS: Final = {
    (Side.CANDIDATE, ErrorKind.FALSE_NON_MATCH): "New bundle: turned away",
    (Side.CANDIDATE, ErrorKind.FALSE_MATCH): "New bundle: let in",
    (Side.ACTIVE, ErrorKind.FALSE_NON_MATCH): "Active bundle: turned away",
    (Side.ACTIVE, ErrorKind.FALSE_MATCH): "Active bundle: let in",
}
_SAME: Final = {
    ErrorKind.FALSE_NON_MATCH: "One person, not matched",
    ErrorKind.FALSE_MATCH: "Two people, matched",
}
_GONE: Final = "This photo is gone, or was changed."


def errors_section(errors: Sequence[ShownError], faces: Mapping[int, Picture]) -> Html:
    """Pairs of a probe and its closest reference, by bundle and kind, the worst first."""
    if not errors:
        return section("Hardest errors", element("p", "Neither bundle made an error to show."))
    first = errors[0].error
    return section(
        "Hardest errors",
        element(
            "p",
            f"The probe, and the one of {count(first.references, 'reference')} that it is most "
            f"alike, at each bundle's threshold for an FMR of {price(first.fmr)}. A photo of "
            "somebody else in the wrong folder would be here.",
        ),
        *(
            _group(heading, [e for e in errors if (e.error.bundle, e.error.kind) == key], faces)
            for key, heading in _HEADINGS.items()
        ),
    )


def _group(heading: str, errors: Sequence[ShownError], faces: Mapping[int, Picture]) -> Html:
    if not errors:
        return Html("")
    pairs = (_pair(each, faces) for each in errors)
    return joined((element("h3", heading), element("div", *pairs, class_="pairs")))


def _pair(shown: ShownError, faces: Mapping[int, Picture]) -> Html:
    error = shown.error
    pictures = (
        _face("Probe", shown.probe_file, faces.get(error.probe)),
        _face("Closest reference", shown.reference_file, faces.get(error.reference)),
    )
    return element(
        "figure",
        element("div", *pictures, class_="faces"),
        element("figcaption", _told(error), *_files(shown)),
    )


def _told(error: HardError) -> str:
    side = "below" if error.kind is ErrorKind.FALSE_NON_MATCH else "at or above"
    return f"{_SAME[error.kind]}: score {error.score:.4f}, {side} {error.threshold:.4f}."


def _files(shown: ShownError) -> Iterator[Html]:
    for what, name in (("Probe", shown.probe_file), ("Reference", shown.reference_file)):
        yield joined((element("br"), f"{what}: {name or 'not among the usable photos'}"))


def _face(what: str, file: str | None, picture: Picture) -> Html:
    if picture is None:
        return element("div", _GONE, class_="gone")
    size = str(SIDE)
    told = f"{what}: {file or 'a photo'}"
    return element("img", src=picture, alt=told, width=size, height=size)
