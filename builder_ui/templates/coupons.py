"""Coupon pools: how many codes each has left, filled by a list or by chance, exported with what became of each code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from activities.templates import coupons
from activities.templates.coupons import Naming
from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import panel
from builder_ui.templates.coupon_forms import PROBLEMS
from crm.coupons import pools, reservations
from crm.coupons.pools import Counted
from journeys.errors import Invalid, Issue
from models import CouponPool


@dataclass(frozen=True, slots=True)
class Data:
    """`naming`: pool -> the templates that take its codes; `low`: those that are running low now."""

    pools: list[CouponPool]
    counts: Mapping[str, Counted]
    naming: Mapping[str, list[Naming]]
    low: frozenset[str]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        found = pools.listed(session)
        low = frozenset(one.key for one in found if reservations.is_low(session, one))
        return Data(found, pools.counts(session), coupons.naming(session), low)


def stamp(context: PageContext) -> object:
    data = load(context)
    return [one.model_dump() for one in data.pools], data.counts, data.naming


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, query = context.t, context.query
    problem = PROBLEMS.get(query.get("problem", ""))
    lead = t("Codes of which each message gets one for itself. A template shows it with {call}.", call='{{ coupon("…") }}')
    return html._(
        components.head(t("Coupon codes"), lead, back=("/ui/templates", t("Templates"))),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(problem, lines=query.get("lines", "")))
        if problem
        else None,
        html.p({"className": "notice good", "role": "status"}, components.icon("check"), _added(context)) if query.get("added") else None,
        [pool(context, data, one, acts) for one in data.pools] or components.empty("gem", t("No coupon pools yet."), None),
        made(context, data, acts),
    )


def _added(context: PageContext) -> str:
    t, query = context.t, context.query
    said = t("Codes added: {count}.", count=query["added"])
    return f"{said} {t('Already there: {count}.', count=query['known'])}" if query.get("known", "0") != "0" else said


def pool(context: PageContext, data: Data, one: CouponPool, acts: Acts) -> Element:
    t, counted = context.t, data.counts.get(one.key, Counted())
    expired = one.expires_at is not None and one.expires_at <= context.app.now()
    marks = [
        components.badge(t("Expired"), "bad", "hourglass") if expired else None,
        components.badge(t("No code left"), "bad", "alert") if not counted.free and not expired else None,
        components.badge(t("Running low"), "warn", "alert") if one.key in data.low and counted.free and not expired else None,
    ]
    facts: list[tuple[str, Element]] = [
        (t("Free"), t.number(counted.free)),
        (t("Reserved"), t.number(counted.reserved)),
        (t("Handed out"), t.number(counted.sent)),
        (t("Expires"), components.moment(t, one.expires_at) if one.expires_at else t("never")),
        (t("One code per contact"), t("yes") if one.per_contact else t("no")),
        (t("Without a code"), one.fallback or t("the message is skipped")),
        (t("Templates"), _names(context, data.naming.get(one.key, []))),
    ]
    return html.section(
        {"className": "panel coupons", "key": one.key},
        html.h2(one.name, " ", html.small(html.code(f'coupon("{one.key}")')), *[html._(" ", mark) for mark in marks if mark]),
        components.facts(facts),
        html.div({"className": "actions"}, *offers(context, data, one, acts)),
    )


def _names(context: PageContext, places: list[Naming]) -> Element:
    if not places:
        return context.t("none")
    links = [html.a({"key": one.key, "href": f"/ui/templates/{one.key}"}, one.name) for one in places]
    return html.span({"className": "tpl-journeys"}, links)


def offers(context: PageContext, data: Data, one: CouponPool, acts: Acts) -> list[Element]:
    t = context.t
    export = (
        html.a({"className": "button", "href": f"/ui/coupons/{one.key}/codes.csv"}, components.icon("download"), t("Export codes"))
        if context.may("list.export")
        else None
    )
    if not context.may("coupon.change"):
        return [export]
    question = t(
        "The pool “{name}” and its {count} free codes are permanently deleted.",
        name=one.name,
        count=t.number(data.counts.get(one.key, Counted()).free),
    )
    delete = acts.act("coupon.change", _deleting(one.key), "The pool is deleted.")
    return [
        adding(context, one),
        generating(context, one, acts),
        changing(context, one, acts),
        export,
        components.ask(t("Delete"), question, t("Delete permanently"), delete, "ban", "danger"),
    ]


def _opened(text: str, symbol: str, *inside: Element) -> Element:
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, components.icon(symbol), text),
        html.div({"className": "question stack"}, *inside),
    )


def adding(context: PageContext, one: CouponPool) -> Element:
    """A plain form: a list of codes may be longer than what goes over the socket."""
    t = context.t
    return _opened(
        t("Add codes"),
        "plus",
        html.form(
            {"className": "form", "method": "post", "action": f"/ui/coupons/{one.key}/codes", "encType": "multipart/form-data"},
            html.label(t("One code a line"), html.textarea({"name": "codes", "rows": 6, "maxLength": 1_000_000})),
            html.label(t("Or a CSV file with the codes in its first column"), html.input({"type": "file", "name": "file", "accept": ".csv,.txt,text/csv"})),
            html.button({"className": "button main"}, t("Add")),
        ),
    )  # fmt: skip


def generating(context: PageContext, one: CouponPool, acts: Acts) -> Element:
    t = context.t
    fields = [
        forms.Field("count", t("How many"), "number", "100", least=1, greatest=pools.MOST_AT_ONCE, required=True),
        forms.Field("prefix", t("Begins with"), most=20, hint=t("Such as SPRING-; may be empty.")),
        forms.Field("length", t("Characters behind it"), "number", "8", least=4, greatest=40, required=True, hint=t("Letters and digits that nobody confuses.")),
    ]  # fmt: skip

    def do(visitor: PageContext, values: forms.Values) -> None:
        count, length = _number(values, "count"), _number(values, "length")
        pools.generate(visitor.engine.db, one.key, count, visitor.by, prefix=values["prefix"], length=length)

    return _opened(
        t("Generate codes"),
        "shuffle",
        forms.form(context, acts, f"make-{one.key}", fields, t("Generate"), "coupon.change", do, "The codes are made."),
    )


def _number(values: forms.Values, name: str) -> int:
    text = values[name]
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        issue = Issue(code=name, text="Expected a whole number.", field=name)
        raise Invalid("{problem}", [issue], problem=issue)
    return int(text)


def _fields(context: PageContext, one: CouponPool | None) -> list[forms.Field]:
    t = context.t
    expires = one.expires_at.date().isoformat() if one and one.expires_at else ""
    return [
        forms.Field("name", t("Name"), value=one.name if one else "", most=120, required=True),
        forms.Field("low_at", t("Tell the team when fewer codes are left than"), "number", str(one.low_at if one else 100), least=0, greatest=pools.MOST_CODES, required=True),
        forms.Field("expires_at", t("Last day"), "date", expires, hint=t("No code is handed out after it. Empty: no end.")),
        forms.Field("fallback", t("Shown when no code is left"), value=one.fallback if one else "", most=120, hint=t("Empty: the message is skipped and says why.")),
        forms.Field("per_contact", t("One code per contact: everybody keeps theirs, in every message"), "checkbox", "on" if one and one.per_contact else ""),
    ]  # fmt: skip


def _putting(key: str) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        about = {"name": values["name"], "low_at": _number(values, "low_at"), "fallback": values["fallback"]}
        end = _end_of(values["expires_at"])
        with context.engine.db.write() as session, forms.plainly("name"):
            pools.put(session, key, context.by, context.app.now(), **about, per_contact=bool(values["per_contact"]), expires_at=end)

    return do


def _end_of(day: str) -> datetime | None:
    """The last instant of a day, in UTC."""
    try:
        return datetime.combine(date.fromisoformat(day), time.max, UTC) if day else None
    except ValueError:
        issue = Issue(code="expires_at", text="Expected a date.", field="expires_at")
        raise Invalid("{problem}", [issue], problem=issue) from None


def changing(context: PageContext, one: CouponPool, acts: Acts) -> Element:
    t = context.t
    generation = f"{one.name}{one.low_at}{one.expires_at}{one.fallback}{one.per_contact}"
    form = forms.form(
        context, acts, f"pool-{one.key}", _fields(context, one), t("Save"), "coupon.change", _putting(one.key), "Saved.", generation
    )
    return _opened(t("Change"), "pencil", form)


def made(context: PageContext, data: Data, acts: Acts) -> Element:
    if not context.may("coupon.change"):
        return None
    t = context.t
    form = forms.form(
        context, acts, "pool", _fields(context, None), t("Create"), "coupon.change", _putting(""), "The pool is made. Add codes to it.", str(len(data.pools))
    )  # fmt: skip
    return panel(t("New pool"), form)


def _deleting(key: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            coupons.remove(context.engine, session, key, context.by)

    return do


PAGE = Page("/ui/coupons", "Coupon codes", "templates", "coupon.read", load, view, stamp, every_seconds=5.0)
