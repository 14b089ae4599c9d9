"""One journey: what it does as a readable outline with the numbers of those who wait, its runs, its stuck runs, who was refused, its versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from builder_ui.journeys import days, versions
from builder_ui.journeys.actions import run_acts, shelve, stuck_notice, switches
from builder_ui.journeys.list import not_published, period
from builder_ui.kit import components, labels
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.labels import JOURNEY_STATES, OUTLETS, REASONS, REFUSALS, RUN_STATES, coded, mistake
from builder_ui.kit.reactpy_compat import Element, html
from crm.jobs import add_job, newest_job
from crm.people import contacts
from engine.enrolment import unmet
from engine.runs.operations import RunFilter, list_runs
from engine.versions import listing
from engine.versions.publish import get_journey, get_version
from journeys.compile import behaviours_of
from journeys.document import Journey as Document
from journeys.graph import Graph, build
from journeys.nodes import Node
from journeys.upgrade import upgrade
from models import UNMET, Job, Journey, Member, Refusal, Rotation, Template
from storage import tally

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Data:
    """What the chosen tab shows; the parts of other tabs stay empty. `waiting` maps a node id to its number of open runs, `number` is the
    version that `document` is (None: the draft)."""

    journey: Journey
    document: Document
    graph: Graph
    numbers: listing.Numbers
    steps: dict[str, str]
    """Node id -> what people call the step."""
    things: dict[str, str] = field(default_factory=dict)
    """`template:<key>` and so on -> what people call it."""
    unpublished: bool = False
    """The draft is not what is live."""
    since: datetime | None = None
    """When the journey was first published."""
    number: int | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    next_before: str | None = None
    held_out: int = 0
    days: days.Data | None = None
    versions: versions.Data | None = None
    job: Job | None = None
    """The last time all stuck runs were told to try again."""
    waits: bool = False
    """No worker is alive to do that."""

    def node_name(self, node_id: str, context: PageContext) -> str:
        return self.steps.get(node_id, node_id) if node_id else context.t("Start")


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        journey = get_journey(session, context.arguments["key"])
        number = _number(context) or journey.live_version
        version = get_version(session, journey.id, number) if number else None
        raw = version.document if version else journey.draft
        pinned = behaviours_of(version.pins.get("behaviours", ())) if version else None
        document = Document.model_validate(upgrade(raw))
        numbers = listing.numbers(session, [journey.id])[journey.id]
        differs, since = (
            journey.id in listing.unpublished(session, [journey]),
            listing.published_since(session, [journey.id]).get(journey.id),
        )
        graph = build(document, context.engine.palette, pinned)
        common = (journey, document, graph, numbers, labels.names_of(context.t, graph.nodes), _things(session), differs, since, number)
        match context.query.get("tab", ""):
            case "runs":
                found, more = _runs(session, journey.id, context)
                return Data(
                    *common,
                    runs=found,
                    names=contact_names(session, _people(found)),
                    next_before=more,
                    held_out=numbers.whole.held_out,
                )
            case "stuck":
                found = [row for status in ("stuck", "quarantined") for row in list_runs(session, RunFilter(journey.id, status=status))]
                job = newest_job(session, f"journey:{journey.id}", "resume_stuck")
                return Data(*common, runs=found, names=contact_names(session, _people(found)), job=job, waits=waits(session, job))
            case "refused":
                refusals, more = _refusals(session, journey.id, context)
                named = contact_names(session, [row.contact_id for row in refusals])
                return Data(*common, refusals=refusals, names=named, next_before=more)
            case "days":
                return Data(*common, days=days.load(context, session, journey))
            case "versions":
                return Data(*common, versions=versions.load(context, session, journey))
            case _:
                return Data(*common, waiting=_waiting(session, journey.id, _number(context)))


def _things(session: Any) -> dict[str, str]:
    """What the fields of steps name."""
    asked = {
        "template": select(Template.key, Template.name),
        "pool": select(Rotation.pool, Rotation.name),
        "journey": select(Journey.key, Journey.name),
        "member": select(Member.id, Member.name),
    }
    return {f"{noun}:{key}": name for noun, question in asked.items() for key, name in session.execute(question)}


def _number(context: PageContext) -> int | None:
    """The version that the address asks for."""
    text = context.query.get("version", "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _people(runs: list[dict[str, Any]]) -> list[str]:
    return [row["contact_id"] for row in runs]


def _runs(session: Any, journey_id: str, context: PageContext) -> tuple[list[dict[str, Any]], str | None]:
    query = context.query
    filter = RunFilter(
        journey_id, status=query.get("status") or None, node=query.get("node") or None, before=query.get("before"), limit=PAGE_SIZE + 1
    )
    found = list_runs(session, filter)
    return found[:PAGE_SIZE], found[PAGE_SIZE - 1]["id"] if len(found) > PAGE_SIZE else None


def _refusals(session: Any, journey_id: str, context: PageContext) -> tuple[list[Refusal], str | None]:
    """Newest first, of one reason or of all; a search looks for the people first."""
    text, before, why = context.query.get("q", "").strip(), context.query.get("before", ""), context.query.get("why", "")
    statement = select(Refusal).where(Refusal.journey_id == journey_id).order_by(col(Refusal.id).desc()).limit(PAGE_SIZE + 1)
    if why:
        statement = statement.where(UNMET if why == "condition" else col(Refusal.reason) == why)
    if text:
        people = contacts.search(session, contacts.ContactFilter(text=text), limit=200).contacts
        statement = statement.where(col(Refusal.contact_id).in_([contact.id for contact in people]))
    if before.isdecimal():
        statement = statement.where(col(Refusal.id) < int(before[:18]))
    found = list(session.scalars(statement))
    return found[:PAGE_SIZE], str(found[PAGE_SIZE - 1].id) if len(found) > PAGE_SIZE else None


def _waiting(session: Any, journey_id: str, number: int | None) -> dict[str, int]:
    """Node id -> how many are there now; on one version, or on all together."""
    return {node: place.waiting for node, place in tally.read(session, journey_id, number).nodes.items() if place.waiting}


def stamp(context: PageContext) -> object:
    """Whatever moves a run changes the tally: a few rows, however many runs there are."""
    with context.engine.db.read() as session:
        journey = get_journey(session, context.arguments["key"])
        more = versions.stamp(session, journey) if context.query.get("tab") == "versions" else None
        what = (journey.state, journey.live_version, journey.revision, journey.archived_at, journey.name)
        return what, tally.read(session, journey.id), listing.numbers(session, [journey.id]), more


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, journey = context.t, data.journey
    version = t("Version {number}", number=journey.live_version) if journey.live_version else t("Never published; this is the draft")
    tabs = [
        ("", t("Steps"), None),
        ("runs", t("Runs"), data.numbers.whole.runs),
        ("stuck", t("Stuck"), data.numbers.stuck),
        ("refused", t("Not entered"), None),
        ("days", t("By day"), None),
        ("versions", t("Versions"), None),
    ]
    shown = {"runs": runs_tab, "stuck": stuck_tab, "refused": refused_tab, "days": days_tab, "versions": versions_tab}.get(
        context.query.get("tab", ""), steps_tab
    )
    return html._(
        components.head(
            journey.name,
            data.document.description,
            html.span({"className": "quiet"}, version, " · ", journey.key),
            back=("/ui/journeys", t("Journeys")),
            state=html._(
                components.badge(t(JOURNEY_STATES[journey.state][0]), *JOURNEY_STATES[journey.state][1:]),
                not_published(t, data.unpublished),
            ),
            actions=[shelve(context, acts, journey)]
            if journey.archived_at
            else [edit(context, journey), *switches(context, acts, journey), shelve(context, acts, journey)],
        ),
        archived(context, journey),
        what_differs(context, data),
        stuck_notice(context, journey.key, journey.name, data.numbers.stuck)
        if data.numbers.stuck and context.query.get("tab") != "stuck"
        else None,
        html.div({"className": "bar"}, tab_links(context, tabs)),
        shown(context, data, acts),
    )


def days_tab(context: PageContext, data: Data, acts: Acts) -> Element:
    return days.view(context, data.days, data.steps) if data.days else None


def versions_tab(context: PageContext, data: Data, acts: Acts) -> Element:
    return versions.view(context, data.journey, data.versions, acts) if data.versions else None


def what_differs(context: PageContext, data: Data) -> Element:
    """That contacts go through the live version and not through what was drawn since."""
    if not data.unpublished:
        return None
    t, journey = context.t, data.journey
    text = t("The draft has unpublished changes: contacts still enter version {number}.", number=journey.live_version)
    compare = {"className": "button plain", "href": f"/ui/journeys/{journey.key}/diff?from={journey.live_version}&to=draft"}
    return html.p({"className": "notice"}, components.icon("pencil"), html.span(text), html.a(compare, t("Compare versions")))


def archived(context: PageContext, journey: Journey) -> Element:
    if journey.archived_at is None:
        return None
    text = context.t("This journey is archived. Restore it to change it or to publish it again.")
    return html.p({"className": "notice"}, components.icon("archive"), text)


def edit(context: PageContext, journey: Journey) -> Element:
    """The way into the builder; those who may not change anything may look."""
    text = context.t("Edit") if context.may("journey.change") else context.t("View canvas")
    return html.a({"className": "button", "href": f"/ui/journeys/{journey.key}/edit"}, components.icon("pencil"), text)


def tab_links(context: PageContext, tabs: list[tuple[str, str, int | None]]) -> Element:
    """Tabs begin anew: filters of one make no sense in another."""
    bare = PageContext(
        context.app, context.member, context.token, context.t, context.path, context.arguments, {"tab": context.query.get("tab", "")}
    )
    return components.tabs(bare, "tab", tabs, context.t("Views"))


# Steps


def steps_tab(context: PageContext, data: Data, acts: Acts) -> Element:
    t, document = context.t, data.document
    ways_out = [labels.way_out(t, one) for one in document.exit_when]
    rules = [(t("Who enters"), sentences(labels.entry(t, document.entry)))]
    if ways_out:
        rules.append((t("Who exits early"), sentences(ways_out)))
    rules.append((t("Goal"), sentences([labels.goal(t, document.goal)]) if document.goal else "–"))
    return html._(
        not_the_live_one(context, data),
        html.div(
            {"className": "columns"},
            html.section({"className": "panel"}, html.h2(t("Steps")), outline(context, data), period(context, data.since)),
            html.section({"className": "panel side-panel"}, components.facts(rules)),
        ),
    )


def not_the_live_one(context: PageContext, data: Data) -> Element:
    """A word above a version that nobody enters any more."""
    t, live = context.t, data.journey.live_version
    if data.number == live:
        return None
    return html.p(
        {"className": "notice"},
        components.icon("history"),
        html.span(t("You are viewing version {number}. New contacts enter version {live}.", number=data.number, live=live)),
        html.a({"className": "button plain", "href": context.path}, t("Show the current one")),
    )


def sentences(said: list[str]) -> Element:
    return html.ul([html.li({"key": str(n)}, components.marked(one)) for n, one in enumerate(said)])


def outline(context: PageContext, data: Data) -> Element:
    """Every step once, in the order of the ways through; where each outlet leads stands beneath it."""
    order = walk(data.graph)
    places = {node_id: number for number, node_id in enumerate(order, 1)}
    return html.ol({"className": "outline"}, [step(context, data, node_id, places) for node_id in order])


def walk(graph: Graph) -> list[str]:
    """Node ids depth first from the start, each outlet in the order it is drawn, then whatever cannot be reached."""
    order: dict[str, None] = {}
    waiting = [graph.start] if graph.start else []
    while waiting:
        node_id = waiting.pop()
        if node_id in order or node_id not in graph.nodes:
            continue
        order[node_id] = None
        targets = [graph.next.get((node_id, outlet)) for outlet in graph.nodes[node_id].outlets()]
        waiting += [target for target in reversed(targets) if target]
    return [*order, *(node_id for node_id in graph.nodes if node_id not in order)]


def step(context: PageContext, data: Data, node_id: str, places: dict[str, int]) -> Element:
    t, node = context.t, data.graph.nodes[node_id]
    waiting = data.waiting.get(node_id, 0)
    link = html.a(
        {"className": "waiting", "href": f"{context.path}?tab=runs&node={node_id}&status=open"},
        components.icon("people"),
        t("{count} here now", count=t.number(waiting)),
    )
    return html.li(
        {"className": "step", "key": node_id, "id": f"step-{node_id}"},
        html.div(
            {"className": "step-head"},
            html.span({"className": "step-icon"}, components.icon(node.icon)),
            html.div(
                html.h3({"title": node_id}, data.node_name(node_id, context)),
                html.span({"className": "quiet"}, t(node.label)) if node.name else None,
            ),
            link if waiting else None,
        ),
        components.facts([(title, components.marked(value)) for title, value in labels.fields(t, node, {**data.steps, **data.things})]),
        outlets(context, data, node_id, node, places),
    )


def outlets(context: PageContext, data: Data, node_id: str, node: Node, places: dict[str, int]) -> Element:
    """Where the outlets lead, those with one aim on one line; a step whose only aim is the next line needs none."""
    aims: dict[str | None, list[str]] = {}
    for outlet in node.outlets():
        aims.setdefault(data.graph.next.get((node_id, outlet)), []).append(outlet)
    if [places.get(aim or "") for aim in aims] == [places[node_id] + 1]:
        return None
    return html.ul({"className": "outlets"}, [outlet_line(context, data, names, aim, places) for aim, names in aims.items()])


def outlet_line(context: PageContext, data: Data, outlets: list[str], aim: str | None, places: dict[str, int]) -> Element:
    t = context.t
    names = [html.span({"className": "outlet", "key": outlet}, coded(t, OUTLETS, outlet)) for outlet in outlets]
    if aim not in places:
        return html.li({"key": str(aim)}, names, " ", t("leads nowhere"))
    where = html.a({"href": f"#step-{aim}"}, f"{places[aim]}. {data.node_name(aim, context)}")
    return html.li({"key": aim}, names, components.icon("arrow"), where)


# Runs


def runs_tab(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    counted = {**data.numbers.by_status(), "held_out": data.held_out}
    statuses = [
        ("", t("All"), None),
        *[(name, t(RUN_STATES[name][0]), counted[name]) for name in RUN_STATES if counted.get(name)],
    ]
    node = context.query.get("node")
    filtered = (
        html.p(
            {"className": "filter"},
            t("Only at the step “{name}”", name=data.node_name(node, context)),
            html.a({"className": "button plain", "href": context.link(node=None)}, t("Show all")),
        )
        if node
        else None
    )
    return html._(
        html.div(
            {"className": "bar"},
            components.tabs(context, "status", statuses, t("State")),
            components.export(context, "runs", journey=data.journey.key),
        ),
        filtered,
        runs_table(context, data) if data.runs else no_run(context, data),
        components.pager(context, data.next_before),
    )


def no_run(context: PageContext, data: Data) -> Element:
    t = context.t
    if data.numbers.whole.runs or data.held_out:
        return components.empty(
            "search", t("No matching runs."), html.a({"className": "button", "href": f"{context.path}?tab=runs"}, t("Show all"))
        )
    if data.journey.live_version is None:
        builder = html.a({"className": "button main", "href": f"/ui/journeys/{data.journey.key}/edit"}, t("Open builder"))
        return components.empty("route", t("Contacts cannot enter before the journey is published."), builder)
    why = html.a({"className": "button", "href": f"{context.path}?tab=refused"}, t("Not entered"))
    return components.empty("route", t("No contacts have entered yet. They enter when what is listed under “Who enters” happens."), why)


def runs_table(context: PageContext, data: Data) -> Element:
    t = context.t
    columns = (t("Contact"), t("State"), t("Step"), t("What comes next"), t("Started"), "")
    return components.table(t("Runs"), columns, [run_row(context, data, row) for row in data.runs], "runs")


def run_row(context: PageContext, data: Data, row: dict[str, Any]) -> list[Element]:
    t = context.t
    reason = coded(t, REASONS, row["reason"]) if row["reason"] else None
    when = (
        components.relative(context, row["due_at"]) if row["due_at"] and row["ended_at"] is None else components.moment(t, row["ended_at"])
    )
    return [
        contact_link(t, row["contact_id"], data.names.get(row["contact_id"])),
        html.span(
            components.badge(t(RUN_STATES[row["status"]][0]), *RUN_STATES[row["status"]][1:]), html.small(reason) if reason else None
        ),
        data.node_name(row["node"], context),
        when,
        components.moment(t, row["started_at"]),
        html.a({"className": "button plain", "href": f"/ui/runs/{row['id']}"}, t("Show"), components.icon("arrow")),
    ]


# Stuck runs


def stuck_tab(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.runs:
        return components.empty("check", t("No run is stuck."), None)
    return html._(
        html.p(
            {"className": "lead"},
            t("A stuck run waits at its step until someone decides: try again once the cause is fixed, skip the step, or end the run."),
        ),
        ended_early(t, data.job, "The last attempt on all of them failed before it finished: {reason}"),
        no_worker(t, data.waits),
        html.div({"className": "bar"}, everybody(context, data, acts)) if data.numbers.halted.get("stuck", 0) > 1 else None,
        html.div({"className": "cards wide"}, [stuck_card(context, data, row, acts) for row in data.runs]),
    )


def everybody(context: PageContext, data: Data, acts: Acts) -> Element:
    """After a fix: all stuck runs try again, page by page."""
    if not context.may("run.mend"):
        return None
    t, count = context.t, data.numbers.halted.get("stuck", 0)
    return components.ask(
        t("Try all again"),
        t("{count} stuck runs try again from where they are. Do this once the cause is fixed.", count=t.number(count)),
        t("Try all again now"),
        acts.act("run.mend", trying_again(data.journey.id, count), "The runs are trying again, page by page."),
        "play",
        "main",
    )


def trying_again(journey_id: str, count: int) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            add_job(session, "resume_stuck", f"journey:{journey_id}", {"journey_id": journey_id}, context.by, context.app.now(), count)

    return do


def stuck_card(context: PageContext, data: Data, row: dict[str, Any], acts: Acts) -> Element:
    t, node = context.t, data.graph.nodes.get(row["node"])
    return html.article(
        {"className": "card", "key": row["id"]},
        html.header(
            html.h2(
                html.a(
                    {"href": f"/ui/runs/{row['id']}"},
                    data.names.get(row["contact_id"]) or t("Contact {id}", id=row["contact_id"][-6:]),
                )
            ),
            components.badge(t(RUN_STATES[row["status"]][0]), *RUN_STATES[row["status"]][1:]),
        ),
        html.p(t("at the step “{name}”", name=data.node_name(row["node"], context))),
        html.p({"className": "quiet"}, coded(t, REASONS, row["reason"])) if not row["error"].startswith(row["reason"]) else None,
        html.pre(mistake(t, row["error"])) if row["error"] else None,
        html.footer({"className": "actions"}, *run_acts(context, acts, row, node.outlets() if node else (), data.journey.state)),
    )


# Refusals


def refused_tab(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    columns = (t("Contact"), t("Why not"), t("When"))
    rows = [refusal_row(context, data, one) for one in data.refusals]
    found = components.table(t("Not entered"), columns, rows) if rows else components.empty("check", t("No refusals."), None)
    return html._(
        html.div(
            {"className": "bar"},
            html.p({"className": "lead"}, t("Why did a contact not enter? Every time a trigger did not result in an entry.")),
            components.search(context, t("Search by name or e-mail")),
        ),
        reasons(context, data),
        found,
        components.pager(context, data.next_before),
    )


def reasons(context: PageContext, data: Data) -> Element:
    """How often for which reason, since the journey was first published; each leads to its contacts."""
    t, counted = context.t, data.numbers.whole.refused
    ranked = sorted(((-count, code) for code, count in counted.items() if count > 0), key=lambda one: one)
    if not ranked:
        return None
    choices = [("", t("All reasons"), sum(-count for count, _ in ranked))]
    choices += [(code, coded(t, REFUSALS, code).rstrip("."), -count) for count, code in ranked]
    kept = t(
        "Every refusal is counted. Of contacts who did not meet the trigger's condition, the last {count} are listed.",
        count=t.number(unmet.KEPT),
    )
    return html.div(
        components.tabs(context, "why", choices, t("Why not")),
        html.p({"className": "quiet"}, kept) if counted.get("condition", 0) > unmet.KEPT else None,
    )


def refusal_row(context: PageContext, data: Data, one: Refusal) -> list[Element]:
    t = context.t
    asked = [labels.term(t, row, {}) for row in one.detail.get("rule", []) if not row.get("result")]
    why = html.ul(
        {"className": "terms"},
        [html.li({"key": str(n)}, components.marked(question), " — ", html.i(answer)) for n, (question, answer) in enumerate(asked)],
    )
    earlier = html.a({"href": f"/ui/runs/{one.detail['run']}"}, t("the earlier run")) if one.detail.get("run") else None
    return [
        contact_link(t, one.contact_id, data.names.get(one.contact_id)),
        html.div(coded(t, REFUSALS, one.reason), " ", earlier, why if asked else None),
        components.moment(t, one.refused_at),
    ]


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return get_journey(session, context.arguments["key"]).name


PAGE = Page("/ui/journeys/{key}", "Journey", "journeys", "journey.read", load, view, stamp, name=name)
