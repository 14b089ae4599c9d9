"""What can be done with the contacts chosen in the list: tags, a journey, a file. For some at once, for all that fit as long work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import select

from activities.forecasts import Forecaster
from builder_ui.kit import components, consequences
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.exact import Exact, Question
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, component, html, use_state
from crm.jobs import WANTED, add_job
from crm.people import profile
from crm.people.contacts import MAX_COUNTED, ContactFilter
from engine.enrolment import manual
from engine.enrolment.routing import Entered
from engine.interpreter.forecast import Forecast
from engine.temporal.wakeups import Wakeups
from journeys.errors import Invalid, PfadwerkError
from journeys.nodes import Node
from models import Journey, new_id

AT_ONCE = 10
"""Contacts changed in one transaction."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was foretold, and of which version of the journey; `called` are the contacts that may be named."""

    forecast: Forecast
    journey_id: str
    version: int
    nodes: Mapping[str, Node]
    lines: tuple[consequences.Line, ...]
    called: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """What a look ahead or an act came to. `undo`: (tag, contacts, whether it was added); `job`: the work that has begun."""

    lines: tuple[str, ...] = ()
    undo: tuple[str, tuple[str, ...], bool] | None = None
    journey: str = ""
    job: str = ""
    ahead: Ahead | None = None


@component
def Chosen(context: PageContext, live: Mapping[str, str], acts: Acts, ids: tuple[str, ...]) -> Element:
    """The bar over what is chosen: tags with their way back, a journey with a look ahead, a file."""
    told, set_told = use_state(Told())
    t = context.t

    def tagging(added: bool, undo: tuple[str, tuple[str, ...], bool] | None = None) -> Callable[..., Any]:
        async def handler(*event: Any) -> None:
            tag, whom = (undo[0], undo[1]) if undo else (acts.drafts.get("tag", "").strip(), ids)
            changed: list[str] = []
            done = "Tag added." if added else "Tag removed."
            await acts.act("contact.change", tag_all(whom, tag, added, changed), done)(*event)
            set_told(Told(undo=(tag, tuple(changed), added)) if changed and not undo else Told())

        return handler

    async def look_ahead(*_event: Any) -> None:
        set_told(
            await looked(
                context,
                acts,
                lambda ahead, session, journey: ahead.enrolment_of(session, journey, ids, context.app.now()),
            )
        )

    async def enrol(*event: Any) -> None:
        version = told.ahead.version if told.ahead else None
        await acts.act("run.start_many", enrol_all(told.journey, ids, version), "All contacts who may enter the journey have entered it.")(
            *event
        )
        set_told(Told())

    return html.div(
        {"className": "bulk", "role": "region", "aria-label": t("With selected")},
        html.b(t("{count} selected", count=t.number(len(ids)))),
        tag_field(context, acts, tagging) if context.may("contact.change") else None,
        journey_field(context, live, acts, look_ahead) if context.may("run.start_many") else None,
        html.a({"className": "button", "href": f"/ui/export/contacts.csv?ids={','.join(ids)}"}, t("Export CSV"))
        if context.may("list.export")
        else None,
        said(t, told),
        components.button(t("Enrol now"), enrol, "route", "main") if told.journey else None,
        components.button(t("Undo"), tagging(not told.undo[2], told.undo), None) if told.undo else None,
    )


