"""The versions of a journey: what changed with each, who is still on it, and the ways back. A tab of the journey's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.kit import components
from builder_ui.kit.actor_names import actor, member_names
from builder_ui.kit.ahead import Ahead
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.differences import changes
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from engine.versions import publish
from journeys.errors import Invalid, Issue
from models import Journey, Migration, Version
from storage import tally

PAGE_SIZE = 20
MOST_CHANGES = 60
MIGRATIONS = 10
MIGRATION_STATES: Mapping[str, tuple[str, str, str]] = {
    "running": ("Moving", "warn", "hourglass"),
    "done": ("Moved", "good", "check"),
    "rolling_back": ("Moving back", "warn", "hourglass"),
    "rolled_back": ("Moved back", "", "history"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A version; `changes` against the one before, None for the first."""

    version: Version
    inside: int
    changes: list[str] | None


@dataclass(frozen=True, slots=True)
class Way:
    """What going back to a version would mean. `problems`: why it cannot be published today; `unpublished`: the draft has edits of its own."""

    version: Version
    newest: int
    changes: list[str]
    problems: list[Issue]
    unpublished: bool
    inside: int


@dataclass(frozen=True, slots=True)
class Data:
    lines: list[Line]
    next_before: str | None
    newest_digest: str
    way: Way | None
    migrations: list[Migration]
    members: dict[str, str]


def load(context: PageContext, session: Session, journey: Journey) -> Data:
    before = context.query.get("before", "")
    statement = select(Version).where(Version.journey_id == journey.id).order_by(col(Version.number).desc()).limit(PAGE_SIZE + 1)
    if before.isdecimal() and len(before) < 10:
        statement = statement.where(col(Version.number) < int(before))
    found = list(session.scalars(statement))
    counts = tally.by_version(session, journey.id)
    inside = {number: one.inside for number, one in counts.items()}
    older: list[Version | None] = [*found[1:], None]
    lines = [
        Line(one, inside.get(one.number, 0), told(context, former, one) if former else None)
        for one, former in zip(found, older, strict=True)
    ]
    migrations = select(Migration).where(Migration.journey_id == journey.id).order_by(col(Migration.id).desc()).limit(MIGRATIONS)
    newest = publish.newest_version(session, journey.id)
    return Data(
        lines[:PAGE_SIZE],
        str(found[PAGE_SIZE - 1].number) if len(found) > PAGE_SIZE else None,
        newest.digest if newest else "",
        _way(context, session, journey, newest, sum(inside.values())),
        list(session.scalars(migrations)),
        member_names(session),
    )


def stamp(session: Session, journey: Journey) -> object:
    rows = session.execute(
        select(Migration.id, Migration.state, Migration.moved, Migration.after_run).where(Migration.journey_id == journey.id)
    )
    return [tuple(row) for row in rows]


def told(context: PageContext, before: Version, after: Version) -> list[str]:
    return [one.text for one in changes(context.t, context.engine.palette, before.document, after.document)]


def _way(context: PageContext, session: Session, journey: Journey, newest: Version | None, inside: int) -> Way | None:
    """What the address asks to go back to; None when there is nothing to do."""
    number = context.query.get("back", "")
    if newest is None or not number.isdecimal() or len(number) > 9:
        return None
    version = publish.get_version(session, journey.id, int(number))
    if version.digest == newest.digest and journey.state != "stopped":
        return None
    issues = [one for one in publish.check_draft(context.engine, session, version.document, publish.RUNS_ON) if one.severity == "error"]
    unpublished = publish.has_unpublished_edits(journey, newest)
    return Way(version, newest.number, told(context, newest, version), issues, unpublished, inside)


