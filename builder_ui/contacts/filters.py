"""The filters of the list of contacts: from the address to a question to the database, and back to words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.kit.actor_names import member_names
from builder_ui.kit.i18n import Translator
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, coded
from crm.people.contacts import ContactFilter, equals
from journeys.channels import CONSENTS
from journeys.errors import Invalid
from journeys.rules.terms.lead_source import KINDS
from models import Journey
from storage import segment_marks

SEEN = {
    "1": "Seen in the last 24 hours",
    "7": "Seen in the last 7 days",
    "30": "Seen in the last 30 days",
    "-30": "Not seen for 30 days",
    "-90": "Not seen for 90 days",
    "-365": "Not seen for a year",
}
"""Days -> sentence; with a minus: longer ago, or never."""


@dataclass(frozen=True, slots=True)
class Filters:
    """`filter` is the question; `chips` say it: (sentence, names in the query that it stands for)."""

    filter: ContactFilter
    chips: list[tuple[str, tuple[str, ...]]]


def read_filters(session: Session, query: Mapping[str, str], now: datetime, t: Translator) -> Filters:
    """What the query of an address asks for. What cannot be understood asks for nothing and is not shown as a filter."""
    chips: list[tuple[str, tuple[str, ...]]] = []

    def given(name: str) -> str | None:
        return query.get(name, "").strip()[:200] or None

    def chip(text: str, *names: str) -> None:
        chips.append((text, names))

    text, tag, stage, owner = given("q"), given("tag"), given("stage"), given("owner")
    if text:
        chip(t("Name or address begins with “{beginning}”", beginning=text), "q")
    if tag:
        chip(t("Tag {tag}", tag=tag), "tag")
    if stage:
        chip(t("Stage {stage}", stage=stage), "stage")
    if owner:
        chip(t("Owner {name}", name=member_names(session).get(owner, "?")), "owner")
    consent = _consent(query)
    if consent:
        said = {"channel": coded(t, CHANNELS, consent[0]), "state": coded(t, CONSENT_STATES, consent[1])}
        chip(t("{channel} (marketing): {state}", **said), "channel", "consent")
    score = _score(query)
    if score:
        chip(t("Score {group} at least {points}", group=score[0], points=t.number(score[1])), "group", "score")
    source, came = given("source"), query.get("came", "")
    if source:
        chip(t("Source {source}", source=source), "source")
    if came in KINDS:
        chip(t("Came first by: {kind}", kind=t(KINDS[came])), "came")
    after, before = _seen(query, now)
    if after or before:
        chip(t(SEEN[query["seen"]]), "seen")
    since = _since(query, t)
    if since:
        chip(t("Created since {day}", day=t.written(since.astimezone(t.zone).date())), "since")
    equal, field, value = None, given("field"), given("value")
    if field and value:
        with suppress(Invalid):
            equals(field, value)  # raises where there can be no such field
            equal = field, value
            chip(f"{field} = {value}", "field", "value")
    journey = session.scalar(select(Journey).where(Journey.key == given("journey"))) if given("journey") else None
    if journey is not None:
        chip(t("In the journey “{name}”", name=journey.name), "journey")
    segment = segment_marks.known(session).by_key.get(given("segment") or "")
    if segment is not None:
        chip(t("In the segment “{name}”", name=segment.name), "segment")
    filter = ContactFilter(
        text or "",
        tag,
        stage,
        owner,
        equal,
        consent,
        score,
        after,
        before,
        since,
        journey_id=journey.id if journey else None,
        segment_id=segment.id if segment else None,
        lead_source=source,
        came_by=came if came in KINDS else None,
    )
    return Filters(filter, chips)


def _consent(query: Mapping[str, str]) -> tuple[str, str] | None:
    channel, state = query.get("channel", ""), query.get("consent", "")
    return (channel, state) if channel in CONSENTS and state in CONSENT_STATES else None


def _score(query: Mapping[str, str]) -> tuple[str, float] | None:
    group = query.get("group", "").strip()[:64]
    with suppress(ValueError):
        least = float(query.get("score", "").replace(",", "."))
        if group and abs(least) < 1e9:
            return group, least
    return None


def _seen(query: Mapping[str, str], now: datetime) -> tuple[datetime | None, datetime | None]:
    chosen = query.get("seen", "")
    if chosen not in SEEN:
        return None, None
    moment = now - timedelta(days=abs(int(chosen)))
    return (None, moment) if chosen.startswith("-") else (moment, None)


def _since(query: Mapping[str, str], t: Translator) -> datetime | None:
    """The beginning of a day in the zone of whoever asks."""
    with suppress(ValueError):
        day = date.fromisoformat(query.get("since", ""))
        if date(1971, 1, 1) < day < date(9000, 1, 1):
            return datetime.combine(day, time(), t.zone).astimezone(UTC)
    return None