@component
def Everyone(context: PageContext, live: Mapping[str, str], acts: Acts, filter: ContactFilter, count: int) -> Element:
    """The same for all whom the filters find, however many: the work goes on page by page when this page is long closed."""
    told, set_told = use_state(Told())
    t = context.t

    def begun(act: str, doing: Callable[[list[str]], Do]) -> Callable[..., Any]:
        async def handler(*event: Any) -> None:
            jobs: list[str] = []
            await acts.act(act, doing(jobs), "The job has started and continues by itself.")(*event)
            set_told(Told(job=jobs[0]) if jobs else Told())

        return handler

    def tagging(added: bool) -> Callable[..., Any]:
        return begun("contact.tag_many", lambda jobs: begin_tagging(filter, acts.drafts.get("tag", ""), added, count, jobs))

    async def look_ahead(*_event: Any) -> None:
        set_told(
            await looked(
                context,
                acts,
                lambda ahead, session, journey: ahead.enrolment(session, journey, filter, context.app.now()),
            )
        )

    version = told.ahead.version if told.ahead else None
    sample = told.ahead is not None and not (told.ahead.forecast.is_exact and not told.ahead.forecast.at_least)
    enrol = begun("run.start_many", lambda jobs: begin_enrolling(told.journey, filter, count, jobs, version))
    return html.div(
        {"className": "bulk", "role": "region", "aria-label": t("With selected")},
        html.b(all_of(t, count)),
        tag_field(context, acts, tagging, t("For all of them, page by page. This cannot be undone."))
        if context.may("contact.tag_many")
        else None,
        journey_field(context, live, acts, look_ahead) if context.may("run.start_many") else None,
        said(t, told),
        counting(context, told, filter, count) if sample else None,
        components.button(t("Enrol now"), enrol, "route", "main") if told.journey else None,
        html.a({"className": "button", "href": "/ui/settings/work"}, t("View progress")) if told.job else None,
    )


def counting(context: PageContext, told: Told, filter: ContactFilter, count: int) -> Element:
    """The exact count of what was estimated."""
    ahead = told.ahead
    assert ahead is not None
    input = {"version": ahead.version, WANTED: filter.kept()}
    question = Question(ahead.journey_id, "run.start_many", input, count if count <= MAX_COUNTED else None)

    def tell(found: Forecast) -> list[consequences.Line]:
        values = {"count": context.t.number(found.begins + found.held_out), "all": context.t.number(found.population)}
        first = consequences.Line(context.t("{count} of {all} would enter.", **values))
        return [first, *consequences.entering(context.t, ahead.nodes, found)]

    return Exact(context, question, tell, key=question.key)


def all_of(t: Translator, count: int) -> str:
    """How the filters' whole find is called."""
    if count > MAX_COUNTED:
        return t("All matching, more than {count}", count=t.number(MAX_COUNTED))
    return t("All {count} matching", count=t.number(count))


def begin_tagging(filter: ContactFilter, tag: str, added: bool, count: int, jobs: list[str]) -> Do:
    def do(context: PageContext) -> Wakeups:
        input = {WANTED: filter.kept(), "tag": profile.read_tag(tag), "added": added}
        return begin(context, "bulk_tag", "contacts", input, count, jobs)

    return do


def begin_enrolling(journey_id: str, filter: ContactFilter, count: int, jobs: list[str], looked_at: int | None) -> Do:
    """Refused where another version is live by now than was looked at."""

    def do(context: PageContext) -> Wakeups:
        still_live(context, journey_id, looked_at)
        return begin(context, "bulk_enrol", f"journey:{journey_id}", {WANTED: filter.kept(), "journey_id": journey_id}, count, jobs)

    return do


def still_live(context: PageContext, journey_id: str, looked_at: int | None) -> None:
    """Raises: Invalid, which says so on the page, if another version is live by now than was looked at."""
    with context.engine.db.read() as session:
        live = manual.published(context.engine, session, journey_id)
    if looked_at is not None and live.version_number != looked_at:
        raise Invalid("Version {version} was published in the meantime: preview again, then enrol.", version=live.version_number)


def begin(context: PageContext, kind: str, subject: str, input: dict[str, Any], count: int, jobs: list[str]) -> Wakeups:
    """Queues a job, whose id goes into `jobs`."""
    with context.engine.db.write() as session:
        total = count if count <= MAX_COUNTED else None
        job = add_job(session, kind, subject, input, context.by, context.app.now(), total)
    jobs.append(job.id)
    return Wakeups()


def tag_field(context: PageContext, acts: Acts, tagging: Callable[[bool], Callable[..., Any]], hint: str = "") -> Element:
    t = context.t
    ways = [(t("Add tag"), tagging(True)), (t("Remove tag"), tagging(False))]
    return components.choose(t("Tags"), hint, ways, "flag", components.kept(acts, "tag", t("Name of the tag"), 120))


