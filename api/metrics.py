"""What Prometheus reads at `/metrics`. Numbers from the database are asked for at most every `SAMPLE_SECONDS`, by index."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import false, func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from api.writer import Writer
from crm import notices, stopped
from engine import shelf, unrouted
from engine.live import Engine
from engine.shelf import HALTED
from models import OPEN_MESSAGE, Event, Inbox, Journey, Message

SAMPLE_SECONDS = 15.0
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
        """One request; unknown methods share a label so that nobody can fill the registry."""
        known = method if method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") else "OTHER"
        self.requests.labels(known, route, f"{status // 100}xx").observe(seconds)

    def watch(self, engine: Engine, writer: Writer) -> None:
        """Adds what is read when somebody looks: the writer's counts and samples from the database."""
        self.registry.register(_WriterCounts(writer))
        self.registry.register(_Samples(engine))

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


class _Samples(Collector):
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sampled_at = -SAMPLE_SECONDS
        self._sample: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        if time.monotonic() - self._sampled_at >= SAMPLE_SECONDS:
            with self.engine.db.read() as session:
                self._sample = list(_sample(session, self.engine.clock.now()))
            self._sampled_at = time.monotonic()
        return self._sample

    def describe(self) -> Iterable[Metric]:
        return []


def _sample(session: Session, now: datetime) -> Iterable[Metric]:
    runs = GaugeMetricFamily("pfadwerk_open_runs", "Runs that have not ended, by status.", labels=["status"])
    for status, count in _open_runs(session).items():
        runs.add_metric([status], count)
    yield runs
    messages = GaugeMetricFamily("pfadwerk_open_messages", "Messages claimed, held or uncertain.", labels=["status"])
    for status, count in session.execute(select(Message.status, func.count()).where(OPEN_MESSAGE).group_by(Message.status)):
        messages.add_metric([status], count)
    yield messages
    oldest_inbox = session.scalar(select(func.min(Inbox.arrived_at)).where(col(Inbox.consumed) == false()))
    yield GaugeMetricFamily(
        "pfadwerk_inbox_lag_seconds", "Age of the oldest event that a run has not consumed.", value=_age(oldest_inbox, now)
    )
    yield GaugeMetricFamily(
        "pfadwerk_unrouted_parts",
        "Parts of stored events that wait because routing them failed; at most 1,000.",
        value=unrouted.count(session),
    )
    stuck = GaugeMetricFamily("pfadwerk_stuck_runs", "Runs that wait for a person to decide, by journey.", labels=["journey"])
    for row in notices.stuck(session):
        stuck.add_metric([row.key], row.number)
    yield stuck
    stops = GaugeMetricFamily("pfadwerk_account_stopped", "Provider accounts that take no messages now.", labels=["account"])
    for row in stopped.listed(session):
        stops.add_metric([row.account], 1)
    yield stops
    first = select(Event.received_at).where(col(Event.routed) == false()).order_by(col(Event.id)).limit(1)
    yield GaugeMetricFamily(
        "pfadwerk_unrouted_lag_seconds", "Age of the oldest event that the keeper has not routed.", value=_age(session.scalar(first), now)
    )
    first_claim = select(func.min(Message.claimed_at)).where(OPEN_MESSAGE, col(Message.status) == "claimed")
    yield GaugeMetricFamily(
        "pfadwerk_outbox_lag_seconds",
        "Age of the oldest message handed to a provider without an answer.",
        value=_age(session.scalar(first_claim), now),
    )


def _open_runs(session: Session) -> dict[str, int]:
    """From the tally: counting the rows would cost the more the more contacts wait."""
    journeys = shelf.numbers(session, session.scalars(select(Journey.id)).all()).values()
    return {
        "active": sum(one.active for one in journeys),
        **{status: sum(one.halted.get(status, 0) for one in journeys) for status in HALTED},
    }


def _age(at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds()) if at is not None else 0.0
