"""Tables for people, on terminals of any width."""

import pytest
from rich.console import Console

from app.cli import output

HEADERS = ("version", "active", "preset", "created", "fingerprint", "references", "MB", "problem")


def shown(monkeypatch: pytest.MonkeyPatch, row: tuple[str, ...], width: int) -> list[str]:
    """The lines that a terminal of this width shows of a table with one row."""
    console = Console(width=width)
    monkeypatch.setattr(output, "_out", console)
    with console.capture() as capture:
        output.print_table(HEADERS, [row])
    return capture.get().splitlines()


def cells(lines: list[str], border: str) -> tuple[str, ...]:
    """What stands in each column, over all lines with this border, without spaces."""
    rows = [line.strip(border).split(border) for line in lines if line.startswith(border)]
    return tuple("".join("".join(parts).split()) for parts in zip(*rows, strict=True))


@pytest.mark.parametrize(
    "row",
    [
        ("finetune-20261125-anna", "yes", "finetune", "2026-11-25", "0123456789ab", "1", "9.5", ""),
        (
            "default-2",
            "",
            "resnet29",
            "2026-11-24",
            "ba9876543210",
            "12345",
            "110.5",
            "/a-folder/of-a/long-name/embedding.tflite was altered: it has [5] bytes, not 9.",
        ),
    ],
)
def test_nothing_of_a_table_is_lost_at_80_columns(
    monkeypatch: pytest.MonkeyPatch, row: tuple[str, ...]
) -> None:
    lines = shown(monkeypatch, row, 80)
    assert max(map(len, lines)) <= 80
    assert cells(lines, "┃") == HEADERS
    assert cells(lines, "│") == tuple("".join(cell.split()) for cell in row)


def test_a_wide_terminal_has_each_row_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, ("default-2", *["x y"] * 7), 120)
    assert len(lines) == 5
