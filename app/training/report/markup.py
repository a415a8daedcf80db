"""HTML in which everything is escaped that is not HTML already."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_VOID: Final = frozenset({"br", "img", "meta"})


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


def html(value: object) -> Html:
    """A value as HTML: other text is escaped."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def element(name: str, /, *content: object, **attributes: str) -> Html:
    """An element; `class_` is the attribute `class`, `aria_label` is `aria-label`."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(content)}</{name}>")


def joined(parts: Iterable[object]) -> Html:
    """HTML one after the other."""
    return Html("".join(html(part) for part in parts))


def table(caption: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table that scrolls by itself where the page is narrow; the first column names the rows."""
    body = [
        element(
            "tr", element("th", row[0], scope="row"), *(element("td", each) for each in row[1:])
        )
        for row in rows
    ]
    made = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *(element("th", each, scope="col") for each in head))),
        element("tbody", *body),
    )
    # Focusable, so that it can be scrolled by keyboard.
    return element("div", made, class_="wide", tabindex="0", role="region", aria_label=caption)


def section(title: str, *content: object) -> Html:
    """A part of the page, with a heading that links can point at."""
    name = title.lower().replace(" ", "-")
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def items(entries: Iterable[object]) -> Html:
    """A list; nothing if it is empty."""
    made = [element("li", entry) for entry in entries]
    return element("ul", *made) if made else Html("")
