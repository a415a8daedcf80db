"""Keys, messages, encrypted photos and encrypted vectors."""

import subprocess
import sys
from pathlib import Path
from traceback import format_exception
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import StorageError
from app.storage.cipher import (
    KEY_BYTES,
    OVERHEAD,
    Cipher,
    UndecryptableError,
    key_id_of,
    new_key,
    read_cipher,
)
from app.storage.database import Database
from app.storage.encryption_rows import EncryptionRows
from app.storage.files import ReferenceFiles, write_durably
from app.storage.photo_rewriter import PhotoRewriter
from app.storage.records import FileStamp
from app.storage.sealed_photo import SEAL_BYTES, is_sealed, seal, sealing_key, unseal
from app.storage.vectors import VectorCodec
from tests.storage.test_repositories import NEW, OLD, filled

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
CIPHER = Cipher([KEY])


def test_a_new_key_is_what_the_setting_takes() -> None:
    first, second = new_key(), new_key()
    assert first != second
    cipher = read_cipher(first)
    assert cipher is not None
    assert cipher.decrypt(cipher.key_id, cipher.encrypt(b"x", b""), b"") == b"x"
    assert read_cipher(None) is None


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old, new = new_key(), new_key()
    before = read_cipher(old)
    both = read_cipher(f" {new} , {old}= ")
    after = read_cipher(new)
    assert before is not None
    assert both is not None
    assert after is not None
    assert both.decrypt(before.key_id, before.encrypt(b"x", b"c"), b"c") == b"x"
    assert after.decrypt(both.key_id, both.encrypt(b"x", b"c"), b"c") == b"x"
    with pytest.raises(UndecryptableError, match=both.key_id):
        before.decrypt(both.key_id, both.encrypt(b"x", b"c"), b"c")


@pytest.mark.parametrize(
    "text",
    [
        "secret-passphrase",
        "",
        ",",
        f"{'A' * 43},",
        "A" * 42,
        "A" * 86,
        "!" * 43,
        "ä" * 43,
        "A" * 41,
    ],
)
def test_a_malformed_key_is_named_by_its_setting_and_never_repeated(text: str) -> None:
    with pytest.raises(StorageError, match="FACETWIN_ENCRYPTION_KEY") as caught:
        read_cipher(text)
    for part in filter(None, text.split(",")):
        assert part not in "".join(format_exception(caught.value))


def test_the_id_of_a_key_does_not_change() -> None:
    assert key_id_of(KEY) == "74c8723c9375d47f"
    assert key_id_of(OTHER) != key_id_of(KEY)


