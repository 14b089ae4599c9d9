"""Provider accounts that take nothing: which, since when, what to do, and trying one at once. A part of the page of all accounts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Row

from activities.account_setup import what_to_do
from activities.providers import Providers
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from engine.temporal.wakeups import Wakeups
from workspace import sending_rates, stopped_accounts


def section(context: PageContext, rows: Sequence[Row[Any]], providers: Providers, acts: Acts) -> Element:
    t = context.t
    if not rows:
        return html.p({"className": "notice good"}, components.icon("check"), t("All accounts are accepting messages."))
    columns = [t(text) for text in ("Account", "Since", "Answer", "What to do", "Attempts", "")]
    title = t("Accounts not accepting messages")
    return html.section(
        {"className": "panel"}, html.h2(title), components.table(title, columns, [cells(context, row, providers, acts) for row in rows])
    )


def cells(context: PageContext, row: Row[Any], providers: Providers, acts: Acts) -> list[Element]:
    t = context.t
    is_rate = stopped_accounts.is_rate(row.code)
    do = partial(try_now, account=row.account)
    again = components.button(t("Try now"), acts.act("account.try", do, "It will be tried within seconds."), "history")
    if is_rate:
        question = t("Marketing leaves through “{name}” again. What was counted so far counts no more.", name=row.account)
        handler = acts.act("account.manage", partial(resume, account=row.account), "The account is sending again.")
        again = components.ask(t("Resume sending"), question, t("Resume sending"), handler, "history")
    may = context.may("account.manage") if is_rate else context.may("account.try")
    return [
        html.strong(row.account),
        components.moment(t, row.since),
        html.code(row.code),
        t(what_to_do(providers, row.account, row.code)),
        t.number(row.probes),
        again if may else "",
    ]


def try_now(context: PageContext, account: str) -> Wakeups | None:
    with context.engine.db.write() as session:
        stopped_accounts.try_now(session, account, context.by, context.app.real_now())
    return None


def resume(context: PageContext, account: str) -> Wakeups | None:
    with context.engine.db.write() as session:
        sending_rates.resume(session, account, context.by, context.app.real_now())
    return None
