"""What happened, in words: one teller and one icon for each kind of thing on a contact's timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from builder_ui.contacts.timeline.events import tell_event
from builder_ui.contacts.timeline.told import Told
from builder_ui.contacts.writing_notes import DIRECTIONS, own_ways
from builder_ui.contacts.writing_notes import OUTCOMES as CALL_OUTCOMES
from builder_ui.kit import components, labels
from builder_ui.kit.actor_names import actor, meant_for
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, MESSAGE_STATES, OUTLETS, REASONS, REFUSALS, TASK_CHANGES, coded, short
from builder_ui.kit.reactpy_compat import Element, html
from crm.people.timeline import Item, mark_of

KIND_NAMES = {
    "event": "Events",
    "message": "Messages",
    "run": "Journeys",
    "consent": "Consents",
    "refusal": "Refusals",
    "task": "Tasks",
    "score": "Scores",
    "note": "Notes",
    "call": "Calls",
    "merge": "Merges",
}


ICONS = {
    "event": "bell",
    "message": "mail",
    "run": "route",
    "consent": "check-square",
    "refusal": "ban",
    "task": "clipboard-check",
    "score": "gauge",
    "note": "pencil",
    "call": "phone",
    "merge": "people",
}


def item(context: PageContext, told: Told, one: Item, acts: Acts, *, here: bool = False) -> Element:
    """`here`: it is what the address names. Its time leads to that address."""
    content = TELLERS[one.kind](context, told, one.data)
    ways = own_ways(context, one.data, acts) if one.kind in WRITTEN else None
    address = context.link(before=f"@{mark_of(one)}")
    when = html.a(
        {"className": "when", "href": address, "aria-label": f"{context.t('Link to this entry')}: {context.t.moment(one.at)}"},
        components.moment(context.t, one.at),
    )
    return html.li(
        {"className": "event small here" if here else "event small", "key": f"{one.kind}.{'.'.join(map(str, one.key))}"},
        html.span({"className": "step-icon"}, components.icon(ICONS[one.kind])),
        html.div({"className": "event-body"}, html.div({"className": "event-head"}, html.div(content, ways), when)),
    )


WRITTEN = frozenset({"note", "call"})
"""What people write, and its author may change."""


def is_noise(one: Item) -> bool:
    """What another line says better: the comings and goings of steps, and the event that repeats a message."""
    if one.kind == "run":
        return one.data["what"] in ("entered", "placed", "calling", "performed", "exited") or one.data["outlet"] in ("next", "sent")
    return one.kind == "event" and one.data["type"] == "system" and one.data["name"] in TOLD_ELSEWHERE


TOLD_ELSEWHERE = frozenset(
    {
        "Message Sent",
        "Message Skipped",
        "Message Failed",
        "Task Finished",
        "Task Overdue",
        "Consent Changed",
        "Score Changed",
        "Journey Ended",
        "Note Added",
        "Call Logged",
    }
)
"""Events of ours beside which there is a message, a task, a consent, a score, a note or a line of a run that says the same."""


def is_unmet(one: Item) -> bool:
    """An event that did not fit a trigger: there may be one at every page somebody looks at, so it stands among the refusals alone."""
    return one.kind == "refusal" and one.data["reason"] == "condition"


def tell_message(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    t = context.t
    subject = row["subject"] or coded(t, CHANNELS, row["channel"])
    if row["test"]:
        return html._(
            components.badge(t("Test"), "quiet", "mail"),
            " ",
            html.a({"href": f"/ui/messages/{row['id']}"}, subject),
            html.p({"className": "quiet"}, t("A test for the team, filled in with this contact's values. The contact did not get it.")),
        )
    return html._(
        html.a({"href": f"/ui/outbox/{row['id']}"}, subject) if row["body_id"] and context.may("message.read_body") else html.b(subject),
        " ",
        components.badge(t(MESSAGE_STATES[row["status"]][0]), *MESSAGE_STATES[row["status"]][1:]),
        html.p({"className": "quiet"}, coded(t, REASONS, row["reason"])) if row["reason"] else None,
    )


RUN_WORDS = {
    "left": "left the step “{node}” through “{outlet}”",
    "waiting": "waits at the step “{node}”",
    "heard": "received what the step “{node}” was waiting for",
    "exited": "exits early",
    "ended": "ended: {reason}",
    "migrated": "moved to another version",
    "migrated_back": "moved back to the earlier version",
    "merged": "came with a contact that was merged into this one",
    "parted": "restored when a merge was undone",
}


def tell_run(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    t = context.t
    words_of_it = {
        "node": told.steps.get((row["version_id"], row["node"]), row["node"]),
        "outlet": coded(t, OUTLETS, row["outlet"]),
        "reason": coded(t, REASONS, row["detail"].get("reason", "")),
    }
    said = t(RUN_WORDS[row["what"]], **words_of_it) if row["what"] in RUN_WORDS else row["what"]
    return html._(html.a({"href": f"/ui/runs/{row['run_id']}"}, told.journeys.get(row["journey_id"], ("", "?"))[1]), " ", said)


def tell_consent(context: PageContext, told: Told | None, row: Mapping[str, Any]) -> Element:
    t = context.t
    return html._(
        html.b(coded(t, CHANNELS, row["channel"]), f" ({row['purpose']}): ", coded(t, CONSENT_STATES, row["state"])),
        html.p(
            {"className": "quiet"},
            t("Source: {source}", source=row["source"]),
            f" · {short(row['wording'])}" if row["wording"] else None,
        ),
    )


def tell_refusal(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    t = context.t
    key, name = told.journeys.get(row["journey_id"], ("", "?"))
    asked = [labels.term(t, term, {}) for term in row["detail"].get("rule", []) if not term.get("result")]
    return html._(
        html.span(t("did not enter"), " ", html.a({"href": f"/ui/journeys/{key}?tab=refused"}, name)),
        html.p(
            {"className": "quiet"},
            coded(t, REFUSALS, row["reason"]),
            " ",
            "; ".join(f"{question.replace('*', '')} — {answer}" for question, answer in asked),
        ),
    )


def tell_task(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    t = context.t
    who = told.members.get(row["by"].removeprefix("member:"), "")
    outcome = coded(t, OUTLETS, row["detail"].get("outcome", ""))
    gone = meant_for(t, told.members, row["detail"].get("instead_of"))
    note = row["note"] if row["what"] == "finished" else ""
    return html._(
        html.b(coded(t, TASK_CHANGES, row["what"])),
        f": {row['title']}",
        html.p({"className": "quiet"}, " · ".join(part for part in (who, outcome, gone) if part)) if who or outcome or gone else None,
        html.p({"className": "note"}, note) if note else None,
    )


def tell_score(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    t = context.t
    signed = ("+" if row["points"] > 0 else "") + t.number(row["points"])
    return html._(
        html.b(t("Score {group}", group=row["score_group"]), f": {signed}"),
        html.p(
            {"className": "quiet"},
            t("now {value}", value=t.number(row["value"])),
            f" · {row['reason']}" if row["reason"] else None,
        ),
    )


def tell_note(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    return html._(html.b(context.t("Note")), _author(context, told, row), html.p({"className": "note"}, row["text"]))


def tell_call(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """Who called whom, what came of it, and how long it took."""
    t, seconds = context.t, row["duration_seconds"]
    lasted = f" · {t.span(timedelta(seconds=seconds))}" if seconds else ""
    return html._(
        html.b(coded(t, DIRECTIONS, row["direction"])),
        f": {coded(t, CALL_OUTCOMES, row['outcome'])}{lasted}",
        _author(context, told, row),
        html.p({"className": "note"}, row["text"]) if row["text"] else None,
    )


def _author(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    t = context.t
    changed = html._(" · ", t("changed"), " ", components.moment(t, row["changed_at"])) if row["changed_at"] else None
    return html.span({"className": "quiet"}, " · ", actor(t, told.members, row["author"]), changed)


def tell_merge(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    t = context.t
    return html._(
        html.b(t("Merged with another contact")),
        html.p({"className": "quiet"}, t("It was contact {id} ({reason}).", id=row["loser_id"][-6:], reason=row["reason"])),
    )


TELLERS: Mapping[str, Callable[[PageContext, Told, Mapping[str, Any]], Element]] = {
    "event": tell_event,
    "message": tell_message,
    "run": tell_run,
    "consent": tell_consent,
    "refusal": tell_refusal,
    "task": tell_task,
    "score": tell_score,
    "note": tell_note,
    "call": tell_call,
    "merge": tell_merge,
}
