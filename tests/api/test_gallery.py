import pytest

from tests.api.service import Service
from tests.dummy_pipeline import photo


def test_enroll_keeps_the_good_half(service: Service) -> None:
    response = service.enroll(
        photo("alice", 1), photo("alice", quality=0.1), b"no image", subject="alice"
    )

    answer = response.json()
    assert response.status_code == 201
    assert (answer["subject"], answer["references"]) == ("alice", 1)
    assert [each["filename"] for each in answer["enrolled"]] == ["0.jpg"]
    assert answer["enrolled"][0]["quality"]["acceptable"] is True
    reasons = {each["filename"]: each["reasons"][0]["code"] for each in answer["rejected"]}
    assert reasons == {"1.jpg": "TOO_BLURRY", "2.jpg": "INVALID_IMAGE"}


def test_all_rejected_changes_nothing(service: Service) -> None:
    response = service.enroll(photo("alice", faces=0), subject="alice")

    answer = response.json()
    assert response.status_code == 422
    assert answer["code"] == "enrollment_rejected"
    assert answer["rejected"][0]["filename"] == "0.jpg"
    assert answer["rejected"][0]["reasons"][0]["code"] == "NO_FACE"
    assert service.metric('facetwin_rejections_total{code="NO_FACE"}') == 1
    assert service.get("/subjects").json() == {"subjects": [], "skipped": []}


def test_a_duplicate_is_rejected(service: Service) -> None:
    service.enroll(photo("alice"))
    answer = service.enroll(photo("alice"), photo("alice", 2)).json()

    assert answer["references"] == 2
    assert answer["rejected"][0]["reasons"][0]["code"] == "DUPLICATE_IMAGE"


def test_the_default_subject_needs_no_name(service: Service) -> None:
    assert service.enroll(photo("alice")).json()["subject"] == "default"
    assert service.verify(photo("alice", 2)).json()["decision"] == "match"


def test_enroll_takes_a_face_policy(service: Service) -> None:
    rejected = service.enroll(photo("alice", faces=2), face_policy="single").json()
    enrolled = service.enroll(photo("alice", faces=2), face_policy="largest")

    assert rejected["rejected"][0]["reasons"][0]["code"] == "MULTIPLE_FACES"
    assert enrolled.status_code == 201


def test_no_file_is_refused(service: Service) -> None:
    response = service.request("POST", "/enroll", files={"photo": ("a.jpg", photo("alice"))})

    assert response.status_code == 422
    errors = {each["field"]: each["message"] for each in response.json()["errors"]}
    assert errors == {
        "files": "This field is required.",
        "photo": "There is no field of this name.",
    }


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "-a", "a" * 65, "x\n", "ä"])
def test_a_bad_subject_name_is_refused(service: Service, name: str) -> None:
    response = service.enroll(photo("alice"), subject=name)

    assert response.json()["code"] == "invalid_request"
    assert [error["field"] for error in response.json()["errors"]] == ["subject"]
    assert service.get("/subjects").json()["subjects"] == []


def test_a_subject_is_found_without_regard_to_case(service: Service) -> None:
    service.enroll(photo("alice"), subject="Alice")

    answer = service.get("/subjects/ALICE").json()
    assert (answer["subject"], answer["references"]) == ("Alice", 1)
    assert answer["images"][0]["source"] == "upload"
    assert answer["images"][0]["face"]["box"]["width"] == 200
    assert answer["images"][0]["quality"]["acceptable"] is True


def test_subjects_lists_everyone(service: Service) -> None:
    service.enroll(photo("alice"), subject="alice")
    service.enroll(photo("bob", 1), photo("bob", 2), subject="bob")

    subjects = service.get("/subjects").json()["subjects"]
    assert {each["subject"]: each["references"] for each in subjects} == {"alice": 1, "bob": 2}


def test_an_image_can_be_looked_at_and_deleted(service: Service) -> None:
    enrolled = service.enroll(photo("alice", 1), photo("alice", 2), subject="alice").json()
    path = f"/subjects/alice/images/{enrolled['enrolled'][0]['image_id']}"

    assert service.get(path).json()["filename"].endswith(".jpg")
    content = service.get(f"{path}/content")
    assert content.headers["content-type"] == "image/jpeg"
    assert content.headers["cache-control"] == "no-store"
    assert content.content.startswith(b"stored:face:alice")
    assert service.delete(path).status_code == 204
    assert service.get(path).json()["code"] == "image_not_found"
    assert service.get(f"{path}/content").json()["code"] == "image_not_found"
    assert service.get("/subjects/alice").json()["references"] == 1


def test_a_deleted_person_is_gone(service: Service) -> None:
    service.enroll(photo("alice", 1), photo("alice", 2), subject="alice")

    answer = service.delete("/subjects/Alice").json()
    assert (answer["subject"], answer["deleted"]) == ("alice", 2)
    assert service.get("/subjects/alice").json()["code"] == "subject_not_found"
    assert service.verify(photo("alice"), subject="alice").json()["code"] == "subject_not_found"
    # Whoever lost the receipt asks again.
    assert service.delete("/subjects/Alice").json()["receipt"] == {
        **answer["receipt"],
        "subject": "Alice",
        "signature": service.delete("/subjects/Alice").json()["receipt"]["signature"],
    }
    assert service.delete("/subjects/nobody").status_code == 404
    assert service.metric("facetwin_references") == 0


def test_the_last_image_leaves_no_references(service: Service) -> None:
    enrolled = service.enroll(photo("alice"), subject="alice").json()["enrolled"][0]
    service.delete(f"/subjects/alice/images/{enrolled['image_id']}")

    response = service.verify(photo("alice"), subject="alice")
    assert response.json()["code"] in {"no_references", "subject_not_found"}
