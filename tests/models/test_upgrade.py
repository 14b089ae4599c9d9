"""A database of revision 0027, filled by the code of that day, is upgraded: every row stays, and what was counted, queued and sent goes on.

`rows_of_0027.jsonl` holds its rows, one a line: journeys with a control group, runs that were walked, a goal, refusals, messages, counts folded
and not yet folded, a job that was done and one that was queued, and events and a consent that came in by an API key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, DateTime, LargeBinary, MetaData, Table, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.types import TypeEngine

from engine.clock import Clock
from engine.engine import Engine
from engine.jobs.worker import work_through
from journeys.nodes import Palette
from models import ApiKey, Database, Event, Job, Tag, migrate
from reports.journey_metrics import journey_metrics
from storage import tally
from workspace import audit

ROWS = Path(__file__).with_name("rows_of_0027.jsonl")
KEYS = (b"k" * 32,)


def stored() -> Iterator[tuple[str, dict[str, Any]]]:
    for line in ROWS.read_text().splitlines():
        name, row = json.loads(line)
        yield name, row


def value_of(type: TypeEngine[Any], value: Any) -> Any:
    if isinstance(type, DateTime) and value is not None:
        return type.python_type.fromisoformat(value)
    if isinstance(type, LargeBinary) and value is not None:
        return value.encode("latin1")
    return bool(value) if isinstance(type, Boolean) else value


def typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {name: value_of(table.c[name].type, value) for name, value in row.items()}


def tables_of(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    migrate.upgrade(url, "0027")
    with closing(Database(url)) as old, old.engine.begin() as connection:
        tables = tables_of(connection).tables
        for name, row in stored():
            connection.execute(tables[name].insert().values(typed(tables[name], row)))
    migrate.upgrade(url)
    with closing(Database(url)) as database:
        audit.bind(database, KEYS)
        yield database


def key_id() -> str:
    return next(row["id"] for name, row in stored() if name == "api_key")


def test_events_of_a_key_have_its_id_as_their_source(upgraded: Database) -> None:
    """So that a call which is sent again after the upgrade is still known."""
    with upgraded.read() as session:
        assert session.get_one(ApiKey, key_id()).source == f"key:{key_id()}"
        sources = session.scalars(select(Event.source).where(Event.message_id.in_(["m0", "m1", "m2", "i1"]))).all()  # type: ignore[call-overload, attr-defined]
    assert sources == [f"key:{key_id()}"] * 4


def test_every_row_is_there_as_it_was(upgraded: Database) -> None:
    with upgraded.engine.connect() as connection:
        tables = tables_of(connection).tables
        for name, row in stored():
            table = tables[name]
            kept = {column: value for column, value in typed(table, row).items() if not isinstance(value, (dict, list))}
            if name == "event" and kept["source"] == "Shop":
                kept["source"] = f"key:{key_id()}"
            where = [table.c[column] == value for column, value in kept.items()]
            assert connection.execute(select(func.count()).select_from(table).where(*where)).scalar() == 1, (name, row)


def test_what_was_counted_stays_counted_and_the_control_group_is_counted_too(upgraded: Database) -> None:
    with upgraded.read() as session:
        journey = next(row["id"] for name, row in stored() if name == "journey")
        before = tally.read(session, journey)
    runs = [row for name, row in stored() if name == "run"]
    held_out = [row for row in runs if row["status"] == "held_out"]
    assert (before.runs, before.held_out) == (len(runs) - len(held_out), len(held_out))
    assert before.held_out > 0
    assert before.held_out_goal == sum("goal_at" in row for row in held_out)
    assert sum(node.sent for node in before.nodes.values()) == sum(name == "message" for name, _ in stored())
    with upgraded.write() as session:
        while tally.fold(session):
            pass
    with upgraded.read() as session:
        assert tally.read(session, journey) == before
        assert journey_metrics(session, journey, "day", date.min, date(9999, 12, 31)) == [], "their days are unknown"
        assert tally.first_day(session, journey) is None


def test_a_job_that_was_queued_is_done_by_a_worker(upgraded: Database) -> None:
    with upgraded.read() as session:
        done, queued = session.scalars(select(Job).order_by(Job.id)).all()  # type: ignore[arg-type]
    assert (done.state, queued.state, queued.leased_by, queued.attempts) == ("done", "running", "", 0)
    work_through(Engine(upgraded, Clock(), Palette.built_in(), KEYS), queued.id)
    with upgraded.read() as session:
        tags = session.scalars(select(Tag.tag)).all()  # type: ignore[call-overload]
        people = sum(name == "contact" for name, _ in stored())
        assert session.get_one(Job, queued.id).state == "done"
        assert (tags.count("old"), tags.count("fair")) == (sum(name == "tag" for name, _ in stored()), people)
