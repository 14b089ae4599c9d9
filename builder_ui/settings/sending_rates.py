"""How many bounces and complaints each provider account and each sending domain has, and what that means for it. A part of the page of all accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from builder_ui.kit import components
from builder_ui.kit.context import PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import panel
from storage.sending_counts import Sent
from workspace import sending_rates, settings
from workspace.sending_rates import Judged, Level

TITLE = "Bounces and complaints"
LEVELS: Mapping[Level, tuple[str, str, str]] = {
    "": ("In order", "good", "check"),
    "warn": ("Warning", "warn", "alert"),
    "slow": ("Slowed", "warn", "clock"),
    "stop": ("Stopped", "bad", "ban"),
}
BEFORE: Mapping[str, str] = {
    "complaints": "Too many people report its messages as spam: write only to those who want it and read it, before marketing is stopped.",
    "bounces": "Too many addresses do not exist: clean up the list that they came from, before marketing is stopped.",
}
"""What to do while there is time; once it is stopped the table above says it."""


@dataclass(frozen=True, slots=True)
class Rates:
    """`levels` are those that hold, `standings` what was counted in the last `days`."""

    days: int
    standings: Mapping[str, Judged]
    levels: Mapping[str, Level]


def load(context: PageContext, session: Session) -> Rates:
    days = settings.load(session, settings.SendingLimits).days
    return Rates(days, sending_rates.standings(session, context.app.real_now()), sending_rates.known(session))


def section(context: PageContext, rates: Rates) -> Element:
    t = context.t
    if not rates.standings and not rates.levels:
        return None
    columns = [t(text) for text in ("Account or domain", "Messages", "Hard bounces", "Complaints", "State")]
    lines = [cells(context, account, rates) for account in sorted({*rates.standings, *rates.levels})]
    note = t("Of the last {days} days. Complaints are known where the provider or a feedback loop reports them.", days=rates.days)
    limits = html.a({"href": "/ui/settings/workspace/sending_limits"}, t("Bounce and complaint limits"))
    return panel(t(TITLE), html.p({"className": "quiet"}, note, " ", limits), components.table(t(TITLE), columns, lines))


def cells(context: PageContext, account: str, rates: Rates) -> list[Element]:
    t = context.t
    judged, level = rates.standings.get(account, Judged("", "", Sent())), rates.levels.get(account, "")
    text, tone, icon = LEVELS[level]
    advice = t(BEFORE[judged.why]) if level in ("warn", "slow") and judged.why else ""
    return [
        html.strong(account),
        t.number(judged.sent.tried),
        share(context, judged.sent.bounced, judged.sent.tried),
        share(context, judged.sent.complained, judged.sent.tried),
        html.div(components.badge(t(text), tone, icon), html.p({"className": "quiet"}, advice) if advice else None),
    ]


def share(context: PageContext, count: int, tried: int) -> str:
    t = context.t
    return (
        t("{count} ({share} of 1,000)", count=t.number(count), share=t.number(round(1_000 * count / tried, 1)))
        if tried
        else t.number(count)
    )
