"""One segment from all sides: who is in it, why somebody is or is not, how it grew, what it shares with another, where it is used, and its rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.builder import lookups
from builder_ui.kit import components, forms, labels
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments import chart, membership, states, uses, why
from builder_ui.segments.editor import LOOKS, editor
from builder_ui.segments.writing import Writing, readable
from crm.segments import members, questions, segments
from journeys.errors import Invalid, NotFound
from models import Job, Segment
from reports.journey_metrics import days_before
from reports.segment_growth import growth
from storage.tally import day_of

SPAN = 90
"""Days of the growth that is shown day by day."""


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    """`inner` is what the view that is shown has loaded."""

    segment: Segment
    count: int
    days: list[int]
    used: list[uses.Place]
    job: Job | None
    waits: bool
    inner: Any


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the views. `live` only: there is nothing of the kind for a list kept by hand."""

    title: str
    load: Callable[[PageContext, Session, Segment], Any]
    view: Callable[[PageContext, Data, Acts], Element]
    live: bool = False


def load(context: PageContext) -> Data | None:
    """None: there is no such segment, or no longer."""
    with context.engine.db.read() as session:
        segment = found(session, context.arguments["key"])
        if segment is None:
            return None
        id, job = segments.id_of(segment), segments.fill_of(session, segment)
        count = members.count(session, id)
        days = growth(session, {id: count}, day_of(context.app.now()))[id]
        used = uses.places(context.engine, session, [segment.key])[segment.key]
        return Data(segment, count, days, used, job, waits(session, job), tab(context, segment).load(context, session, segment))


def found(session: Session, key: str) -> Segment | None:
    try:
        return segments.get(session, key)
    except NotFound:
        return None


def tab(context: PageContext, segment: Segment) -> Tab:
    """The one that the address asks for; the first where it asks for none that there is."""
    one = TABS.get(context.query.get("view", ""), TABS[""])
    return TABS[""] if one.live and segment.kind != "live" else one


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        segment = found(session, context.arguments["key"])
        if segment is None:
            return None
        job, id = segments.fill_of(session, segment), segments.id_of(segment)
        days = growth(session, {id: members.count(session, id)}, day_of(context.app.now()))[id]
        return segment.version, segment.state, segment.updated_at, job and (job.state, job.done), days


def view(context: PageContext, data: Data | None, acts: Acts) -> Element:
    t = context.t
    if data is None:
        back = html.a({"className": "button", "href": "/ui/segments"}, t("All segments"))
        return components.empty("segments", t("There is no segment at this address, or no longer."), back)
    segment, shown = data.segment, tab(context, data.segment)
    tabs = [(name, t(one.title), None) for name, one in TABS.items() if segment.kind == "live" or not one.live]
    return html._(
        components.head(
            segment.name,
            segment.description or None,
            back=("/ui/segments", t("Segments")),
            state=html._(states.kind(t, segment), " ", states.state(t, segment, data.job)),
            actions=[listed(context, data), deleting(context, data, acts)],
        ),
        *filling(context, data, acts),
        summary(context, data),
        html.div({"className": "bar"}, components.tabs(context_of_tabs(context), "view", tabs, t("Views"))),
        shown.view(context, data, acts),
    )


def context_of_tabs(context: PageContext) -> PageContext:
    """Another view begins anew: what was searched for in this one is not carried along."""
    return replace(context, query={name: value for name, value in context.query.items() if name == "view"})


def summary(context: PageContext, data: Data) -> Element:
    """The rule in words, how many there are, and how that grew."""
    t, rule = context.t, readable(data.segment.rule)
    said = components.marked(labels.rule(t, rule)) if rule is not None else [t("Kept by hand: people put contacts in and take them out.")]
    return html.section(
        {"className": "panel summary"},
        html.p({"className": "number"}, html.b(t.number(data.count)), html.span(t("contacts"))),
        html.span({"className": "grown"}, chart.line(t, data.days), chart.change(t, data.days)),
        html.p(*said),
    )


def filling(context: PageContext, data: Data, acts: Acts) -> list[Element]:
    """How far the fill is, and the way on where it failed."""
    t = context.t
    if data.segment.state != "filling":
        return []
    again = components.button(
        t("Fill again"), acts.act("segment.change", refilling(data.segment.key), "The segment is being filled."), "history"
    )
    failed = data.job is not None and data.job.state == "failed"
    return [
        no_worker(t, data.waits),
        ended_early(t, data.job, "Filling ended early: {reason}"),
        html.p(again) if failed and context.may("segment.change") else None,
        None if failed else html.progress({"aria-label": t("Filling")}),
    ]


