import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.domain.entities import FacePolicy
from app.settings import Settings, usable_cpus


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("FACETWIN_"):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    settings = Settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.database_url == "sqlite:///application_data/facetwin.sqlite"
    assert settings.images_dir == Path("application_data/verification_images")
    assert (settings.max_fmr, settings.face_policy) == (0.001, FacePolicy.PROMINENT)
    assert settings.inference_threads == usable_cpus() >= 1
    assert settings.is_loopback


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOST": "::1",
        "PORT": "9000",
        "APPLICATION_DATA_DIR": "/srv/faces",
        "MODEL_DIR": "/srv/model",
        "MAX_FMR": "1e-4",
        "FACE_POLICY": "single",
        "LOG_FORMAT": "JSON",
        "API_KEYS": " one, two ,,",
    }.items():
        monkeypatch.setenv(f"FACETWIN_{name}", value)

    settings = Settings()

    assert (settings.port, settings.max_fmr) == (9000, 1e-4)
    assert settings.database_url == "sqlite:////srv/faces/facetwin.sqlite"
    assert settings.model_dir == Path("/srv/model")
    assert settings.face_policy is FacePolicy.SINGLE
    assert settings.log_format == "json"
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "API_KEYS", "ALLOW_ANONYMOUS", "DATABASE_URL", "MAX_FMR"):
        monkeypatch.setenv(f"FACETWIN_{name}", "")

    settings = Settings()
    assert (settings.host, settings.port, settings.api_keys) == ("127.0.0.1", 8000, ())
    assert settings.database_url.endswith("facetwin.sqlite")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "face.example"])
def test_an_open_door_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("FACETWIN_HOST", host)

    with pytest.raises(ValidationError, match="FACETWIN_API_KEYS"):
        Settings()


@pytest.mark.parametrize("variable", ["FACETWIN_API_KEYS", "FACETWIN_ALLOW_ANONYMOUS"])
def test_keys_or_consent_open_it(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("FACETWIN_HOST", "0.0.0.0")
    monkeypatch.setenv(variable, "1")

    assert not Settings().is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    assert Settings(host=host).is_loopback


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_FMR", "nan"),
        ("MAX_FMR", "0"),
        ("MAX_FMR", "1"),
        ("PORT", "70000"),
        ("INFERENCE_THREADS", "0"),
        ("FACE_POLICY", "random"),
        ("DATABASE_URL", "postgresql://db/faces"),
        ("DATABASE_URL", "sqlite:///"),
    ],
)
def test_a_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"FACETWIN_{name}", value)

    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_keys_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACETWIN_API_KEYS", "hush-hush")
    assert "hush-hush" not in repr(Settings())

    monkeypatch.setenv("FACETWIN_PORT", "many")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "hush-hush" not in str(refused.value)
