"""Moving the contacts who wait in one version of a journey to another: map, dry run, progress, result, and back again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.journeys.versions import MIGRATION_STATES
from builder_ui.kit import components, consequences, labels
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.exact import Exact, Question
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.reactpy_compat import Element, html
from crm.jobs import add_job, newest_job
from engine.interpreter.forecast import Forecast
from engine.presence import has_worker
from engine.versions import migrate
from engine.versions.publish import get_journey, get_version
from journeys.errors import Invalid, TooMany
from journeys.nodes import Node
from models import Job, Journey, Migration, Run, Version
from storage import tally

DRY, BACK = "dry run", "dry run back"
"""Where the drafts of a page keep what was found out of moving contacts, and of moving them back, as JSON."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the old version where somebody is; `target` is suggested, empty for none."""

    node: str
    name: str
    here: int
    target: str


@dataclass(frozen=True, slots=True)
class Done:
    """The migration that the page tells of. `left`: who is still on the old version; `stayed`: (run, contact) that could not be put back."""

    migration: Migration
    progress: migrate.Progress
    left: migrate.Preview
    stayed: list[tuple[str, str]]
    names: dict[str, str]
    job: Job | None
    """The newest work on it; the keeper may have gone on without."""
    waits: bool = False
    """No worker is alive to do it."""


@dataclass(frozen=True, slots=True)
class Data:
    """`inside` maps a version to its open runs, all versions are there; `old` and `new` map node ids to what people call the nodes."""

    journey: Journey
    inside: dict[int, int]
    chosen: tuple[int, int] | None
    places: list[Place] = field(default_factory=list)
    old: Mapping[str, str] = field(default_factory=dict)
    new: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """Of the new version."""
    done: Done | None = None


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        journey = get_journey(session, context.arguments["key"])
        numbers = session.scalars(select(Version.number).where(Version.journey_id == journey.id).order_by(col(Version.number).desc())).all()
        counts = tally.by_version(session, journey.id)
        inside = {number: counts[number].inside if number in counts else 0 for number in numbers}
        chosen = _chosen(context, journey, inside)
        if chosen is None:
            return Data(journey, inside, None)
        programs = [context.engine.program(session, get_version(session, journey.id, number).id) for number in chosen]
        old, new = (labels.names_of(context.t, program.nodes) for program in programs)
        targets = migrate.targets_of(context.engine, session, journey.id, *chosen, {})
        here = tally.read(session, journey.id, chosen[0]).nodes
        places = [
            Place(id, name, here[id].waiting, targets.get(id, migrate.STAY))
            for id, name in old.items()
            if id in here and here[id].waiting > 0
        ]
        return Data(journey, inside, chosen, places, old, new, programs[1].nodes, _done(context, session, journey, chosen))


def _chosen(context: PageContext, journey: Journey, inside: Mapping[int, int]) -> tuple[int, int] | None:
    """The two versions: from the address, else the oldest with somebody inside, and the live one."""
    waiting = [number for number, count in inside.items() if count and number != journey.live_version]
    old = _number(context.query.get("from")) or min(waiting, default=0)
    new = _number(context.query.get("to")) or journey.live_version or 0
    return (old, new) if old in inside and new in inside and old != new else None


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0


def _done(context: PageContext, session: Session, journey: Journey, chosen: tuple[int, int]) -> Done | None:
    """The migration at work, the one the address names, or the newest between the two versions."""
    of_journey = select(Migration).where(Migration.journey_id == journey.id).order_by(col(Migration.id).desc()).limit(1)
    between = of_journey.where(Migration.from_version == chosen[0], Migration.to_version == chosen[1])
    found = session.scalars(of_journey.where(col(Migration.state).in_(migrate.AT_WORK))).first()
    found = (
        found or session.scalars(of_journey.where(Migration.id == context.query.get("id", ""))).first() or session.scalars(between).first()
    )
    if found is None:
        return None
    left = migrate.preview(context.engine, session, journey.id, found.from_version, found.to_version, found.node_map)
    ids = migrate.stayed(session, found.id, 100) if found.state == "rolled_back" else []
    stayed = session.execute(select(Run.id, Run.contact_id).where(col(Run.id).in_(ids)).order_by(col(Run.id))).all()
    names = contact_names(session, [contact for _, contact in stayed])
    job = newest_job(session, f"journey:{journey.id}", "migrate", "migrate_back")
    job = job if job and job.input.get("migration_id") == found.id else None
    return Done(found, migrate.progress(session, found), left, [(run, contact) for run, contact in stayed], names, job, waits(session, job))


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        journey = get_journey(session, context.arguments["key"])
        rows = session.execute(
            sql_select(
                col(Migration.id), col(Migration.state), col(Migration.moved), col(Migration.skipped), col(Migration.after_run)
            ).where(col(Migration.journey_id) == journey.id)
        )
        return [tuple(row) for row in rows], journey.live_version, tally.read(session, journey.id), has_worker(session)


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, journey = context.t, data.journey
    back = (f"/ui/journeys/{journey.key}?tab=versions", journey.name)
    lead = t("Contacts stay on the version they entered. Here they can be moved to another one; the time they have waited is kept.")
    if not context.may("journey.move"):
        return html._(components.head(t("Move contacts"), back=back), components.empty("ban", t("Your role does not allow this."), None))
    at_work = data.done is not None and data.done.migration.state in migrate.AT_WORK
    return html._(
        components.head(t("Move contacts"), lead, back=back),
        versions(context, data),
        result(context, data, data.done, acts) if data.done else None,
        None if at_work else body(context, data, acts),
    )


