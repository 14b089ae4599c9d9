"""Whoever writes what a rule can ask for marks whom it concerns: for every kind of term, everybody who writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.catalogue import declare_field
from crm.consent import consent
from crm.imports.bulk import WriteMode, write_people
from crm.imports.columns import Person, Said
from crm.people import devices, identity, profile, scores, touches
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.people.visitors import fill_fields
from crm.privacy import retention
from crm.privacy.erasure import erase
from crm.rules import expression as sql
from crm.segments import evaluation, fill, segments
from journeys.rules import parse_rule
from journeys.rules.terms import TERMS
from models import Job, SegmentMember
from storage.events import append_event
from workspace import settings

PRO = {"field": "plan", "operator": "=", "value": "pro"}
CITY = {"field": "home.city", "operator": "=", "value": "Bern"}
KNOWN = {"field": "email", "operator": "notNull"}
GRANTED = {"consent": "email", "purpose": "newsletter", "value": "granted"}
NEWS = {"topic": "news", "value": "granted"}
FIT = {"score": "fit", "operator": ">=", "value": 5}
BOUGHT = {"event": "Order Completed"}
NEWSLETTER = {"lead_source": "last", "attribute": "utm_source", "value": "news"}
RECENT = {"consent_age": "email", "purpose": "newsletter", "operator": "<", "age": "P30D"}
SPENT = {"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "value": 9}}
FOLLOWED = {"sequence": [{"event": "Page Viewed"}, {"event": "Order Completed"}]}
MANY = {f"a{number:03}": "x" for number in range(250)}


@dataclass(slots=True)
class Town:
    """Anna, whose turn it is, and Ben."""

    session: Session
    anna: str
    ben: str
    now: datetime

    def file(self, *names: tuple[str, str], wake: bool = True, **said: Any) -> None:
        write_people(self.session, [Person([("user_id", "anna"), *names], **said)], self.now, WriteMode("import:x", "import:x", wake=wake))

    def field(self, **fields: Any) -> None:
        profile.update_fields(self.session, self.anna, fields, self.now, "test")

    def event(self, name: str, at: timedelta = timedelta(0), type: str = "track", **properties: Any) -> None:
        append_event(self.session, self.anna, type, name, properties, self.now - at, routed=True)

    def says(self, channel: str, purpose: str, state: str = "granted") -> None:
        consent.record_consent(self.session, self.anna, channel, purpose, state, self.now, evidence=consent.Evidence.DATED, source="test")

    def undo(self) -> None:
        found = newest(self.session, self.anna)
        assert found is not None
        assert found.id is not None
        unmerge(self.session, found.id, "test", self.now)

    def purge(self) -> None:
        cursor, more = "", True
        while more:
            cursor, _ = retention.page(self.session, cursor, self.now, ())
            more = bool(cursor)

    def said_long_ago(self) -> None:
        long_ago = self.now - timedelta(days=90)
        evidence = consent.Evidence.DATED
        consent.record_consent(
            self.session, self.anna, "email", "newsletter", "granted", self.now, evidence=evidence, source="test", said_at=long_ago
        )

    def makes_carla(self) -> None:
        write_people(self.session, [Person([("user_id", "carla")])], self.now, WriteMode("import:x", "import:x"))

    def listed(self, put: bool) -> None:
        by_hand = segments.put_in if put else segments.take_out
        by_hand(self.session, "list", [self.anna], "test", self.now, silent=put)


def consented(channel: str, purpose: str) -> Said:
    return Said(channel, purpose, "granted", None, "file", "")


def bens(town: Town) -> None:
    """What Anna gets with Ben."""
    profile.add_tag(town.session, town.ben, "vip", town.now)
    profile.update_fields(town.session, town.ben, {"plan": "pro"}, town.now, "test")
    scores.change_score(town.session, town.ben, "fit", 9, False, "test", town.now)
    append_event(town.session, town.ben, "track", "Order Completed", {}, town.now, routed=True)


def joined(town: Town) -> None:
    bens(town)
    merge(town.session, town.anna, town.ben, town.now)


def came(town: Town, source: str = "news", hours: int = 0) -> touches.Touch:
    return touches.Touch("campaign", town.now + timedelta(hours=hours), utm_source=source)


def came_again(town: Town) -> None:
    touches.record(town.session, town.anna, came(town, "ads", 1), town.now)


def dated(town: Town) -> Said:
    return Said("email", "newsletter", "granted", town.now, "file", "")


Act = Callable[[Town], Any]
WRITES: list[tuple[dict[str, Any], Act | None, Act]] = [
    (PRO, None, lambda town: town.field(plan="pro")),
    (PRO, lambda town: town.field(plan="pro"), lambda town: town.field(plan=None)),
    (PRO, None, lambda town: town.field(**MANY, plan="pro")),
    (PRO, None, lambda town: town.field(a={**MANY}, plan="pro")),
    (PRO, None, lambda town: town.file(fields={"plan": "pro"})),
    (PRO, None, lambda town: town.file(fields={**MANY, "plan": "pro"}, wake=False)),
    (PRO, None, lambda town: fill_fields(town.session, town.anna, {"plan": "pro"}, town.now, "test", own=True)),
    (PRO, lambda town: town.field(plan="pro"), lambda town: erase(town.session, town.anna, town.now, by="test")),
    (CITY, None, lambda town: town.field(home={"city": "Bern"})),
    (CITY, lambda town: town.field(**{"home.city": "Bern"}), lambda town: town.field(home="nowhere")),
    (KNOWN, None, lambda town: town.file(("email", "anna@example.org"), fields={"email": "anna@example.org"})),
    (KNOWN, None, lambda town: town.field(email="anna@example.org")),
    ({"field": "owner", "operator": "=", "value": "m1"}, None, lambda town: profile.set_owner(town.session, town.anna, "m1", town.now)),
    (
        {"field": "push_devices", "operator": "notNull"},
        None,
        lambda town: devices.register(town.session, town.anna, devices.Registration("android", "t" * 40), town.now),
    ),
    ({"tag": "vip"}, None, lambda town: profile.add_tag(town.session, town.anna, "vip", town.now)),
    (
        {"tag": "vip"},
        lambda town: profile.add_tag(town.session, town.anna, "vip", town.now),
        lambda town: profile.remove_tag(town.session, town.anna, "vip", town.now),
    ),
    ({"tag": "vip"}, None, lambda town: town.file(tags=["vip"])),
    ({"tag": "vip"}, None, joined),
    ({"tag": "vip"}, joined, Town.undo),
    (PRO, None, joined),
    (PRO, joined, Town.undo),
    (FIT, None, lambda town: scores.change_score(town.session, town.anna, "fit", 9, False, "test", town.now)),
    (FIT, None, joined),
    (FIT, joined, Town.undo),
    (GRANTED, None, lambda town: town.says("email", "newsletter")),
    (GRANTED, lambda town: town.says("email", "newsletter"), lambda town: town.says("email", "newsletter", "withdrawn")),
    (
        GRANTED,
        lambda town: town.says("email", "newsletter"),
        lambda town: consent.object_all(town.session, town.anna, town.now, source="test"),
    ),
    (GRANTED, None, lambda town: town.file(consents=[consented("email", "newsletter")])),
    (NEWS, None, lambda town: town.says("topic", "news")),
    (NEWS, None, lambda town: town.file(consents=[consented("topic", "news")])),
    (BOUGHT, None, lambda town: town.event("Order Completed")),
    (BOUGHT, lambda town: town.event("Order Completed", timedelta(days=4_000)), Town.purge),
    (BOUGHT, None, joined),
    (BOUGHT, joined, Town.undo),
    (SPENT, None, lambda town: town.event("Order Completed", total=9)),
    (SPENT, lambda town: town.event("Order Completed", timedelta(days=4_000), total=9), Town.purge),
    (FOLLOWED, lambda town: town.event("Page Viewed"), lambda town: town.event("Order Completed")),
    ({"message": "opened"}, None, lambda town: town.event("Message Opened", type="system", message_id="m")),
    (NEWSLETTER, None, lambda town: touches.record(town.session, town.anna, came(town), town.now)),
    (NEWSLETTER, lambda town: touches.record(town.session, town.anna, came(town), town.now), lambda town: came_again(town)),
    (NEWSLETTER, None, lambda town: (touches.record(town.session, town.ben, came(town), town.now), joined(town))),
    (
        NEWSLETTER,
        lambda town: (touches.record(town.session, town.ben, came(town), town.now), joined(town)),
        Town.undo,
    ),
    ({"lead_source": "first", "attribute": "kind", "value": "import"}, None, lambda town: town.makes_carla()),
    (RECENT, None, lambda town: town.says("email", "newsletter")),
    (RECENT, lambda town: town.said_long_ago(), lambda town: town.says("email", "newsletter")),
    (RECENT, lambda town: town.said_long_ago(), lambda town: town.file(consents=[dated(town)])),
    ({"segment": "list"}, None, lambda town: town.listed(True)),
    ({"segment": "list"}, lambda town: town.listed(True), lambda town: town.listed(False)),
]


@pytest.fixture
def town(session: Session, make_contact: Any, now: datetime) -> Town:
    anna, ben = (identity.resolve(session, [("user_id", name)], now).contact_id for name in ("anna", "ben"))
    segments.create(session, "List", None, "test", now)
    for name in ("plan", "home.city"):
        declare_field(session, name, "string", now)
    settings.put(session, "topics", {"topics": [{"key": "news", "english": "News", "german": "Neues"}]}, "test", now)
    return Town(session, anna, ben, now)


@pytest.mark.parametrize("number", range(len(WRITES)))
def test_whoever_writes_marks(town: Town, number: int) -> None:
    rule, before, write = WRITES[number]
    if before is not None:
        before(town)
    row = segments.create(town.session, "One", rule, "test", town.now)
    job = town.session.get_one(Job, row.fill_job)
    while (cursor := fill.fill_page(town.session, job, town.now).cursor) is not None:
        job.cursor = cursor
    settled(town)
    was = is_in(town, row.id)
    write(town)
    settled(town)
    assert is_in(town, row.id) == set(sql.page(town.session, parse_rule(rule), town.now))
    assert is_in(town, row.id) != was, "the case shows nothing"


def settled(town: Town) -> None:
    town.session.flush()
    while waiting := evaluation.waiting(town.session, town.now):
        evaluation.ask_waiting(town.session, waiting, town.now)


def is_in(town: Town, segment_id: int | None) -> set[str]:
    return set(town.session.scalars(select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment_id)))


def test_every_kind_of_term_is_written_here() -> None:
    shown = {key for rule, _, _ in WRITES for key in rule}
    assert set(TERMS.names()) <= shown
