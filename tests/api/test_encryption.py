"""Encryption at rest over HTTP, with the runtime that serves; only the bundle is a stand-in."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from pydantic import SecretStr

from app import installed_bundles
from app.domain.errors import StorageError
from app.runtime import open_runtime, open_serving_runtime
from app.settings import Settings
from app.storage.cipher import new_key, read_cipher
from app.storage.sealed_photo import is_sealed
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import STORED, DummyPipeline, photo

OLD, NEW = new_key(), new_key()
Keyed = Callable[[str | None], Settings]


@pytest.fixture(autouse=True)
def _dummy_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_bundles, "load_active", lambda _folder: None)
    monkeypatch.setattr(installed_bundles, "Pipeline", lambda _bundle, **_options: DummyPipeline())


@pytest.fixture
def keyed(settings: Settings) -> Keyed:
    def settings_with(key: str | None) -> Settings:
        return settings.model_copy(update={"encryption_key": SecretStr(key) if key else None})

    return settings_with


def served(settings: Settings) -> Service:
    return Service(settings, open_serving_runtime)


def key_id(key: str) -> str:
    cipher = read_cipher(key)
    assert cipher is not None
    return cipher.key_id


def is_readable(folder: Path) -> bool:
    """Whether a photo of the dummy pipeline lies readable anywhere under the data folder."""
    return any(b"face:" in p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_a_gallery_is_encrypted_and_nobody_notices(keyed: Keyed, tmp_path: Path) -> None:
    folder = keyed(None).images_dir / "bob"
    folder.mkdir(parents=True)
    (folder / "by-hand.jpg").write_bytes(photo("bob"))
    with served(keyed(None)) as service:
        (mine,) = service.enroll(photo("alice"), subject="alice").json()["enrolled"]
        plain = service.verify(photo("alice", "probe"), subject="alice", detail="true").json()
    assert is_readable(tmp_path)

    for number, key in enumerate((OLD, f"{NEW},{OLD}", NEW)):
        with served(keyed(key)) as service:
            assert not is_readable(tmp_path)
            again = service.verify(photo("alice", "probe"), subject="alice", detail="true").json()
            for name in ("verified", "score", "threshold", "references", "quality"):
                assert again[name] == plain[name]
            content = service.get(f"/subjects/alice/images/{mine['image_id']}/content").content
            assert content == STORED + photo("alice")
            assert service.verify(photo("bob", "probe"), subject="bob").json()["verified"]
            assert service.enroll(photo("carol", number), subject="carol").status_code == 201
            archive = ZipFile(io.BytesIO(service.get("/subjects/bob/export").content))
            assert archive.read("photos/bob/by-hand.jpg") == photo("bob")
            (reference,) = json.loads(archive.read("person.json"))["references"]
            assert len(reference["embeddings"][0]["vector"]) == 64
            assert not is_readable(tmp_path)
    photos = list(keyed(None).images_dir.rglob("*.jpg"))
    assert len(photos) == 5
    assert all(is_sealed(p.read_bytes()) for p in photos)

    with served(keyed(NEW)) as service:
        assert service.delete("/subjects/carol").json()["deleted"] == 3
        assert service.delete("/subjects/alice").json()["receipt"]["removed"]["files"] == 1
    assert [p.name for p in keyed(None).images_dir.rglob("*.jpg")] == ["by-hand.jpg"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "This gallery is encrypted. Set FACETWIN_ENCRYPTION_KEY"),
        (NEW, "FACETWIN_ENCRYPTION_KEY is not the key of this gallery"),
        ("a passphrase", "FACETWIN_ENCRYPTION_KEY is not a key"),
    ],
    ids=["missing", "wrong", "malformed"],
)
def test_a_service_without_the_key_does_not_start(
    keyed: Keyed, key: str | None, message: str
) -> None:
    with served(keyed(OLD)) as service:
        service.enroll(photo("alice"), subject="alice")
    with pytest.raises(StorageError, match=message), served(keyed(key)):
        pytest.fail("It must not start.")
    # Nothing was lost, and the serving lock was given back.
    with served(keyed(OLD)) as service:
        assert service.verify(photo("alice", "probe"), subject="alice").json()["verified"]


def test_beside_a_server_no_command_brings_in_a_new_key(keyed: Keyed) -> None:
    with served(keyed(OLD)) as service:
        service.enroll(photo("alice"), subject="alice")
        with pytest.raises(StorageError, match="no server runs that may not know it"):
            open_runtime(keyed(f"{NEW},{OLD}"))
        open_runtime(keyed(OLD)).close()
        assert service.verify(photo("alice", "probe"), subject="alice").json()["verified"]


def test_a_damaged_photo_is_a_clear_answer(keyed: Keyed) -> None:
    with served(keyed(OLD)) as service:
        (enrolled,) = service.enroll(photo("alice"), subject="alice").json()["enrolled"]
        (place,) = keyed(OLD).images_dir.rglob("*.jpg")
        data = place.read_bytes()
        place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        path = f"/subjects/alice/images/{enrolled['image_id']}/content"
        document = check_problem(service.get(path), "storage_unavailable")
        assert "damaged or altered" in document["detail"]
        assert service.verify(photo("alice", "probe"), subject="alice").json()["verified"]


def test_the_key_is_in_no_log_and_no_answer(
    keyed: Keyed, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = keyed(f"{NEW},{OLD}").model_copy(update={"log_level": "debug"})
    with served(settings) as service:
        answers = [service.enroll(photo("alice"), subject="alice").text]
        answers += [service.get(p).text for p in ("/readyz", "/metrics", "/subjects", "/version")]
    shown = capfd.readouterr()
    for key in (OLD, NEW):
        assert key not in "".join(answers) + shown.out + shown.err + repr(settings)
