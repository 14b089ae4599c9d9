"""Provider accounts that take nothing: which, since when, what to do, and trying one at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row

from builder_ui import parts
from builder_ui.compat import Element, html
from builder_ui.sections import framed
from builder_ui.visit import Acts, Page, Visit
from crm import stopped
from engine.wakeups import Wakeups

TITLE = "Provider accounts"
LEAD = (
    "An account that refuses us or does not answer takes nothing from anybody: its messages wait, one at a time tries every few seconds, and all leave by "
    "themselves once it is set right. None is lost; what has waited for as long as the journey allows is failed."
)
WHAT_TO_DO: tuple[tuple[str, str], ...] = (
    (r"smtp_unreachable", "Nobody answers there: check PFADWERK_SMTP_HOST and PFADWERK_SMTP_PORT, and whether a firewall stands between."),
    (
        r"smtp_certificate",
        "The server's certificate does not fit its name or has run out: check PFADWERK_SMTP_HOST, or tell whoever runs the server.",
    ),
    (
        r"smtp_no_login_or_starttls",
        "The server does not offer the log-in or the encryption that is set: check PFADWERK_SMTP_TLS and PFADWERK_SMTP_PORT.",
    ),
    (r"smtp_53\d.*", "User name or password are refused: set PFADWERK_SMTP_USER and PFADWERK_SMTP_PASSWORD, and start the workers again."),
    (r"smtp_5.*", "The server refuses our sender or account: ask its provider why, and check the sender's address in the settings."),
    (r".*", "The server takes nothing at the moment. If that goes on, ask its provider."),
)
"""(pattern of the code, message id); the first that fits."""


def load(visit: Visit) -> Sequence[Row[Any]]:
    with visit.engine.db.read() as session:
        return stopped.listed(session)


def stamp(visit: Visit) -> object:
    return [tuple(row) for row in load(visit)]


def view(visit: Visit, rows: Sequence[Row[Any]], acts: Acts) -> Element:
    speech = visit.speech
    if not rows:
        return framed(visit, TITLE, LEAD, parts.empty("check", speech("Every account takes messages."), None))
    columns = [speech(text) for text in ("Account", "Since", "Answer", "What to do", "Tries", "")]
    return framed(visit, TITLE, LEAD, parts.table(speech(TITLE), columns, [cells(visit, row, acts) for row in rows]), wide=True)


def cells(visit: Visit, row: Row[Any], acts: Acts) -> list[Element]:
    speech = visit.speech
    do = partial(try_now, account=row.account)
    again = parts.button(speech("Try now"), acts.act("account.try", do, "It is tried within seconds."), "history")
    return [
        html.strong(row.account),
        parts.moment(speech, row.since),
        html.code(row.code),
        speech(what_to_do(row.code)),
        speech.number(row.probes),
        again if visit.may("account.try") else "",
    ]


def what_to_do(code: str) -> str:
    return next(text for pattern, text in WHAT_TO_DO if re.fullmatch(pattern, code))


def try_now(visit: Visit, account: str) -> Wakeups | None:
    with visit.engine.db.write() as session:
        stopped.try_now(session, account, visit.by, datetime.now(UTC))
    return None


PAGE = Page("/ui/settings/accounts", TITLE, "settings", "account.read", load, view, stamp, every_seconds=2.0)
