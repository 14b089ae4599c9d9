"""How many messages an account, or a domain as the sender, may send on a day, and its warm-up. A part of their pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session

from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from journeys.errors import Invalid, Issue
from storage.tally import day_of
from workspace import sending_plans
from workspace.sending_plans import MOST, MOST_GROWTH, Day, Plan

TITLE = "Daily limit and warm-up"
NOTE = "Marketing that finds no room today leaves at the same hour of the next day that has some, as long as its journey lets it wait. Transactional messages are counted and leave."
NONE = "There is no limit."
SHOWN = 7
"""Days, from today on."""


@dataclass(frozen=True, slots=True)
class Found:
    """`days`: from today on; `waiting`: how many are planned for later days."""

    plan: Plan | None
    days: tuple[Day, ...] = ()
    waiting: int = 0

    @property
    def grows(self) -> bool:
        """Whether the days differ."""
        return self.plan is not None and self.plan.warm_up_from is not None


UNLIMITED = Found(None)


def load(context: PageContext, session: Session, name: str) -> Found:
    plan, today = sending_plans.find(session, name), day_of(context.app.real_now())
    if plan is None:
        return UNLIMITED
    return Found(plan, tuple(sending_plans.ahead_of(session, name, plan, today, SHOWN)), sending_plans.waiting(session, name, today))


def section(context: PageContext, name: str, found: Found, acts: Acts) -> Element:
    """Has no frame of its own."""
    t = context.t
    return html._(
        html.p({"className": "quiet"}, t(NOTE)),
        html.p({"className": "quiet"}, t("Today's limit holds until"), " ", components.moment(t, ends(found))) if found.plan else None,
        days(t, found) if found.plan else html.p(t(NONE)),
        form(context, name, found.plan, acts),
    )


def ends(found: Found) -> datetime:
    """When the sending day is over, which is that of UTC."""
    return datetime.combine(found.days[0].day + timedelta(days=1), time(), UTC)


def days(t: Translator, found: Found) -> Element:
    columns = [t(text) for text in ("Day", "Limit", "Sent", "Planned")]
    lines = [
        [t.calendar_day(one.day), t.number(one.limit), t.number(one.taken), t.number(one.planned)]
        for one in found.days
        if one.planned or found.grows or one is found.days[0]
    ]
    full = sending_plans.full_on(found.plan) if found.plan else None
    return html._(
        html.p(t("The warm-up reaches the limit on {day}.", day=t.calendar_day(full))) if full and full > found.days[0].day else None,
        html.p(t("Messages waiting for later days: {count}", count=t.number(found.waiting))) if found.waiting else None,
        components.table(t(TITLE), columns, lines, "metrics"),
    )


def form(context: PageContext, name: str, plan: Plan | None, acts: Acts) -> Element:
    """An empty limit takes the plan away."""
    t, known = context.t, plan or Plan(0)
    begins = known.warm_up_from.isoformat() if known.warm_up_from else ""
    fields = [
        forms.Field("a_day", t("Maximum messages a day"), "number", _said(known.a_day), least=1, greatest=MOST, hint=t("Leave empty for no limit.")),
        forms.Field("warm_up_from", t("Warm-up begins on"), "date", begins, hint=t("Leave empty for no warm-up. For a new domain: the day of its first mailing.")),
        forms.Field("first", t("Messages on the first day"), "number", _said(known.first), least=1, greatest=MOST, hint=t("50 are common.")),
        forms.Field("growth", t("More each day, in percent"), "number", _said(known.growth), least=1, greatest=MOST_GROWTH, hint=t("With 50, a volume of 50 has grown beyond 1,000 after eight days.")),
    ]  # fmt: skip
    generation = repr(plan)
    done = "Saved. The change applies within a second."
    return forms.form(context, acts, f"plan.{name}", fields, t("Save"), "account.manage", saving(name), done, generation)


def _said(number: int) -> str:
    return str(number) if number else ""


def saving(name: str) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        with context.engine.db.write() as session:
            if values["a_day"]:
                sending_plans.put(session, name, read(values), context.by, context.app.real_now())
            elif sending_plans.find(session, name) is not None:
                sending_plans.remove(session, name, context.by)

    return do


def read(values: forms.Values) -> Plan:
    """Raises: Invalid, with the field."""
    begins = _date(values["warm_up_from"]) if values["warm_up_from"] else None
    first, growth = (_number(values, name) if begins else 0 for name in ("first", "growth"))
    return Plan(_number(values, "a_day"), begins, first, growth)


def _number(values: forms.Values, field: str) -> int:
    text = values[field]
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise _wrong(field, "Expected a whole number.")
    return int(text)


def _date(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise _wrong("warm_up_from", "Expected a date.") from None
    if not timedelta(0) <= found - date(2000, 1, 1) <= timedelta(days=73_000):
        raise _wrong("warm_up_from", "Expected a date.")
    return found


def _wrong(field: str, text: str) -> Invalid:
    issue = Issue(code="sending_plan", text=text, field=field)
    return Invalid("{problem}", [issue], problem=issue)
