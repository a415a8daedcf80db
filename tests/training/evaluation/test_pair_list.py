from pathlib import Path

import pytest

from app.domain.errors import InvalidRequestError
from app.training.evaluation.pair_list import read_pair_list


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("ann/1.jpg", "ann/2.jpg", "ann/3.jpg", "bob/1.jpg", "cy/1.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"photo")
    (tmp_path / "secret.jpg").write_bytes(b"photo")
    return folder.resolve()


def listed(root: Path, text: str, encoding: str = "utf-8") -> Path:
    path = root.parent / "pairs.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_pairs_are_read_and_each_photo_is_listed_once(root: Path) -> None:
    text = (
        "a,b,same\r\nann/1.jpg,ann/2.jpg,1\r\n\r\n"
        '"ann/3.jpg",ann/2.jpg,Yes\r\nann/1.jpg,bob/1.jpg,false\r\nbob/1.jpg,cy/1.jpg, 0\r\n'
    )
    pairs = read_pair_list(listed(root, text, "utf-8-sig"), root)
    names = [image.path.relative_to(root).as_posix() for image in pairs.images]
    assert names == ["ann/1.jpg", "ann/2.jpg", "ann/3.jpg", "bob/1.jpg", "cy/1.jpg"]
    assert pairs.first.tolist() == [0, 2, 0, 3]
    assert pairs.second.tolist() == [1, 1, 3, 4]
    assert pairs.same.tolist() == [True, True, False, False]
    people = [image.identity for image in pairs.images]
    assert people[0] == people[1] == people[2]
    assert len(set(people)) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "line 1: the header must be a,b,same"),
        ("first,second,same\n", "line 1: the header must be a,b,same"),
        ("a,b,same\n", "lists 0 genuine pairs (same = 1) and 0 impostor pairs"),
        ("a,b,same\nann/1.jpg,ann/2.jpg,1\n", "lists 1 genuine pairs (same = 1) and 0 impostor"),
        ("a,b,same\nann/1.jpg,ann/2.jpg\n", "line 2: there must be three fields"),
        ("a,b,same\nann/1.jpg,ann/2.jpg,1,2\n", "line 2: there must be three fields"),
        ("a,b,same\nann/1.jpg,ann/2.jpg,maybe\n", "line 2: same must be 1 or 0, true or false"),
        ("a,b,same\nann/1.jpg,ann/2.jpg,\n", "line 2: same must be 1 or 0"),
        ("a,b,same\n\nann/1.jpg,gone.jpg,1\n", "line 3: there is no file gone.jpg in"),
        ("a,b,same\nann/1.jpg,ann,1\n", "line 2: there is no file ann in"),
        ("a,b,same\nann/1.jpg,,1\n", "line 2: there is no file "),
        ("a,b,same\nann/1.jpg,../secret.jpg,1\n", "line 2: ../secret.jpg is not a path inside"),
        ("a,b,same\nann/1.jpg,link.jpg,1\n", "line 2: link.jpg is not a path inside"),
        ("a,b,same\nann/1.jpg,/etc/hostname,1\n", "line 2: /etc/hostname is not a path inside"),
        ("a,b,same\nann/1.jpg,ann/\0.jpg,1\n", "line 2: there is no file ann/\0.jpg"),
        ("a,b,same\nann/1.jpg," + "x" * 300 + ",1\n", "line 2: there is no file xxx"),
        ("a,b,same\nann/1.jpg,ann/../ann/1.jpg,1\n", "line 2: ann/1.jpg is compared with itself"),
        ('a,b,same\nann/1.jpg,"ann/2.jpg,1\n', "line 2: unexpected end of data"),
        (
            "a,b,same\nann/1.jpg,ann/2.jpg,1\nann/3.jpg,ann/2.jpg,1\nann/1.jpg,ann/3.jpg,0\n",
            "line 4: says that 1.jpg and 3.jpg show two people",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(root: Path, lines: str, message: str) -> None:
    (root / "link.jpg").symlink_to(root.parent / "secret.jpg")
    with pytest.raises(InvalidRequestError) as raised:
        read_pair_list(listed(root, lines), root)
    assert message in raised.value.message
    assert "pairs.csv" in raised.value.message


def test_an_absolute_path_inside_the_root_is_refused_too(root: Path) -> None:
    text = f"a,b,same\nann/1.jpg,{root}/ann/2.jpg,1\n"
    with pytest.raises(InvalidRequestError, match="is not a path inside"):
        read_pair_list(listed(root, text), root)


def test_a_file_that_is_no_text_is_named(root: Path) -> None:
    with pytest.raises(InvalidRequestError, match="not a text file in UTF-8"):
        read_pair_list(listed(root, "a,b,same\nänn/1.jpg,x,1\n", "utf-16"), root)
    with pytest.raises(InvalidRequestError, match="can't be read"):
        read_pair_list(root / "gone.csv", root)