def view(context: PageContext, journey: Journey, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.lines:
        return components.empty(
            "history",
            t("This journey was never published. Publishing creates its first version."),
            html.a({"className": "button main", "href": f"/ui/journeys/{journey.key}/edit"}, t("Open builder")),
        )
    return html._(
        way_back(context, journey, data.way, acts) if data.way and context.may("journey.change") else None,
        html.ol({"className": "cards wide"}, [card(context, journey, data, line) for line in data.lines]),
        components.pager(context, data.next_before),
        migrations(context, journey, data) if data.migrations else None,
    )


def card(context: PageContext, journey: Journey, data: Data, line: Line) -> Element:
    t, version = context.t, line.version
    live = version.number == journey.live_version
    by = actor(t, data.members, version.published_by)
    return html.li(
        {"className": "card", "key": str(version.number)},
        html.header(
            html.h2(t("Version {number}", number=version.number)),
            components.badge(t("Contacts enter here"), "good", "play") if live and journey.state == "live" else None,
        ),
        html.p({"className": "quiet"}, components.moment(t, version.published_at), " · ", by),
        html.p(version.note) if version.note else None,
        html.p(components.icon("people"), " ", t("{count} in progress", count=t.number(line.inside))),
        what_changed(t, line),
        html.footer({"className": "actions"}, *ways(context, journey, data, line)),
    )


def what_changed(t: Translator, line: Line) -> Element:
    if line.changes is None:
        return html.p({"className": "quiet"}, t("The first version."))
    if not line.changes:
        return html.p({"className": "quiet"}, t("Only templates or positions changed."))
    text = t("1 change") if len(line.changes) == 1 else t("{count} changes", count=len(line.changes))
    return html.details({"className": "changes"}, html.summary(text), listed(t, line.changes))


def listed(t: Translator, said: list[str]) -> Element:
    more = len(said) - MOST_CHANGES
    lines = [html.li({"key": str(n)}, one) for n, one in enumerate(said[:MOST_CHANGES])]
    return html.ul(lines, html.li(t("… and {count} more", count=more)) if more > 0 else None)


def ways(context: PageContext, journey: Journey, data: Data, line: Line) -> list[Element]:
    """What can be done with a version."""
    t, number = context.t, line.version.number
    base = f"/ui/journeys/{journey.key}"
    file = {"className": "button", "href": f"/api/v1{base[3:]}/document?version={number}", "download": f"{journey.key}-{number}.json"}
    offered = [html.a({"className": "button", "href": f"{base}?version={number}"}, t("View"))]
    if line.changes is not None:
        offered.append(html.a({"className": "button", "href": f"{base}/diff?from={number - 1}&to={number}"}, t("Compare")))
    offered.append(html.a(file, components.icon("download"), t("Export")))
    if not context.may("journey.change") or journey.archived_at is not None:
        return offered
    if line.inside and number != journey.live_version:
        move = {"className": "button", "href": f"{base}/migrate?from={number}&to={journey.live_version}"}
        offered.append(html.a(move, components.icon("shuffle"), t("Move contacts")))
    if line.version.digest != data.newest_digest or journey.state == "stopped":
        offered.append(html.a({"className": "button", "href": context.link(back=str(number))}, components.icon("history"), t("Roll back")))
    return offered


# Going back


def way_back(context: PageContext, journey: Journey, way: Way, acts: Acts) -> Element:
    """The question before: what changes, and whom it concerns."""
    t, number = context.t, way.version.number
    words = {"number": number, "next": way.newest + 1, "count": t.number(way.inside)}
    said = [
        t("Version {number} is published once more, as version {next}. Message templates are taken as they are today.", **words),
        t(
            "New contacts enter version {next}. The {count} contacts in progress stay on their versions; they can be moved afterwards.",
            **words,
        ),
    ]
    if journey.state == "stopped":
        said.append(t("The journey is stopped; this makes it live again."))
    cancel = html.a({"className": "button", "href": context.link(back=None)}, t("Cancel"))
    return html.section(
        {"className": "panel way-back", "aria-label": t("Roll back")},
        html.h2(t("Roll back to version {number}?", number=number)),
        [html.p({"key": str(n)}, one) for n, one in enumerate(said)],
        html.h3(t("What changes compared with version {number}", number=way.newest)),
        listed(t, way.changes) if way.changes else html.p(t("Only the journey's state.")),
        refused(t, way) if way.problems else Ahead(context, journey.id, way.version.document, publish.RUNS_ON),
        html.div({"className": "actions"}, *([] if way.problems else choices(context, journey, way, acts)), cancel),
    )


def refused(t: Translator, way: Way) -> Element:
    lines = [html.li({"key": str(n)}, f"{one.node_id or ''} ".lstrip(), one.say(t.translate)) for n, one in enumerate(way.problems)]
    text = t("It cannot be published as it is today:")
    return html.div({"className": "notice bad", "role": "alert"}, components.icon("alert"), html.div(html.p(text), html.ul(lines)))


def choices(context: PageContext, journey: Journey, way: Way, acts: Acts) -> list[Element]:
    t, said = context.t, "The earlier version is live again, as a new version."

    def button(text: str, unpublished: publish.Unpublished, tone: str) -> Element:
        do = going_back(journey, way.version.number, unpublished)
        return components.button(text, acts.act("journey.change", do, said), "history", tone)

    if not way.unpublished:
        return [button(t("Roll back now"), "refuse", "main")]
    warning = t("The draft has unpublished changes. Keep them as a separate journey, or discard them?")
    return [
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), warning),
        button(t("Keep them as a copy and roll back"), "copy", "main"),
        button(t("Discard them and roll back"), "drop", "danger"),
    ]


def going_back(journey: Journey, number: int, unpublished: publish.Unpublished) -> Do:
    """Refused where somebody saved the draft since the page was drawn: then the page shows what would be lost."""

    def do(context: PageContext) -> None:
        now = context.app.now()
        with context.engine.db.write() as session:
            try:
                publish.roll_back(
                    context.engine, session, journey.id, number, context.by, now, revision=journey.revision, unpublished=unpublished
                )
            except Invalid as error:
                raise Invalid("The earlier version has problems today; it cannot be published.", error.issues) from None

    return do


# Migrations


def migrations(context: PageContext, journey: Journey, data: Data) -> Element:
    t = context.t
    columns = (t("Contacts moved"), t("State"), t("Moved"), t("Not moved"), t("When"), "")
    rows = [migration(context, journey, data, one) for one in data.migrations]
    return html.section({"className": "migrations"}, html.h2(t("Contacts moved")), components.table(t("Contacts moved"), columns, rows))


def migration(context: PageContext, journey: Journey, data: Data, one: Migration) -> list[Any]:
    t = context.t
    address = f"/ui/journeys/{journey.key}/migrate?from={one.from_version}&to={one.to_version}&id={one.id}"
    state = MIGRATION_STATES[one.state]
    return [
        t("Version {old} → {new}", old=one.from_version, new=one.to_version),
        components.badge(t(state[0]), *state[1:]),
        t.number(one.moved),
        t.number(one.skipped),
        html.span(components.moment(t, one.created_at), html.small(actor(t, data.members, one.created_by))),
        html.a({"className": "button plain", "href": address}, t("Show"), components.icon("arrow")),
    ]
