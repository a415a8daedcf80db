"""A service that others can reach does not start without a key or the operator's consent."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from app import installed_bundles
from app.domain.access import Role
from app.domain.errors import InvalidRequestError
from app.runtime import open_runtime, open_serving_runtime
from app.services.audit import AuditLog
from app.services.keys import ApiKeys
from app.settings import Settings
from app.storage.database import Database
from app.storage.service_key import service_key
from tests.api.service import Service
from tests.dummy_pipeline import DummyPipeline


@pytest.fixture(autouse=True)
def _dummy_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed_bundles, "load_active", lambda _folder: None)
    monkeypatch.setattr(installed_bundles, "Pipeline", lambda _bundle, **_options: DummyPipeline())


@pytest.fixture
def reachable(settings: Settings) -> Settings:
    return settings.model_copy(update={"host": "0.0.0.0"})


def _make_key(settings: Settings, *, revoke: bool = False) -> None:
    folder = settings.application_data_dir
    database = Database(settings.database_url)
    database.migrate()
    keys = ApiKeys(database, AuditLog(database, service_key(folder, None)))
    key = keys.create(Role.VERIFY, "door")
    if revoke:
        keys.revoke(key.record.key_id)
    database.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "face.example"])
def test_an_open_door_is_refused_and_told_how_to_close(settings: Settings, host: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        open_serving_runtime(settings.model_copy(update={"host": host}))

    for way in ("FACETWIN_API_KEYS", "facetwin keys create --role", "FACETWIN_ALLOW_ANONYMOUS=1"):
        assert way in refused.value.message


def test_a_revoked_key_is_none(reachable: Settings) -> None:
    _make_key(reachable, revoke=True)

    with pytest.raises(InvalidRequestError):
        open_serving_runtime(reachable)


def test_a_key_of_the_settings_opens_it(reachable: Settings) -> None:
    keyed = reachable.model_copy(update={"api_keys": (SecretStr("verify:a-key-for-the-door"),)})
    open_serving_runtime(keyed).close()


def test_a_key_of_the_table_opens_it(reachable: Settings) -> None:
    _make_key(reachable)
    open_serving_runtime(reachable).close()


def test_consent_opens_it(reachable: Settings) -> None:
    open_serving_runtime(reachable.model_copy(update={"allow_anonymous": True})).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_nothing(settings: Settings, host: str) -> None:
    open_serving_runtime(settings.model_copy(update={"host": host})).close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_proxy_in_front_needs_a_key_too(settings: Settings, host: str) -> None:
    behind = settings.model_copy(update={"host": host, "trusted_proxies": ("127.0.0.1",)})
    with pytest.raises(InvalidRequestError, match="FACETWIN_TRUSTED_PROXIES") as refused:
        open_serving_runtime(behind)
    for way in ("FACETWIN_API_KEYS", "facetwin keys create --role", "FACETWIN_ALLOW_ANONYMOUS=1"):
        assert way in refused.value.message

    open_serving_runtime(behind.model_copy(update={"allow_anonymous": True})).close()
    _make_key(behind)
    open_serving_runtime(behind).close()


def test_the_command_line_needs_no_key(reachable: Settings) -> None:
    open_runtime(reachable).close()


def test_a_refused_start_leaves_nothing_locked(reachable: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError):
        open_serving_runtime(reachable)
    _make_key(reachable)

    with Service(reachable, open_serving_runtime) as service:
        assert service.get("/readyz").status_code == 200
