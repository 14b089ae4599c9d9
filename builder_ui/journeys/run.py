"""One run as a story: every step with its time, decisions with their inputs, waits, messages with their fate, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from builder_ui.journeys.actions import run_acts
from builder_ui.kit import actor_names, components, labels
from builder_ui.kit.actor_names import contact_link, contact_names, meant_for, member_names
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import CHANNELS, MESSAGE_STATES, OUTLETS, REASONS, RUN_STATES, coded, mistake
from builder_ui.kit.reactpy_compat import Element, html
from engine.runs.operations import timeline
from engine.versions.publish import get_journey
from journeys.errors import NotFound
from journeys.nodes import Node
from models import Journey, Message, OutboxItem, Run


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

    def node_name(self, node_id: str, visit: PageContext) -> str:
        return self.steps.get(node_id, node_id) if node_id else visit.speech("Start")


def load(visit: PageContext) -> Data:
    run_id = visit.arguments["id"]
    with visit.engine.db.read() as session:
        story = timeline(session, run_id)
        version_id = session.scalars(select(Run.version_id).where(Run.id == run_id)).one()
        program = visit.engine.program(session, version_id)
        contact_id = story["contact"]["id"]
        return Data(
            story,
            get_journey(session, story["journey"]["id"]).state,
            program.nodes,
            labels.names_of(visit.speech, program.nodes),
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


def stamp(visit: PageContext) -> object:
    """Changes with every step of the run, and with the fate of its messages."""
    run_id = visit.arguments["id"]
    with visit.engine.db.read() as session:
        row = session.execute(select(Run.step, Run.status, Run.updated_at).where(Run.id == run_id)).first()
        if row is None:
            raise NotFound("There is no such run.")
        fates = session.execute(select(Message.status, Message.opened_at, Message.clicked_at).where(Message.run_id == run_id)).all()
        return tuple(row), [tuple(fate) for fate in fates]


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, run, journey = visit.speech, data.story["run"], data.story["journey"]
    node = data.nodes.get(run["node"])
    person = contact_link(speech, run["contact_id"], data.name or data.story["contact"]["email"])
    return html._(
        components.head(
            data.name or data.story["contact"]["email"] or speech("Run"),
            html.span(
                speech("in"),
                " ",
                html.a({"href": f"/ui/journeys/{journey['key']}"}, journey["name"]),
                " · ",
                speech("Version {number}", number=run["version_number"]),
                " · ",
                html.a({"href": f"/ui/journeys/{journey['key']}/edit?run={run['id']}"}, speech("Show on the canvas")),
            ),
            back=(f"/ui/journeys/{journey['key']}?tab=runs", speech("Runs")),
            state=state_badge(visit, run),
            actions=run_acts(visit, acts, run, node.outlets() if node else (), data.journey_state),
        ),
        html.div(
            {"className": "columns"},
            html.section({"className": "panel"}, html.h2({"className": "hidden"}, speech("What happened")), story(visit, data)),
            html.section({"className": "panel side-panel"}, components.facts(summary(visit, data, person))),
        ),
    )


FINISHED = ("completed", "exit", "goal")


def state_badge(visit: PageContext, run: dict[str, Any]) -> Element:
    """Finished is who came to an end of the journey; whoever was taken out, or whose journey was stopped, has ended."""
    text, tone, symbol = RUN_STATES[run["status"]]
    if run["status"] == "ended" and run["reason"] not in FINISHED:
        text, tone, symbol = "Ended", "quiet", "square"
    return components.badge(visit.speech(text), tone, symbol)


def summary(visit: PageContext, data: Data, person: Element) -> list[tuple[str, Element]]:
    speech, run = visit.speech, data.story["run"]
    pairs = [(speech("Contact"), person), (speech("Started"), components.moment(speech, run["started_at"]))]
    if run["run_key"]:
        pairs.append((speech("Key"), run["run_key"]))
    if run["trigger"]:
        given = [
            f"{key}: {labels.found(speech, value)}" for key, value in list(run["trigger"].items())[:8] if not isinstance(value, dict | list)
        ]
        pairs.append((speech("Entered with"), ", ".join(given) or "…"))
    if run["goal_at"]:
        value = f" ({speech.number(run['goal_value'])})" if run["goal_value"] is not None else ""
        pairs.append((speech("Goal reached"), html.span(components.moment(speech, run["goal_at"]), value)))
    if run["ended_at"]:
        pairs.append(
            (speech("Ended"), html.span(components.moment(speech, run["ended_at"]), html.br(), coded(speech, REASONS, run["reason"])))
        )
    return pairs


# The story


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


def story(visit: PageContext, data: Data) -> Element:
    told = chapters(data.story) if data.story["trail"] else []
    upcoming = next_line(visit, data)
    days: list[Element] = []
    shown = ""
    for number, chapter in enumerate(told):
        day = visit.speech.day(chapter.at)
        if day != shown:
            days.append(html.li({"className": "day", "key": f"day{number}"}, day))
            shown = day
        days.append(chapter_item(visit, data, chapter, str(number)))
    return html.ol({"className": "timeline"}, [*days, upcoming] if upcoming else days)


def chapter_item(visit: PageContext, data: Data, chapter: Chapter, key: str) -> Element:
    speech, node = visit.speech, data.nodes.get(chapter.node)
    lines = [element for line in chapter.lines if (element := trail_line(visit, data, chapter, line)) is not None]
    return html.li(
        {"className": "event", "key": key},
        html.span({"className": "step-icon"}, components.icon(node.icon if node else "circle")),
        html.div(
            {"className": "event-body"},
            html.div(
                {"className": "event-head"},
                html.h3({"title": chapter.node}, data.node_name(chapter.node, visit)),
                html.time({"dateTime": chapter.at.isoformat(), "title": speech.exactly(chapter.at)}, speech.clock(chapter.at)),
            ),
            html.ul(
                {"className": "lines"},
                lines,
                [message_line(visit, data, one) for one in chapter.messages],
                [task_line(visit, data, one) for one in chapter.tasks],
                [heard_line(visit, one) for one in chapter.heard],
            ),
        ),
    )


def trail_line(visit: PageContext, data: Data, chapter: Chapter, line: dict[str, Any]) -> Element:
    """One line of the trail; None for those that say nothing by themselves."""
    speech, detail = visit.speech, line["detail"]
    key = f"{line['step']}.{line['seq']}"
    match line["what"]:
        case "entered" | "placed":
            return None
        case "calling" | "performed" if chapter.messages:
            return None  # the message says it better
        case "calling":
            return plain(key, speech("calls {channel}", channel=coded(speech, CHANNELS, detail.get("channel", ""))))
        case "performed":
            return plain(
                key,
                speech("answer: {outlet}", outlet=coded(speech, OUTLETS, line["outlet"])),
                reason=coded(speech, REASONS, detail.get("reason", "")),
            )
        case "waiting":
            return waiting_line(visit, key, detail)
        case "heard":
            return plain(key, *components.marked(heard_words(visit, detail)))
        case "left":
            return left_line(visit, data, chapter, key, line)
        case "exited":
            return exited_line(visit, data, key, detail)
        case "ended":
            return plain(key, html.b(speech("Ended")), ": ", coded(speech, REASONS, detail.get("reason", "")), at=line["at"], visit=visit)
        case "migrated":
            return plain(
                key,
                speech("moved from version {old} to version {new}", old=detail.get("from", ""), new=detail.get("to", "")),
                at=line["at"],
                visit=visit,
            )
        case "migrated_back":
            return plain(key, speech("moved back to the earlier version"), at=line["at"], visit=visit)
        case "merged" | "parted" as what:
            return beside_line(visit, key, line, speech(OF_CONTACT[what]))
        case "held" | "stuck" | "quarantined" as state:
            return beside_line(
                visit, key, line, html.b(speech(RUN_STATES[state][0])), ": ", coded(speech, REASONS, detail.get("reason", ""))
            )
        case "attempt":
            return beside_line(
                visit, key, line, speech("did not get through: {reason}", reason=coded(speech, REASONS, detail.get("reason", "")))
            )
        case "resumed" if detail.get("reason") in BY_ITSELF:
            return beside_line(visit, key, line, speech(BY_ITSELF[detail["reason"]]))
        case "resumed" | "skipped" | "taken_out" as act:
            said = {"name": actor_names.actor(speech, data.members, detail.get("by", "")), "outlet": coded(speech, OUTLETS, line["outlet"])}
            return beside_line(visit, key, line, speech(BY_HAND[act], **said))
        case other:
            return plain(key, other, at=line["at"], visit=visit)


OF_CONTACT = {
    "merged": "continues: its contact was merged into another",
    "parted": "back with its contact: the merge was undone",
}
BY_ITSELF = {
    "journey_resumed": "continues: the journey was resumed",
    "tried_again": "tried again and continues",
}
BY_HAND = {
    "resumed": "{name} let the run try again",
    "skipped": "{name} skipped the step and continued through: {outlet}",
    "taken_out": "{name} ended the run",
}


def beside_line(visit: PageContext, key: str, line: dict[str, Any], *words_of_it: Element) -> Element:
    """What happened beside the steps, with its time; what came several times with how often, and the last time."""
    speech, count, last = visit.speech, line["detail"].get("count", 1), line["detail"].get("last", "")
    times = speech("{count} times, last {when}", count=speech.number(count), when=labels.text_moment(speech, last)) if count > 1 else ""
    return plain(key, *words_of_it, reason=times, at=line["at"], visit=visit)


def plain(key: str, *words_of_it: Element, reason: str = "", at: datetime | None = None, visit: PageContext | None = None) -> Element:
    time = components.moment(visit.speech, at) if at and visit else None
    return html.li(
        {"key": key}, *words_of_it, f" ({reason})" if reason else None, html.span({"className": "quiet"}, " · ", time) if time else None
    )


def waiting_line(visit: PageContext, key: str, detail: dict[str, Any]) -> Element:
    speech, until = visit.speech, detail.get("until")
    names = ", ".join(coded(speech, OUTLETS, name) for name in detail.get("branches", ()))
    when = labels.text_moment(speech, until) if until else ""
    if names:
        return plain(key, speech("waits for {names}", names=names), f", {speech('until {when} at most', when=when)}" if when else None)
    return plain(key, speech("waits until {when}", when=when))


def heard_words(visit: PageContext, detail: dict[str, Any]) -> str:
    return visit.speech("received *{event}*", event=detail.get("event", ""))


def left_line(visit: PageContext, data: Data, chapter: Chapter, key: str, line: dict[str, Any]) -> Element:
    """The way on, and under it what decided: each question with its answer, then whatever else the step noted."""
    speech, detail = visit.speech, line["detail"]
    asked = detail.get("rule") or [row for rows in (detail.get("cases") or {}).values() for row in rows]
    node = data.nodes.get(line["node"])
    decided = bool(asked) or (node is not None and len(node.outlets()) > 1)
    if chapter.messages and "sent" in (line["outlet"], detail.get("result")):
        return None  # the message says it better
    if not decided and not detail:
        return None
    return html.li(
        {"key": key},
        html.span({"className": "decision"}, components.icon("arrow"), html.b(coded(speech, OUTLETS, line["outlet"]))) if decided else None,
        html.ul({"className": "terms"}, [term_line(visit, data, row, n) for n, row in enumerate(asked)]) if asked else None,
        notes(visit, data, detail),
    )


def term_line(visit: PageContext, data: Data, row: dict[str, Any], number: int) -> Element:
    speech = visit.speech
    question, answer = labels.term(speech, row, data.steps)
    good = bool(row.get("result"))
    word = speech("true") if good else speech("not true")
    return html.li(
        {"key": str(number), "className": "good" if good else "bad"},
        html.span(
            {"className": "truth", "title": word}, components.icon("check" if good else "ban"), html.span({"className": "hidden"}, word)
        ),
        html.span(components.marked(question)),
        html.span({"className": "found"}, speech("found: {value}", value=answer)),
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


def notes(visit: PageContext, data: Data, detail: dict[str, Any]) -> Element:
    """What a step noted beside its decision, as far as there are words for it."""
    said = []
    for name, value in detail.items():
        if name in NOTES:
            shown = (
                data.members.get(value, value) if name == "owner" else coded(visit.speech, OUTLETS, value) if name == "result" else value
            )
            said.append(
                visit.speech(
                    NOTES[name],
                    value=visit.speech.number(shown)
                    if isinstance(shown, int | float)
                    else ", ".join(shown)
                    if isinstance(shown, list)
                    else shown,
                )
            )
    return html.span({"className": "quiet"}, " · ".join(said)) if said else None


def exited_line(visit: PageContext, data: Data, key: str, detail: dict[str, Any]) -> Element:
    speech = visit.speech
    if "event" in detail:
        return plain(key, *components.marked(speech("leaves at once: *{event}* happened", event=detail["event"])))
    rows = detail.get("rule") or []
    return html.li(
        {"key": key},
        speech("leaves at once: an exit rule came true"),
        html.ul({"className": "terms"}, [term_line(visit, data, row, n) for n, row in enumerate(rows)]),
    )


def message_line(visit: PageContext, data: Data, message: dict[str, Any]) -> Element:
    """A message with its fate, and the way to what it looked like."""
    speech = visit.speech
    subject = message["subject"] or coded(speech, CHANNELS, message["channel"])
    found = data.mails.get(message["id"])
    reason = coded(speech, REASONS, message["reason"]) if message["reason"] else ""
    gone = meant_for(speech, data.members, message["instead_of"])
    held = (
        speech("held until {when}", when=speech.moment(message["held_until"]))
        if message["status"] == "held" and message["held_until"]
        else ""
    )
    return html.li(
        {"className": "message", "key": message["id"]},
        html.a({"href": f"/ui/outbox/{found}"}, subject) if found and visit.may("message.read_body") else html.span(subject),
        html.div(
            {"className": "fates"},
            components.badge(speech(MESSAGE_STATES[message["status"]][0]), *MESSAGE_STATES[message["status"]][1:]),
            html.small(", ".join(part for part in (reason, held, gone) if part)) if reason or held or gone else None,
            fate(visit, "", message["sent_at"]),
            fate(visit, "Opened", message["opened_at"], "mail-open"),
            fate(visit, "Clicked", message["clicked_at"], "link"),
            fate(visit, "Bounced", message["bounced_at"], "alert"),
        ),
    )


def fate(visit: PageContext, text: str, at: datetime | None, symbol: str | None = None) -> Element:
    """A time of a message's life; without a text the badge beside it says of what."""
    if at is None:
        return None
    words_of_it = [visit.speech(text), " "] if text else []
    return html.span({"className": "fate"}, components.icon(symbol) if symbol else None, *words_of_it, components.moment(visit.speech, at))


