"""Whether statements look rows up or read whole tables: the database's own plan of everything the product runs in the suite.

A table of three rows hides what a table of ten million shows, so the plan is asked, not the clock. PostgreSQL would read three rows whole
whatever indexes there are: it is asked what it would do if that cost the world, which tells a condition that no index serves.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event

from models import Database

ROOT = Path(__file__).resolve().parent.parent

GROWING = frozenset(
    [
        "contact",
        "consent",
        "consent_state",
        "duplicate",
        "event",
        "hit",
        "identity",
        "inbox",
        "known_network",
        "link",
        "login_failure",
        "mailbox_consent",
        "merge",
        "merge_moved",
        "message",
        "migrated_run",
        "note",
        "outbox_item",
        "personal_mail",
        "refusal",
        "run",
        "score",
        "score_change",
        "subscription",
        "suppression",
        "tag",
        "task",
        "task_change",
        "trail",
        "upload",
    ]
)
"""Tables that grow with people and with what they do."""

READ_WHOLE = {
    ("engine/runs/operations.py", "run"): "newest first by the key, and no further than the page goes",
    ("reports/messages.py", "message"): "newest first by the key, and no further than the page goes",
    ("builder_ui/outbox/list.py", "outbox_item"): "newest first by the key; the outbox stands for a provider on one's own machine",
    ("crm/privacy/erasure_rest.py", "upload"): "an erasure looks through the files that wait; there is room for 200",
    ("storage/files.py", "upload"): "the files that wait for their import; there is room for 200",
    ("crm/people/contacts.py", "contact"): "in the order of the key, no further than the page goes, or than the 10,000 that are counted",
    (
        "crm/rules/expression.py",
        "contact",
    ): "in the order of the key, no further than the page goes; a count of whom a rule finds asks everybody",
    ("crm/segments/questions.py", "contact"): "a count of whom a rule finds asks everybody, within five seconds",
    ("builder_ui/exports.py", "outbox_item"): "a file of the whole outbox, a page at a time",
}
"""(module, table) -> why it may."""

_seen: set[str] = set()
_scan = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
_wide = re.compile(r"SEARCH (\w+) .*\((?:journey_id|version_id|status)=\?\)$")
"""All rows of a journey, a version or a status: too many where one contact is meant."""
_short = {"ix_event_unrouted", "ix_inbox_waiting", "ix_inbox_old", "ix_message_open", "ix_job_running", "ix_task_due", "ix_run_stuck"}
"""Indexes of the few rows that something still has to be done with: those may be read whole. Runs that wait are not few."""
_reads = re.compile(r"(SELECT|UPDATE|DELETE|WITH)\b|INSERT\b.*\bSELECT\b", re.DOTALL)
_bounded = re.compile(r"SELECT\b(?!.*\bWHERE\b).*\bLIMIT\b|.*\bWHERE 0 = 1\b(?!.*\bWHERE\b)", re.DOTALL)
"""The first rows of an index, whatever they are; and what no row can fit."""


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """The statements that are run on `db` meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@contextmanager
def no_table_is_read_whole(db: Database) -> Iterator[None]:
    """Fails at the end if the product ran a statement on `db` that reads a growing table from end to end."""
    found: list[str] = []

    def look(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement in _seen or not _reads.match(statement) or _bounded.match(statement):
            return
        place = _place()
        if place is None:
            return
        _seen.add(statement)
        read = read_whole(connection, statement, parameters[0] if many and isinstance(parameters, list) else parameters)
        found.extend(f"{place}: {name}\n    {statement}" for name in read if (place.split(":")[0], name) not in READ_WHOLE)

    event.listen(db.engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", look)
    assert not found, "these statements read a whole table:\n" + "\n".join(found)


def read_whole(connection: Any, statement: str, parameters: Any) -> set[str]:
    """The growing tables that a statement reads from end to end, says the database."""
    return (_by_postgres if connection.dialect.name == "postgresql" else _by_sqlite)(connection, statement, parameters)


def _by_sqlite(connection: Any, statement: str, parameters: Any) -> set[str]:
    steps = [row[3] for row in connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    read = {match[1] for step in steps if (match := _scan.match(step)) and match[2] not in _short}
    read |= {match[1] for step in steps if (match := _wide.match(step)) and f"{match[1]}.contact_id = ?" in statement}
    return read & GROWING


def _by_postgres(connection: Any, statement: str, parameters: Any) -> set[str]:
    with connection.connection.cursor() as cursor:
        cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")
        [[plan]] = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters).fetchall()
        cursor.execute("SELECT set_config('enable_seqscan', 'on', true)")
    return set(_scanned(plan[0]["Plan"])) & GROWING


def _scanned(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for below in node.get("Plans", []):
        yield from _scanned(below)


def _place() -> str | None:
    """Where in the product the statement comes from; None if a test wrote it."""
    frame = sys._getframe(1)
    while frame is not None:
        name = _name_of_ours(frame.f_code.co_filename)
        if name is not None:
            return None if name.startswith("tests/") else f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


@cache
def _name_of_ours(file: str) -> str | None:
    """The name of a file of the tree; None for what is installed, and for this file."""
    path = Path(file)
    ours = path.is_relative_to(ROOT) and ".venv" not in path.parts and path != Path(__file__)
    return str(path.relative_to(ROOT)) if ours else None
