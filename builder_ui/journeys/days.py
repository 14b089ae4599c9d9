"""The tab of a journey that shows what happened on each day, and what became of its messages by channel and version of the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from builder_ui.kit import components
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.labels import CHANNELS, coded
from builder_ui.kit.reactpy_compat import Element, html
from models import Journey
from reports.journey_metrics import DEFAULT_DAYS, Grouping, Row, days_before, journey_metrics
from storage import tally

SPANS = (30, 7, 90)
"""How many days back; the first is the default."""
MESSAGES = {
    "sent": "Sent",
    "opened": "Opened",
    "clicked": "Clicked",
    "bounced": "Bounced",
    "failed": "Failed",
    "skipped": "Skipped",
}
JOURNEY = {
    "runs": "Entered",
    "ended": "Ended",
    "goal": "Goal",
    "held_out": "Control group",
    "held_out_goal": "Goal in the control group",
    "refused": "Not entered",
}
IN_UTC = "Days are in UTC. Newest first."
COUNTED_IN_UTC = "Days are in UTC, newest first. They are counted from {day} on; the totals include what was before."
"""The one place that names a zone which is not the reader's: counts are kept by day for everybody."""


@dataclass(frozen=True, slots=True)
class Data:
    """`counted_since`: the first day that is known at all."""

    counted_since: date | None
    days: list[Row]
    channels: list[Row]
    templates: list[Row]


def load(visit: PageContext, session: Session, journey: Journey) -> Data:
    last = tally.day_of(visit.house.now())
    first = days_before(last, span(visit))

    def rows(by: Grouping) -> list[Row]:
        return journey_metrics(session, journey.id, by, first, last)

    return Data(tally.first_day(session, journey.id), rows("day")[::-1], rows("channel"), rows("template_version"))


def span(visit: PageContext) -> int:
    chosen = visit.query.get("span", "")
    return next((days for days in SPANS if str(days) == chosen), DEFAULT_DAYS)


def view(visit: PageContext, data: Data, steps: Mapping[str, str]) -> Element:
    """`steps`: node id -> what people call the step."""
    speech = visit.speech
    spans = [(str(days), speech("{count} days", count=speech.number(days)), None) for days in SPANS]
    if not data.days:
        found = components.empty("clock", speech("Nothing happened in this period."), None)
    else:
        found = html._(by_day(speech, data.days), by_channel(speech, data.channels), by_template(speech, data.templates, steps))
    return html._(
        html.div({"className": "bar"}, components.tabs(visit, "span", spans, speech("Period"))),
        html.p({"className": "quiet"}, note(speech, data.counted_since)),
        found,
    )


def note(speech: Translator, counted_since: date | None) -> str:
    if counted_since is None:
        return speech(IN_UTC)
    return speech(
        COUNTED_IN_UTC,
        day=speech.calendar_day(counted_since),
    )


def by_day(speech: Translator, rows: Sequence[Row]) -> Element:
    names = {**JOURNEY, **MESSAGES}
    columns = (speech("Day"), *(speech(name) for name in names.values()))
    lines = [[speech.calendar_day(row.group.day), *numbers(speech, row, names)] for row in rows if row.group.day]
    return components.table(speech("By day"), columns, lines, "metrics")


def by_channel(speech: Translator, rows: Sequence[Row]) -> Element:
    if not rows:
        return None
    columns = (speech("Channel"), *(speech(name) for name in MESSAGES.values()))
    lines = [[coded(speech, CHANNELS, row.group.channel), *numbers(speech, row, MESSAGES)] for row in rows]
    return html._(html.h2(speech("By channel")), components.table(speech("By channel"), columns, lines, "metrics"))


def by_template(speech: Translator, rows: Sequence[Row], steps: Mapping[str, str]) -> Element:
    if not rows:
        return None
    columns = (speech("Step"), speech("Template version"), *(speech(name) for name in MESSAGES.values()))
    lines = [
        [
            steps.get(row.group.node, row.group.node),
            speech.number(row.group.template_version) if row.group.template_version else "–",
            *numbers(speech, row, MESSAGES),
        ]
        for row in rows
    ]
    return html._(html.h2(speech("By template version")), components.table(speech("By template version"), columns, lines, "metrics"))


def numbers(speech: Translator, row: Row, names: Mapping[str, str]) -> list[str]:
    return [speech.number(row.counts[name]) for name in names]
