"""Provider accounts that take nothing: which, since when, what to do, and trying one at once. A part of the page of all accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row

from activities.account_setup import what_to_do
from activities.providers import Providers
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from engine.temporal.wakeups import Wakeups
from workspace import stopped_accounts


def section(visit: PageContext, rows: Sequence[Row[Any]], providers: Providers, acts: Acts) -> Element:
    speech = visit.speech
    if not rows:
        return html.p({"className": "notice good"}, components.icon("check"), speech("All accounts are accepting messages."))
    columns = [speech(text) for text in ("Account", "Since", "Answer", "What to do", "Tries", "")]
    title = speech("Accounts that take no messages")
    return html.section(
        {"className": "panel"}, html.h2(title), components.table(title, columns, [cells(visit, row, providers, acts) for row in rows])
    )


def cells(visit: PageContext, row: Row[Any], providers: Providers, acts: Acts) -> list[Element]:
    speech = visit.speech
    do = partial(try_now, account=row.account)
    again = components.button(speech("Try now"), acts.act("account.try", do, "It will be tried within seconds."), "history")
    return [
        html.strong(row.account),
        components.moment(speech, row.since),
        html.code(row.code),
        speech(what_to_do(providers, row.account, row.code)),
        speech.number(row.probes),
        again if visit.may("account.try") else "",
    ]


def try_now(visit: PageContext, account: str) -> Wakeups | None:
    with visit.engine.db.write() as session:
        stopped_accounts.try_now(session, account, visit.by, datetime.now(UTC))
    return None
