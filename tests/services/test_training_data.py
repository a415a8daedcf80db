from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.domain.audit import Action, Actor
from app.domain.entities import ReasonCode
from app.domain.errors import EnrollmentRejectedError, InvalidRequestError, SubjectNotFoundError
from app.domain.training import Role
from app.services.audit import AuditLog
from app.services.enrollment import Upload
from app.services.training_data import TrainingData
from app.storage.database import Database
from app.storage.service_key import service_key
from tests.dummy_pipeline import DummyPipeline, photo


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/facetwin.sqlite")
    database.migrate()
    return database


@pytest.fixture
def audit(tmp_path: Path, database: Database) -> AuditLog:
    return AuditLog(database, service_key(tmp_path, None))


@pytest.fixture
def data(tmp_path: Path, audit: AuditLog, database: Database) -> TrainingData:
    return TrainingData(tmp_path / "data", tmp_path / "crops", DummyPipeline(), audit, database)


def uploads(*photos: bytes) -> list[Upload]:
    return [Upload(f"{i}.jpg", content) for i, content in enumerate(photos)]


def test_photos_are_stored_normalized_in_a_folder_of_the_person(
    data: TrainingData, tmp_path: Path
) -> None:
    added = data.add(Role.ANCHOR, "Anna", uploads(photo("anna"), photo("anna", 1)))
    assert (added.name, len(added.stored), added.rejected) == ("Anna", 2, ())
    assert added.size.photos == 2
    first = tmp_path / "data" / "anchor" / added.stored[0].file
    assert first.parent.name == "Anna"
    assert first.read_bytes() == b"stored:" + photo("anna")
    assert data.add(Role.ANCHOR, "ANNA", uploads(photo("anna", 2))).name == "Anna"


def test_a_photo_is_stored_once(data: TrainingData) -> None:
    first = data.add(Role.ANCHOR, "anna", uploads(photo("anna")))
    again = data.add(
        Role.ANCHOR, "anna", uploads(photo("anna"), photo("anna", 1), photo("anna", 1))
    )
    assert [photo.already_there for photo in again.stored] == [True, False, True]
    assert again.stored[0].file == first.stored[0].file
    assert again.stored[1].file == again.stored[2].file
    assert (again.size.photos, again.rejected) == (2, ())
    other = data.add(Role.POSITIVE, "anna", uploads(photo("anna")))
    assert not other.stored[0].already_there


def test_two_who_send_the_same_photos_at_once_store_them_once(
    data: TrainingData, tmp_path: Path
) -> None:
    photos = [photo("anna", i) for i in range(20)]
    with ThreadPoolExecutor(4) as threads:
        added = [threads.submit(data.add, Role.ANCHOR, "anna", uploads(*photos)) for _ in range(4)]
        assert all(len(a.result().stored) == 20 for a in added)
    found = sorted((tmp_path / "data" / "anchor" / "anna").iterdir())
    assert sorted(file.read_bytes() for file in found) == sorted(b"stored:" + p for p in photos)


def test_what_can_not_be_decoded_is_rejected_with_its_reason(data: TrainingData) -> None:
    added = data.add(Role.NEGATIVE, None, uploads(b"GIF89a", b"noise", photo("bob")))
    assert [r.filename for r in added.rejected] == ["0.jpg", "1.jpg"]
    assert all(r.reasons[0].code is ReasonCode.INVALID_IMAGE for r in added.rejected)
    assert added.stored[0].file.count("/") == 0
    with pytest.raises(EnrollmentRejectedError) as refused:
        data.add(Role.NEGATIVE, None, uploads(b"noise"))
    assert refused.value.extra["rejected"][0]["filename"] == "0.jpg"


@pytest.mark.parametrize("name", ["", "../anna", "a/b", ".hidden", "a" * 65, "anna\n"])
def test_names_follow_the_rule_of_subjects(data: TrainingData, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        data.add(Role.ANCHOR, name, uploads(photo("anna")))
    with pytest.raises(InvalidRequestError):
        data.delete(Role.ANCHOR, name)


def test_a_person_or_a_role_is_deleted(data: TrainingData, tmp_path: Path) -> None:
    data.add(Role.NEGATIVE, "bob", uploads(photo("bob"), photo("bob", 1)))
    data.add(Role.NEGATIVE, "amy", uploads(photo("amy")))
    data.add(Role.NEGATIVE, None, uploads(photo("carl")))
    (tmp_path / "data" / "negative" / "Bob").mkdir()
    (tmp_path / "data" / "negative" / "Bob" / "by-hand.jpg").write_bytes(photo("bob", 2))
    with pytest.raises(SubjectNotFoundError):
        data.delete(Role.NEGATIVE, "nobody")
    assert data.delete(Role.NEGATIVE, "BOB") == 3
    assert data.sizes()[Role.NEGATIVE].photos == 2
    assert data.delete(Role.NEGATIVE) == 2
    assert data.sizes()[Role.NEGATIVE].photos == 0


def test_the_audit_log_is_told_without_names(data: TrainingData, audit: AuditLog) -> None:
    actor = Actor("admin", "r1")
    data.add(Role.ANCHOR, "anna", uploads(photo("anna"), b"noise"), actor)
    data.delete(Role.ANCHOR, "anna", actor)
    data.delete(Role.NEGATIVE, None, actor)
    audit.flush()
    added, deleted, emptied = audit.tail(3)
    assert (added.action, added.details["stored"]) == (Action.ADD_TRAINING_PHOTOS, 1)
    assert added.subject == deleted.subject == audit.pseudonym("anna")
    assert (deleted.action, deleted.details["deleted"]) == (Action.DELETE_TRAINING_PHOTOS, 1)
    assert emptied.subject is None
    assert "anna" not in str(added)
    audit.close()
