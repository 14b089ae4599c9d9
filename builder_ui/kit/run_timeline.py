"""One run as a timeline: every step with its time, decisions with their inputs, waits, messages with their delivery status, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from builder_ui.kit import actor_names, components, labels
from builder_ui.kit.actor_names import contact_names, meant_for, member_names
from builder_ui.kit.context import PageContext
from builder_ui.kit.labels import CHANNELS, MESSAGE_STATES, OUTLETS, REASONS, RUN_STATES, coded, mistake
from builder_ui.kit.reactpy_compat import Element, html
from engine.runs.operations import timeline
from engine.versions.publish import get_journey
from journeys.errors import NotFound
from journeys.nodes import Node
from models import Message, OutboxItem, Run


@dataclass(slots=True)
class Chapter:
    """One visit of one step: its lines of the trail, the messages and the events that fell into its time."""

    node: str
    at: datetime
    lines: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Data:
    """`story` is `engine.runs.operations.timeline`; `mails` maps a message id to what its rendered form is found under."""

    story: dict[str, Any]
    journey_state: str
    nodes: Mapping[str, Node]
    steps: Mapping[str, str]
    """Node id -> what people call the step."""
    name: str
    mails: dict[str, str]
    members: dict[str, str]

    def node_name(self, node_id: str, context: PageContext) -> str:
        return self.steps.get(node_id, node_id) if node_id else context.t("Start")


def load(context: PageContext) -> Data:
    run_id = context.arguments["id"]
    with context.engine.db.read() as session:
        story = timeline(session, run_id)
        version_id = session.scalars(select(Run.version_id).where(Run.id == run_id)).one()
        program = context.engine.program(session, version_id)
        contact_id = story["contact"]["id"]
        return Data(
            story,
            get_journey(session, story["journey"]["id"]).state,
            program.nodes,
            labels.names_of(context.t, program.nodes),
            contact_names(session, [contact_id]).get(contact_id, ""),
            _mails(session, story["messages"]),
            member_names(session),
        )


def _mails(session: Any, messages: list[dict[str, Any]]) -> dict[str, str]:
    """The outbox number where there is one, else the message id where the body is kept."""
    kept = {message["id"]: message["id"] for message in messages if message["body_id"]}
    ids = [message["id"] for message in messages]
    rows = session.execute(select(OutboxItem.message_id, OutboxItem.id).where(col(OutboxItem.message_id).in_(ids)))
    return kept | {message_id: str(number) for message_id, number in rows}


def stamp(context: PageContext) -> object:
    """Changes with every step of the run, and with the fate of its messages."""
    run_id = context.arguments["id"]
    with context.engine.db.read() as session:
        row = session.execute(select(Run.step, Run.status, Run.updated_at).where(Run.id == run_id)).first()
        if row is None:
            raise NotFound("There is no such run.")
        fates = session.execute(select(Message.status, Message.opened_at, Message.clicked_at).where(Message.run_id == run_id)).all()
        return tuple(row), [tuple(fate) for fate in fates]


def chapters(story: dict[str, Any]) -> list[Chapter]:
    """The trail cut into visits of steps. A message or an event belongs to the last visit that began before it."""
    told: list[Chapter] = []
    for line in story["trail"]:
        if line["what"] in ("entered", "placed") or not told:
            told.append(Chapter(line["node"], line["at"]))
        told[-1].lines.append(line)
    for message in story["messages"]:
        _chapter_at(told, message["planned_at"], message["node"]).messages.append(message)
    for task in story["tasks"]:
        _chapter_at(told, task["created_at"], task["node"]).tasks.append(task)
    decisive = {line["detail"].get("event_id") for line in story["trail"]}
    for event in story["heard"]:
        if event["id"] not in decisive:
            _chapter_at(told, event["arrived_at"]).heard.append(event)
    return told


def _chapter_at(told: list[Chapter], at: datetime, node: str | None = None) -> Chapter:
    before = [chapter for chapter in told if chapter.at <= at and node in (None, chapter.node)]
    return before[-1] if before else told[0]


def chapter_item(context: PageContext, data: Data, chapter: Chapter, key: str) -> Element:
    t, node = context.t, data.nodes.get(chapter.node)
    lines = [element for line in chapter.lines if (element := trail_line(context, data, chapter, line)) is not None]
    return html.li(
        {"className": "event", "key": key},
        html.span({"className": "step-icon"}, components.icon(node.icon if node else "circle")),
        html.div(
            {"className": "event-body"},
            html.div(
                {"className": "event-head"},
                html.h3({"title": chapter.node}, data.node_name(chapter.node, context)),
                html.time({"dateTime": chapter.at.isoformat(), "title": t.exactly(chapter.at)}, t.clock(chapter.at)),
            ),
            html.ul(
                {"className": "lines"},
                lines,
                [message_line(context, data, one) for one in chapter.messages],
                [task_line(context, data, one) for one in chapter.tasks],
                [heard_line(context, one) for one in chapter.heard],
            ),
        ),
    )


def trail_line(context: PageContext, data: Data, chapter: Chapter, line: dict[str, Any]) -> Element:
    """One line of the trail; None for those that say nothing by themselves."""
    t, detail = context.t, line["detail"]
    key = f"{line['step']}.{line['seq']}"
    match line["what"]:
        case "entered" | "placed":
            return None
        case "calling" | "performed" if chapter.messages:
            return None  # the message says it better
        case "calling":
            return plain(key, t("calls {channel}", channel=coded(t, CHANNELS, detail.get("channel", ""))))
        case "performed":
            return plain(
                key,
                t("answer: {outlet}", outlet=coded(t, OUTLETS, line["outlet"])),
                reason=coded(t, REASONS, detail.get("reason", "")),
            )
        case "waiting":
            return waiting_line(context, key, detail)
        case "heard":
            return plain(key, *components.marked(heard_words(context, detail)))
        case "left":
            return left_line(context, data, chapter, key, line)
        case "exited":
            return exited_line(context, data, key, detail)
        case "ended":
            return plain(key, html.b(t("Ended")), ": ", coded(t, REASONS, detail.get("reason", "")), at=line["at"], context=context)
        case "migrated":
            return plain(
                key,
                t("moved from version {old} to version {new}", old=detail.get("from", ""), new=detail.get("to", "")),
                at=line["at"],
                context=context,
            )
        case "migrated_back":
            return plain(key, t("moved back to the earlier version"), at=line["at"], context=context)
        case "merged" | "parted" as what:
            return beside_line(context, key, line, t(OF_CONTACT[what]))
        case "held" | "stuck" | "quarantined" as state:
            return beside_line(context, key, line, html.b(t(RUN_STATES[state][0])), ": ", coded(t, REASONS, detail.get("reason", "")))
        case "attempt":
            return beside_line(context, key, line, t("did not get through: {reason}", reason=coded(t, REASONS, detail.get("reason", ""))))
        case "resumed" if detail.get("reason") in BY_ITSELF:
            return beside_line(context, key, line, t(BY_ITSELF[detail["reason"]]))
        case "resumed" | "skipped" | "taken_out" as act:
            said = {"name": actor_names.actor(t, data.members, detail.get("by", "")), "outlet": coded(t, OUTLETS, line["outlet"])}
            return beside_line(context, key, line, t(BY_HAND[act], **said))
        case other:
            return plain(key, other, at=line["at"], context=context)


OF_CONTACT = {
    "merged": "continues: its contact was merged into another",
    "parted": "back with its contact: the merge was undone",
}
BY_ITSELF = {
    "journey_resumed": "continues: the journey was resumed",
    "tried_again": "tried again and continues",
}
BY_HAND = {
    "resumed": "{name} retried the run",
    "skipped": "{name} skipped the step and continued through: {outlet}",
    "taken_out": "{name} ended the run",
}


def beside_line(context: PageContext, key: str, line: dict[str, Any], *words_of_it: Element) -> Element:
    """What happened beside the steps, with its time; what came several times with how often, and the last time."""
    t, count, last = context.t, line["detail"].get("count", 1), line["detail"].get("last", "")
    times = t("{count} times, last {when}", count=t.number(count), when=labels.text_moment(t, last)) if count > 1 else ""
    return plain(key, *words_of_it, reason=times, at=line["at"], context=context)


def plain(key: str, *words_of_it: Element, reason: str = "", at: datetime | None = None, context: PageContext | None = None) -> Element:
    time = components.moment(context.t, at) if at and context else None
    return html.li(
        {"key": key}, *words_of_it, f" ({reason})" if reason else None, html.span({"className": "quiet"}, " · ", time) if time else None
    )


def waiting_line(context: PageContext, key: str, detail: dict[str, Any]) -> Element:
    t, until = context.t, detail.get("until")
    names = ", ".join(coded(t, OUTLETS, name) for name in detail.get("branches", ()))
    when = labels.text_moment(t, until) if until else ""
    if names:
        return plain(key, t("waits for {names}", names=names), f", {t('until {when} at the latest', when=when)}" if when else None)
    return plain(key, t("waits until {when}", when=when))


def heard_words(context: PageContext, detail: dict[str, Any]) -> str:
    return context.t("received *{event}*", event=detail.get("event", ""))


def left_line(context: PageContext, data: Data, chapter: Chapter, key: str, line: dict[str, Any]) -> Element:
    """The way on, and under it what decided: each question with its answer, then whatever else the step noted."""
    t, detail = context.t, line["detail"]
    asked = detail.get("rule") or [row for rows in (detail.get("cases") or {}).values() for row in rows]
    node = data.nodes.get(line["node"])
    decided = bool(asked) or (node is not None and len(node.outlets()) > 1)
    if chapter.messages and "sent" in (line["outlet"], detail.get("result")):
        return None  # the message says it better
    if not decided and not detail:
        return None
    return html.li(
        {"key": key},
        html.span({"className": "decision"}, components.icon("arrow"), html.b(coded(t, OUTLETS, line["outlet"]))) if decided else None,
        html.ul({"className": "terms"}, [term_line(context, data, row, n) for n, row in enumerate(asked)]) if asked else None,
        notes(context, data, detail),
    )


def term_line(context: PageContext, data: Data, row: dict[str, Any], number: int) -> Element:
    t = context.t
    question, answer = labels.term(t, row, data.steps)
    good = bool(row.get("result"))
    word = t("true") if good else t("not true")
    return html.li(
        {"key": str(number), "className": "good" if good else "bad"},
        html.span(
            {"className": "truth", "title": word}, components.icon("check" if good else "ban"), html.span({"className": "hidden"}, word)
        ),
        html.span(components.marked(question)),
        html.span({"className": "found"}, t("found: {value}", value=answer)),
    )


NOTES = {
    "drawn_percent": "drawn: {value} %",
    "before": "before: {value}",
    "owner": "new owner: {value}",
    "kept": "keeps the current owner",
    "nobody_present": "no one in the rotation {value} is available",
    "nothing_to_copy": "nothing to copy: {value}",
    "result": "answer: {value}",
}


def notes(context: PageContext, data: Data, detail: dict[str, Any]) -> Element:
    """What a step noted beside its decision, as far as there are words for it."""
    said = []
    for name, value in detail.items():
        if name in NOTES:
            shown = data.members.get(value, value) if name == "owner" else coded(context.t, OUTLETS, value) if name == "result" else value
            said.append(
                context.t(
                    NOTES[name],
                    value=context.t.number(shown)
                    if isinstance(shown, int | float)
                    else ", ".join(shown)
                    if isinstance(shown, list)
                    else shown,
                )
            )
    return html.span({"className": "quiet"}, " · ".join(said)) if said else None


def exited_line(context: PageContext, data: Data, key: str, detail: dict[str, Any]) -> Element:
    t = context.t
    if "event" in detail:
        return plain(key, *components.marked(t("exits immediately: *{event}* happened", event=detail["event"])))
    rows = detail.get("rule") or []
    return html.li(
        {"key": key},
        t("exits immediately: an exit rule came true"),
        html.ul({"className": "terms"}, [term_line(context, data, row, n) for n, row in enumerate(rows)]),
    )


def message_line(context: PageContext, data: Data, message: dict[str, Any]) -> Element:
    """A message with its fate, and the way to what it looked like."""
    t = context.t
    subject = message["subject"] or coded(t, CHANNELS, message["channel"])
    found = data.mails.get(message["id"])
    reason = coded(t, REASONS, message["reason"]) if message["reason"] else ""
    gone = meant_for(t, data.members, message["instead_of"])
    held = t("held until {when}", when=t.moment(message["held_until"])) if message["status"] == "held" and message["held_until"] else ""
    return html.li(
        {"className": "message", "key": message["id"]},
        html.a({"href": f"/ui/outbox/{found}"}, subject) if found and context.may("message.read_body") else html.span(subject),
        html.div(
            {"className": "fates"},
            components.badge(t(MESSAGE_STATES[message["status"]][0]), *MESSAGE_STATES[message["status"]][1:]),
            html.small(", ".join(part for part in (reason, held, gone) if part)) if reason or held or gone else None,
            fate(context, "", message["sent_at"]),
            fate(context, "Opened", message["opened_at"], "mail-open"),
            fate(context, "Clicked", message["clicked_at"], "link"),
            fate(context, "Bounced", message["bounced_at"], "alert"),
        ),
    )


def fate(context: PageContext, text: str, at: datetime | None, symbol: str | None = None) -> Element:
    """A time of a message's life; without a text the badge beside it says of what."""
    if at is None:
        return None
    words_of_it = [context.t(text), " "] if text else []
    return html.span({"className": "fate"}, components.icon(symbol) if symbol else None, *words_of_it, components.moment(context.t, at))


