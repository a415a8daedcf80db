"""Erasing a person erases what training keeps, and the receipt tells what trained models keep."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from app.domain.audit import COMMAND, Action, AuditEvent
from app.domain.errors import JobConflictError, StorageError, SubjectNotFoundError
from app.domain.receipts import TRAINED, Removed, receipt_is_genuine
from app.domain.training import JobState
from app.storage.database import Database
from tests.dummy_pipeline import photo
from tests.services.test_crashes import Fault, PowerCut
from tests.services.test_erasure import NAME, holding
from tests.services.trained import Trained, sha256
from tests.services.world import SERVICE_KEY, Session, World

PIXELS = b"secret pixels"
OTHER = photo("ben", "of another")
ABOUT, OF_OTHERS = "1" * 32, "2" * 32


def fill(world: World, session: Session, *, is_enrolled: bool = True) -> list[bytes]:
    """A person of whom training has kept all it may; returns what must not be found later."""
    own = photo("planted", "secret pixels of training")
    hashes = [sha256(own)]
    if is_enrolled:
        session.enroll(NAME, photo("planted", "secret pixels 1"), photo("planted", 2))
        hashes += [image.sha256 for image in session.gallery.subject(NAME)[1]]
    trained = Trained(world.root, session.database)
    trained.put(f"data/anchor/{NAME}/1.jpg", own)
    trained.put(f"data/negative/{NAME.upper()}/deep/1.jpg", own)
    trained.put("data/negative/ben/1.jpg", OTHER)
    trained.job(ABOUT, NAME, lines=[f"anchor/{NAME}/1.jpg is blurred"])
    trained.put(f"training/jobs/{ABOUT}/report.html", PIXELS)
    trained.job(OF_OTHERS, "ben", lines=[f"negative/{NAME.upper()}/deep/1.jpg has no face"])
    trained.split(f"training/jobs/{OF_OTHERS}", own, OTHER)
    trained.crop(own).write_bytes(PIXELS)
    trained.bundle("with", None, own, OTHER)
    return [NAME.encode(), NAME.casefold().encode(), PIXELS, *(h.encode() for h in hashes)]


def left(world: World) -> set[str]:
    """Files of trainings."""
    places = (world.root / name for name in ("data", "training", "model"))
    files = (path for place in places for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(world.root)) for path in files}


OF_BEN = {"data/negative/ben/1.jpg", "model/with/calibration.json", "model/with/split.json"}


def test_nothing_of_an_erased_person_is_left_in_any_file(world: World, session: Session) -> None:
    traces = fill(world, session)
    assert set(traces) - {NAME.casefold().encode()} <= set(holding(world.root, traces))
    receipt = session.gallery.delete_subject(NAME)
    assert receipt.log_emptied
    assert holding(world.root, traces) == {}
    assert left(world) == OF_BEN
    world.restart()
    assert holding(world.root, traces) == {}


def test_the_receipt_tells_what_went_and_what_models_keep(world: World, session: Session) -> None:
    fill(world, session)
    receipt = session.gallery.delete_subject(NAME)
    assert receipt.removed == Removed(2, 2, 2, training_files=4)
    assert receipt.models == ("with",)
    assert receipt.kept[-1] == TRAINED
    assert receipt_is_genuine(json.loads(json.dumps(asdict(receipt))), SERVICE_KEY)
    (entry,) = (e for e in session.audit.tail(10) if e.seq == receipt.audit_seq)
    assert (entry.details["training_files"], entry.details["models"]) == (4, ["with"])
    assert session.audit.verify().ok
    assert session.gallery.delete_subject(NAME) == receipt


def test_a_model_is_named_again_although_its_split_has_forgotten(
    world: World, session: Session
) -> None:
    fill(world, session)
    session.gallery.delete_subject(NAME)
    Trained(world.root, session.database).put(f"data/anchor/{NAME}/2.jpg")
    assert session.gallery.delete_subject(NAME).models == ("with",)
    shutil.rmtree(world.root / "model" / "with")
    Trained(world.root, session.database).put(f"data/anchor/{NAME}/2.jpg")
    receipt = session.gallery.delete_subject(NAME)
    assert receipt.models == ()
    assert TRAINED not in receipt.kept


def test_who_is_known_by_training_photos_alone_is_erased(world: World, session: Session) -> None:
    traces = fill(world, session, is_enrolled=False)
    receipt = session.gallery.delete_subject(NAME)
    assert (receipt.subject, receipt.removed) == (NAME, Removed(0, 0, 0, training_files=4))
    assert holding(world.root, traces) == {}
    assert session.gallery.delete_subject(NAME) == receipt
    with pytest.raises(SubjectNotFoundError):
        session.gallery.delete_subject("nobody")


def test_a_running_job_comes_first(world: World, session: Session) -> None:
    fill(world, session)
    before = left(world)
    Trained(world.root, session.database).job("3" * 32, "ben", JobState.RUNNING)
    with pytest.raises(JobConflictError, match="jobs cancel " + "3" * 32):
        session.gallery.delete_subject(NAME)
    assert left(world) == before
    assert session.gallery.reference_count() == 2


def test_a_job_that_begins_in_the_middle_stops_the_erasure(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = fill(world, session)
    write = Database.write

    def begin_job(database: Database) -> object:
        monkeypatch.setattr(Database, "write", write)
        Trained(world.root, database).job("3" * 32, "ben", JobState.RUNNING)
        return write(database)

    monkeypatch.setattr(Database, "write", begin_job)
    with pytest.raises(JobConflictError):
        session.gallery.delete_subject(NAME)
    assert session.gallery.reference_count() == 2
    with session.database.write_apart() as connection:
        connection.exec_driver_sql("UPDATE training_jobs SET state = 'cancelled'")
    receipt = session.gallery.delete_subject(NAME)
    assert (receipt.removed.training_files, receipt.models) == (4, ("with",))
    assert holding(world.root, traces) == {}


def test_who_can_not_be_erased_in_the_gallery_keeps_all(world: World, session: Session) -> None:
    fill(world, session)
    before = left(world)
    next((world.images / NAME).glob("*.jpg")).unlink()
    with pytest.raises(StorageError, match="missing from the folder"):
        session.gallery.delete_subject(NAME)
    assert left(world) == before


# The stand-in for a power cut comes in the middle of SQLAlchemy's own tidying up.
@pytest.mark.filterwarnings("ignore:transaction already deassociated")
def test_what_a_power_cut_leaves_is_erased_by_asking_again(tmp_path: Path) -> None:
    cuts = 0
    # A cut just before a step is one just after the step before it.
    for at in range(0, 300, 2):
        (tmp_path / str(at)).mkdir()
        world = World(tmp_path / str(at))
        session = world.open()
        traces = fill(world, session)
        session.gallery.sync()
        try:
            with Fault(at, PowerCut()).armed():
                session.gallery.delete_subject(NAME)
        except PowerCut:
            cuts += 1
            session, _ = world.restart()
            receipt = session.gallery.delete_subject(NAME)
            assert receipt.removed == Removed(2, 2, 2, training_files=4)
            assert receipt.models == ("with",)
            assert left(world) == OF_BEN
            assert holding(world.root, traces) == {}
            assert session.audit.verify().ok
        world.close()
        shutil.rmtree(world.root)
        if cuts == at // 2:
            break
    assert cuts > 20


def test_entries_and_receipts_of_older_versions_are_understood(session: Session) -> None:
    removed = {"references": 3, "embeddings": 3, "files": 4}
    person = session.audit.pseudonym("anna")
    event = AuditEvent(Action.DELETE_SUBJECT, COMMAND, person, "deleted", removed)
    with session.database.write_apart() as connection:
        session.audit.append(connection, event)
    receipt = session.gallery.delete_subject("anna")
    assert receipt.removed == Removed(**removed, training_files=0)
    assert receipt.models == ()
    document = {**asdict(receipt), "removed": removed}
    del document["models"], document["signature"]
    document["signature"] = SERVICE_KEY.sign("erasure-receipt", document)
    assert receipt_is_genuine(json.loads(json.dumps(document)), SERVICE_KEY)
