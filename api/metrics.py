"""What Prometheus reads at the web server's `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api.http.headers import known
from api.samples import Samples
from api.tracking.writer import Writer
from engine.engine import Engine

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The registry of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "pfadwerk_http_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("method", "route", "status"),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.refused = Counter(
            "pfadwerk_ingest_refused_events", "Events that were not taken because something in them is wrong.", registry=self.registry
        )

    def measure(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request."""
        self.requests.labels(known(method), route, f"{status // 100}xx").observe(seconds)

    def watch(self, engine: Engine, writer: Writer) -> None:
        """Adds what is read when somebody looks: the writer's counts and samples from the database."""
        self.registry.register(_WriterCounts(writer))
        self.registry.register(Samples(engine))

    def page(self) -> bytes:
        return generate_latest(self.registry)


class _WriterCounts(Collector):
    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def collect(self) -> Iterable[Metric]:
        counts = self.writer.counts
        events = CounterMetricFamily("pfadwerk_ingest_events", "Events by what became of them.", labels=["result"])
        for result in ("stored", "repeated", "refused", "failed"):
            events.add_metric([result], getattr(counts, result))
        yield events
        yield CounterMetricFamily("pfadwerk_ingest_transactions", "Transactions of the batching writer.", value=counts.transactions)
        yield CounterMetricFamily("pfadwerk_ingest_busy_seconds", "Time the batching writer worked.", value=counts.busy_seconds)
        yield GaugeMetricFamily("pfadwerk_ingest_backlog", "Events that wait for the batching writer.", value=self.writer.backlog)
