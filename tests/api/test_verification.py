import pytest

from tests.api.service import Service
from tests.dummy_pipeline import photo


@pytest.fixture(autouse=True)
def _alice(service: Service) -> None:
    assert service.enroll(photo("alice", 1), photo("alice", 2), subject="Alice").status_code == 201


def test_a_match_is_explained(service: Service) -> None:
    response = service.verify(photo("alice", 3), subject="alice", detail="true")

    answer = response.json()
    assert response.status_code == 200
    assert (answer["verified"], answer["decision"], answer["subject"]) == (True, "match", "Alice")
    assert answer["policy"] == "calibrated"
    assert answer["score"] >= answer["threshold"] == 0.5
    assert answer["fmr"] == {
        "target": 0.001,
        "estimated": 0.0009,
        "interval": [0.0005, 0.001],
    }
    assert answer["votes"]["references"] == len(answer["references"]) == 2
    assert set(answer["face"]) == {"box", "landmarks", "score"}
    assert answer["face"]["landmarks"]["left_eye"] == [280, 220]
    assert answer["faces"] == 1
    assert answer["quality"]["acceptable"] is True
    assert answer["reasons"] == []
    assert answer["model"] == {"version": "dummy-1", "fingerprint": "d" * 64}
    assert {"decode", "detect", "align", "embed", "match", "total"} <= set(answer["timing_ms"])
    assert answer["request_id"] == response.headers["X-Request-ID"]


def test_another_person_is_no_match(service: Service) -> None:
    answer = service.verify(photo("bob"), subject="alice").json()

    assert (answer["verified"], answer["decision"]) == (False, "no_match")
    assert "references" not in answer


def test_a_blurred_probe_is_inconclusive(service: Service) -> None:
    answer = service.verify(photo("alice", quality=0.2), subject="alice").json()

    assert (answer["verified"], answer["decision"]) == (False, "inconclusive")
    assert [reason["code"] for reason in answer["reasons"] if reason["blocking"]] == ["TOO_BLURRY"]
    assert answer["quality"]["acceptable"] is False


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"detection_threshold": "0.7"}, (0.7, 0.5)),
        ({"verification_threshold": "0"}, (0.5, 0.0)),
        ({"detection_threshold": "1", "verification_threshold": "1"}, (1.0, 1.0)),
    ],
)
def test_a_threshold_chooses_the_vote(
    service: Service, fields: dict[str, str], expected: tuple[float, float]
) -> None:
    answer = service.verify(photo("alice"), subject="alice", **fields).json()

    votes = answer["votes"]
    assert answer["policy"] == "vote"
    assert answer["fmr"] is None
    assert (votes["detection_threshold"], votes["verification_threshold"]) == expected
    assert answer["score"] == pytest.approx(votes["proportion"])


@pytest.mark.parametrize("value", ["nan", "inf", "-0.1", "1.1", "1e300", "half"])
@pytest.mark.parametrize("field", ["max_fmr", "detection_threshold", "verification_threshold"])
def test_a_bad_threshold_is_refused_and_named(service: Service, field: str, value: str) -> None:
    response = service.verify(photo("alice"), subject="alice", **{field: value})

    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("value", ["0", "1"])
def test_max_fmr_is_an_open_interval(service: Service, value: str) -> None:
    response = service.verify(photo("alice"), subject="alice", max_fmr=value)

    assert response.json()["code"] == "invalid_request"


def test_max_fmr_moves_the_threshold(service: Service) -> None:
    strict = service.verify(photo("alice"), subject="alice", max_fmr="0.001").json()
    lax = service.verify(photo("alice"), subject="alice", max_fmr="0.1").json()

    assert lax["threshold"] < strict["threshold"]


def test_an_uncalibrated_fmr_is_refused(service: Service) -> None:
    response = service.verify(photo("alice"), subject="alice", max_fmr="1e-9")

    assert response.status_code == 422
    assert response.json()["code"] == "unsupported_fmr"
    assert response.json()["strictest_supported"] == 0.001


def test_two_policies_at_once_are_refused(service: Service) -> None:
    response = service.verify(
        photo("alice"), subject="alice", max_fmr="0.01", detection_threshold="0.5"
    )

    assert response.json()["code"] == "invalid_request"
    assert response.json()["errors"][0]["field"] == "max_fmr"


def test_false_is_false(service: Service) -> None:
    assert (
        "references" not in service.verify(photo("alice"), subject="alice", detail="false").json()
    )


def test_a_misspelt_field_is_refused(service: Service) -> None:
    response = service.verify(photo("alice"), subject="alice", treshold="0.9")

    assert response.json()["code"] == "invalid_request"
    assert response.json()["errors"] == [
        {"field": "treshold", "message": "There is no field of this name."}
    ]


def test_compare_stores_nothing(service: Service) -> None:
    same = service.compare(photo("carol", 1), photo("carol", 2)).json()
    other = service.compare(photo("carol", 1), photo("dave", 1)).json()

    assert (same["decision"], other["decision"]) == ("match", "no_match")
    assert same["subject"] is None
    assert same["votes"]["references"] == 1
    assert service.metric("facetwin_references") == 2


def test_compare_looks_at_the_quality_of_both(service: Service) -> None:
    answer = service.compare(photo("carol"), photo("carol", 2, quality=0.2)).json()

    assert answer["decision"] == "inconclusive"
    assert "TOO_BLURRY" in [reason["code"] for reason in answer["reasons"]]


def test_detect_lists_faces(service: Service) -> None:
    answer = service.detect(photo("alice", faces=3)).json()

    assert (answer["width"], answer["height"]) == (640, 480)
    assert len(answer["faces"]) == 3
    assert answer["faces"][0]["quality"]["acceptable"] is True


def test_detect_finds_no_face_in_peace(service: Service) -> None:
    response = service.detect(photo("alice", faces=0))

    assert response.status_code == 200
    assert response.json()["faces"] == []
