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
from builder_ui.visit import Acts, Do, Page, Visit
from builder_ui.words import CHANNELS, MESSAGE_STATES, REASONS, coded
from crm.locks import person_of
from engine import perhaps
from engine.perhaps import Listed
from engine.restored import Assume
from engine.wakeups import Wakeups
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
    restored: list[Listed]
    next_before: str | None


def load(visit: Visit) -> Data:
    with visit.engine.db.read() as session:
        journeys = {id: (key, name) for id, key, name in session.execute(select(Journey.id, Journey.key, Journey.name))}
        try:
            rows, before = messages.page(session, asked(session, visit.query))
        except Invalid:
            rows, before = messages.page(session, asked(session, {**visit.query, "before": ""}))
        restored = [one for one in perhaps.listed(session) if one.counts.get("ask")] if visit.engine.was_restored(session) else []
        return Data(rows, contact_names(session, [row.contact_id for row in rows]), journeys, messages.undecided(session), restored, before)


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
    return data.undecided, [one.counts for one in data.restored], [(row.id, row.status, row.opened_at, row.clicked_at) for row in data.rows]


def view(visit: Visit, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    columns = (speech("Contact"), speech("Message"), speech("State"), speech("Time"), speech("Journey"))
    rows = [row(visit, data, one) for one in data.rows]
    return html._(
        parts.head(
            speech("Messages"), speech("Whatever provider carried them. What nobody knows the end of waits for a person to decide.")
        ),
        html.div({"className": "bar"}, parts.tabs(visit, "state", tabs(visit, data.undecided), speech("States"))),
        *(restored_notice(visit, one, acts) for one in data.restored),
        parts.table(speech("Messages"), columns, rows, "mails") if rows else parts.empty("mail", speech("No message fits."), None),
        parts.pager(visit, data.next_before),
    )


def restored_notice(visit: Visit, one: Listed, acts: Acts) -> Element:
    """What may have left before a restore, and deciding about all of it."""
    speech, id = visit.speech, one.restore.id
    text = speech(
        "{count} may have left between {since} and {until}, before a backup was restored. Nobody knows, so they wait here; runs that are stuck "
        "for the same reason are among them.",
        count=speech.number(one.counts["ask"]),
        since=speech.moment(one.restore.since),
        until=speech.moment(one.restore.until),
    )
    return html.section(
        {"className": "panel side-panel", "key": id, "aria-label": speech("Before the restore")},
        html.p(parts.icon("alert"), " ", text),
        html.div({"className": "actions"}, *decisions(visit, id, acts)) if visit.may("message.decide") else None,
    )


def decisions(visit: Visit, restore_id: str, acts: Acts) -> list[Element]:
    speech = visit.speech
    return [
        parts.ask(
            speech("All were sent"),
            speech("They count as sent, and so does what comes up later. Whoever did not get one will not get it."),
            speech("All were sent"),
            acts.act("message.decide", deciding(restore_id, "sent"), "They count as sent, a page at a time."),
            "check",
        ),
        parts.ask(
            speech("Send all"),
            speech("Whoever did get one gets it twice. Consent, blocked addresses and quiet hours are looked at again."),
            speech("Send all"),
            acts.act("message.decide", deciding(restore_id, "unsent"), "They leave within seconds, if the rules allow it."),
            "mail",
        ),
    ]


def deciding(restore_id: str, assume: Assume) -> Do:
    def do(visit: Visit) -> None:
        with visit.engine.db.write() as session:
            perhaps.decide_all(session, restore_id, assume, visit.by, visit.house.now())
        visit.house.wake(Wakeups())

    return do


def tabs(visit: Visit, undecided: int) -> list[tuple[str, str, int | None]]:
    states = ("sent", "held", "bounced", "failed", "skipped", "uncertain")
    shown: list[tuple[str, str, int | None]] = [(state, visit.speech(MESSAGE_STATES[state][0]), None) for state in states]
    return [("all", visit.speech("All"), None), (UNDECIDED, visit.speech("To decide"), undecided), *shown]


def row(visit: Visit, data: Data, one: Message) -> list[Element]:
    speech = visit.speech
    key, name = data.journeys.get(one.journey_id or "", ("", ""))
    whose = contact_link(speech, one.contact_id, data.names.get(one.contact_id))
    return [
        speech("the team") if one.test else whose,
        html.a({"href": f"/ui/messages/{one.id}"}, one.subject or coded(speech, CHANNELS, one.channel)),
        html.span(
            parts.badge(speech("Test"), "quiet", "mail") if one.test else None,
            parts.badge(speech(MESSAGE_STATES[one.status][0]), *MESSAGE_STATES[one.status][1:]),
            " ",
            html.small(coded(speech, REASONS, one.reason)) if one.reason else None,
        ),
        parts.moment(speech, one.sent_at or one.planned_at),
        html.a({"href": f"/ui/journeys/{key}"}, name) if key else "–",
    ]


PAGE = Page("/ui/messages", "Messages", "messages", "message.list", load, view, stamp, every_seconds=4.0)