def refilling(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            segments.refill(session, key, context.by, context.app.now())

    return do


def listed(context: PageContext, data: Data) -> Element:
    """The members as contacts: to filter, export, tag and enrol."""
    address = f"/ui/contacts?segment={data.segment.key}"
    return html.a({"className": "button", "href": address}, components.icon("people"), context.t("Show in contacts"))


def deleting(context: PageContext, data: Data, acts: Acts) -> Element:
    """Asks first; where something uses it, says what in place of that."""
    t, segment = context.t, data.segment
    if not context.may("segment.change"):
        return None
    if data.used:
        return html.details(
            {"className": "ask", "name": "ask"},
            html.summary({"className": "button danger"}, components.icon("ban"), t("Delete")),
            html.div({"className": "question"}, html.p(t("It cannot be deleted as long as these use it:")), uses.links(data.used)),
        )
    question = t(
        "“{name}” is deleted; its {count} contacts lose nothing else. It can be restored for {days} days, on the page of all segments.",
        name=segment.name,
        count=t.number(data.count),
        days=t.number(segments.KEPT.days),
    )
    do = acts.act("segment.change", removing(segment.key), "Segment deleted.", restoring(segments.id_of(segment)))
    return components.ask(t("Delete"), question, t("Delete segment"), do, "ban", "danger")


def removing(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            segments.hold(session)
            used = uses.places(context.engine, session, [key])[key]
            if used:
                raise Invalid("It cannot be deleted as long as these use it: {places}.", places=[one.name for one in used])
            segments.remove(session, key, context.by, context.app.now())

    return do


def restoring(id: int) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            segments.restore(session, id, context.by, context.app.now())

    return do


# Growth


def load_growth(context: PageContext, session: Session, segment: Segment) -> list[members.Day]:
    since = days_before(day_of(context.app.now()), SPAN)
    return members.growth(session, segments.id_of(segment), since)[::-1]


def growth_view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, days = context.t, data.inner
    if not days:
        return components.empty("clock", t("Nobody entered or left within {count} days.", count=t.number(SPAN)), None)
    columns = (t("Day"), t("Joined"), t("Dropped out"), t("Contacts"))
    rows = [[t.calendar_day(one.day), t.number(one.entered), t.number(one.left), t.number(one.members)] for one in days]
    note = html.p({"className": "quiet"}, t("Days are in UTC. Newest first."))
    return html._(note, components.table(t("Growth"), columns, rows, "metrics"))


# Overlap


@dataclass(frozen=True, slots=True)
class Shared:
    """The other segments to choose from, and what was found of the one that was chosen."""

    others: Mapping[str, str]
    other: Segment | None
    overlap: questions.Overlap | None


def load_overlap(context: PageContext, session: Session, segment: Segment) -> Shared:
    others = {key: name for key, name in segments.offered(session) if key != segment.key}
    chosen = context.query.get("with", "")
    other = found(session, chosen) if chosen in others else None
    return Shared(others, other, questions.overlap(session, segment, other) if other is not None else None)


def overlap_view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, shared = context.t, data.inner
    if not shared.others:
        return components.empty("segments", t("There is no other segment to compare it with."), None)
    present = context.query.get("with", "")
    options = [html.option({"value": key, "key": key, "selected": key == present}, name) for key, name in shared.others.items()]
    form = html.form(
        {"className": "filters", "method": "get", "action": context.path},
        html.input({"type": "hidden", "name": "view", "value": "overlap"}),
        html.label({"className": "pick"}, t("Compare with"), " ", html.select({"name": "with"}, options)),
        html.button({"className": "button"}, t("Show")),
    )
    return html._(form, compared(context, data) if shared.other is not None else None)


def compared(context: PageContext, data: Data) -> Element:
    t, found, other = context.t, data.inner.overlap, data.inner.other
    rows: list[list[Element]] = [
        [t("In both"), html.b(t.number(found.both)), t.share(found.both, found.one), t.share(found.both, found.other)],
        [
            t("Only in “{name}”", name=data.segment.name),
            t.number(found.one - found.both),
            t.share(found.one - found.both, found.one),
            "–",
        ],
        [t("Only in “{name}”", name=other.name), t.number(found.other - found.both), "–", t.share(found.other - found.both, found.other)],
    ]
    columns = ("", t("Contacts"), t("of “{name}”", name=data.segment.name), t("of “{name}”", name=other.name))
    return components.table(t("Overlap"), columns, rows, "metrics")


# Uses and rule


def nothing(context: PageContext, session: Session, segment: Segment) -> None:
    """What the view shows is loaded anyway."""


def uses_view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.used:
        return components.empty("route", t("No live journey and no other segment uses it."), None)
    return html.section({"className": "panel"}, uses.links(data.used))


def load_rule(context: PageContext, session: Session, segment: Segment) -> lookups.Lookups:
    return lookups.load(session, context.t)


def rule_view(context: PageContext, data: Data, acts: Acts) -> Element:
    """The editor; for those who may not change it, the summary above says the rule."""
    t, segment = context.t, data.segment
    if not context.may("segment.change"):
        return components.empty("lock", t("Your role does not allow this."), None)
    draft: dict[str, Any] = {"name": segment.name, "description": segment.description}
    draft |= {"rule": segment.rule} if segment.kind == "live" else {}
    begin = lambda: Writing(context, data.inner, draft, segment.key, segment.updated_at)  # noqa: E731
    return editor(begin, acts, data.used, {})


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return segments.get(session, context.arguments["key"]).name


TABS: Mapping[str, Tab] = {
    "": Tab("Members", membership.load, membership.view),
    "why": Tab("Why in or out", why.load, why.view, live=True),
    "growth": Tab("Growth", load_growth, growth_view),
    "overlap": Tab("Overlap", load_overlap, overlap_view),
    "uses": Tab("Used in", nothing, uses_view),
    "rule": Tab("Change", load_rule, rule_view),
}
"""Name in the address -> the view."""

PAGE = Page("/ui/segments/{key}", "Segment", "segments", "segment.read", load, view, stamp, name=name, assets=LOOKS)
