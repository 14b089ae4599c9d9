"""`pfadwerk audit check`: computes the seals of the audit trail anew, and compares its end with a head from a log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TextIO

from commands.workspace import database
from settings import Settings
from workspace import audit


def check_audit(settings: Settings, head: str, *, out: TextIO, translate: Callable[[str], str], as_json: bool = False) -> int:
    """0 if the whole chain holds, else 1. `head`: `NUMBER:SEAL` as it stands in a log, or empty.

    Raises:
        Invalid: the head is none.
        Misconfigured: the database cannot be used.
    """
    logged = audit.Head.read(head) if head else None
    with database(settings) as db:
        audit.bind(db, tuple(settings.signing_keys().values()))
        with db.read() as session:
            found = audit.check(session, logged)
    if as_json:
        out.write(json.dumps({**asdict(found), "head": str(found.head)}) + "\n")
    else:
        out.writelines(line + "\n" for line in _told(found, translate))
    return 1 if found.problem else 0


def _told(found: audit.Check, translate: Callable[[str], str]) -> list[str]:
    head = translate("Its head is now:") + f" {found.head}"
    if found.problem:
        return [translate(audit.BROKEN[found.problem]).format(id=found.broken_at, key=found.key_id), head]
    since = translate("Sealed from line {id} on.").format(id=found.keyed_from) if found.keyed_from else translate("No line is sealed.")
    return [f"{translate('Audit trail verified.')} {since}", head]
