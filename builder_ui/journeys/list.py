"""All journeys as cards: state, version, how many are where; folders and tags, archive and restore, pause, resume and stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from builder_ui.journeys.actions import shelve, stuck_notice, switches
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.labels import JOURNEY_STATES
from builder_ui.kit.reactpy_compat import Element, datalist, html
from engine.engine import NotLoaded
from engine.versions import listing
from models import Journey
from workspace import notices

PAGE_SIZE = 60
NO_FOLDER = "-"
"""How an address says "in no folder"."""
ORDERS = {"name": "Name", "changed": "Last changed", "created": "Newest first"}


@dataclass(frozen=True, slots=True)
class Card:
    """A journey and its numbers. `unpublished`: its draft is not what is live; `since`: when it was first published."""

    journey: Journey
    numbers: listing.Numbers
    has_goal: bool = False
    unpublished: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """`by_state` counts all journeys that fit the other filters; `archived` all that are archived."""

    cards: list[Card]
    by_state: dict[str, int]
    archived: int
    not_loaded: dict[str, NotLoaded]
    """Journey id -> why this server cannot run it."""
    folders: list[str]
    tags: list[str]
    next_after: str | None
    stuck: list[Row[Any]] = field(default_factory=list)
    """Journeys in which runs wait for a person (`workspace.notices.stuck`)."""


def filter_of(context: PageContext) -> listing.JourneyFilter:
    query = context.query
    folder = query.get("folder") or None
    return listing.JourneyFilter(
        text=query.get("q", "").strip()[:100],
        state=query.get("state") or None,
        folder="" if folder == NO_FOLDER else folder,
        tag=query.get("tag") or None,
        archived=bool(query.get("archived")),
        order=query.get("order", "name"),
    )


def load(context: PageContext) -> Data:
    filter = filter_of(context)
    with context.engine.db.read() as session:
        found = listing.page(session, filter, after=context.query.get("before"), limit=PAGE_SIZE)
        cards = _cards(context, session, found.journeys)
        archived = sum(listing.by_state(session, listing.JourneyFilter(archived=True)).values())
        not_loaded = {one.id: one.why for one in context.engine.index(session).broken}
        labels = listing.labels(session)
        return Data(cards, listing.by_state(session, filter), archived, not_loaded, *labels, found.next_after, notices.stuck(session))


def _cards(context: PageContext, session: Session, journeys: Sequence[Journey]) -> list[Card]:
    ids = [journey.id for journey in journeys]
    numbers, since, live = listing.numbers(session, ids), listing.published_since(session, ids), context.engine.index(session).by_id
    differing = listing.unpublished(session, journeys)
    with_goal = {id for id in ids if id in live and live[id].program.goal is not None}
    return [
        Card(journey, numbers[journey.id], journey.id in with_goal, journey.id in differing, since.get(journey.id)) for journey in journeys
    ]


def stamp(context: PageContext) -> object:
    """What the cards say, as plain values: a handful of statements, whatever went through the journeys."""
    data = load(context)
    cards = [
        (
            one.journey.id,
            one.journey.state,
            one.journey.live_version,
            one.journey.name,
            one.journey.folder,
            one.journey.tags,
            one.numbers,
            one.unpublished,
        )
        for one in data.cards
    ]
    return cards, data.by_state, data.archived, [tuple(row) for row in data.stuck]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    states = [("", t("All"), sum(data.by_state.values()))]
    states += [(name, t(words[0]), data.by_state.get(name, 0)) for name, words in JOURNEY_STATES.items()]
    archived = bool(context.query.get("archived"))
    back = ("/ui/journeys", t("Journeys")) if archived else None
    return html._(
        components.head(t("Archived journeys") if archived else t("Journeys"), back=back, actions=[] if archived else begin(context)),
        [stuck_notice(context, row.key, row.name, row.number) for row in data.stuck[:5]],
        html.div({"className": "bar"}, components.tabs(context, "state", states, t("State")), shelf_link(context, data, archived)),
        filters(context, data) if data.cards or context.query else None,
        html.div({"className": "cards"}, [card(context, one, data, acts) for one in data.cards]) if data.cards else nothing(context),
        components.pager(context, data.next_after, t("First page"), t("More")),
        datalist({"id": "folders"}, [html.option({"key": one, "value": one}) for one in data.folders]),
    )


def shelf_link(context: PageContext, data: Data, archived: bool) -> Element:
    """The way to the archived ones, when there are some."""
    if archived or not data.archived:
        return None
    text = context.t("{count} archived", count=context.t.number(data.archived))
    return html.a({"className": "button plain", "href": f"{context.path}?archived=1"}, components.icon("archive"), text)


def filters(context: PageContext, data: Data) -> Element:
    """Search, folder, tag and order in one plain form, which works while the connection is away."""
    t, query = context.t, context.query
    kept = [
        html.input({"type": "hidden", "name": name, "value": query[name], "key": name}) for name in ("state", "archived") if query.get(name)
    ]
    folders = [("", t("All folders")), (NO_FOLDER, t("No folder")), *((one, one) for one in data.folders)]
    tags = [("", t("All tags")), *((one, one) for one in data.tags)]
    label = t("Search journeys")
    text = {"type": "search", "name": "q", "defaultValue": query.get("q", ""), "placeholder": label, "aria-label": label, "maxLength": 100}
    return html.form(
        {"className": "filters", "method": "get", "action": context.path, "role": "search"},
        html.span({"className": "search"}, components.icon("search"), html.input(text)),
        choice("folder", t("Folder"), folders, query.get("folder", "")) if data.folders else None,
        choice("tag", t("Tagged"), tags, query.get("tag", "")) if data.tags else None,
        choice("order", t("Sort by"), [(name, t(text)) for name, text in ORDERS.items()], query.get("order", "name")),
        *kept,
        html.button({"className": "button"}, t("Show")),
    )


def choice(name: str, label: str, options: list[tuple[str, str]], chosen: str) -> Element:
    drawn = [html.option({"key": value, "value": value, "selected": value == chosen}, text) for value, text in options]
    return html.select({"name": name, "aria-label": label}, drawn)


def begin(context: PageContext) -> list[Element]:
    """Where journeys begin, for those who may make one."""
    if not context.may("journey.change"):
        return []
    t = context.t
    return [
        html.a({"className": "button", "href": "/ui/gallery"}, components.icon("download"), t("Import")),
        html.a({"className": "button main", "href": "/ui/gallery"}, components.icon("route"), t("New journey")),
    ]


def nothing(context: PageContext) -> Element:
    t = context.t
    if context.query:
        return components.empty("search", t("No matching journeys."), html.a({"className": "button", "href": context.path}, t("Show all")))
    text = t("No journeys yet. A journey says who enters, what happens and when; start with a ready-made one.")
    return components.empty("route", text, begin(context)[-1] if begin(context) else None)


def card(context: PageContext, one: Card, data: Data, acts: Acts) -> Element:
    t, journey = context.t, one.journey
    version = t("Version {number}", number=journey.live_version) if journey.live_version else t("Never published")
    archived = journey.archived_at is not None
    return html.article(
        {"className": "card", "key": journey.id},
        html.header(
            html.h2(html.a({"href": f"/ui/journeys/{journey.key}"}, journey.name)),
            components.badge(t(JOURNEY_STATES[journey.state][0]), *JOURNEY_STATES[journey.state][1:]),
        ),
        html.p(not_published(t, True)) if one.unpublished else None,
        html.p({"className": "quiet"}, version, " · ", journey.key),
        cannot_run(context, data.not_loaded.get(journey.id)),
        place(context, journey),
        numbers(context, one),
        html.footer(
            {"className": "actions"},
            *([] if archived else switches(context, acts, journey)),
            None if archived else more(context, journey, acts),
            None if journey.state in ("live", "paused") else shelve(context, acts, journey),
            html.a({"className": "button plain", "href": f"/ui/journeys/{journey.key}?tab=runs"}, t("Runs"), components.icon("arrow")),
        ),
    )


def not_published(t: Translator, differs: bool) -> Element:
    """That the draft is not what contacts go through."""
    return components.badge(t("Unpublished changes"), "warn", "pencil") if differs else None


def cannot_run(context: PageContext, why: NotLoaded | None) -> Element:
    """That nobody enters through this server, and what to do about it."""
    if why is None:
        return None
    t = context.t
    waiting = html.a({"href": "/ui/settings/events"}, t("Its events wait."))
    return html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), why.say(t.translate), " ", waiting)


def place(context: PageContext, journey: Journey) -> Element:
    """Folder and tags; each leads to what else lies there."""
    if not journey.folder and not journey.tags:
        return None
    folder = html.a({"className": "tag", "href": context.link(folder=journey.folder)}, components.icon("folder"), " ", journey.folder)
    tags = [html.a({"className": "tag", "key": tag, "href": context.link(tag=tag)}, tag) for tag in journey.tags]
    return html.p({"className": "tags"}, folder if journey.folder else None, tags)


def numbers(context: PageContext, one: Card) -> Element:
    """How many are where; the number that needs a person stands out when there is one."""
    t, journey, found = context.t, one.journey, one.numbers
    runs = f"/ui/journeys/{journey.key}?tab=runs"
    shown = [
        number(context, t("Entered"), found.whole.runs, runs),
        number(context, t("In progress"), found.active, f"{runs}&status=active"),
        number(context, t("Held"), found.held, f"{runs}&status=held"),
        number(context, t("Stuck"), found.stuck, f"/ui/journeys/{journey.key}?tab=stuck", tone="bad" if found.stuck else ""),
        number(context, t("Finished"), found.whole.ended, f"{runs}&status=ended"),
    ]
    reached = t("{count} reached the goal", count=found.whole.goal) if one.has_goal else t("This journey has no goal.")
    rate = html.div(
        {"className": "number", "title": reached},
        html.b(t.share(found.whole.goal, found.whole.runs) if one.has_goal else "–"),
        html.span(t("Goal")),
    )
    return html._(html.div({"className": "numbers"}, *shown, rate), period(context, one.since))


def period(context: PageContext, since: datetime | None) -> Element:
    """Of which time the numbers are."""
    if since is None:
        return None
    day = context.t.written(since.astimezone(context.t.zone).date())
    return html.p({"className": "quiet period"}, context.t("All versions, since {day}", day=day))


def number(context: PageContext, text: str, value: int, address: str, tone: str = "") -> Element:
    symbol = components.icon("alert") if tone == "bad" else None
    return html.a({"className": f"number {tone}", "href": address}, html.b(symbol, context.t.number(value)), html.span(text))


def more(context: PageContext, journey: Journey, acts: Acts) -> Element:
    """What is needed now and then: folder and tags, a copy, a file."""
    t, key = context.t, journey.key
    file = {"className": "button", "href": f"/api/v1/journeys/{key}/document", "download": f"{key}.json"}
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, t("More"), html.span({"className": "hidden"}, " · ", journey.name)),
        html.div(
            {"className": "question more"},
            labels(context, journey, acts) if context.may("journey.change") else None,
            duplicate(context, journey) if context.may("journey.change") else None,
            html.a(file, components.icon("download"), t("Export as a file")),
        ),
    )


def labels(context: PageContext, journey: Journey, acts: Acts) -> Element:
    """Folder and tags. What is typed goes to the server when a field is left, which is always before the button that is pressed next."""
    t, id = context.t, journey.id

    def field(name: str, label: str, value: str, most: int, **more: Any) -> Element:
        def keep(event: dict[str, Any]) -> None:
            acts.drafts[f"{name}.{id}"] = str(event["target"].get("value", ""))[:most]

        attributes = {"type": "text", "defaultValue": value, "maxLength": most, "onBlur": keep, "key": f"{name}.{id}.{value}", **more}
        return html.label(label, html.input(attributes))

    return html.div(
        {"className": "labels"},
        field("folder", t("Folder"), journey.folder, listing.FOLDER_CHARACTERS, list="folders"),
        field("tags", t("Tags, separated by commas"), ", ".join(journey.tags), 900),
        html.button(
            {
                "type": "button",
                "className": "button main",
                "onClick": acts.act("journey.change", putting_away(journey, acts), "Folder and tags saved."),
            },
            t("Save"),
        ),
    )


def putting_away(journey: Journey, acts: Acts) -> Do:
    def do(context: PageContext) -> None:
        folder = acts.drafts.pop(f"folder.{journey.id}", journey.folder)
        tags = acts.drafts.pop(f"tags.{journey.id}", ",".join(journey.tags)).split(",")
        with context.engine.db.write() as session:
            listing.put_away(session, journey.id, folder, tags, context.by)

    return do


def duplicate(context: PageContext, journey: Journey) -> Element:
    t, key = context.t, journey.key
    return html.form(
        {"className": "labels", "method": "post", "action": f"/ui/journeys/{key}/duplicate"},
        html.button({"className": "button"}, components.icon("copy"), t("Duplicate")),
        components.own_key(t, "key"),
    )


PAGE = Page("/ui/journeys", "Journeys", "journeys", "journey.read", load, view, stamp, every_seconds=2.0)
