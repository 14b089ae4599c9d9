"""All journeys as cards: state, version, how many are where; pause, resume and stop."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, or_
from sqlmodel import col, select

from builder_ui import parts
from builder_ui.compat import Element, html
from builder_ui.operate import switches
from builder_ui.permits import EDITORS
from builder_ui.visit import Acts, Page, Visit
from builder_ui.words import JOURNEY_STATES
from engine.runs import counts
from models import Journey

MOST = 60
"""Cards on the page; the search finds the others."""


@dataclass(frozen=True, slots=True)
class Card:
    """`numbers` are runs by status, and `goals`."""

    journey: Journey
    numbers: dict[str, int]

    @property
    def stuck(self) -> int:
        return self.numbers.get("stuck", 0) + self.numbers.get("quarantined", 0)

    @property
    def entered(self) -> int:
        return sum(self.numbers.get(status, 0) for status in ("active", "held", "stuck", "quarantined", "ended"))


@dataclass(frozen=True, slots=True)
class Data:
    """`by_state` counts all journeys that fit the search, whatever state is chosen."""

    cards: list[Card]
    by_state: dict[str, int]


def load(visit: Visit) -> Data:
    with visit.engine.db.read() as session:
        text, state = visit.query.get("q", "").strip()[:100], visit.query.get("state", "")
        fits = [col(Journey.archived_at).is_(None)]
        if text:
            fits.append(or_(col(Journey.name).icontains(text, autoescape=True), col(Journey.key).icontains(text, autoescape=True)))
        by_state = dict(session.execute(select(Journey.state, func.count()).where(*fits).group_by(Journey.state)).all())
        if state:
            fits.append(col(Journey.state) == state)
        found = session.scalars(select(Journey).where(*fits).order_by(col(Journey.name), col(Journey.id)).limit(MOST)).all()
        return Data([Card(journey, counts(session, journey.id)) for journey in found], by_state)


def stamp(visit: Visit) -> object:
    """What the cards say, as plain values."""
    return [(card.journey.id, card.journey.state, card.journey.live_version, card.journey.name, card.numbers) for card in load(visit).cards]


def view(visit: Visit, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    states = [("", speech("All"), sum(data.by_state.values()))]
    states += [(name, speech(words[0]), data.by_state.get(name, 0)) for name, words in JOURNEY_STATES.items()]
    return html._(
        parts.head(speech("Journeys"), actions=[begin(visit)]),
        html.div(
            {"className": "bar"},
            parts.tabs(visit, "state", states, speech("State")),
            parts.search(visit, speech("Search journeys")),
        ),
        html.div({"className": "cards"}, [card(visit, one, acts) for one in data.cards]) if data.cards else nothing(visit),
    )


def begin(visit: Visit) -> Element:
    """Where journeys begin, for those who may make one."""
    if not visit.may(EDITORS):
        return None
    return html.a({"className": "button main", "href": "/ui/gallery"}, parts.icon("route"), visit.speech("New journey"))


def nothing(visit: Visit) -> Element:
    speech = visit.speech
    if visit.query:
        return parts.empty("search", speech("No journey fits."), html.a({"className": "button", "href": visit.path}, speech("Show all")))
    return parts.empty("route", speech("There is no journey yet."), begin(visit))


def card(visit: Visit, one: Card, acts: Acts) -> Element:
    speech, journey = visit.speech, one.journey
    version = speech("Version {number}", number=journey.live_version) if journey.live_version else speech("Never published")
    return html.article(
        {"className": "card", "key": journey.id},
        html.header(
            html.h2(html.a({"href": f"/ui/journeys/{journey.key}"}, journey.name)),
            parts.badge(speech(JOURNEY_STATES[journey.state][0]), *JOURNEY_STATES[journey.state][1:]),
        ),
        html.p({"className": "quiet"}, version, " · ", journey.key),
        numbers(visit, one),
        html.footer(
            {"className": "actions"},
            *switches(visit, acts, journey),
            html.a({"className": "button plain", "href": f"/ui/journeys/{journey.key}?tab=runs"}, speech("Runs"), parts.icon("arrow")),
        ),
    )


def numbers(visit: Visit, one: Card) -> Element:
    """How many are where; the number that needs a person stands out when there is one."""
    speech, journey = visit.speech, one.journey
    runs = f"/ui/journeys/{journey.key}?tab=runs"
    shown = [
        number(visit, speech("Entered"), one.entered, runs),
        number(visit, speech("Inside"), one.numbers.get("active", 0), f"{runs}&status=active"),
        number(visit, speech("Held"), one.numbers.get("held", 0), f"{runs}&status=held"),
        number(visit, speech("Stuck"), one.stuck, f"/ui/journeys/{journey.key}?tab=stuck", tone="bad" if one.stuck else ""),
        number(visit, speech("Finished"), one.numbers.get("ended", 0), f"{runs}&status=ended"),
    ]
    goals = one.numbers["goals"]
    rate = html.div(
        {"className": "number", "title": speech("{count} reached the goal", count=goals)},
        html.b(speech.share(goals, one.entered)),
        html.span(speech("Goal")),
    )
    return html.div({"className": "numbers"}, *shown, rate)


def number(visit: Visit, text: str, value: int, address: str, tone: str = "") -> Element:
    symbol = parts.icon("alert") if tone == "bad" else None
    return html.a({"className": f"number {tone}", "href": address}, html.b(symbol, visit.speech.number(value)), html.span(text))


PAGE = Page("/ui/journeys", "Journeys", "journeys", load, view, stamp, every_seconds=5.0)