def task_line(context: PageContext, data: Data, task: dict[str, Any]) -> Element:
    """A task that the step made: who has it, and whom it was meant for if that one is gone."""
    t = context.t
    owner = data.members.get(task["owner"], task["owner"]) if task["owner"] else t("no one")
    said = [t("with {owner}", owner=owner), meant_for(t, data.members, task["instead_of"])]
    return html.li({"key": task["id"]}, html.b(task["title"]), " ", html.span({"className": "quiet"}, " · ".join(filter(None, said))))


def heard_line(context: PageContext, event: dict[str, Any]) -> Element:
    t = context.t
    text = t("received *{event}*", event=event["name"]) if event["consumed"] else t("*{event}* has arrived", event=event["name"])
    return html.li(
        {"key": f"heard{event['id']}"},
        components.icon("ear"),
        " ",
        components.marked(text),
        html.span({"className": "quiet"}, " · ", components.moment(t, event["arrived_at"])),
    )


def next_line(context: PageContext, data: Data) -> Element:
    """What the run waits for now, or why it does not move."""
    t, run, coming = context.t, data.story["run"], data.story["next"]
    if coming is None:
        return None
    if run["status"] in ("stuck", "quarantined", "held"):
        _, tone, symbol = RUN_STATES[run["status"]]
        words_of_it: list[Element] = [
            html.b(t(RUN_STATES[run["status"]][0])),
            ": ",
            coded(t, REASONS, run["reason"]),
            html.pre(mistake(t, run["error"])) if run["error"] else None,
        ]
        return upcoming_item(tone, symbol, words_of_it)
    if "calls" in coming:
        return upcoming_item("", "hourglass", [t("Now: {channel}", channel=coded(t, CHANNELS, coming["calls"]))])
    return upcoming_item("", "clock", [*awaited(context, coming), *next_look(context, coming)])


def awaited(context: PageContext, coming: dict[str, Any]) -> list[Element]:
    """What a wait for events listens to, each named once."""
    names = dict.fromkeys(_event_words(context, one) for one in coming.get("waits_for", ()))
    return [*components.marked(context.t("Waits for {names}", names=", ".join(names))), " · "] if names else []


def next_look(context: PageContext, coming: dict[str, Any]) -> list[Element]:
    """The next timer."""
    t, due_at = context.t, coming["due_at"]
    if due_at is None:
        return [t("Next: when something happens")]
    return [
        t("Next:"),
        " ",
        components.relative(context, due_at),
        html.span({"className": "quiet"}, " · ", components.moment(t, due_at)),
    ]


def _event_words(context: PageContext, name: str) -> str:
    return context.t("a rule") if name == "rule" else f"*{name}*"


def upcoming_item(tone: str, symbol: str, content: list[Element]) -> Element:
    return html.li(
        {"className": f"event upcoming {tone}", "key": "next"},
        html.span({"className": "step-icon"}, components.icon(symbol)),
        html.div({"className": "event-body"}, html.p(*content)),
    )
