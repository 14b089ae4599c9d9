"""A process that is frozen in the middle of a transaction (SIGSTOP, a dead network) keeps nobody's row: PostgreSQL ends its transaction."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.http.errors import is_busy, is_out_of_space
from models import Database, Limits
from settings import Settings
from storage.locks import lock_contact
from tests.engine.conftest import World, build

ROOT = Path(__file__).parents[2]
SECOND = timedelta(seconds=1)


@pytest.fixture
def world(postgres_db: Database) -> World:
    return build(postgres_db)


@pytest.fixture
def frozen(world: World, reference: dict) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A run, and a process that stands still in the middle of claiming its first message."""
    world.publish(reference)
    run = world.run(world.happens(world.contact(), "Signed Up"))
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/engine/frozen.py"), world.db.url, run],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield run, process
    finally:
        process.kill()
        process.communicate()


def test_another_process_passes_a_frozen_one_which_then_loses(world: World, frozen: tuple[str, subprocess.Popen[str]]) -> None:
    run, process = frozen
    world.perform(run)  # waits for the row until the server has taken it from the frozen one
    assert [key.split(":")[1] for key in world.performer.received] == ["hello"]
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=60)
    assert out.split() == ["lost", "25P03", "0"], "nothing left, and nothing half done"
    [message] = world.messages(run)
    assert (message.status, message.attempts) == ("sent", 1)


def test_who_waits_too_long_for_a_row_is_told_to_try_again(world: World) -> None:
    """A lock that is held and not frozen: 503 to clients, which repeat it; once more for steps and effects."""
    contact = world.contact()
    hurried = Database(world.db.url, pool_size=1, limits=Limits(lock=SECOND / 10))
    try:
        with world.db.write() as session:
            lock_contact(session, contact)
            with pytest.raises(DBAPIError) as raised, hurried.write() as other:
                lock_contact(other, contact)
        assert is_busy(raised.value)
        with hurried.write() as again:
            lock_contact(again, contact)
    finally:
        hurried.close()


def test_a_statement_ends_in_its_time(world: World) -> None:
    hurried = Database(world.db.url, pool_size=1, limits=Limits(statement=SECOND / 10))
    try:
        with pytest.raises(DBAPIError) as raised, hurried.read() as session:
            session.execute(text("SELECT pg_sleep(60)"))
        assert is_busy(raised.value)
        assert not is_out_of_space(raised.value)
    finally:
        hurried.close()


def test_every_connection_has_limits_those_of_the_settings_where_there_are_any(world: World) -> None:
    names = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")

    def limits(db: Database) -> list[str]:
        with db.read() as session:
            return [str(session.execute(text(f"SHOW {name}")).scalar_one()) for name in names]

    assert limits(world.db) == ["15s", "20s", "1min"]
    settings = Settings(database_idle_in_transaction=SECOND, database_lock_timeout=2 * SECOND, database_statement_timeout=3 * SECOND)
    other = Database(world.db.url, pool_size=1, limits=settings.database_limits())
    try:
        assert limits(other) == ["1s", "2s", "3s"]
    finally:
        other.close()
