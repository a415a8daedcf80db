from app.domain.entities import FacePolicy
from app.services.enrolled_photos import GalleryPhotos
from app.storage.cipher import new_key
from tests.dummy_pipeline import STORED, photo
from tests.services.world import Session, World


def photos_of(session: Session) -> list[tuple[str, bytes]]:
    found = GalleryPhotos(session.database, session.files)()
    return [(each.subject, each.data) for each in found]


def stored(person: str, variant: int = 0) -> bytes:
    return STORED + photo(person, variant)


def test_people_with_two_references_or_more_are_given(session: Session) -> None:
    session.enroll("Bob", photo("bob"), photo("bob", 1))
    session.enroll("alice", photo("alice"), photo("alice", 1), photo("alice", 2))
    session.enroll("carol", photo("carol"))

    found = photos_of(session)
    assert found[:3] == [("alice", stored("alice", i)) for i in range(3)]
    assert sorted(found[3:]) == [("Bob", stored("bob", i)) for i in range(2)]


def test_the_policy_goes_along(session: Session) -> None:
    uploads = session.uploads(photo("alice"), photo("alice", 1))
    session.enrollment.enroll("alice", uploads, FacePolicy.LARGEST)

    found = list(GalleryPhotos(session.database, session.files)())
    assert {each.policy for each in found} == {FacePolicy.LARGEST}


def test_what_is_encrypted_is_given_decrypted(world: World) -> None:
    session = world.open(key=new_key())
    session.enroll("alice", photo("alice"), photo("alice", 1))

    assert photos_of(session) == [("alice", stored("alice", i)) for i in range(2)]


def test_a_photo_that_is_gone_is_left_out(session: Session, world: World) -> None:
    session.enroll("alice", photo("alice"), photo("alice", 1), photo("alice", 2))
    session.enroll("bob", photo("bob"), photo("bob", 1))
    for subject in ("alice", "bob"):
        next(path for path in sorted(world.images.glob(f"{subject}/*.jpg"))).unlink()

    assert [subject for subject, _ in photos_of(session)] == ["alice", "alice"]
