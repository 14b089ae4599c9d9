"""Background jobs: what runs now and what ran, how far it is, and what came of it. Whoever may change things can stop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builder_ui.kit import components
from builder_ui.kit.actor_names import actor, journeys_of, member_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.labels import REFUSALS, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed
from crm.imports import undo
from crm.jobs import UNSTOPPABLE, cancel_job, list_jobs
from crm.segments import segments
from engine.presence import has_worker
from models import Job

PAGE_SIZE = 30
KINDS = {
    "tag": "Add the tag {tag}",
    "untag": "Remove the tag {tag}",
    "check": "Check a file of contacts",
    "bulk_enrol": "Enrol contacts in “{journey}”",
    "migrate": "Move contacts of “{journey}” to another version",
    "migrate_back": "Move contacts of “{journey}” back",
    "resume_stuck": "Try the stuck runs of “{journey}” again",
    "import": "Import contacts from a file",
    "import_undo": "Undo an import",
    "try_undo": "Try to undo an import",
    "decide_restored": "Decide on what may have been sent before a restore",
    "look_ahead": "Count what would happen in “{journey}”",
    "erase_rest": "Search files and notes for an erased contact",
    "purge": "Delete what is no longer needed",
    "segment_fill": "Fill a segment",
    "segment_empty": "Delete the members of a segment",
    "score_fill": "Score everybody",
    "score_empty": "Take points back",
    "company_empty": "Remove the contacts of a deleted company",
    "company_move": "Move the contacts of a merged company",
}
"""What is done, by kind of job; tagging and imports have two sorts each."""
STATES = {
    "running": ("In progress", "good", "play"),
    "done": ("Done", "quiet", "check"),
    "cancelled": ("Cancelled", "quiet", "ban"),
    "failed": ("Failed", "bad", "alert"),
}
COUNTS = {
    "entered": "entered",
    "held_out": "in the control group",
    "changed": "changed",
    "unchanged": "as before",
    "full": "have too many tags",
    "moved": "moved",
    "skipped": "skipped",
    "put_back": "moved back",
    "stayed": "stayed",
    "resumed": "try again",
    "decided": "decided",
    "kept": "left to be decided one by one",
    "removed": "removed",
    "set_back": "set back",
    "erased": "erased since",
    "merged": "merged since",
    "used": "used since",
    "changed_since": "changed since",
    "no": "withdrawals that stay",
    "joined": "merges that stay",
    "ok": "without errors",
    "failed": "with errors",
    "looked_through": "file parts searched",
    "judged": "counted",
    "emptied": "deleted or emptied",
    "bodies": "texts of messages deleted",
    "hits": "opens and clicks deleted",
    "refusals": "refused entries deleted",
    "in_app_messages": "expired in-app messages deleted",
    "devices": "devices removed that were not seen for a year",
    "runs": "ended runs emptied",
    "events": "events deleted",
    "opt_ins": "old sign-ups deleted",
    "submissions": "submissions of forms deleted",
    "segments": "deleted segments removed for good",
    "unconfirmed": "contacts deleted who never confirmed",
    "asked": "checked",
    "left": "left",
}
"""What a job counted, beside the reasons why somebody did not enter."""


@dataclass(frozen=True, slots=True)
class Data:
    jobs: list[Job]
    next_before: str | None
    journeys: Mapping[str, tuple[str, str]]
    """Subject -> (key, name)."""
    members: dict[str, str]
    waits: bool = False
    """Something is to be done, and no worker is alive."""


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        found = list_jobs(session, context.query.get("before"), PAGE_SIZE + 1)
        jobs = found[:PAGE_SIZE]
        journeys = journeys_of(session, (job.subject for job in jobs))
        following = jobs[-1].id if len(found) > PAGE_SIZE else None
        return Data(jobs, following, journeys, member_names(session), any(waits(session, job) for job in jobs))


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        jobs = list_jobs(session, context.query.get("before"), PAGE_SIZE)
        return [(job.id, job.state, job.done) for job in jobs], has_worker(session)


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    cards = [card(context, data, job, acts) for job in data.jobs]
    return framed(
        context,
        "Background jobs",
        "Jobs that take longer than a page stays open. They continue by themselves, even after a server restart.",
        no_worker(t, data.waits),
        *(cards or [components.empty("clock", t("No background jobs yet."), None)]),
        components.pager(context, data.next_before),
    )


def card(context: PageContext, data: Data, job: Job, acts: Acts) -> Element:
    t = context.t
    name = called(t, data, job)
    return html.section(
        {"className": "panel", "key": job.id, "aria-label": name},
        html.h2(html.a({"href": address}, name) if (address := leads_to(data, job)) else name, " ", state(t, job.state)),
        progress(t, job, name) if job.state == "running" else None,
        html.p(outcome(t, job)),
        ended_early(t, job, "The job failed before it finished: {reason}"),
        html.p({"className": "quiet"}, actor(t, data.members, job.created_by), " · ", components.relative(context, job.created_at)),
        stopping(t, job, acts) if job.state == "running" and job.kind not in UNSTOPPABLE and context.may("work.cancel") else None,
    )


def called(t: Translator, data: Data, job: Job) -> str:
    """What is done, as one would say it."""
    if job.kind == "bulk_tag":
        return t(KINDS["tag" if job.input["added"] else "untag"], tag=job.input["tag"])
    if job.input.get("dry"):
        return t(KINDS["try_undo" if job.kind == undo.JOB else "check"])
    name = data.journeys.get(job.subject, ("", t("a deleted journey")))[1]
    return t(KINDS[job.kind], journey=name) if job.kind in KINDS else job.kind


def leads_to(data: Data, job: Job) -> str:
    """Where more is to be seen; empty if nowhere."""
    if job.kind in ("import", undo.JOB):
        return f"/ui/contacts/import/{job.input['import_id']}"
    if job.kind == segments.FILL:
        return f"/ui/segments/{job.subject.removeprefix('segment:')}"
    key = data.journeys.get(job.subject, ("", ""))[0]
    return f"/ui/journeys/{key}" if key else ""


def state(t: Translator, code: str) -> Element:
    text, tone, symbol = STATES.get(code, (code, "quiet", "circle"))
    return components.badge(t(text), tone, symbol)


def progress(t: Translator, job: Job, name: str) -> Element:
    """How far it is; without an end where nobody knows how many there are."""
    known = {"max": job.total, "value": min(job.done, job.total)} if job.total else {}
    return html.progress({**known, "aria-label": name})


def outcome(t: Translator, job: Job) -> str:
    """`120 of 1,000 · entered: 118 · …`"""
    done = t.number(job.done)
    far = t("{done} of {all}", done=done, all=t.number(job.total)) if job.total else t("{done} so far", done=done)
    said = [f"{coded(t, {**COUNTS, **REFUSALS}, name).rstrip('.')}: {t.number(count)}" for name, count in sorted(job.counts.items())]
    return " · ".join([far, *said])


def stopping(t: Translator, job: Job, acts: Acts) -> Element:
    return components.ask(
        t("Stop"),
        t("What has been done so far stays. The rest is not done."),
        t("Stop now"),
        acts.act("work.cancel", ending(job.id), "The job was stopped."),
        "square",
        "danger",
    )


def ending(job_id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            cancel_job(session, job_id, context.by, context.app.now())

    return do


PAGE = Page("/ui/settings/work", "Background jobs", "settings", "work.read", load, view, stamp)
