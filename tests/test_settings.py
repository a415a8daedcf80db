import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.domain.access import Role
from app.domain.entities import FacePolicy
from app.settings import Settings
from app.settings.cpus import usable_cpus


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
    assert settings.inference_threads == settings.training_threads == usable_cpus() >= 1
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
        "API_KEYS": " key-number-one-of-two, key-number-two-of-two ,,",
    }.items():
        monkeypatch.setenv(f"FACETWIN_{name}", value)

    settings = Settings()

    assert (settings.port, settings.max_fmr) == (9000, 1e-4)
    assert settings.database_url == "sqlite:////srv/faces/facetwin.sqlite"
    assert settings.model_dir == Path("/srv/model")
    assert settings.face_policy is FacePolicy.SINGLE
    assert settings.log_format == "json"
    assert [key.get_secret_value() for key in settings.api_keys] == [
        "key-number-one-of-two",
        "key-number-two-of-two",
    ]


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "API_KEYS", "ALLOW_ANONYMOUS", "DATABASE_URL", "MAX_FMR"):
        monkeypatch.setenv(f"FACETWIN_{name}", "")

    settings = Settings()
    assert (settings.host, settings.port, settings.api_keys) == ("127.0.0.1", 8000, ())
    assert settings.database_url.endswith("facetwin.sqlite")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "face.example"])
def test_others_can_reach_any_other_address(host: str) -> None:
    """Whether that is allowed depends on the keys, which the runtime looks at."""
    assert not Settings(host=host).is_loopback


def test_keys_have_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three, four, five = (f"key-number-{i}-of-five" for i in range(5))
    keys = f"verify:{one},Enroll: {two},ADMIN:{three},{four},admin:other:{five}"
    monkeypatch.setenv("FACETWIN_API_KEYS", keys)

    assert Settings().configured_keys == (
        (Role.VERIFY, one),
        (Role.ENROLL, two),
        (Role.ADMIN, three),
        (Role.ADMIN, four),
        (Role.ADMIN, f"other:{five}"),
    )


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("verify:a-long-enough-key,verfy:another-long-secret", "entry 2 .*verify, enroll, admin"),
        ("secret-part:more-of-the-secret", "entry 1 .*admin: in front"),
        (":a-long-enough-key", "entry 1 .*verify, enroll, admin"),
        ("verify:fifteen-letters", "entry 1 .*16 characters.*facetwin keys create.*openssl rand"),
        ("fifteen-letters", "entry 1 .*16 characters"),
        ("verify:a-long-enough-key,admin:a-long-enough-key", "entry 2 repeats a key"),
        ("a-long-enough-key,ADMIN: a-long-enough-key", "entry 2 repeats a key"),
    ],
)
def test_a_key_that_would_open_more_than_meant_is_refused(
    monkeypatch: pytest.MonkeyPatch, keys: str, says: str
) -> None:
    monkeypatch.setenv("FACETWIN_API_KEYS", keys)

    with pytest.raises(ValidationError, match=f"FACETWIN_API_KEYS: {says}") as refused:
        Settings()
    assert "secret" not in str(refused.value)
    assert "long-enough" not in str(refused.value)


def test_a_form_may_have_as_many_parts_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACETWIN_MAX_FILES_PER_REQUEST", "100")
    with pytest.raises(ValidationError, match="FACETWIN_MAX_PARTS must be at least 102"):
        Settings()

    monkeypatch.setenv("FACETWIN_MAX_PARTS", "102")
    assert Settings().max_files_per_request == 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEYS", "verify:"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "*"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "app.example"),
        ("CORS_ORIGINS", "https://app.example/"),
        ("RATE_LIMIT_PER_KEY", "-1"),
        ("READ_TIMEOUT", "0"),
        ("REQUEST_TIMEOUT", "inf"),
        ("MAX_CONNECTIONS", "0"),
    ],
)
def test_a_bad_rule_of_access_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"FACETWIN_{name}", value)

    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACETWIN_TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::1")
    monkeypatch.setenv("FACETWIN_CORS_ORIGINS", "https://a.example, http://localhost:3000")

    assert Settings().trusted_proxies == ("10.0.0.0/8", "2001:db8::1")
    assert Settings().cors_origins == ("https://a.example", "http://localhost:3000")


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
    monkeypatch.setenv("FACETWIN_API_KEYS", "hush-hush-hush-hush")
    assert "hush-hush" not in repr(Settings())

    monkeypatch.setenv("FACETWIN_PORT", "many")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "hush-hush" not in str(refused.value)


def test_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "facetwin_api_keys").write_text("verify:key-number-one-of-two,key-number-two-too\n")
    (tmp_path / "facetwin_service_key").write_text("from-the-file\n")
    (tmp_path / "another").write_text("not ours")
    monkeypatch.setenv("FACETWIN_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("FACETWIN_SERVICE_KEY", "from-the-environment")

    settings = Settings()

    assert [role for role, _ in settings.configured_keys] == [Role.VERIFY, Role.ADMIN]
    assert settings.service_key
    assert settings.service_key.get_secret_value() == "from-the-environment"


def test_a_folder_of_secrets_that_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACETWIN_SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ValidationError, match="nowhere does not exist"):
        Settings()


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({}, 64),
    ],
)
def test_cpus_are_those_that_a_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cpus: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("app.settings.cpus._QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("app.settings.cpus._QUOTA_V1", tmp_path / "cpu")
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(64)))
    assert usable_cpus() == cpus
