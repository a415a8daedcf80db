"""Prometheus instruments. Labels are small closed sets: no subject, no score, no path."""

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.process_collector import ProcessCollector

from app.domain.entities import Verdict
from app.domain.ports import FacePipeline
from app.domain.training import JobState
from app.inference.pool import InferencePool
from app.services.gallery_health import ProblemCode

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """The instruments of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "facetwin_requests",
            "Answered requests.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "facetwin_request_duration_seconds",
            "Time from the first byte of a request to the end of its answer.",
            ("route", "method"),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "facetwin_stage_duration_seconds",
            "Time of one stage of a verification.",
            ("stage",),
            buckets=_STAGE_SECONDS,
            registry=self.registry,
        )
        self.decisions = Counter(
            "facetwin_decisions", "Verdicts.", ("decision", "policy"), registry=self.registry
        )
        self.rejections = Counter(
            "facetwin_rejections",
            "Refused requests by problem code, refused photos by quality reason.",
            ("code",),
            registry=self.registry,
        )
        self.references = Gauge(
            "facetwin_references", "References in the gallery.", registry=self.registry
        )
        self.degraded = Gauge(
            "facetwin_degraded",
            "1 for each problem that /readyz lists.",
            ("code",),
            registry=self.registry,
        )
        self.show_degraded(())
        self.training_jobs = Gauge(
            "facetwin_training_jobs", "Training jobs by state.", ("state",), registry=self.registry
        )
        self.model = Info("facetwin_model", "The bundle that serves.", registry=self.registry)

    def watch_pool(self, pool: InferencePool) -> None:
        """Report what is in the pool at the moment of a scrape."""
        in_flight = Gauge(
            "facetwin_inference_in_flight",
            "Requests that run in the inference pool or wait for it.",
            registry=self.registry,
        )
        in_flight.set_function(lambda: pool.in_flight)
        queued = Gauge(
            "facetwin_inference_queued",
            "Requests that wait for an inference thread.",
            registry=self.registry,
        )
        queued.set_function(lambda: pool.queued)

    def show_degraded(self, codes: Iterable[str]) -> None:
        """Say which problems hold at this moment."""
        current = set(codes)
        for code in current.union(ProblemCode):
            self.degraded.labels(str(code)).set(code in current)

    def show_jobs(self, counts: Mapping[JobState, int]) -> None:
        """Say how many training jobs are in each state at this moment."""
        for state, count in counts.items():
            self.training_jobs.labels(state.value).set(count)

    def name_model(self, pipeline: FacePipeline) -> None:
        """Name the bundle that serves."""
        self.model.info({"version": pipeline.version, "fingerprint": pipeline.fingerprint})

    def count_verdict(self, verdict: Verdict, timing_ms: Mapping[str, float]) -> None:
        """Count a verdict, what made it inconclusive, and the time of its stages."""
        self.decisions.labels(verdict.decision.value, verdict.policy.value).inc()
        for reason in verdict.reasons:
            if reason.blocking:
                self.rejections.labels(reason.code.value).inc()
        for stage, milliseconds in timing_ms.items():
            self.stage_seconds.labels(stage).observe(milliseconds / 1000)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
