import pytest

from app.domain.calibration import BUCKETS, Calibration
from app.domain.entities import FacePolicy, ReasonCode
from app.domain.errors import EnrollmentRejectedError, InvalidRequestError, NoReferencesError
from app.services.enrollment import Upload
from app.services.reference_store import ReferenceStore
from tests.dummy_pipeline import STORED, DummyPipeline, operating_points, photo
from tests.services.world import Session, World

ALICE = photo("alice")


def test_what_is_stored_is_what_was_embedded(world: World, session: Session) -> None:
    result = session.enroll("alice", ALICE)
    (enrolled,) = result.enrolled
    assert world.files() == [f"alice/{enrolled.image_id}.jpg"]
    stored = (world.images / world.files()[0]).read_bytes()
    assert stored == STORED + ALICE
    _, (reference,), matrix = session.gallery.references("alice")
    expected = session.pipeline.analyze(stored, FacePolicy.PROMINENT)
    assert matrix.tolist() == [expected.embedding.tolist()]
    assert reference.image_id == enrolled.image_id
    assert (result.subject, result.references) == ("alice", 1)
    assert enrolled.filename == "0.jpg"
    assert enrolled.face == expected.face


def test_the_root_is_the_default_subject(world: World, session: Session) -> None:
    (enrolled,) = session.enroll("Default", ALICE).enrolled
    assert world.files() == [f"{enrolled.image_id}.jpg"]
    _, report = world.restart()
    assert (report.unchanged, report.added, report.removed) == (1, 0, 0)


def test_the_first_spelling_of_a_subject_wins(world: World, session: Session) -> None:
    session.enroll("Alice", ALICE)
    result = session.enroll("aLICE", photo("alice", 1))
    assert (result.subject, result.references) == ("Alice", 2)
    assert [s.subject for s in session.gallery.subjects()] == ["Alice"]
    assert {path.split("/")[0] for path in world.files()} == {"Alice"}


def test_an_existing_folder_of_another_spelling_is_used(world: World, session: Session) -> None:
    world.put("ALICE/notes.txt", b"")
    session.enroll("alice", ALICE)
    assert (world.images / "ALICE").is_dir()
    assert not (world.images / "alice").exists()


def test_the_good_half_is_kept_and_the_bad_half_has_its_reasons(session: Session) -> None:
    bad = {
        photo("alice", faces=0): ReasonCode.NO_FACE,
        photo("alice", quality=0.2): ReasonCode.TOO_BLURRY,
        b"damaged": ReasonCode.INVALID_IMAGE,
        b"GIF89a": ReasonCode.INVALID_IMAGE,
        b"x" * 200_000: ReasonCode.INVALID_IMAGE,
        ALICE + b" ": ReasonCode.DUPLICATE_IMAGE,
    }
    result = session.enroll("alice", ALICE, *bad, photo("alice", 1))
    assert [e.filename for e in result.enrolled] == ["0.jpg", "7.jpg"]
    assert [r.reasons[0].code for r in result.rejected] == list(bad.values())
    assert "0.jpg" in result.rejected[-1].reasons[0].message
    assert all(r.reasons[0].blocking for r in result.rejected)
    assert result.references == 2


def test_all_rejected_changes_nothing(world: World, session: Session) -> None:
    revision = session.database.revision()
    with pytest.raises(EnrollmentRejectedError) as caught:
        session.enroll("alice", photo("alice", faces=0), b"damaged")
    rejected = caught.value.extra["rejected"]
    assert [r["filename"] for r in rejected] == ["0.jpg", "1.jpg"]
    assert rejected[0]["reasons"][0]["code"] == "NO_FACE"
    assert session.gallery.subjects() == []
    assert session.database.revision() == revision
    assert world.files() == []
    assert not (world.images / "alice").exists()


def test_several_faces_are_refused_under_single_only(session: Session) -> None:
    crowd = Upload("crowd.jpg", photo("alice", faces=3))
    with pytest.raises(EnrollmentRejectedError) as caught:
        session.enrollment.enroll("alice", [crowd], FacePolicy.SINGLE)
    assert caught.value.extra["rejected"][0]["reasons"][0]["code"] == "MULTIPLE_FACES"
    assert session.enrollment.enroll("alice", [crowd]).references == 1