def task_line(visit: PageContext, data: Data, task: dict[str, Any]) -> Element:
    """A task that the step made: who has it, and whom it was meant for if that one is gone."""
    speech = visit.speech
    owner = data.members.get(task["owner"], task["owner"]) if task["owner"] else speech("nobody")
    said = [speech("with {owner}", owner=owner), meant_for(speech, data.members, task["instead_of"])]
    return html.li({"key": task["id"]}, html.b(task["title"]), " ", html.span({"className": "quiet"}, " · ".join(filter(None, said))))


def heard_line(visit: PageContext, event: dict[str, Any]) -> Element:
    speech = visit.speech
    text = (
        speech("received *{event}*", event=event["name"]) if event["consumed"] else speech("*{event}* is in the inbox", event=event["name"])
    )
    return html.li(
        {"key": f"heard{event['id']}"},
        components.icon("ear"),
        " ",
        components.marked(text),
        html.span({"className": "quiet"}, " · ", components.moment(speech, event["arrived_at"])),
    )


def next_line(visit: PageContext, data: Data) -> Element:
    """What the run waits for now, or why it does not move."""
    speech, run, coming = visit.speech, data.story["run"], data.story["next"]
    if coming is None:
        return None
    if run["status"] in ("stuck", "quarantined", "held"):
        _, tone, symbol = RUN_STATES[run["status"]]
        words_of_it: list[Element] = [
            html.b(speech(RUN_STATES[run["status"]][0])),
            ": ",
            coded(speech, REASONS, run["reason"]),
            html.pre(mistake(speech, run["error"])) if run["error"] else None,
        ]
        return upcoming_item(tone, symbol, words_of_it)
    if "calls" in coming:
        return upcoming_item("", "hourglass", [speech("Now: {channel}", channel=coded(speech, CHANNELS, coming["calls"]))])
    return upcoming_item("", "clock", [*awaited(visit, coming), *next_look(visit, coming)])


