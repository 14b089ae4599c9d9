"""`pfadwerk inbound < MAIL`: one mail from a pipe of the mail server, such as Postfix's `pipe` or an alias with `|`.

What it sets off is stored with it; the workers start it in the next seconds. The exit code tells the mail server whether to try again.
"""

from __future__ import annotations

import json
from typing import BinaryIO, TextIO

from sqlalchemy.exc import DBAPIError

from activities.inbound.mail import MOST_BYTES
from activities.inbound.take import Taken, TooManyWait
from commands.mail import inbound_of
from commands.providers import providers_of
from commands.workspace import engine as engine_of
from journeys.errors import Misconfigured
from settings import Settings

OK, AGAIN = 0, 75
"""EX_TEMPFAIL of sysexits.h: mail servers keep the mail and try again."""
CHUNK = 65_536


def inbound(settings: Settings, mail: BinaryIO, to: str, *, out: TextIO, as_json: bool = False) -> int:
    """Takes one mail in; 75 where it shall come again, because the database cannot be reached or is not set up."""
    raw = _read(mail)
    try:
        with engine_of(settings) as engine:
            taken = inbound_of(settings, engine, providers_of(settings.workspace)).take(raw, "command", to)[0]
    except (Misconfigured, TooManyWait, DBAPIError) as error:
        out.write(f"{type(error).__name__}\n")
        return AGAIN
    out.write(_said(taken, as_json))
    return OK


def _read(mail: BinaryIO) -> bytes:
    """The first part of the mail; the rest is read and dropped, so that the mail server's pipe does not break."""
    raw = mail.read(MOST_BYTES)
    while mail.read(CHUNK):
        pass
    return raw


def _said(taken: Taken, as_json: bool) -> str:
    return json.dumps({"kind": taken.kind, "outcome": taken.outcome}) + "\n" if as_json else f"{taken.kind}: {taken.outcome}\n"
