"""Erasure, export and the audit log over HTTP."""

import io
import json
from zipfile import ZipFile

from pydantic import SecretStr

from app.domain.audit import AuditEntry
from app.domain.receipts import receipt_is_genuine
from app.domain.training import JobState
from app.settings import Settings
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo
from tests.services.trained import Trained


def logged(service: Service) -> list[AuditEntry]:
    audit = service.state["runtime"].audit
    audit.flush()
    assert audit.verify().ok
    return audit.tail(100)


def test_a_deletion_answers_with_a_signed_receipt(service: Service) -> None:
    service.enroll(photo("alice", 1), photo("alice", 2), subject="Alice")
    answer = service.delete("/subjects/alice").json()

    receipt = answer["receipt"]
    assert (answer["subject"], answer["deleted"]) == ("Alice", 2)
    assert receipt["removed"] == {
        "references": 2,
        "embeddings": 2,
        "files": 2,
        "training_files": 0,
    }
    assert receipt["models"] == []
    assert receipt["log_emptied"] is True
    key = service.state["runtime"].audit.key
    assert receipt_is_genuine(receipt, key)
    assert not receipt_is_genuine({**receipt, "subject": "Bob"}, key)
    (entry,) = (e for e in logged(service) if e.action == "delete_subject")
    assert (entry.seq, entry.hash) == (receipt["audit_seq"], receipt["audit_hash"])


def test_who_is_known_by_training_photos_alone_can_be_erased(
    service: Service, settings: Settings
) -> None:
    files = [("files", (f"{i}.jpg", photo("carol", i))) for i in range(3)]
    added = service.request("POST", "/data/anchor", files=files, data={"subject": "Carol"})
    assert added.status_code == 201
    answer = service.delete("/subjects/carol").json()
    assert (answer["subject"], answer["deleted"]) == ("carol", 0)
    assert answer["receipt"]["removed"]["training_files"] == 3
    assert service.get("/data").json()["anchor"]["photos"] == 0
    assert not list(settings.data_dir.rglob("*.jpg"))
    assert service.delete("/subjects/carol").json()["receipt"] == answer["receipt"]


def test_a_training_job_about_the_person_has_to_end_first(
    service: Service, settings: Settings
) -> None:
    service.enroll(photo("alice", 1), subject="Alice")
    database = service.state["runtime"].database
    Trained(settings.application_data_dir, database).job("3" * 32, "alice", JobState.QUEUED)
    body = check_problem(service.delete("/subjects/alice"), "job_conflict")
    assert body["job_id"] == "3" * 32
    assert service.delete("/train/" + "3" * 32).status_code == 202
    assert service.delete("/subjects/alice").json()["deleted"] == 1


def test_an_export_is_a_zip_file_of_all_that_is_stored(service: Service) -> None:
    enrolled = service.enroll(photo("alice", 1), subject="Alice").json()["enrolled"][0]
    response = service.get("/subjects/ALICE/export")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"] == 'attachment; filename="Alice.zip"'
    assert response.headers["cache-control"] == "no-store"
    with ZipFile(io.BytesIO(response.content)) as files:
        document = json.loads(files.read("person.json"))
        assert f"photos/Alice/{enrolled['image_id']}.jpg" in files.namelist()
    assert [r["image_id"] for r in document["references"]] == [enrolled["image_id"]]
    check_problem(service.get("/subjects/nobody/export"), "subject_not_found")


def test_the_log_knows_the_key_and_the_request(settings: Settings) -> None:
    keyed = settings.model_copy(update={"api_keys": (SecretStr("key-of-the-administrator"),)})
    with Service(keyed) as service:
        headers = {"X-API-Key": "key-of-the-administrator", "X-Request-ID": "request-7"}
        files = [("files", ("a.jpg", photo("alice")))]
        form = {"subject": "alice"}
        probe = {"file": ("p.jpg", photo("alice", 2))}
        pair = {"source": ("s.jpg", photo("alice")), "target": ("t.jpg", photo("bob"))}
        service.request("POST", "/enroll", files=files, data=form, headers=headers)
        service.request("POST", "/verify", files=probe, data=form, headers=headers)
        service.request("POST", "/compare", files=pair, headers=headers)
        image_id = service.get("/subjects/alice", headers=headers).json()["images"][0]["image_id"]
        path = f"/subjects/alice/images/{image_id}"
        service.get(f"{path}/content", headers=headers)
        service.get("/subjects/alice/export", headers=headers)
        service.delete(path, headers=headers)
        service.delete("/subjects/alice", headers=headers)
        entries = logged(service)

    assert {entry.action: entry.outcome for entry in entries} == {
        "enroll": "enrolled",
        "verify": "match",
        "compare": "no_match",
        "read_image": "read",
        "export": "exported",
        "delete_image": "deleted",
        "delete_subject": "deleted",
    }
    assert {entry.actor for entry in entries} == {"key:env-1"}
    assert {entry.details["request_id"] for entry in entries} == {"request-7"}