def awaited(visit: PageContext, coming: dict[str, Any]) -> list[Element]:
    """What a wait for events listens to, each named once."""
    names = dict.fromkeys(_event_words(visit, one) for one in coming.get("waits_for", ()))
    return [*components.marked(visit.speech("Waits for {names}", names=", ".join(names))), " · "] if names else []


def next_look(visit: PageContext, coming: dict[str, Any]) -> list[Element]:
    """The next timer."""
    speech, due_at = visit.speech, coming["due_at"]
    if due_at is None:
        return [speech("Next: when something happens")]
    return [
        speech("Next:"),
        " ",
        components.relative(visit, due_at),
        html.span({"className": "quiet"}, " · ", components.moment(speech, due_at)),
    ]


def _event_words(visit: PageContext, name: str) -> str:
    return visit.speech("a rule") if name == "rule" else f"*{name}*"


def upcoming_item(tone: str, symbol: str, content: list[Element]) -> Element:
    return html.li(
        {"className": f"event upcoming {tone}", "key": "next"},
        html.span({"className": "step-icon"}, components.icon(symbol)),
        html.div({"className": "event-body"}, html.p(*content)),
    )


def name(visit: PageContext) -> str:
    """Whose run it is, and through what."""
    with visit.engine.db.read() as session:
        row = session.execute(
            select(Run.contact_id, Journey.name)
            .join(Journey, col(Journey.id) == col(Run.journey_id))
            .where(Run.id == visit.arguments["id"])
        ).first()
        return " · ".join(filter(None, [contact_names(session, [row.contact_id]).get(row.contact_id), row.name])) if row else ""


PAGE = Page("/ui/runs/{id}", "Run", "journeys", "run.read", load, view, stamp, name=name)