def journey_field(context: PageContext, live: Mapping[str, str], acts: Acts, look_ahead: Callable[..., Any]) -> Element:
    t = context.t
    field = components.kept_choice(acts, "into", t("Journey"), {"": "–", **live})
    return components.choose(
        t("Enrol"),
        t("No one enters until you have seen who would."),
        [(t("Preview who enters"), look_ahead)],
        "route",
        field,
    )


Look = Callable[[Forecaster, Session, str], Forecast]
"""(who looks ahead, session, journey id) -> what would happen"""


async def looked(context: PageContext, acts: Acts, look: Look) -> Told:
    """What enrolling in the journey that is chosen would come to. One look at a time for each person."""
    key = acts.drafts.get("into", "")
    if not key:
        return Told((context.t("Choose a journey first."),))
    try:
        async with context.app.turns.of(context.by):
            return await asyncio.to_thread(foretell, context, key, look)
    except PfadwerkError as error:
        return Told((error.say(context.t.translate),))


def foretell(context: PageContext, key: str, look: Look) -> Told:
    """Who would enter a journey now, who would get what at once, and why the others would not. Raises: PfadwerkError."""
    t = context.t
    with context.engine.db.read() as session:
        journey = session.scalar(select(Journey).where(Journey.key == key))
        if journey is None:
            return Told((t("This journey does not exist any more."),))
        live = manual.published(context.engine, session, journey.id)
        found = look(consequences.forecaster(context), session, journey.id)
        called = consequences.names(context, session, found)
    enter = found.begins + found.held_out
    values = {"count": t.number(round(enter * found.scale)), "all": t.number(found.population), "name": journey.name}
    first = t("{count} of {all} would enter “{name}”.", **values)
    if found.at_least:
        text = "{count} of {judged} contacts checked would enter “{name}”. More than {all} match."
        first = t(text, **{**values, "judged": t.number(found.judged), "all": t.number(MAX_COUNTED)})
    elif not found.is_exact:
        first = t("About {count} of {all} would enter “{name}”.", **values)
    lines = tuple(consequences.entering(t, live.program.nodes, found))
    ahead = Ahead(found, journey.id, live.version_number, live.program.nodes, lines, called)
    return Told((first,), journey=journey.id if enter or not found.is_exact else "", ahead=ahead)


def said(t: Translator, told: Told) -> Element:
    ahead = told.ahead
    return html.div(
        {"role": "status"},
        [html.p({"key": line}, line) for line in told.lines],
        consequences.listed(t, list(ahead.lines), ahead.forecast, ahead.called) if ahead and ahead.lines else None,
    )


def tag_all(ids: Sequence[str], tag: str, added: bool, changed: list[str]) -> Do:
    """Adds a tag or takes it away, for those where that changes something; their ids go into `changed`."""

    def do(context: PageContext) -> Wakeups:
        now, wakeups = context.app.now(), Wakeups()
        profile.read_tag(tag)
        for few in batched(sorted(ids), AT_ONCE):
            with context.engine.db.write() as session:
                woken, those = manual.tag_some(context.engine, session, few, tag, added, now, context.by)
            wakeups.add(woken)
            changed.extend(those)
        return wakeups

    return do


def batched(ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + most] for start in range(0, len(ids), most))


def enrol_all(journey_id: str, ids: Sequence[str], looked_at: int | None) -> Do:
    """Enrols those who may enter, each in a transaction of its own; refused where another version is live by now than was looked at."""

    def do(context: PageContext) -> Wakeups:
        wakeups, occasion = Wakeups(), f"chosen:{new_id()}"
        still_live(context, journey_id, looked_at)
        for id in ids:
            with context.engine.db.write() as session:
                answer = manual.enrol_contact(context.engine, session, journey_id, id, {}, context.app.now(), context.by, occasion)
                if isinstance(answer, Entered):
                    wakeups.add(answer.wakeups)
        return wakeups

    return do
