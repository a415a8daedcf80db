"""/readyz is cheap and says little, as anyone may ask it as often as they like."""

import asyncio
import logging
from threading import Event

import pytest
from pydantic import SecretStr

from app.api.readiness import FRESH_SECONDS, ReadyCount
from app.domain.errors import StorageError
from app.settings import Settings
from tests.api.service import Service
from tests.api.test_degraded import degraded, eventually
from tests.dummy_pipeline import photo


class _Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


class _Gallery:
    def __init__(self) -> None:
        self.asked = 0
        self.broken = False
        self.open = Event()
        self.open.set()

    def count(self) -> int:
        assert self.open.wait(30)
        self.asked += 1
        if self.broken:
            raise StorageError("It can't be read.")
        return self.asked


def test_the_gallery_is_asked_once_a_second() -> None:
    async def scenario() -> list[int]:
        clock, gallery = _Clock(), _Gallery()
        ready = ReadyCount(clock=clock)
        counts = [await ready.get(gallery.count) for _ in range(3)]
        clock.now += FRESH_SECONDS
        return [*counts, *[await ready.get(gallery.count) for _ in range(2)]]

    assert asyncio.run(scenario()) == [1, 1, 1, 2, 2]


def test_callers_share_a_question_that_takes_long() -> None:
    async def scenario() -> tuple[set[int], int]:
        clock, gallery = _Clock(), _Gallery()
        ready = ReadyCount(clock=clock)
        gallery.open.clear()
        callers = [asyncio.create_task(ready.get(gallery.count)) for _ in range(50)]
        await asyncio.sleep(0)
        clock.now += 10 * FRESH_SECONDS
        callers += [asyncio.create_task(ready.get(gallery.count)) for _ in range(50)]
        await asyncio.sleep(0)
        callers[0].cancel()
        gallery.open.set()
        return set(await asyncio.gather(*callers[1:])), gallery.asked

    assert asyncio.run(scenario()) == ({1}, 1)


def test_a_failure_is_told_and_not_repeated_within_the_second() -> None:
    async def scenario() -> tuple[int, int]:
        clock, gallery = _Clock(), _Gallery()
        ready = ReadyCount(clock=clock)
        gallery.broken = True
        for _ in range(3):
            with pytest.raises(StorageError):
                await ready.get(gallery.count)
        asked = gallery.asked
        gallery.broken = False
        clock.now += FRESH_SECONDS
        return asked, await ready.get(gallery.count)

    assert asyncio.run(scenario()) == (1, 2)


def test_where_keys_are_required_strangers_learn_codes_only(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    key = "a-key-of-the-administrator"
    update = {"api_keys": (SecretStr(key),), "sync_interval": 0.01}
    with Service(settings.model_copy(update=update)) as service, caplog.at_level(logging.INFO):
        files = {"files": ("a.jpg", photo("alice"))}
        service.request("POST", "/enroll", files=files, headers={"X-API-Key": key})
        settings.images_dir.rename(settings.images_dir.with_name("unmounted"))  # at once
        eventually(lambda: degraded(service) == ["images_folder_missing"])
        answer = service.get("/readyz").json()

    assert answer["status"] == "ready"
    assert answer["self_test"]["ok"]
    assert answer["references"] is None
    assert answer["degraded"] == [{"code": "images_folder_missing", "message": None}]
    # The operator still learns what to do.
    assert "Mount the disk" in caplog.text
