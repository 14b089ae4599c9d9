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
    "control_group": "Workspace's control group",
    "message_control_group": "Control group of the message",
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
COUNTED_IN_UTC = "Days are in UTC, newest first. Daily metrics start on {day}; totals include earlier activity."
"""The one place that names a zone which is not the reader's: counts are kept by day for everybody."""


@dataclass(frozen=True, slots=True)
class Data:
    """`counted_since`: the first day that is known at all."""

    counted_since: date | None
    days: list[Row]
    channels: list[Row]
    templates: list[Row]


def load(context: PageContext, session: Session, journey: Journey) -> Data:
    last = tally.day_of(context.app.now())
    first = days_before(last, span(context))

    def rows(by: Grouping) -> list[Row]:
        return journey_metrics(session, journey.id, by, first, last)

    return Data(tally.first_day(session, journey.id), rows("day")[::-1], rows("channel"), rows("template_version"))


def span(context: PageContext) -> int:
    chosen = context.query.get("span", "")
    return next((days for days in SPANS if str(days) == chosen), DEFAULT_DAYS)


def view(context: PageContext, data: Data, steps: Mapping[str, str]) -> Element:
    """`steps`: node id -> what people call the step."""
    t = context.t
    spans = [(str(days), t("{count} days", count=t.number(days)), None) for days in SPANS]
    if not data.days:
        found = components.empty("clock", t("Nothing happened in this period."), None)
    else:
        found = html._(by_day(t, data.days), by_channel(t, data.channels), by_template(t, data.templates, steps))
    return html._(
        html.div({"className": "bar"}, components.tabs(context, "span", spans, t("Period"))),
        html.p({"className": "quiet"}, note(t, data.counted_since)),
        found,
    )


def note(t: Translator, counted_since: date | None) -> str:
    if counted_since is None:
        return t(IN_UTC)
    return t(
        COUNTED_IN_UTC,
        day=t.calendar_day(counted_since),
    )


def by_day(t: Translator, rows: Sequence[Row]) -> Element:
    names = {**JOURNEY, **MESSAGES}
    columns = (t("Day"), *(t(name) for name in names.values()))
    lines = [[t.calendar_day(row.group.day), *numbers(t, row, names)] for row in rows if row.group.day]
    return components.table(t("By day"), columns, lines, "metrics")


def by_channel(t: Translator, rows: Sequence[Row]) -> Element:
    if not rows:
        return None
    columns = (t("Channel"), *(t(name) for name in MESSAGES.values()))
    lines = [[coded(t, CHANNELS, row.group.channel), *numbers(t, row, MESSAGES)] for row in rows]
    return html._(html.h2(t("By channel")), components.table(t("By channel"), columns, lines, "metrics"))


def by_template(t: Translator, rows: Sequence[Row], steps: Mapping[str, str]) -> Element:
    if not rows:
        return None
    columns = (t("Step"), t("Template version"), *(t(name) for name in MESSAGES.values()))
    lines = [
        [
            steps.get(row.group.node, row.group.node),
            t.number(row.group.template_version) if row.group.template_version else "–",
            *numbers(t, row, MESSAGES),
        ]
        for row in rows
    ]
    return html._(html.h2(t("By template version")), components.table(t("By template version"), columns, lines, "metrics"))


def numbers(t: Translator, row: Row, names: Mapping[str, str]) -> list[str]:
    return [t.number(row.counts[name]) for name in names]
