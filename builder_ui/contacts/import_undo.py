"""Undoing an import, on its page: what it would do, how far it is, and what stays and why."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy.orm import Session

from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import contact_link
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.job_ends import ended_early
from builder_ui.kit.reactpy_compat import Element, html
from crm.imports import undo
from crm.jobs import cancel_job
from models import Import, Job

SHOWN = 20
COUNTS = MappingProxyType({"removed": "removed", "set_back": "set back", "unchanged": "left as they are"})


@dataclass(frozen=True, slots=True)
class Undo:
    """Whether the import can be undone, the newest try or undo, and some contacts of which something stays."""

    can: bool
    job: Job | None
    kept: tuple[tuple[str, str], ...] = ()


NONE = Undo(can=False, job=None)


def load(context: PageContext, session: Session, row: Import) -> Undo:
    can, job = undo.can_undo(session, row, context.app.now()), undo.newest(session, row.id)
    return Undo(can, job, tuple(undo.kept_of(session, row.id, SHOWN)) if job is not None else ())


def stamp(session: Session, row: Import) -> object:
    job = undo.newest(session, row.id)
    return job and (job.id, job.state, job.done)


def section(context: PageContext, row: Import, data: Undo, acts: Acts) -> Element:
    """Nothing where there is nothing to undo and nothing was undone."""
    t, job = context.t, data.job
    if not data.can and job is None:
        return None
    running = job is not None and job.state == "running"
    return html.section(
        {"className": "panel apart"},
        html.h2(t("Undo this import")),
        html.p(
            t(
                "Contacts that the import made are removed, and fields, tags, lists, consents and events that it brought are set back, unless they were changed since. Withdrawals, suppressed addresses and merges stay, and so does whatever was sent."
            )
        )
        if row.state != "undone"
        else None,
        ended_early(t, job, "Undoing ended early: {reason}"),
        under_way(context, job, acts) if job is not None and running else outcome(context, data),
        html.div({"className": "actions"}, *ways_on(context, row, data, acts)) if data.can and not running else None,
    )


def under_way(context: PageContext, job: Job, acts: Acts) -> Element:
    t, total = context.t, max(1, job.total or 1)
    text = t("Trying what undoing would do …") if job.input.get("dry") else t("Undoing …")
    stop = acts.act("contact.import", cancelling(job.id), "The job was stopped.")
    return html._(
        html.p(text),
        html.progress({"max": total, "value": min(job.done, total), "aria-label": text}),
        components.button(t("Cancel"), stop, "square") if context.may("contact.import") else None,
    )


def outcome(context: PageContext, data: Undo) -> Element:
    """The counts of the last try or undo, and of which contacts something stays."""
    t, job = context.t, data.job
    if job is None or job.state != "done":
        return None
    numbers = [
        html.div({"className": "number", "key": name}, html.b(t.number(job.counts.get(name, 0))), html.span(t(text)))
        for name, text in COUNTS.items()
    ]
    reasons = [
        html.li({"key": code}, t.number(job.counts[code]), ": ", t(text)) for code, text in undo.KEPT.items() if job.counts.get(code)
    ]
    return html._(
        html.p(
            t("This is what undoing would do. Nothing has been changed yet.") if job.input.get("dry") else t("This is what was undone.")
        ),
        html.div({"className": "numbers five"}, numbers),
        html._(html.h3(t("What stays")), html.ul(reasons)) if reasons else None,
        kept(context, data) if data.kept else None,
    )


def kept(context: PageContext, data: Undo) -> Element:
    t = context.t
    rows = [[contact_link(t, id, None), t(undo.KEPT[code])] for id, code in data.kept]
    return components.table(t("What stays"), (t("Contact"), t("Reason")), rows, "errors")


def ways_on(context: PageContext, row: Import, data: Undo, acts: Acts) -> list[Element]:
    t, job = context.t, data.job
    if not context.may("contact.import"):
        return []
    tried = job is not None and job.state == "done" and job.input.get("dry")
    check = acts.act("contact.import", beginning(row.id, dry=True), "The dry run is in progress.")
    offered = [components.button(t("Try the undo again") if tried else t("Try the undo"), check, "clipboard-check")]
    if tried and job is not None:
        question = t("{count} contacts are removed or set back. This cannot be undone.", count=t.number(_touched(job)))
        do = acts.act("contact.import", beginning(row.id, dry=False), "The import is being undone.")
        offered.append(components.ask(t("Undo the import"), question, t("Undo it"), do, "history", "danger"))
    return offered


def _touched(job: Job) -> int:
    return sum(int(job.counts.get(name, 0)) for name in ("removed", "set_back"))


def beginning(import_id: str, *, dry: bool) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            undo.begin(session, import_id, context.by, context.member.role, context.app.now(), dry=dry)

    return do


def cancelling(job_id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            cancel_job(session, job_id, context.by, context.app.now())

    return do
