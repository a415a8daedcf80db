"""What an outlier scored against references is for those who may see scores."""

from typing import Any

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.service import Service
from tests.dummy_pipeline import photo

KEYS = {"enroll": "a-key-of-role-enroll", "admin": "a-key-of-role-admin"}


def _outlier(quality: dict[str, Any]) -> dict[str, Any]:
    reason: dict[str, Any]
    (reason,) = [each for each in quality["reasons"] if each["code"] == "OUTLIER"]
    return reason


def _measured(settings: Settings, headers: dict[str, str], reader: dict[str, str]) -> list[Any]:
    """`measured` in each answer that tells of an outlier: /enroll, the person, the image."""
    with Service(settings) as service:
        files = [("files", (f"{i}.jpg", photo("alice", i))) for i in range(4)]
        service.request("POST", "/enroll", files=files, headers=headers)
        odd = [("files", ("odd.jpg", photo("bob")))]
        (enrolled,) = service.request("POST", "/enroll", files=odd, headers=headers).json()[
            "enrolled"
        ]
        image_id = enrolled["image_id"]
        person = service.get("/subjects/default", headers=headers).json()
        image = service.get(f"/subjects/default/images/{image_id}", headers=reader).json()
    (listed,) = [each for each in person["images"] if each["image_id"] == image_id]
    found = [_outlier(each["quality"]) for each in (enrolled, listed, image)]
    assert all(each["required"] is not None for each in found)
    return [each["measured"] for each in found]


@pytest.mark.parametrize(("role", "sees"), [("enroll", False), ("admin", True)])
def test_only_an_administrators_key_shows_it(settings: Settings, role: str, sees: bool) -> None:
    keys = tuple(SecretStr(f"{name}:{key}") for name, key in KEYS.items())
    keyed = settings.model_copy(update={"api_keys": keys})
    headers, admin = ({"X-API-Key": KEYS[name]} for name in (role, "admin"))

    *own, of_image = _measured(keyed, headers, admin)
    assert [value is not None for value in own] == [sees, sees]
    assert of_image is not None


def test_this_machine_sees_it_and_strangers_do_not(settings: Settings) -> None:
    assert None not in _measured(settings, {}, {})

    folder = settings.application_data_dir / "open"
    update = {"application_data_dir": folder, "database_url": f"sqlite:///{folder}/db.sqlite"}
    strangers = settings.model_copy(update={**update, "host": "0.0.0.0", "allow_anonymous": True})
    assert _measured(strangers, {}, {}) == [None, None, None]
