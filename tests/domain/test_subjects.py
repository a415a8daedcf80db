import pytest

from app.domain.errors import InvalidRequestError
from app.domain.subjects import is_subject_name, subject_key


@pytest.mark.parametrize("name", ["a", "Anna", "0", "a.b-c_d", "x" * 64])
def test_allowed_names(name: str) -> None:
    assert is_subject_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-a", "a/b", "../a", "a\x00", "a\n", "é", "x" * 65, "a b", "😀"],
)
def test_refused_names(name: str) -> None:
    assert not is_subject_name(name)
    with pytest.raises(InvalidRequestError):
        subject_key(name)


def test_case_twins_share_a_key() -> None:
    assert subject_key("Anna") == subject_key("aNNA")
