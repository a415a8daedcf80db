"""Paths of any bytes, as the database keeps them."""

import os

import pytest

from app.storage.database import Database
from app.storage.path_text import from_text, is_text, printable, to_text


@pytest.mark.parametrize(
    "name", [b"anna/a.jpg", "anna/ü.jpg".encode(), b"anna/\xfc.jpg", b"a\xff/b/", b"anna/2f2f.jpg"]
)
def test_any_path_comes_back_from_its_text(name: bytes) -> None:
    path = os.fsdecode(name)
    assert from_text(to_text(path)) == path
    assert is_text(to_text(path))
    assert is_text(printable(path))
    assert (to_text(path) == path) == is_text(path)


def test_pending_removals_may_have_any_name(database: Database) -> None:
    path = os.fsdecode(b"anna/\xfc.jpg")
    with database.write() as rows:
        rows.add_pending_removals([path, "anna/"])
        rows.add_pending_removals([path])
        assert sorted(rows.pending_removals()) == ["anna/", path]
        rows.clear_pending_removals([path])
        assert rows.pending_removals() == ["anna/"]
