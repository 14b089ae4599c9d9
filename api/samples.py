"""Numbers that Prometheus reads from the database, asked for by index and at most every `SAMPLE_SECONDS`; web servers and workers tell them alike."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import false, func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.coupons import pools
from crm.segments import evaluation
from engine.engine import Engine
from engine.enrolment import unrouted
from engine.versions import listing
from engine.versions.listing import HALTED
from models import OPEN_MESSAGE, Event, Inbox, Journey, Message
from workspace import notices, sending_rates, stopped_accounts

SAMPLE_SECONDS = 15.0


class Samples(Collector):
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
        "pfadwerk_segment_lag_seconds",
        "Age of the oldest change that no segment has taken in.",
        value=_age(evaluation.oldest(session), now),
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
    for row in stopped_accounts.listed(session):
        stops.add_metric([row.account], 1)
    yield stops
    rates = GaugeMetricFamily(
        "pfadwerk_sending_level",
        "Provider accounts with too many bounces or complaints: 1 warned of, 2 slowed, 3 stopped.",
        labels=["account"],
    )
    for account, level in sending_rates.known(session).items():
        rates.add_metric([account], sending_rates.ORDER.index(level))
    yield rates
    codes = GaugeMetricFamily("pfadwerk_coupons", "Coupon codes by pool and state.", labels=["pool", "state"])
    for pool, counted in pools.counts(session).items():
        for state in ("free", "reserved", "sent"):
            codes.add_metric([pool, state], getattr(counted, state))
    yield codes
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
    journeys = listing.numbers(session, session.scalars(select(Journey.id)).all()).values()
    return {
        "active": sum(one.active for one in journeys),
        **{status: sum(one.halted.get(status, 0) for one in journeys) for status in HALTED},
    }


def _age(at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds()) if at is not None else 0.0
