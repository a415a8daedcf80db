"""The keys of a running service: made and revoked beside it, compared in full, noted apart."""

import hashlib
import hmac
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from pydantic import SecretStr

from app.domain.access import Role
from app.domain.errors import InvalidRequestError, StorageError
from app.services import key_ring
from app.services.audit import AuditLog
from app.services.key_ring import KeyRing
from app.services.keys import ApiKeys
from app.settings import Settings
from app.storage.database import Database
from app.storage.service_key import service_key
from tests.api.service import Service
from tests.api.test_errors import check_problem


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class BrokenDatabase(Database):
    """A database that can be put out of order."""

    broken = False

    @contextmanager
    def read_apart(self) -> Iterator[Any]:
        self._fail()
        with super().read_apart() as connection:
            yield connection

    @contextmanager
    def write_apart(self) -> Iterator[Any]:
        self._fail()
        with super().write_apart() as connection:
            yield connection

    def _fail(self) -> None:
        if self.broken:
            raise StorageError("The database is out of order.")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[BrokenDatabase]:
    database = BrokenDatabase(f"sqlite:///{tmp_path}/keys.sqlite")
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def keys(database: Database, tmp_path: Path) -> ApiKeys:
    return ApiKeys(database, AuditLog(database, service_key(tmp_path, None)))


@pytest.fixture
def ring(database: Database, clock: Clock) -> KeyRing:
    ring = KeyRing([(Role.ENROLL, "configured")], database, clock=clock)
    ring.load()
    return ring


def test_who_is_who(ring: KeyRing, keys: ApiKeys) -> None:
    new = keys.create(Role.ADMIN, "boss")
    ring.load()

    configured, created = ring.identify("configured"), ring.identify(new.key)
    assert configured
    assert (configured.name, configured.role, configured.sees_scores) == (
        "key:env-1",
        Role.ENROLL,
        False,
    )
    assert created
    assert (created.name, created.role, created.sees_scores) == (
        f"key:{new.record.key_id}",
        Role.ADMIN,
        True,
    )
    for wrong in ("", "Configured", "configured ", new.key[:-1], new.record.digest):
        assert ring.identify(wrong) is None