def versions(context: PageContext, data: Data) -> Element:
    """From where to where: a plain form."""
    t, (old, new) = context.t, data.chosen or (0, 0)

    def named(number: int) -> str:
        live = " · " + t("contacts enter here") if number == data.journey.live_version else ""
        return t("Version {number} ({count} in progress)", number=number, count=t.number(data.inside[number])) + live

    def choose(name: str, label: str, numbers: list[int], chosen: int) -> Element:
        options = [html.option({"key": str(one), "value": str(one), "selected": one == chosen}, named(one)) for one in numbers]
        return html.label(label, html.select({"name": name}, options))

    sources = [number for number, count in data.inside.items() if count or number == old]
    if not sources:
        return None
    return html.form(
        {"className": "filters", "method": "get", "action": context.path},
        choose("from", t("From version"), sources, old),
        choose("to", t("To version"), list(data.inside), new),
        html.button({"className": "button"}, t("Show")),
    )


def body(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    versions_tab = html.a({"className": "button", "href": f"/ui/journeys/{data.journey.key}?tab=versions"}, t("View versions"))
    if data.chosen is None:
        return components.empty(
            "check", t("No contacts are waiting in a version other than the current one, or both are the same."), versions_tab
        )
    if not data.places:
        return components.empty("check", t("No contacts are waiting in version {number}.", number=data.chosen[0]), versions_tab)
    return html.section(
        {"className": "panel"},
        html.h2(t("Where do they go?")),
        html.ul({"className": "node-map"}, [row(context, data, place, acts) for place in data.places]),
        dry_run(context, data, acts),
        html.div(
            {"className": "actions"},
            components.button(
                t("Dry run"),
                in_turn(context, acts, looking(data, acts)),
                "search",
            ),
            move(context, data, acts) if DRY in acts.drafts else None,
        ),
    )


def row(context: PageContext, data: Data, place: Place, acts: Acts) -> Element:
    t, id = context.t, f"map-{place.node}"

    def keep(event: dict[str, Any]) -> None:
        acts.drafts[place.node] = str(event["target"].get("value", ""))
        acts.drafts.pop(DRY, None)

    options = [("", t("stay on version {number}", number=(data.chosen or (0, 0))[0])), *data.new.items()]
    drawn = [html.option({"key": value, "value": value}, text) for value, text in options]
    attributes = {"id": id, "value": acts.drafts.get(place.node, place.target), "onChange": keep}
    return html.li(
        {"key": place.node},
        html.label({"htmlFor": id}, html.b(place.name), " ", html.span({"className": "quiet"}, waiting(context, place.here))),
        components.icon("arrow"),
        html.select(attributes, drawn),
    )


def waiting(context: PageContext, count: int) -> str:
    return context.t("{count} here now", count=context.t.number(count))


def chosen_map(data: Data, acts: Acts) -> dict[str, str]:
    """What the form says, for every node where somebody is."""
    return {place.node: acts.drafts.get(place.node, place.target) for place in data.places}


def in_turn(context: PageContext, acts: Acts, looking: Do) -> Callable[..., Any]:
    """One look at a time for each person, here and over the API."""
    look = acts.act("journey.move", looking, "This is what would happen. Nothing has been changed.")

    async def handler(*event: Any) -> None:
        try:
            async with context.app.turns.of(context.by):
                await look(*event)
        except TooMany as error:
            await acts.act("journey.move", refusing(error), "")(*event)

    return handler


def refusing(error: TooMany) -> Do:
    """Says on the page why not."""

    def do(_context: PageContext) -> None:
        raise error

    return do


def looking(data: Data, acts: Acts) -> Do:
    def do(context: PageContext) -> None:
        wanted = chosen_map(data, acts)
        with context.engine.db.read() as session:
            versions = data.chosen or (0, 0)
            found = migrate.preview(context.engine, session, data.journey.id, *versions, wanted)
            ahead = consequences.forecaster(context).move(session, data.journey.id, *versions, wanted, context.app.now())
            known = {"map": wanted, "found": asdict(found), "sample": not ahead.is_exact}
            acts.drafts[DRY] = json.dumps({**known, **at_once(context, session, data, versions[1], ahead)})

    return do


def at_once(context: PageContext, session: Session, data: Data, version: int, ahead: Forecast) -> dict[str, Any]:
    """What happens at once to those who come to a version, as the drafts keep it."""
    nodes = context.engine.program(session, get_version(session, data.journey.id, version).id).nodes
    lines = [asdict(line) for line in consequences.moving(context.t, nodes, ahead)]
    return {"lines": lines, "named": ahead.named, "called": consequences.names(context, session, ahead)}


def said_at_once(context: PageContext, dry: Mapping[str, Any]) -> Element:
    lines = [consequences.Line(**one) for one in dry["lines"]]
    return consequences.listed(context.t, lines, Forecast(named=dry["named"]), dry["called"])


def dry_run(context: PageContext, data: Data, acts: Acts) -> Element:
    """What was found out, as sentences."""
    if DRY not in acts.drafts:
        return None
    dry = json.loads(acts.drafts[DRY])
    found = migrate.Preview(**dry["found"])
    return html.div(
        {"className": "dry-run", "role": "status"},
        html.h3(context.t("This would happen")),
        sentences(context, data, found),
        html._(html.h3(context.t("Right away")), said_at_once(context, dry)) if found.moves else None,
        counting(context, data, dry["map"], found.open_runs) if dry["sample"] else None,
    )


def counting(context: PageContext, data: Data, wanted: Mapping[str, str], total: int) -> Element:
    """The exact count of what was estimated."""
    old, new = data.chosen or (0, 0)
    question = Question(data.journey.id, "journey.move", {"from": old, "to": new, "map": dict(wanted)}, total)

    def tell(found: Forecast) -> list[consequences.Line]:
        return consequences.moving(context.t, data.nodes, found)

    return Exact(context, question, tell, key=question.key)


def sentences(context: PageContext, data: Data, found: migrate.Preview) -> Element:
    """`412 wait at *Wait 3 days* → *Wait 2 days*`; those without a target stay."""
    t = context.t

    def named(names: Mapping[str, str], id: str) -> str:
        return names.get(id, id or t("Start")).replace("*", "")

    said = [
        t(
            "{count} wait at *{old}* → *{new}*",
            count=t.number(one["runs"]),
            old=named(data.old, one["from"]),
            new=named(data.new, one["to"]),
        )
        for one in found.moves
    ]
    said += [
        t("{count} wait at *{old}* and stay: no target", count=t.number(one["runs"]), old=named(data.old, one["from"]))
        for one in found.without_target
    ]
    return html.ul([html.li({"key": str(n)}, components.marked(one)) for n, one in enumerate(said)])


def move(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    found = json.loads(acts.drafts[DRY])["found"]
    count = sum(one["runs"] for one in found["moves"])
    if not count:
        return None
    return components.ask(
        t("Move 1 contact") if count == 1 else t("Move {count} contacts", count=t.number(count)),
        t(
            "They continue in version {number} from the step they are moved to. Contacts who have not left that step can be moved back.",
            number=(data.chosen or (0, 0))[1],
        ),
        t("Move now"),
        acts.act("journey.move", moving(data, acts), "The contacts are being moved."),
        "shuffle",
        "main",
    )


def moving(data: Data, acts: Acts) -> Do:
    """Begins what the dry run showed; a map that was changed since wants another look."""

    def do(context: PageContext) -> None:
        if DRY not in acts.drafts:
            raise Invalid("The targets were changed: make a dry run first.")
        dry, now, journey = json.loads(acts.drafts.pop(DRY)), context.app.now(), data.journey
        with context.engine.db.write() as session:
            begun = migrate.start(context.engine, session, journey.id, *(data.chosen or (0, 0)), dry["map"], context.by, now)
            total = dry["found"]["open_runs"]
            add_job(session, "migrate", f"journey:{journey.id}", {"migration_id": begun.id}, context.by, now, total)

    return do


# What came of it


def result(context: PageContext, data: Data, done: Done, acts: Acts) -> Element:
    t, one, far = context.t, done.migration, done.progress
    state = MIGRATION_STATES[one.state]
    at_work = one.state in migrate.AT_WORK
    text = t("{done} of {total}", done=t.number(far.done), total=t.number(far.total))
    return html.section(
        {"className": "panel result", "aria-label": t("Result")},
        html.h2(t("Version {old} → {new}", old=one.from_version, new=one.to_version), " ", components.badge(t(state[0]), *state[1:])),
        html.p(components.moment(t, one.created_at)),
        html.p(
            {"className": "progress"},
            html.progress({"max": far.total or 1, "value": far.done, "aria-label": t("Progress")}),
            " ",
            text,
        )
        if at_work
        else None,
        ended_early(t, done.job, "The job failed before it finished: {reason}"),
        no_worker(t, done.waits),
        outcome(context, data, done),
        back(context, data, one, acts) if one.state == "done" and one.moved else None,
    )


def outcome(context: PageContext, data: Data, done: Done) -> Element:
    t, one, far = context.t, done.migration, done.progress
    said: list[Element] = [html.p(t("{count} were moved.", count=t.number(one.moved)))]
    if one.state == "rolled_back":
        said = [html.p(t("{count} were moved back.", count=t.number(far.put_back)))]
        said += [stayed(context, done)] if far.stayed else []
    elif one.state == "done" and done.left.open_runs:
        text = t("{count} are still on version {number}:", count=t.number(done.left.open_runs), number=one.from_version)
        said += [
            html.p(text),
            html.ul([html.li({"key": str(n)}, components.marked(why)) for n, why in enumerate(reasons(context, data, done.left))]),
        ]
    return html.div(*said)


def reasons(context: PageContext, data: Data, left: migrate.Preview) -> list[str]:
    """Why somebody was not moved: no target, or something was just being done for them."""
    t = context.t
    none = [
        t("{count} at *{node}*: there is no target.", count=t.number(one["runs"]), node=data.old.get(one["from"], one["from"]))
        for one in left.without_target
    ]
    return none + [
        t(
            "{count} at *{node}*: a message or call was in progress for them. Move them once more.",
            count=t.number(one["runs"]),
            node=data.old.get(one["from"], one["from"]),
        )
        for one in left.moves
    ]


def stayed(context: PageContext, done: Done) -> Element:
    t = context.t
    lines = [
        html.li(
            {"key": run},
            contact_link(t, contact, done.names.get(contact)),
            " · ",
            html.a({"href": f"/ui/runs/{run}"}, t("Run")),
        )
        for run, contact in done.stayed
    ]
    text = t("{count} have moved on since and stay where they are:", count=t.number(done.progress.stayed))
    more = done.progress.stayed - len(lines)
    return html.div(html.p(text), html.ul(lines, html.li(t("… and {count} more", count=more)) if more > 0 else None))


def back(context: PageContext, data: Data, one: Migration, acts: Acts) -> Element:
    t = context.t
    question = "Contacts who are still at the step they were moved to go back to version {number}. The others are listed."
    put_back = acts.act("journey.move", putting_back(one.id), "The contacts are being moved back.")
    return html._(
        dry_run_back(context, one, acts),
        html.div(
            {"className": "actions"},
            components.button(t("Preview moving back"), in_turn(context, acts, looking_back(data, one, acts)), "search"),
            components.ask(t("Roll back"), t(question, number=one.from_version), t("Move back"), put_back, "history"),
        ),
    )


def looking_back(data: Data, one: Migration, acts: Acts) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.read() as session:
            ahead = consequences.forecaster(context).back(session, one, context.app.now())
            found = {"of": one.id, "goes": consequences.counted(context.t, ahead, ahead.begins)}
            acts.drafts[BACK] = json.dumps({**found, **at_once(context, session, data, one.from_version, ahead)})

    return do


def dry_run_back(context: PageContext, one: Migration, acts: Acts) -> Element:
    dry = json.loads(acts.drafts.get(BACK, "{}"))
    if dry.get("of") != one.id:
        return None
    t = context.t
    return html.div(
        {"className": "dry-run", "role": "status"},
        html.h3(t("This would happen")),
        html.p(t("{count} would go back to version {number}.", count=dry["goes"], number=one.from_version)),
        said_at_once(context, dry),
    )


def putting_back(migration_id: str) -> Do:
    def do(context: PageContext) -> None:
        now = context.app.now()
        with context.engine.db.write() as session:
            begun = migrate.begin_rollback(session, migration_id, context.by)
            subject = f"journey:{begun.journey_id}"
            add_job(session, "migrate_back", subject, {"migration_id": begun.id}, context.by, now, begun.moved)

    return do


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return get_journey(session, context.arguments["key"]).name


PAGE = Page("/ui/journeys/{key}/migrate", "Move contacts", "journeys", "journey.read", load, view, stamp, every_seconds=1.0, name=name)
