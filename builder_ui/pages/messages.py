"""Every message with what became of it, whatever provider carried it: newest first, by state, and those that a person must decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui import parts
from builder_ui.compat import Element, html
from builder_ui.people import contact_link, contact_names
from builder_ui.visit import Acts, Page, Visit
from builder_ui.words import CHANNELS, MESSAGE_STATES, REASONS, coded
from crm.locks import person_of
from journeys.channels import SENDABLE
from journeys.errors import Invalid
from models import Journey, Message
from reports import messages
from reports.messages import Wanted

PAGE_SIZE = 50
UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Data:
    """`journeys`: id -> (key, name)."""

    rows: list[Message]
    names: Mapping[str, str]
    journeys: Mapping[str, tuple[str, str]]
    undecided: int
    next_before: str | None


def load(visit: Visit) -> Data:
    with visit.engine.db.read() as session:
        journeys = {id: (key, name) for id, key, name in session.execute(select(Journey.id, Journey.key, Journey.name))}
        try:
            rows, before = messages.page(session, asked(session, visit.query))
        except Invalid:
            rows, before = messages.page(session, asked(session, {**visit.query, "before": ""}))
        return Data(rows, contact_names(session, [row.contact_id for row in rows]), journeys, messages.undecided(session), before)


def asked(session: Session, query: Mapping[str, str]) -> Wanted:
    """What the address asks for. What cannot be understood asks for nothing."""
    state, undecided = query.get("state", ""), query.get("state") == UNDECIDED
    key = query.get("journey", "")
    journey_id = session.scalar(select(Journey.id).where(Journey.key == key[:64])) if key else None
    return Wanted(
        since=_moment(query.get("since", "")),
        run_id=query.get("run", "")[:32] or None,
        status="uncertain" if undecided else state if state in messages.STATUSES else None,
        contact_id=person_of(session, contact) if (contact := query.get("contact", "")[:32]) else None,
        journey_id=journey_id,
        channels=None if undecided else SENDABLE,
        open_only=undecided,
        before=query.get("before"),
        limit=PAGE_SIZE,
    )


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo is not None else None


def stamp(visit: Visit) -> object:
    """A newer message, or another fate of one on this page."""
    if visit.query.get("before"):
        return None
    data = load(visit)
    return data.undecided, [(row.id, row.status, row.opened_at, row.clicked_at) for row in data.rows]


def view(visit: Visit, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    columns = (speech("Contact"), speech("Message"), speech("State"), speech("Time"), speech("Journey"))
    rows = [row(visit, data, one) for one in data.rows]
    return html._(
        parts.head(
            speech("Messages"), speech("Whatever provider carried them. What nobody knows the end of waits for a person to decide.")
        ),
        html.div({"className": "bar"}, parts.tabs(visit, "state", tabs(visit, data.undecided), speech("States"))),
        parts.table(speech("Messages"), columns, rows, "mails") if rows else parts.empty("mail", speech("No message fits."), None),
        parts.pager(visit, data.next_before),
    )


def tabs(visit: Visit, undecided: int) -> list[tuple[str, str, int | None]]:
    states = ("sent", "held", "bounced", "failed", "skipped", "uncertain")
    shown: list[tuple[str, str, int | None]] = [(state, visit.speech(MESSAGE_STATES[state][0]), None) for state in states]
    return [("all", visit.speech("All"), None), (UNDECIDED, visit.speech("To decide"), undecided), *shown]


def row(visit: Visit, data: Data, one: Message) -> list[Element]:
    speech = visit.speech
    key, name = data.journeys.get(one.journey_id or "", ("", ""))
    return [
        contact_link(speech, one.contact_id, data.names.get(one.contact_id)),
        html.a({"href": f"/ui/messages/{one.id}"}, one.subject or coded(speech, CHANNELS, one.channel)),
        html.span(
            parts.badge(speech(MESSAGE_STATES[one.status][0]), *MESSAGE_STATES[one.status][1:]),
            " ",
            html.small(coded(speech, REASONS, one.reason)) if one.reason else None,
        ),
        parts.moment(speech, one.sent_at or one.planned_at),
        html.a({"href": f"/ui/journeys/{key}"}, name) if key else "–",
    ]


PAGE = Page("/ui/messages", "Messages", "messages", "message.list", load, view, stamp, every_seconds=4.0)