@pytest.mark.parametrize("which", ["first", "last", "none"])
def test_every_digest_is_compared_in_full_whatever_comes(database: Database, which: str) -> None:
    """The time of a comparison must not tell which key was nearly, or really, given."""
    configured = [(Role.VERIFY, f"key-{i}") for i in range(7)]
    ring = KeyRing(configured, database)
    given = {"first": "key-0", "last": "key-6", "none": "key-7"}[which]
    compared: list[tuple[bytes, bytes]] = []

    compare = hmac.compare_digest

    def recording(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return compare(a, b)

    with patch("app.services.key_ring.hmac.compare_digest", recording):
        found = ring.identify(given)

    assert (found is None) is (which == "none")
    digest = hashlib.sha256(given.encode()).digest()
    assert compared == [(digest, hashlib.sha256(k.encode()).digest()) for _, k in configured]


def test_what_makes_a_key_necessary(database: Database, keys: ApiKeys, clock: Clock) -> None:
    ring = KeyRing([], database, clock=clock)
    ring.load()
    assert (ring.required, ring.usable) == (False, False)

    new = keys.create(Role.VERIFY, "only")
    ring.load()
    assert (ring.required, ring.usable) == (True, True)

    keys.revoke(new.record.key_id)
    ring.load()
    assert ring.identify(new.key) is None
    assert (ring.required, ring.usable) == (True, False)
    assert KeyRing([(Role.VERIFY, "x")], database).required


def test_the_table_is_read_once_a_second_at_most(
    ring: KeyRing, keys: ApiKeys, clock: Clock
) -> None:
    new = keys.create(Role.VERIFY, "door")
    ring.refresh()
    assert ring.identify(new.key) is None

    clock.now += 1
    due_before = ring.is_due
    ring.refresh()
    assert (due_before, ring.is_due) == (True, False)
    assert ring.identify(new.key) is not None


def test_a_failing_database_keeps_the_known_keys(
    ring: KeyRing,
    keys: ApiKeys,
    database: BrokenDatabase,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    new = keys.create(Role.VERIFY, "door")
    ring.load()
    database.broken = True

    for _ in range(3):
        clock.now += 1
        ring.refresh()
        assert ring.identify(new.key) is not None
        assert not ring.is_due
    assert len(caplog.records) == 3
    ring.close()
    assert "last uses" in caplog.text


def test_uses_are_noted_once_a_minute_and_at_the_end(
    ring: KeyRing, keys: ApiKeys, clock: Clock
) -> None:
    new = keys.create(Role.VERIFY, "door")
    ring.load()

    def noted() -> str | None:
        return next(key.last_used_at for key in keys.list() if key.key_id == new.record.key_id)

    with patch.object(key_ring, "utc_now", lambda: f"T{clock.now}"):
        ring.identify(new.key)
        waiting = [ring.has_uses]
        ring.note_uses()
        assert noted() == "T1000.0"
        clock.now += 59
        ring.identify(new.key)
        waiting.append(ring.has_uses)
        ring.note_uses()
        assert noted() == "T1000.0"
        clock.now += 1
        waiting.append(ring.has_uses)
        ring.note_uses()
        assert noted() == "T1059.0"
        ring.identify(new.key)
        ring.close()
        assert noted() == "T1060.0"
    assert waiting == [True, False, True]


def test_uses_move_nothing_of_the_gallery(ring: KeyRing, keys: ApiKeys, database: Database) -> None:
    new = keys.create(Role.VERIFY, "door")
    before = database.revision()
    ring.load()
    ring.identify(new.key)
    ring.close()

    assert database.revision() == before


def _api_keys(service: Service) -> ApiKeys:
    runtime = service.state["runtime"]
    return ApiKeys(runtime.database, runtime.audit)


def _forget_the_last_look(service: Service) -> None:
    service.state["runtime"].key_ring._read_at = float("-inf")


def test_a_running_service_notices_new_and_revoked_keys(service: Service) -> None:
    assert service.get("/version").status_code == 200

    new = _api_keys(service).create(Role.ADMIN, "boss")
    headers = {"Authorization": f"Bearer {new.key}"}
    _forget_the_last_look(service)
    check_problem(service.get("/version"), "unauthorized")
    assert service.get("/version", headers=headers).status_code == 200

    _api_keys(service).revoke(new.record.key_id)
    _forget_the_last_look(service)
    check_problem(service.get("/version", headers=headers), "unauthorized")
    check_problem(service.get("/version"), "unauthorized")


def test_the_last_use_is_written_at_the_end(settings: Settings, tmp_path: Path) -> None:
    with Service(settings) as service:
        new = _api_keys(service).create(Role.VERIFY, "door")
        _forget_the_last_look(service)
        assert service.get("/version", headers={"X-API-Key": new.key}).status_code == 403

    database = Database(settings.database_url)
    (listed,) = ApiKeys(database, AuditLog(database, service_key(tmp_path, None))).list()
    database.close()
    assert listed.last_used_at


@pytest.mark.parametrize("key", ["schlüssel-für-die-tür", "钥匙" * 8])
def test_a_configured_key_may_be_any_text(settings: Settings, key: str) -> None:
    keyed = settings.model_copy(update={"api_keys": (SecretStr(key),)})
    with Service(keyed) as service:
        headers = {b"X-API-Key": key.encode()}
        assert service.get("/version", headers=headers).status_code == 200


def test_a_nameless_key_is_refused(keys: ApiKeys) -> None:
    with pytest.raises(InvalidRequestError):
        keys.create(Role.VERIFY, "")


def test_a_failing_read_at_the_start_is_an_error(
    database: BrokenDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database.broken = True
    with caplog.at_level(logging.ERROR), pytest.raises(StorageError):
        KeyRing([], database).load()
