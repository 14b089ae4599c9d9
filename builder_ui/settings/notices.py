"""Notices to the team: who is told, and how; a test; and what went out lately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.kit import components
from builder_ui.kit.actor_names import member_names
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import setting
from builder_ui.settings.sections import framed, panel
from engine.temporal.wakeups import Wakeups
from models import Journey
from workspace import notices

TITLE = "Notices"
WAY_STATES: Mapping[str, tuple[str, str, str]] = {
    "waiting": ("Waiting", "quiet", "clock"),
    "claimed": ("Being sent", "quiet", "hourglass"),
    "sent": ("Sent", "good", "check"),
    "failed": ("Failed", "bad", "alert"),
    "uncertain": ("Uncertain", "warn", "alert"),
}
"""State of a way -> (message id, tone, icon)."""


@dataclass(frozen=True, slots=True)
class Data:
    """`journeys`: id -> (key, name) of those that notices are about; `names`: member id -> name."""

    setting: setting.Data
    rows: list[dict[str, Any]]
    journeys: Mapping[str, tuple[str, str]]
    names: Mapping[str, str]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        rows = notices.listed(session)
        return Data(setting.load_named(context, "notices"), rows, _journeys(session, rows), member_names(session))


def _journeys(session: Session, rows: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    ids = [row["about"] for row in rows if row["topic"] == notices.STUCK]
    found = session.execute(select(Journey.id, Journey.key, Journey.name).where(col(Journey.id).in_(ids)))
    return {id: (key, name) for id, key, name in found}


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        return notices.listed(session)


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    lead = setting.LEADS["notices"]
    return framed(context, TITLE, lead, setting.form(context, data.setting, acts), trial(context, acts), latest(context, data), wide=True)


def trial(context: PageContext, acts: Acts) -> Element:
    if not context.may("notice.test"):
        return None
    t = context.t
    return panel(
        t("Try it"),
        html.p({"className": "quiet"}, t("The test is sent to the webhook and to you by e-mail. Save your changes first.")),
        components.button(
            t("Send a test"),
            acts.act("notice.test", send_test, "The test is sent within seconds; see the result below."),
            "bell",
        ),
    )


def send_test(context: PageContext) -> Wakeups | None:
    with context.engine.db.write() as session:
        notices.test(session, context.by, context.member.id, context.app.real_now())
    return None


def latest(context: PageContext, data: Data) -> Element:
    t = context.t
    if not data.rows:
        return panel(t("Latest notices"), html.p({"className": "quiet"}, t("No notices in the last 30 days.")))
    columns = [t(text) for text in ("When", "What", "Notified")]
    return panel(t("Latest notices"), components.table(t("Latest notices"), columns, [cells(context, data, row) for row in data.rows]))


def cells(context: PageContext, data: Data, row: dict[str, Any]) -> list[Element]:
    return [components.moment(context.t, row["made_at"]), what(context.t, data, row), html._(ways(context.t, data, row))]


def what(t: Translator, data: Data, row: dict[str, Any]) -> Element:
    if row["topic"] == notices.STOPPED:
        unread = row["detail"].get("is_mailbox")
        text = "The mailbox of {account} cannot be read ({code})" if unread else "{account} is not accepting messages ({code})"
        said = t(text, account=row["about"], code=row["detail"]["code"])
        return html.a({"href": "/ui/settings/accounts"}, said)
    if row["topic"] == notices.COUPONS:
        said = t("The coupon pool “{pool}” is running low (codes left: {left})", pool=row["about"], left=t.number(row["detail"]["left"]))
        return html.a({"href": "/ui/coupons"}, said)
    if row["topic"] == notices.TEST:
        return t("A test")
    key, name = data.journeys.get(row["about"], ("", ""))
    sentence = "A run is stuck in “{journey}”" if row["runs"] == 1 else "{count} runs are stuck in “{journey}”"
    return html.a({"href": f"/ui/journeys/{key}?tab=stuck"}, t(sentence, journey=name, count=t.number(row["runs"])))


def ways(t: Translator, data: Data, row: dict[str, Any]) -> list[Element]:
    if row["state"] == "gathering":
        return [html.span({"key": "-"}, t("Sending"), " ", components.moment(t, row["due_at"]))]
    if row["state"] == "withdrawn":
        return [html.span({"key": "-"}, t("No one: it was resolved before."))]
    return [way(t, data, one) for one in row["ways"]] or [html.span({"key": "-"}, t("No one"))]


def way(t: Translator, data: Data, one: dict[str, Any]) -> Element:
    to = data.names.get(one["member_id"], one["member_id"]) if one["route"] == "mail" else t("Webhook")
    text, tone, icon = WAY_STATES[one["state"]]
    code = html._(" ", html.code(one["code"])) if one["code"] and one["state"] != "sent" else None
    return html.p({"key": f"{one['route']}.{one['member_id']}"}, to, " ", components.badge(t(text), tone, icon), code)


PAGE = Page("/ui/settings/notices", TITLE, "settings", "setting.read", load, view, stamp)
