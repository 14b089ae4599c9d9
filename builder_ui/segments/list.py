"""All segments: how many are in each, how that grew, whether it is filled, and where it is used."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.job_ends import no_worker, waits
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments import chart, states, uses
from builder_ui.segments.detail import restoring
from builder_ui.segments.ready import READY
from crm.segments import members, segments
from models import Job, Segment
from reports.segment_growth import DAYS, growth
from storage.tally import day_of

PAGE_SIZE = 50
MOST_USES = 3
MOST_DELETED = 50
"""Deleted segments that are shown, newest first."""


@dataclass(frozen=True, slots=True)
class Line:
    """A segment; `days` are its members at the end of each of the last days."""

    segment: Segment
    count: int
    days: list[int]
    used: list[uses.Place]
    job: Job | None


@dataclass(frozen=True, slots=True)
class Data:
    """`by_kind` counts all that fit the search; `total` all there are."""

    lines: list[Line]
    by_kind: dict[str, int]
    total: int
    next_before: str | None
    deleted: list[Segment]
    """What can be restored; only where all are shown, to those who may."""
    waits: bool
    """Something is to be filled, and no worker is alive."""


def load(context: PageContext) -> Data:
    query = context.query
    with context.engine.db.read() as session:
        everything = segments.listed(session)
        found = [one for one in everything if fits(one, query.get("q", ""))]
        by_kind = {kind: sum(one.kind == kind for one in found) for kind in states.KINDS}
        if query.get("kind") in states.KINDS:
            found = [one for one in found if one.kind == query["kind"]]
        first = int(query["before"]) if query.get("before", "").isdecimal() and len(query["before"]) < 6 else 0
        lines = _lines(context, session, found[first : first + PAGE_SIZE])
        following = str(first + PAGE_SIZE) if len(found) > first + PAGE_SIZE else None
        whole = context.may("segment.change") and not query
        gone = segments.deleted(session, context.app.now())[:MOST_DELETED] if whole else []
        return Data(lines, by_kind, len(everything), following, gone, any(waits(session, one.job) for one in lines))


def fits(segment: Segment, text: str) -> bool:
    """Whether every word stands in the name, the key or the description."""
    said = f"{segment.name} {segment.key} {segment.description}".casefold()
    return all(word in said for word in text.casefold().split())


def _lines(context: PageContext, session: Session, shown: list[Segment]) -> list[Line]:
    counts = members.counts(session, [segments.id_of(one) for one in shown])
    grown = growth(session, {segments.id_of(one): counts.get(segments.id_of(one), 0) for one in shown}, day_of(context.app.now()))
    used = uses.places(context.engine, session, [one.key for one in shown])
    return [
        Line(
            one,
            counts.get(segments.id_of(one), 0),
            grown[segments.id_of(one)],
            used[one.key],
            segments.fill_of(session, one) if one.state == "filling" else None,
        )
        for one in shown
    ]


def stamp(context: PageContext) -> object:
    data = load(context)
    lines = [
        (
            one.segment.key,
            one.segment.name,
            one.segment.state,
            one.segment.version,
            one.days,
            one.used,
            one.job and (one.job.done, one.job.state),
        )
        for one in data.lines
    ]
    return lines, data.total, data.waits, [one.id for one in data.deleted]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    kinds = [("", t("All"), sum(data.by_kind.values()))]
    kinds += [(kind, t(words[0]), data.by_kind[kind]) for kind, words in states.KINDS.items()]
    return html._(
        components.head(t("Segments"), actions=begin(context) if data.total else []),
        no_worker(t, data.waits),
        html.div({"className": "bar"}, components.tabs(context, "kind", kinds, t("Kind")), components.search(context, t("Search segments")))
        if data.total
        else None,
        table(context, data) if data.lines else nothing(context, data),
        components.pager(context, data.next_before, t("First page"), t("More")),
        deleted(context, data, acts),
    )


def deleted(context: PageContext, data: Data, acts: Acts) -> Element:
    """What was deleted lately, to be taken back."""
    t = context.t
    if not data.deleted:
        return None
    return html.details(
        {"className": "deleted"},
        html.summary(t("Deleted within the last {days} days", days=t.number(segments.KEPT.days))),
        components.table(
            t("Deleted segments"),
            (t("Name"), t("Kind"), t("Deleted"), ""),
            [
                [
                    one.name,
                    states.kind(t, one),
                    t.moment(one.deleted_at),
                    components.button(
                        t("Restore"), acts.act("segment.change", restoring(segments.id_of(one)), "Segment restored."), "history"
                    ),
                ]
                for one in data.deleted
            ],
        ),
    )


def begin(context: PageContext) -> list[Element]:
    """Where segments begin, for those who may make one."""
    if not context.may("segment.change"):
        return []
    t = context.t
    return [
        html.a({"className": "button", "href": "/ui/new-segment?kind=static"}, components.icon("clipboard-check"), t("New static segment")),
        html.a({"className": "button main", "href": "/ui/new-segment"}, components.icon("segments"), t("New segment")),
    ]


def table(context: PageContext, data: Data) -> Element:
    t = context.t
    columns = (t("Name"), t("Kind"), t("Contacts"), t("Last {count} days", count=t.number(DAYS)), t("State"), t("Used in"))
    return components.table(t("Segments"), columns, [line(context, one) for one in data.lines], "segments")


def line(context: PageContext, one: Line) -> list[Element]:
    t, segment = context.t, one.segment
    more = len(one.used) - MOST_USES
    return [
        html.div(
            html.a({"href": f"/ui/segments/{segment.key}"}, segment.name), html.small(segment.description) if segment.description else None
        ),
        states.kind(t, segment),
        html.b(t.number(one.count)),
        html.span({"className": "grown"}, chart.line(t, one.days), chart.change(t, one.days)),
        states.state(t, segment, one.job),
        html._(uses.links(one.used[:MOST_USES]), html.small(t("and {count} more", count=t.number(more))) if more > 0 else None)
        if one.used
        else "–",
    ]


def nothing(context: PageContext, data: Data) -> Element:
    t = context.t
    if data.total:
        return components.empty("search", t("No matching segments."), html.a({"className": "button", "href": context.path}, t("Show all")))
    text = t(
        "No segments yet. A segment is a named group of contacts. Its rule says who belongs to it; contacts enter and leave by themselves as "
        "soon as something changes. Journeys can start with it and ask for it."
    )
    return html._(components.empty("segments", text, html.div({"className": "actions"}, *begin(context))), ready(context))


def ready(context: PageContext) -> Element:
    """The ready-made ones, for those who may make one."""
    if not context.may("segment.change"):
        return None
    t = context.t
    return html._(
        html.h2({"className": "apart"}, t("Start with a ready-made one")),
        html.div(
            {"className": "cards"},
            [
                html.article(
                    {"className": "card", "key": name},
                    html.h3(html.a({"href": f"/ui/new-segment?from={name}"}, t(one.name))),
                    html.p({"className": "quiet"}, t(one.description)),
                )
                for name, one in READY.items()
            ],
        ),
    )


PAGE = Page("/ui/segments", "Segments", "segments", "segment.read", load, view, stamp)