@pytest.mark.parametrize("again", [ALICE, ALICE + b"\n", STORED + ALICE])
def test_a_photo_of_the_gallery_is_a_duplicate(session: Session, again: bytes) -> None:
    (first,) = session.enroll("alice", ALICE).enrolled
    with pytest.raises(EnrollmentRejectedError) as caught:
        session.enroll("Alice", again)
    (reason,) = caught.value.extra["rejected"][0]["reasons"]
    assert reason["code"] == "DUPLICATE_IMAGE"
    assert first.image_id in reason["message"]
    # Another subject may have the same photo.
    assert session.enroll("bob", again).references == 1


def test_a_duplicate_that_another_request_enrolled_meanwhile(
    session: Session, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = world.open()
    add = ReferenceStore.add

    def race(store: ReferenceStore, *args: object) -> object:
        monkeypatch.setattr(ReferenceStore, "add", add)
        other.enroll("alice", ALICE)
        return add(store, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ReferenceStore, "add", race)
    result = session.enroll("alice", ALICE, photo("alice", 1))
    assert [r.reasons[0].code for r in result.rejected] == [ReasonCode.DUPLICATE_IMAGE]
    assert (len(result.enrolled), result.references) == (1, 2)


def test_another_face_is_an_outlier_and_still_enrolled(session: Session) -> None:
    first = session.enroll("alice", *(photo("alice", i) for i in range(2)))
    # Too few references to say so.
    assert session.enroll("alice", photo("bob")).enrolled[0].quality.reasons == ()
    session.enroll("alice", *(photo("alice", i) for i in range(2, 6)))
    (stranger,) = session.enroll("alice", photo("eve")).enrolled
    (reason,) = stranger.quality.reasons
    assert reason.code is ReasonCode.OUTLIER
    assert not reason.blocking
    assert reason.measured is not None
    assert reason.required is not None
    assert reason.measured < reason.required
    stored = session.gallery.image("alice", stranger.image_id)
    assert stored.quality is not None
    assert stored.quality.reasons == (reason,)
    assert first.enrolled[0].quality.reasons == ()


def test_a_stranger_among_the_photos_of_one_enrolment_is_an_outlier(session: Session) -> None:
    photos = [photo("alice", 1), photo("eve"), photo("alice", 2), photo("alice", 3)]
    result = session.enroll("alice", *photos)
    found = {e.filename: [r.code for r in e.quality.reasons] for e in result.enrolled}
    assert found == {"0.jpg": [], "1.jpg": [ReasonCode.OUTLIER], "2.jpg": [], "3.jpg": []}


def test_who_is_an_outlier_is_only_said_of_whom_the_bundle_is_about(world: World) -> None:
    points = dict.fromkeys(BUCKETS, operating_points())
    session = world.open(DummyPipeline(calibration=Calibration(points, subject="alice")))
    found = {
        name: session.enroll(name, *(photo(name, i) for i in range(4)), photo("eve")).enrolled[-1]
        for name in ("alice", "bert")
    }
    codes = {name: [r.code for r in e.quality.reasons] for name, e in found.items()}
    assert codes == {"alice": [ReasonCode.OUTLIER], "bert": []}


def test_advisory_findings_do_not_reject(session: Session) -> None:
    (enrolled,) = session.enroll("alice", photo("alice", quality=0.5)).enrolled
    assert [r.code for r in enrolled.quality.reasons] == [ReasonCode.TOO_DARK]


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "x" * 65, "ä"])
def test_a_name_that_is_not_allowed_is_refused(session: Session, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        session.enroll(name, ALICE)


def test_no_photos_are_an_invalid_request(session: Session) -> None:
    with pytest.raises(InvalidRequestError):
        session.enroll("alice")
    with pytest.raises(NoReferencesError):
        session.gallery.references("default")


def test_stored_photos_are_for_their_owner_only(world: World, session: Session) -> None:
    session.enroll("alice", ALICE)
    place = world.images / world.files()[0]
    assert place.stat().st_mode & 0o077 == 0
    assert (world.root / "facetwin.sqlite").stat().st_mode & 0o077 == 0
