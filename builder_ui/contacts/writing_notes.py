"""Notes and calls as people write them: the forms for new ones, and what their author may do with one on the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.people import notes
from engine.enrolment.routing import routed
from engine.temporal.wakeups import Wakeups
from journeys.errors import Invalid
from models import Note

DIRECTIONS: Mapping[str, str] = {"outgoing": "We called", "incoming": "The contact called"}
OUTCOMES: Mapping[str, str] = {
    "reached": "Reached",
    "left_message": "Left a message",
    "no_answer": "No answer",
    "busy": "Busy",
    "wrong_number": "Wrong number",
}
TYPED = ("note", "call.direction", "call.outcome", "call.minutes", "call.at", "call.text")


def new_note(context: PageContext, contact_id: str, acts: Acts) -> Element:
    t = context.t
    fields = [components.kept_lines(acts, "note", t("Note"), notes.MAX_TEXT, rows=5)]
    return components.form(
        t("Write a note"), "pencil", fields, t("Save note"), acts.act("note.write", noting(contact_id, acts), "Note saved.")
    )


def noting(contact_id: str, acts: Acts) -> Do:
    def do(context: PageContext) -> Wakeups:
        now = context.app.now()
        with context.engine.db.write() as session:
            _, event = notes.add_note(session, contact_id, acts.drafts.get("note", ""), context.by, now)
            wakeups = routed(context.engine, session, [event], now)
        acts.drafts.pop("note", None)
        return wakeups

    return do


def new_call(context: PageContext, contact_id: str, acts: Acts) -> Element:
    t = context.t
    fields = [
        components.kept_choice(acts, "call.direction", t("Direction"), {code: t(text) for code, text in DIRECTIONS.items()}),
        components.kept_choice(acts, "call.outcome", t("Outcome"), {code: t(text) for code, text in OUTCOMES.items()}),
        components.kept(acts, "call.minutes", t("Minutes (optional)"), 6, inputMode="decimal"),
        components.kept(acts, "call.at", t("When (leave empty: now)"), 20, type="datetime-local"),
        components.kept_lines(acts, "call.text", t("What was said (optional)"), notes.MAX_TEXT, rows=4),
    ]
    return components.form(
        t("Log a call"), "phone", fields, t("Log call"), acts.act("note.write", calling(contact_id, acts), "Call logged.")
    )


def calling(contact_id: str, acts: Acts) -> Do:
    def do(context: PageContext) -> Wakeups:
        typed = {name: acts.drafts.get(f"call.{name}", "").strip() for name in ("direction", "outcome", "minutes", "at", "text")}
        call = notes.Call(
            typed["direction"] or notes.DIRECTIONS[0],
            typed["outcome"] or notes.OUTCOMES[0],
            typed["text"],
            _lasted(typed["minutes"]),
            _instant(context, typed["at"]),
        )
        now = context.app.now()
        with context.engine.db.write() as session:
            _, event = notes.log_call(session, contact_id, call, context.by, now)
            wakeups = routed(context.engine, session, [event], now)
        for name in typed:
            acts.drafts.pop(f"call.{name}", None)
        return wakeups

    return do


def _lasted(minutes: str) -> timedelta | None:
    if not minutes:
        return None
    try:
        return timedelta(minutes=float(minutes.replace(",", ".")))
    except (ValueError, OverflowError):
        raise Invalid("Enter the length of the call in minutes, such as 12 or 2.5.") from None


def _instant(context: PageContext, text: str) -> datetime | None:
    """What a field for date and time holds, in the zone of whoever typed it."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=context.t.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("Enter a date and a time.") from None


def own_ways(context: PageContext, row: Mapping[str, Any], acts: Acts) -> Element:
    """What the author may do with a note; nothing for everybody else."""
    if row["author"] != context.by or not context.may("note.write"):
        return None
    t, id, name = context.t, row["id"], f"note.{row['id']}"
    gone: list[Note] = []
    change = acts.act("note.write", changing(id, acts, name), "Text changed.", changing_back(id, row["text"]))
    delete = acts.act("note.write", deleting(id, gone), "Deleted.", restoring(gone))
    return html.div(
        {"className": "actions", "key": "ways"},
        components.form(t("Change text"), "pencil", [lines(context, acts, name, row["text"])], t("Save text"), change),
        components.button(t("Delete"), delete, "ban"),
    )


def lines(context: PageContext, acts: Acts, name: str, text: str) -> Element:
    field = {
        "rows": 5,
        "maxLength": notes.MAX_TEXT,
        "onBlur": components.keep(acts, name, notes.MAX_TEXT),
        "defaultValue": acts.drafts.get(name, text),
    }
    return html.label(context.t("Text"), html.textarea(field))


def changing(note_id: str, acts: Acts, name: str) -> Do:
    def do(context: PageContext) -> None:
        if name not in acts.drafts:
            return
        with context.engine.db.write() as session:
            notes.change(session, note_id, acts.drafts[name], context.by, context.app.now())
        acts.drafts.pop(name, None)

    return do


def changing_back(note_id: str, text: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            notes.change(session, note_id, text, context.by, context.app.now())

    return do


def deleting(note_id: str, gone: list[Note]) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            deleted = notes.delete(session, note_id, context.by)
        gone[:] = [deleted]

    return do


def restoring(gone: list[Note]) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            for deleted in gone:
                notes.restore(session, deleted, context.by)

    return do
