"""Every message with what became of it, whatever provider carried it: newest first, by state, and those that a person must decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.labels import CHANNELS, MESSAGE_STATES, REASONS, coded
from builder_ui.kit.reactpy_compat import Element, html
from crm.jobs import newest_job
from engine import perhaps
from engine.engine import Engine
from engine.perhaps import Listed
from engine.restored import Assume
from journeys.channels import SENDABLE
from journeys.errors import Invalid
from models import Job, Journey, Message, Restore
from reports import messages
from reports.messages import MessageFilter
from storage.locks import person_of

PAGE_SIZE = 50
UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Undecided:
    """A restore of which calls wait for a decision; `job` is the newest work on all of them."""

    of: Listed
    job: Job | None
    waits: bool = False
    """No worker is alive to do it."""

    @property
    def is_under_way(self) -> bool:
        return self.job is not None and self.job.state == "running"


@dataclass(frozen=True, slots=True)
class Data:
    """`journeys`: id -> (key, name)."""

    rows: list[Message]
    names: Mapping[str, str]
    journeys: Mapping[str, tuple[str, str]]
    undecided: int
    restored: list[Undecided]
    next_before: str | None


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        journeys = {id: (key, name) for id, key, name in session.execute(select(Journey.id, Journey.key, Journey.name))}
        try:
            rows, before = messages.page(session, asked(session, context.query))
        except Invalid:
            rows, before = messages.page(session, asked(session, {**context.query, "before": ""}))
        names = contact_names(session, [row.contact_id for row in rows])
        return Data(rows, names, journeys, messages.undecided(session), undecided(context.engine, session), before)


def undecided(engine: Engine, session: Session) -> list[Undecided]:
    """The restores of which something waits for a decision."""
    found = [one for one in perhaps.listed(session) if one.counts.get("ask")] if engine.was_restored(session) else []
    jobs = [newest_job(session, perhaps.subject(one.restore.id), perhaps.JOB) for one in found]
    return [Undecided(one, job, waits(session, job)) for one, job in zip(found, jobs, strict=True)]


def asked(session: Session, query: Mapping[str, str]) -> MessageFilter:
    """What the address asks for. What cannot be understood asks for nothing."""
    state, undecided = query.get("state", ""), query.get("state") == UNDECIDED
    key = query.get("journey", "")
    journey_id = session.scalar(select(Journey.id).where(Journey.key == key[:64])) if key else None
    return MessageFilter(
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


def stamp(context: PageContext) -> object:
    """A newer message, or another fate of one on this page."""
    if context.query.get("before"):
        return None
    data = load(context)
    return (
        data.undecided,
        [(one.of.counts, one.job and one.job.state) for one in data.restored],
        [(row.id, row.status, row.opened_at, row.clicked_at) for row in data.rows],
    )


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    columns = (t("Contact"), t("Message"), t("State"), t("Time"), t("Journey"))
    rows = [row(context, data, one) for one in data.rows]
    return html._(
        components.head(t("Messages"), t("From all providers. Messages with an unknown outcome wait for a decision.")),
        html.div({"className": "bar"}, components.tabs(context, "state", tabs(context, data.undecided), t("States"))),
        *(restored_notice(context, one, acts) for one in data.restored),
        components.table(t("Messages"), columns, rows, "mails") if rows else components.empty("mail", t("No matching messages."), None),
        components.pager(context, data.next_before),
    )


def restored_notice(context: PageContext, one: Undecided, acts: Acts) -> Element:
    """What may have left before a restore, and deciding about all of it."""
    t, restore = context.t, one.of.restore
    text = t(
        "May have been sent between {since} and {until}, before a backup was restored: {count}. This cannot "
        "be known for certain, so they wait for a decision; runs stuck for the same reason are included.",
        count=t.number(one.of.counts["ask"]),
        since=t.moment(restore.since),
        until=t.moment(restore.until),
    )
    return html.section(
        {"className": "panel restored", "key": restore.id, "aria-label": t("Before the restore")},
        html.p({"className": "held"}, components.icon("alert"), html.span(text)),
        ended_early(t, one.job, "The last attempt on all of them failed before it finished: {reason}"),
        no_worker(t, one.waits),
        *left_over(t, one),
        html.div({"className": "actions"}, *decisions(context, restore, acts)) if may_decide(context, one) else None,
    )


def left_over(t: Translator, one: Undecided) -> list[Element]:
    """What is to be said about the work on all of them."""
    if one.is_under_way:
        return [html.p(components.icon("hourglass"), " ", t("They are being decided, page by page."))]
    if one.job is not None and one.job.counts.get("kept"):
        return [html.p(t("These remain: they cannot be sent again automatically. Decide one by one, or count all as sent."))]
    return []


def may_decide(context: PageContext, one: Undecided) -> bool:
    return context.may("message.decide") and not one.is_under_way


def decisions(context: PageContext, restore: Restore, acts: Acts) -> list[Element]:
    t = context.t
    return [
        components.ask(
            t("All were sent"),
            t("They count as sent, and so does anything found later. Contacts who did not get theirs will not get it."),
            t("Count all as sent"),
            acts.act("message.decide", deciding(restore.id, "sent"), "They are being counted as sent, page by page."),
            "check",
        ),
        components.ask(
            t("Send all"),
            t("Contacts who did get theirs get it twice. Consent, suppressed addresses and quiet hours are checked again."),
            t("Send all now"),
            acts.act("message.decide", deciding(restore.id, "unsent"), "They are sent within seconds if the rules allow it."),
            "mail",
        ),
        one_by_one(context, restore, acts),
    ]


def one_by_one(context: PageContext, restore: Restore, acts: Acts) -> Element:
    """The list of them; where something else was said of what comes up later, that is taken back first."""
    t = context.t
    if restore.assume == "ask":
        return html.a({"href": f"/ui/messages?state={UNDECIDED}", "className": "button"}, components.icon("user"), t("One by one"))
    return components.ask(
        t("One by one"),
        t("Anything found later also waits under “To decide”; each is decided individually."),
        t("Decide one by one"),
        acts.act("message.decide", deciding(restore.id, "ask"), "Each waits for a decision."),
        "user",
    )


def deciding(restore_id: str, assume: Assume) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            perhaps.decide_all(session, restore_id, assume, context.by, context.app.now())

    return do


def tabs(context: PageContext, undecided: int) -> list[tuple[str, str, int | None]]:
    states = ("sent", "held", "bounced", "failed", "skipped", "uncertain")
    shown: list[tuple[str, str, int | None]] = [(state, context.t(MESSAGE_STATES[state][0]), None) for state in states]
    return [("all", context.t("All"), None), (UNDECIDED, context.t("To decide"), undecided), *shown]


def row(context: PageContext, data: Data, one: Message) -> list[Element]:
    t = context.t
    key, name = data.journeys.get(one.journey_id or "", ("", ""))
    whose = contact_link(t, one.contact_id, data.names.get(one.contact_id))
    return [
        t("the team") if one.test else whose,
        html.a({"href": f"/ui/messages/{one.id}"}, one.subject or coded(t, CHANNELS, one.channel)),
        html.span(
            components.badge(t("Test"), "quiet", "mail") if one.test else None,
            components.badge(t(MESSAGE_STATES[one.status][0]), *MESSAGE_STATES[one.status][1:]),
            " ",
            html.small(coded(t, REASONS, one.reason)) if one.reason else None,
        ),
        components.moment(t, one.sent_at or one.planned_at),
        html.a({"href": f"/ui/journeys/{key}"}, name) if key else "–",
    ]


PAGE = Page("/ui/messages", "Messages", "messages", "message.list", load, view, stamp, every_seconds=4.0)
