from hashlib import sha256
from pathlib import Path

import pytest

from app.domain.training import Role
from app.training.data.photos import hashes_of_others, left_out, read_photos
from tests.training.data.folders import names, put


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("anchor/2.JPG", "anchor/deep/er/1.png", "positive/p.webp", "negative/flat.bmp"):
        put(tmp_path, name, b"x")
    for name in ("negative/bob/1.jpg", "negative/bob/more/2.jpeg", "negative/Amy/1.jpg"):
        put(tmp_path, name, b"x")
    for name in ("anchor/.gitkeep", "anchor/.hidden.jpg", "anchor/.trash/x.jpg", "anchor/a.txt"):
        put(tmp_path, name, b"x")
    return tmp_path


def test_photos_are_found_at_any_depth_in_the_order_of_their_paths(data: Path) -> None:
    found = [(p.role, str(p.path.relative_to(data)), p.person) for p in read_photos(data)]
    assert found == [
        (Role.ANCHOR, "anchor/2.JPG", ""),
        (Role.ANCHOR, "anchor/deep/er/1.png", ""),
        (Role.POSITIVE, "positive/p.webp", ""),
        (Role.NEGATIVE, "negative/Amy/1.jpg", "Amy"),
        (Role.NEGATIVE, "negative/bob/1.jpg", "bob"),
        (Role.NEGATIVE, "negative/bob/more/2.jpeg", "bob"),
        (Role.NEGATIVE, "negative/flat.bmp", "flat.bmp"),
    ]


def test_kinds_that_are_not_read_are_found_so_that_someone_can_be_told(tmp_path: Path) -> None:
    put(tmp_path, "anchor/phone.HEIC", b"x")
    assert names(read_photos(tmp_path)) == ["phone.HEIC"]


def test_missing_folders_hold_no_photos(tmp_path: Path) -> None:
    assert read_photos(tmp_path / "nowhere") == []


def test_links_are_not_followed_but_for_the_folder_of_a_role(data: Path, tmp_path: Path) -> None:
    elsewhere = put(data / "elsewhere", "x.jpg", b"x").parent
    (data / "anchor" / "link.jpg").symlink_to(elsewhere / "x.jpg")
    (data / "anchor" / "linked").symlink_to(elsewhere)
    assert names(read_photos(data))[:2] == ["2.JPG", "1.png"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "anchor").symlink_to(elsewhere)
    assert names(read_photos(other)) == ["x.jpg"]


def test_a_folder_of_the_subjects_name_is_what_the_job_is_about(data: Path) -> None:
    put(data, "anchor/Anna/a.jpg", b"x")
    put(data, "positive/anna/b.jpg", b"x")
    assert names(read_photos(data, "anna"))[:2] == ["a.jpg", "b.jpg"]
    assert len(read_photos(data, "anna")) == 6
    assert read_photos(data, "nobody") == read_photos(data)


def test_photos_that_a_folder_of_the_subjects_name_hides_are_counted(data: Path) -> None:
    assert left_out(data, "anna") == 0
    put(data, "anchor/Anna/a.jpg", b"x")
    put(data, "anchor/bob/b.jpg", b"x")
    assert left_out(data, "anna") == 2
    assert left_out(data, "nobody") == 0


def test_photos_of_other_owners_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("anchor/anna/1.jpg", "positive/Bob/1.jpg", "anchor/2.jpg", "negative/3.jpg"):
        put(tmp_path, name, name.encode())
    others = {sha256(name).hexdigest() for name in (b"positive/Bob/1.jpg", b"anchor/2.jpg")}
    assert hashes_of_others(tmp_path, "anna") == others
    assert hashes_of_others(tmp_path, "carol") == set()  # then all of them are hers
