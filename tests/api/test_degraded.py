"""A running service follows its folder, and says what is wrong with it."""

from collections.abc import Callable, Iterator
from threading import Event

import pytest

from app.settings import Settings
from tests.api.service import Service
from tests.dummy_pipeline import photo


@pytest.fixture
def following(settings: Settings) -> Iterator[Service]:
    with Service(settings.model_copy(update={"sync_interval": 0.01})) as service:
        yield service


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that is certain to come; a minute is never."""
    for _ in range(6000):
        if condition():
            return
        Event().wait(0.01)
    pytest.fail("it did not happen")


def degraded(service: Service) -> list[str]:
    response = service.get("/readyz")
    assert response.status_code == 200
    return [problem["code"] for problem in response.json()["degraded"]]


def test_photos_are_taken_up_while_it_serves(following: Service, settings: Settings) -> None:
    folder = settings.images_dir / "alice"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(photo("alice"))
    (folder / "bad.jpg").write_bytes(b"?")
    eventually(lambda: following.get("/readyz").json()["references"] == 1)
    assert following.verify(photo("alice", 2), subject="alice").json()["verified"]
    eventually(lambda: len(following.get("/subjects").json()["skipped"]) == 1)
    (folder / "bad.jpg").unlink()
    eventually(lambda: following.get("/subjects").json()["skipped"] == [])


def test_an_unmounted_disk_degrades_the_service(following: Service, settings: Settings) -> None:
    following.enroll(photo("alice"), photo("alice", 1), subject="alice")
    assert degraded(following) == []
    assert following.metric('facetwin_degraded{code="images_folder_missing"}') == 0
    away = settings.images_dir.rename(settings.images_dir.with_name("away"))
    eventually(lambda: degraded(following) == ["images_folder_missing"])
    assert following.metric('facetwin_degraded{code="images_folder_missing"}') == 1
    settings.images_dir.mkdir()
    eventually(lambda: degraded(following) == ["images_folder_foreign"])
    assert following.metric('facetwin_degraded{code="images_folder_missing"}') == 0
    assert following.verify(photo("alice", 2), subject="alice").json()["verified"]
    for response in (
        following.enroll(photo("bob"), subject="bob"),
        following.delete("/subjects/alice"),
    ):
        assert response.status_code == 503
        assert response.json()["code"] == "storage_unavailable"
        assert "Mount the disk" in response.json()["detail"]
    settings.images_dir.rename(settings.images_dir.with_name("unmounted"))  # at once
    away.rename(settings.images_dir)
    eventually(lambda: degraded(following) == [])
    assert following.delete("/subjects/alice").status_code == 200