def test_the_library_is_loaded_for_a_key_alone() -> None:
    code = (
        "import sys, app.main\n"
        "from app.storage.cipher import new_key, read_cipher\n"
        "read_cipher(None)\n"
        "assert not any(name.startswith('cryptography') for name in sys.modules)\n"
        "read_cipher(new_key())\n"
        "assert any(name.startswith('cryptography') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(content=st.binary(max_size=200), context=st.binary(max_size=20), data=st.data())
def test_whatever_is_changed_is_noticed(
    content: bytes, context: bytes, data: st.DataObject
) -> None:
    message = CIPHER.encrypt(content, context)
    assert len(message) == len(content) + OVERHEAD
    assert CIPHER.decrypt(CIPHER.key_id, message, context) == content
    place = data.draw(st.integers(0, len(message) - 1))
    damaged = bytearray(message)
    damaged[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UndecryptableError, match="damaged or altered"):
        CIPHER.decrypt(CIPHER.key_id, bytes(damaged), context)
    with pytest.raises(UndecryptableError):
        CIPHER.decrypt(CIPHER.key_id, message[:place], context)
    with pytest.raises(UndecryptableError, match="damaged or altered"):
        CIPHER.decrypt(CIPHER.key_id, message, context + b"x")


def test_the_same_content_never_looks_the_same() -> None:
    assert len({CIPHER.encrypt(b"x" * 16, b"") for _ in range(100)}) == 100


def test_a_check_value_proves_its_key_alone() -> None:
    value = CIPHER.check_value()
    assert CIPHER.proves(CIPHER.key_id, value)
    other = Cipher([OTHER])
    assert not other.proves(other.key_id, value)
    assert not CIPHER.proves(CIPHER.key_id, value[:-1] + bytes([value[-1] ^ 1]))
    assert not CIPHER.proves(CIPHER.key_id, CIPHER.encrypt(b"another text", b""))


def test_a_sealed_photo_names_its_key_and_hides_the_rest() -> None:
    photo = b"\xff\xd8\xff" + b"face" * 100
    sealed = seal(CIPHER, photo)
    assert len(sealed) == len(photo) + SEAL_BYTES
    assert is_sealed(sealed)
    assert sealing_key(sealed) == CIPHER.key_id
    assert b"face" not in sealed
    assert unseal(CIPHER, sealed) == photo
    assert unseal(Cipher([OTHER, KEY]), sealed) == photo


def test_a_plain_photo_is_itself() -> None:
    for data in (b"", b"\xff\xd8\xff", b"FTWSEA"):
        assert sealing_key(data) is None
        assert unseal(None, data) == unseal(CIPHER, data) == data


@pytest.mark.parametrize("place", range(17))
def test_no_byte_of_the_head_can_be_changed(place: int) -> None:
    sealed = bytearray(seal(CIPHER, b"photo"))
    sealed[place] ^= 1
    if place < 8:
        # Without the magic it is a plain file, which no decoder takes for a photo.
        assert not is_sealed(bytes(sealed))
    else:
        with pytest.raises(UndecryptableError):
            unseal(CIPHER, bytes(sealed))


def test_what_can_not_be_unsealed_says_why() -> None:
    sealed = seal(CIPHER, b"photo")
    with pytest.raises(UndecryptableError, match=CIPHER.key_id):
        unseal(None, sealed)
    with pytest.raises(UndecryptableError, match=CIPHER.key_id):
        unseal(Cipher([OTHER]), sealed)
    with pytest.raises(UndecryptableError, match="a part of it is missing"):
        unseal(CIPHER, sealed[:12])
    with pytest.raises(UndecryptableError, match="a part of it is missing"):
        unseal(CIPHER, sealed[:30])
    with pytest.raises(UndecryptableError, match="another version"):
        unseal(CIPHER, sealed[:8] + b"\x02" + sealed[9:])


def test_a_vector_belongs_to_its_image_and_fingerprint() -> None:
    codec, vector = VectorCodec(CIPHER), np.arange(8, dtype=np.float32)
    data = codec.encode(vector, "x", OLD)
    assert codec.decode(data, codec.key_id, "x", OLD).tolist() == vector.tolist()
    assert vector.tobytes() not in data
    for place in (("y", OLD), ("x", NEW)):
        with pytest.raises(UndecryptableError, match=r"altered.*computes it anew"):
            codec.decode(data, codec.key_id, *place)
    with pytest.raises(UndecryptableError, match=CIPHER.key_id):
        VectorCodec(None).decode(data, codec.key_id, "x", OLD)
    plain = VectorCodec(None)
    assert plain.key_id is None
    assert codec.decode(plain.encode(vector, "x", OLD), None, "x", OLD).tolist() == vector.tolist()


def test_the_database_encrypts_and_decrypts_for_its_callers(path: Path) -> None:
    database = Database(f"sqlite:///{path}", CIPHER)
    database.migrate()
    with database.write_apart() as connection:
        EncryptionRows(connection).register(CIPHER.key_id, CIPHER.check_value(), "now")
    with database.write() as rows:
        alice = filled(rows)
    with database.read() as reader:
        found = list(reader.references(OLD, [alice]))
        assert [None if r.vector is None else r.vector.tolist() for r in found] == [
            [2.0] * 4,
            [1.0] * 4,
        ]
        images = reader.images(alice, OLD)
        assert [e.vector.tolist() for _, e in images if e] == [[2.0] * 4, [1.0] * 4]
    database.close()
    blind = Database(f"sqlite:///{path}")
    with blind.read() as reader:
        # What is not encrypted can be listed, and so deleted.
        assert [e.face.score for _, e in reader.images(alice, OLD) if e]
        with pytest.raises(StorageError, match=CIPHER.key_id):
            list(reader.references(OLD, [alice]))
    blind.close()


def test_nobody_writes_under_a_key_that_is_not_registered(path: Path) -> None:
    plain, keyed = Database(f"sqlite:///{path}"), Database(f"sqlite:///{path}", CIPHER)
    plain.migrate()
    with pytest.raises(StorageError, match="changed meanwhile"), keyed.write() as rows:
        rows.add_subject("Alice", "alice", "now")
    with keyed.write_apart() as connection:
        EncryptionRows(connection).register(CIPHER.key_id, CIPHER.check_value(), "now")
    with pytest.raises(StorageError, match="is encrypted"), plain.write() as rows:
        rows.add_subject("Alice", "alice", "now")
    with keyed.write() as rows:
        filled(rows)
        assert len(rows.subjects()) == 1
    plain.close()
    keyed.close()


def stored(root: Path, data: bytes) -> ReferenceFiles:
    files = ReferenceFiles(root, CIPHER)
    files.stage("a.jpg", data)
    files.publish(["a.jpg"])
    return files


def test_files_are_encrypted_before_they_touch_the_disk(tmp_path: Path) -> None:
    files = ReferenceFiles(tmp_path, CIPHER)
    stamp = files.stage("a.jpg", b"photo" * 10)
    (staged,) = tmp_path.iterdir()
    assert b"photo" not in staged.read_bytes()
    assert stamp.size == staged.stat().st_size == 50 + SEAL_BYTES
    files.publish(["a.jpg"])
    assert files.read("a.jpg", 50) == (b"photo" * 10, stamp)
    assert files.content("a.jpg") == b"photo" * 10
    assert stamp.size == (tmp_path / "a.jpg").stat().st_size


def test_the_limit_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    files = stored(tmp_path, bytes(100))
    assert files.read("a.jpg", 100)[0] == bytes(100)
    with pytest.raises(OSError, match="larger than 99 bytes"):
        files.read("a.jpg", 99)
    (tmp_path / "b.jpg").write_bytes(bytes(100))
    assert files.read("b.jpg", 100)[0] == bytes(100)
    assert len(files.read("b.jpg", 99)[0]) == 100
    assert len(files.read("b.jpg", 20)[0]) == 21


def test_a_photo_that_changes_while_it_is_rewritten_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ReferenceFiles(tmp_path, CIPHER)
    place = tmp_path / "a.jpg"
    place.write_bytes(b"older")
    stamp = files.stamp("a.jpg")
    assert stamp is not None

    def change(*arguments: Any, **options: Any) -> FileStamp:
        place.write_bytes(b"newer")
        return write_durably(*arguments, **options)

    monkeypatch.setattr("app.storage.photo_rewriter.write_durably", change)
    assert PhotoRewriter(files, CIPHER).rewrite("a.jpg", stamp) is None
    assert place.read_bytes() == b"newer"
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_a_photo_is_rewritten_only_as_it_was_known(tmp_path: Path) -> None:
    files = ReferenceFiles(tmp_path, CIPHER)
    place = tmp_path / "a.jpg"
    place.write_bytes(b"photo")
    stamp = files.stamp("a.jpg")
    assert stamp is not None
    rewriter = PhotoRewriter(files, CIPHER)
    place.write_bytes(b"other photo")
    assert rewriter.rewrite("a.jpg", stamp) is None
    assert rewriter.rewrite("gone.jpg", stamp) is None
    assert place.read_bytes() == b"other photo"
    now = files.stamp("a.jpg")
    assert now is not None
    assert rewriter.rewrite("a.jpg", now) == files.stamp("a.jpg")
    assert rewriter.key_of("a.jpg") == CIPHER.key_id
    assert files.content("a.jpg") == b"other photo"
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_key_has_the_length_of_aes_256() -> None:
    assert KEY_BYTES == 32
