"""A database of revision 0027, filled by the code of that day, is upgraded: every row stays, and what was counted, queued and sent goes on.

`rows_of_0027.jsonl` holds its rows, one a line: journeys with a control group, runs that were walked, a goal, refusals, messages, counts folded
and not yet folded, a job that was done and one that was queued, and events and a consent that came in by an API key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, DateTime, LargeBinary, MetaData, Table, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from activities import happenings
from activities.providers.callback import Happening
from engine.clock import Clock
from engine.engine import Engine
from engine.jobs.worker import work_through
from engine.versions import migrate as versions
from journeys.nodes import Palette
from models import ApiKey, Database, Event, Job, Journey, Message, Tag, migrate
from reports.journey_metrics import journey_metrics
from storage import origin, tally
from workspace import audit
from workspace.api_keys import rotate_key

ROWS = Path(__file__).with_name("rows_of_0027.jsonl")
KEYS = (b"k" * 32,)
AFTER = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
"""After all that the rows tell of."""


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


def before(folder: Path, revision: str) -> str:
    """The URL of the old database, upgraded to `revision`."""
    url = f"sqlite:///{folder / 'old.db'}"
    migrate.upgrade(url, "0027")
    with closing(Database(url)) as old, old.engine.begin() as connection:
        tables = tables_of(connection).tables
        for name, row in stored():
            connection.execute(tables[name].insert().values(typed(tables[name], row)))
    migrate.upgrade(url, revision)
    return url


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[Database]:
    url = before(tmp_path, "head")
    with closing(Database(url)) as database:
        audit.bind(database, KEYS)
        yield database


def key_id() -> str:
    return next(row["id"] for name, row in stored() if name == "api_key")


def test_a_key_has_the_source_that_its_events_have(upgraded: Database) -> None:
    """So that a call which is sent again after the upgrade is still known, whatever the key is called by then."""
    with upgraded.write() as session:
        key = session.get_one(ApiKey, key_id())
        sources = session.scalars(select(Event.source).where(Event.message_id.in_(["m0", "m1", "m2", "i1"]))).all()  # type: ignore[call-overload, attr-defined]
        assert sources == [key.source] * 4
        key.name = "Web shop"
        rotated, _ = rotate_key(session, key.id, AFTER)
        assert (rotated.source, origin.names_of(session, sources)) == ("Shop", {"Shop": "Web shop"})


def test_the_upgrade_touches_no_event(tmp_path: Path) -> None:
    """However many there are: their triggers would say so."""
    url = before(tmp_path, "0030")
    with closing(Database(url)) as old, old.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TRIGGER touched BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'an event'); END")
    migrate.upgrade(url)


def test_keys_of_one_word_stay_one_sender(tmp_path: Path) -> None:
    """A word is what events have of a name: its first 64 characters."""
    url = before(tmp_path, "0030")
    names = {"a": "ä" * 70, "b": "ä" * 64 + "b", "c": "system"}
    with closing(Database(url)) as old, old.engine.begin() as connection:
        keys = tables_of(connection).tables["api_key"]
        stored_key = typed(keys, next(row for name, row in stored() if name == "api_key"))
        connection.execute(keys.insert(), [{**stored_key, "id": id, "key_hash": id, "name": name} for id, name in names.items()])
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.read() as session:
        assert {id: session.get_one(ApiKey, id).source for id in names} == {"a": "ä" * 64, "b": "ä" * 64, "c": "system"}


def test_every_row_is_there_as_it_was(upgraded: Database) -> None:
    with upgraded.engine.connect() as connection:
        tables = tables_of(connection).tables
        for name, row in stored():
            table = tables[name]
            kept = {column: value for column, value in typed(table, row).items() if not isinstance(value, (dict, list))}
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


def test_what_happened_before_the_upgrade_is_taken_back_on_no_day(upgraded: Database) -> None:
    """A message bounces and runs are moved: no day, of no version, has less than nothing, and none is older than the upgrade."""
    engine = Engine(upgraded, Clock(), Palette.built_in(), KEYS)
    with upgraded.write() as session:
        [journey] = session.scalars(select(Journey)).all()
        assert journey.dated_since is not None
        now, whole = journey.dated_since + timedelta(hours=1), tally.read(session, journey.id)
        message = session.scalars(select(Message).where(Message.status == "sent")).all()[0]  # type: ignore[arg-type]
        bounce = Happening("bounced", now, message_id=message.id)
        assert happenings.record(session, KEYS, message.account, bounce, happenings.Streak(5, timedelta(days=30)), now)[0] == "taken"
        migration = versions.start(engine, session, journey.id, 1, 2, {}, "tests", now)
        versions.move_chunk(engine, session, migration.id, now)
        moved = migration.moved
        assert moved == 2, "those at a wait; whoever sends just now stays"
        bounced = tally.Dated(1, tally.day_of(now), message.node, "bounced", "", 1, message.channel)
        assert dated(session, journey.id) == [bounced]
    with upgraded.write() as session:
        tally.fold(session)
        assert dated(session, journey.id) == [bounced]
        assert tally.first_day(session, journey.id) == bounced.day
        assert tally.read(session, journey.id).nodes[message.node].sent == whole.nodes[message.node].sent - 1
        runs = {number: one.runs for number, one in tally.by_version(session, journey.id).items()}
        assert runs == {1: whole.runs - moved, 2: moved}


def dated(session: Session, journey_id: str) -> list[tally.Dated]:
    return tally.read_days(session, journey_id, date.min, date.max)


def test_a_journey_that_is_made_after_the_upgrade_has_all_its_days(upgraded: Database) -> None:
    """Also those before it, as an event that is told late has them."""
    with upgraded.write() as session:
        session.add(Journey(id="new", key="new", name="New", created_at=AFTER, updated_at=AFTER))
        session.flush()
        tally.append(session, "new", 1, {("", "goal", ""): 1}, AFTER)
        assert tally.first_day(session, "new") == AFTER.date()


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
