"""A backup is restored after a disaster: what left in between is not sent again, and restore and `recover` may be killed at any instant.

The same house as in `test_kill`. Its mail server and its receiver of texts outlive the disaster, and so does Temporal, whose workflows know
steps that the restored rows do not. Clients repeat what they told in the lost time, with their own timestamps and message ids.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from activities.sending.ledger import messages
from commands.backup import backup
from models import RestoredMessage
from storage.sql import table
from tests.forkserver import ForkServer
from tests.kill.installation import Installation, Shop
from tests.kill.test_kill import JOURNEYS, await_true, furnish, rows

marked = table(RestoredMessage)


@pytest.fixture
def installation(forks: ForkServer, tmp_path: Path, database_url: str) -> Iterator[Installation]:
    seed = int(os.environ.get("PFADWERK_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"seed {seed}")
    installation = Installation(forks, tmp_path / "home", database_url, seed)
    try:
        furnish(installation)
        installation.start()
        yield installation
    finally:
        installation.stop()


def sign_ups(first: int, count: int, keys: tuple[int, ...]) -> list[list[dict[str, Any]]]:
    """Batches with the client's own timestamps; who and in which journey follows from the number."""
    batches = []
    for number in range(first, first + count):
        user, journey = f"u{number}", JOURNEYS[keys[number % len(keys)]]["key"]
        traits = {"email": f"{user}@example.org", "phone": f"+4179{number:07}"}
        at = datetime.now(UTC).isoformat()
        batches.append(
            [
                {"type": "identify", "userId": user, "traits": traits, "messageId": f"{user}-identify", "timestamp": at},
                {"type": "track", "userId": user, "event": f"Signed Up {journey}", "messageId": f"{user}-sign-up", "timestamp": at},
            ]
        )
    return batches


def told(installation: Installation, batches: list[list[dict[str, Any]]]) -> None:
    shop = Shop(installation.ports["web"], installation.write_key)
    for batch in batches:
        shop.plan(time.monotonic(), batch)
    await_true(installation, "all is acknowledged", lambda: shop.is_done)
    shop.give_up()


def command(installation: Installation, *arguments: str, kill_after: float | None = None) -> str:
    """Runs `pfadwerk …` to its end, or kills it after so many seconds."""
    environment = {**os.environ, **installation.settings.environment()}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        running = installation.forks.spawn("cli", *arguments, environment=environment, out=out, error=error)
        try:
            code = running.wait(kill_after or 120)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            return ""
        out.seek(0)
        error.seek(0)
        assert code == 0, error.read()
        return out.read()


def restored(installation: Installation, assume: str, file: str, kill_after: float | None = None) -> None:
    """PostgreSQL takes a moment to notice that a killed process is gone, and nothing is restored beside it."""
    give_up = time.monotonic() + 60
    while True:
        try:
            command(installation, "restore", "--assume", assume, file, kill_after=kill_after)
            return
        except AssertionError as error:
            if "other connections use the database" not in str(error) or time.monotonic() > give_up:
                raise


@pytest.mark.parametrize(
    ("assume", "database_url"),
    [("ask", "sqlite"), pytest.param("sent", "postgres", marks=pytest.mark.soak), pytest.param("unsent", "sqlite", marks=pytest.mark.soak)],
    indirect=["database_url"],
)
def test_a_restored_backup_sends_nothing_again_but_what_it_names(installation: Installation, assume: str, tmp_path: Path) -> None:
    told(installation, sign_ups(0, 24, (0, 1)))
    await_true(installation, "the first messages have left", lambda: installation.received().total() >= 24)
    backup(installation.settings, tmp_path / "backup.tar.gz")
    before = installation.received()
    lost = sign_ups(100, 8, (0,))
    told(installation, lost)
    await_true(installation, "much has left since", lambda: installation.received().total() >= before.total() + 24)

    installation.stop_mortals("worker", "web")
    at_disaster = installation.received()
    file = str(tmp_path / "backup.tar.gz")
    for seconds in (installation.random.uniform(0.1, 2.3) for _ in range(3)):
        restored(installation, assume, file, seconds)
    installation.db.close()
    restored(installation, assume, file)
    installation.start_again("worker", "web")
    command(installation, "recover", kill_after=0.8)
    command(installation, "recover")
    told(installation, lost)
    await_true(
        installation, "all runs have ended", lambda: installation.count_runs() >= 32 and installation.count_runs(only_open=True) == 0
    )

    since = at_disaster - before
    received, people = installation.received(), installation.received("person")
    doubled = {key for key, times in received.items() if times > 1}
    twice = {person for person, times in people.items() if times > 1}
    named = {row.once_key for row in rows(installation, select(messages.c.once_key).join(marked, marked.c.message_id == messages.c.id))}
    [restore] = json.loads(command(installation, "restores", "--json"))
    states = Counter(row.status for row in rows(installation, select(messages.c.status)))
    print({"assume": assume, "lost": since.total(), "doubled": len(doubled), "people": len(twice), "counts": restore["counts"], **states})
    assert since.total() >= 24
    if assume == "unsent":
        assert doubled, "what left in the lost time leaves again"
        assert doubled <= named, "and is named"
        return
    assert doubled == set()
    assert twice == set(), "nor under another key, for those whose sign-up was told again"
    held = {key for key in since if key in {row.once_key for row in rows(installation, select(messages.c.once_key))}}
    mails = {row.once_key for row in rows(installation, select(messages.c.once_key).where(messages.c.channel == "email"))}
    assert held & mails <= named, "what left and cannot be asked for is listed"
    assert restore["counts"][assume] >= len(held & mails) + 8
