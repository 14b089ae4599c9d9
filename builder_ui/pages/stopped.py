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
from engine.temporal.wakeups import Wakeups
from workspace import stopped_accounts

TITLE = "Provider accounts"
LEAD = (
    "If a provider account refuses messages or does not answer, all its messages wait; one at a time is "
    "tried every few seconds, and all are sent automatically once the account works again. None is lost; "
    "messages that have waited as long as their journey allows fail."
)
WHAT_TO_DO: tuple[tuple[str, str], ...] = (
    (
        r"smtp_unreachable",
        "The server does not answer: check PFADWERK_SMTP_HOST and PFADWERK_SMTP_PORT, and whether a firewall is in the way.",
    ),
    (
        r"smtp_certificate",
        "The server's certificate does not match its name or has expired: check PFADWERK_SMTP_HOST, or contact the server's administrator.",
    ),
    (
        r"smtp_no_login_or_starttls",
        "The server does not offer the log-in or the encryption that is set: check PFADWERK_SMTP_TLS and PFADWERK_SMTP_PORT.",
    ),
    (r"smtp_53\d.*", "User name or password was refused: set PFADWERK_SMTP_USER and PFADWERK_SMTP_PASSWORD, and restart the workers."),
    (r"smtp_5.*", "The server refuses the sender or the account: ask its provider why, and check the sender address in the settings."),
    (r".*", "The server is not accepting messages right now. If that continues, ask its provider."),
)
"""(pattern of the code, message id); the first that fits."""


def load(visit: Visit) -> Sequence[Row[Any]]:
    with visit.engine.db.read() as session:
        return stopped_accounts.listed(session)


def stamp(visit: Visit) -> object:
    return [tuple(row) for row in load(visit)]


def view(visit: Visit, rows: Sequence[Row[Any]], acts: Acts) -> Element:
    speech = visit.speech
    if not rows:
        return framed(visit, TITLE, LEAD, parts.empty("check", speech("All accounts are accepting messages."), None))
    columns = [speech(text) for text in ("Account", "Since", "Answer", "What to do", "Tries", "")]
    return framed(visit, TITLE, LEAD, parts.table(speech(TITLE), columns, [cells(visit, row, acts) for row in rows]), wide=True)


def cells(visit: Visit, row: Row[Any], acts: Acts) -> list[Element]:
    speech = visit.speech
    do = partial(try_now, account=row.account)
    again = parts.button(speech("Try now"), acts.act("account.try", do, "It will be tried within seconds."), "history")
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
        stopped_accounts.try_now(session, account, visit.by, datetime.now(UTC))
    return None


PAGE = Page("/ui/settings/accounts", TITLE, "settings", "account.read", load, view, stamp, every_seconds=2.0)
