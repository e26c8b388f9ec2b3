"""Prometheus metrics. Labels hold only names that the server itself knows, so that no client can make new series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from adhere.serve.guard import Call

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
OVERHEAD = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.05, 0.25, 1)


class Metrics:
    """The series of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("adhere_requests", "Requests", ["endpoint", "model", "status"], registry=registry)
        self.seconds = Histogram(
            "adhere_request_seconds", "Until the last byte", ["endpoint", "model"], buckets=SECONDS, registry=registry
        )
        self.overhead = Histogram(
            "adhere_overhead_seconds", "Not spent in the model or the upstream", buckets=OVERHEAD, registry=registry
        )
        self.running = Gauge("adhere_requests_running", "Begun and not ended", registry=registry)
        self.tokens = Counter("adhere_tokens", "Tokens", ["model", "direction"], registry=registry)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}  # to look labels up is half the cost
        self.verdicts = Counter("adhere_verdicts", "Constraint checks", ["model", "met"], registry=registry)

    def count(self, call: Call, seconds: float) -> None:
        """A request has ended."""
        series = self._known.get((call.endpoint, call.model, call.status))
        if series is None:
            series = self._known[call.endpoint, call.model, call.status] = (
                self.requests.labels(call.endpoint, call.model, str(call.status)),
                self.seconds.labels(call.endpoint, call.model),
            )
        series[0].inc()
        series[1].observe(seconds)
        if call.inside is not None:
            self.overhead.observe(max(0.0, seconds - call.inside))
        if call.prompt_tokens or call.completion_tokens:
            self.tokens.labels(call.model, "in").inc(call.prompt_tokens)
            self.tokens.labels(call.model, "out").inc(call.completion_tokens)
        for met, number in call.verdicts.items():
            self.verdicts.labels(call.model, met).inc(number)

    def page(self) -> bytes:
        """All series as Prometheus reads them."""
        return generate_latest(self.registry)
