import logging

import pytest

from app import __version__
from tests.api.service import Service
from tests.dummy_pipeline import photo

MODEL = {"version": "dummy-1", "fingerprint": "d" * 64}


def test_healthz_and_readyz(service: Service) -> None:
    service.enroll(photo("alice"))

    assert service.get("/healthz").json() == {"status": "ok"}
    assert service.get("/readyz").json() == {
        "status": "ready",
        "self_test": {"ok": True, "detail": "no golden images in a dummy"},
        "model": MODEL,
        "references": 1,
        "degraded": [],
    }


def test_version(service: Service) -> None:
    answer = service.get("/version").json()

    assert answer == {"name": "facetwin", "version": __version__, "model": MODEL}


def test_the_root_leads_to_the_manual(service: Service) -> None:
    assert service.get("/").headers["location"] == "/docs"


@pytest.mark.parametrize("given", ["abc-1._", "a" * 64])
def test_a_request_id_is_taken_over(service: Service, given: str) -> None:
    response = service.get("/healthz", headers={"X-Request-ID": given})

    assert response.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "a;b", "<script>"])
def test_an_odd_request_id_is_replaced(service: Service, given: str) -> None:
    response = service.get("/nowhere", headers={"X-Request-ID": given})

    assert response.headers["X-Request-ID"] != given
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


def test_metrics_count(service: Service) -> None:
    service.enroll(photo("alice"), b"no image", subject="alice")
    service.verify(photo("alice", 2), subject="alice")
    service.verify(photo("bob"), subject="alice", detection_threshold="0.5")
    service.verify(photo("alice", quality=0.1), subject="alice")
    service.get("/subjects/alice")
    service.get("/nowhere")

    for sample, value in {
        'facetwin_requests_total{method="POST",route="/verify",status="200"}': 3,
        'facetwin_requests_total{method="GET",route="/subjects/{subject}",status="200"}': 1,
        'facetwin_requests_total{method="GET",route="other",status="404"}': 1,
        'facetwin_request_duration_seconds_count{method="POST",route="/verify"}': 3,
        'facetwin_stage_duration_seconds_count{stage="embed"}': 3,
        'facetwin_stage_duration_seconds_count{stage="total"}': 3,
        'facetwin_decisions_total{decision="match",policy="calibrated"}': 1,
        'facetwin_decisions_total{decision="no_match",policy="vote"}': 1,
        'facetwin_decisions_total{decision="inconclusive",policy="calibrated"}': 1,
        'facetwin_rejections_total{code="INVALID_IMAGE"}': 1,
        'facetwin_rejections_total{code="TOO_BLURRY"}': 1,
        'facetwin_rejections_total{code="not_found"}': 1,
        "facetwin_references": 1,
        f'facetwin_model_info{{fingerprint="{"d" * 64}",version="dummy-1"}}': 1,
    }.items():
        assert service.metric(sample) == value, sample


def test_metrics_name_nobody(service: Service) -> None:
    service.enroll(photo("zaphod"), subject="zaphod")
    service.get("/subjects/zaphod")

    assert "zaphod" not in service.get("/metrics").text


def test_a_log_line_for_each_request_and_no_name(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="facetwin"):
        service.enroll(photo("zaphod"), subject="zaphod")
        service.verify(photo("zaphod", 2), subject="zaphod", detail="true")
        service.get("/subjects/zaphod", headers={"X-Request-ID": "my-id"})
        service.delete("/subjects/Zaphod")

    own = [record for record in caplog.records if record.name.startswith("facetwin")]
    text = "".join(record.getMessage() for record in own)
    assert text.count("/subjects/{subject}") == 2
    assert "my-id" in text
    assert "zaphod" not in text.lower()
    assert "score" not in text
