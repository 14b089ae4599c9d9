"""Everything a journey needs, as processes of their own that can be killed at any instant, and two receivers that never die."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from temporalio.client import Client

from activities.sending.ledger import messages
from api.tracking.write_keys import add_key
from commands import servers
from commands.process import Process, Program, ServerFailed, last_lines, python
from engine.runs.rows import runs
from models import Database
from settings import Settings
from tests.forkserver import Forked, ForkServer

HERE = Path(__file__).parent
NAMESPACE = "pfadwerk"


class Installation:
    """Starts everything on free ports in `folder`; what is down is started again by `look_after`, which the test calls often."""

    infrastructure = ("temporal", "redis")
    receivers: tuple[str, ...] = ("smtp", "http")
    workers: tuple[str, ...] = ("worker",)
    worker_module = "tests.kill.lookup_worker"

    def __init__(self, forks: ForkServer, folder: Path, database_url: str, seed: int, keeper_interval: str = "PT1S") -> None:
        self.forks = forks
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ports = {name: servers.free_port() for name in (*self.infrastructure, "web", *self.receivers)}
        self.settings = Settings(
            home=folder,
            database_url=database_url,
            temporal_address=f"127.0.0.1:{self.ports['temporal']}",
            redis_url=f"redis://127.0.0.1:{self.ports['redis']}/0",
            port=self.ports["web"],
            smtp_host="127.0.0.1",
            smtp_port=self.ports["smtp"],
            smtp_tls="none",
            smtp_timeout_seconds=3.0,
            keeper_interval=keeper_interval,
            secret_key="k1:" + "k" * 40,
            log_level="warning",
            **self.sending(),
        )
        self.db = Database(database_url, pool_size=5)
        with self.db.write() as session:
            self.write_key = add_key(session, "server", "Shop", datetime.now(UTC))[1]
        self.random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.in_flight = 0
        self._programs = self._makers(seed)
        self._processes: dict[str, Process] = {}
        self._due: dict[str, float] = {}

    def sending(self) -> dict[str, Any]:
        """The settings that say who carries the channels."""
        return {"channels": {"email": {"provider": "smtp"}, "sms": {"provider": "http_fake"}}}

    @property
    def mortal(self) -> tuple[str, ...]:
        return (*self.workers, "web", *self.infrastructure)

    def _makers(self, seed: int) -> dict[str, Callable[[], Program]]:
        environment = {
            **self.settings.environment(),
            "PFADWERK_TEST_RECEIVER_PORT": str(self.ports[self.receivers[-1]]),
            "PYTHONPATH": str(HERE.parents[1]),
        }
        return {
            **{name: partial(self._receiver, name, seed) for name in self.receivers},
            **{name: partial(Program, name, [self.worker_module], environment=environment) for name in self.workers},
            "redis": lambda: servers.redis_program(self._home("redis"), self.ports["redis"], binary=servers.redis_binary()),
            "temporal": lambda: servers.temporal_program(
                self._home("temporal"), self.ports["temporal"], namespaces=[NAMESPACE], binary=servers.temporal_binary()
            ),
            "web": lambda: Program("web", ["cli", "api"], environment=environment, is_ready=lambda: not servers.is_free(self.ports["web"])),
        }

    def _home(self, name: str) -> Path:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def _receiver(self, kind: str, seed: int) -> Program:
        port = self.ports[kind]
        command = python(
            str(HERE / "receivers.py"), kind, str(port), str(self.folder / f"{kind}.received"), str(seed), str(self.ports["web"])
        )
        return Program(kind, command, is_ready=lambda: not servers.is_free(port))

    # --- living and dying ---

    def start(self) -> None:
        for together in ((*self.receivers, *self.infrastructure), (*self.workers, "web")):
            for name in together:
                self._start(name)
            for name in together:
                self._await_ready(name)

    def _start(self, name: str) -> None:
        program, log = self._programs[name](), self.folder / f"{name}.log"
        self._processes[name] = Forked(self.forks, program, log) if name in (*self.workers, "web") else Process(program, log)

    def _await_ready(self, name: str) -> None:
        try:
            self._processes[name].wait_ready(60)
        except ServerFailed:  # Temporal picks one of its ports itself, and somebody else may be quicker
            self._start(name)
            self._processes[name].wait_ready(60)

    def kill(self, name: str, back_after: float) -> None:
        """SIGKILL now, a new start after so many seconds. Sends that the worker was at are counted."""
        self._processes[name].kill()
        self.kills[name] += 1
        self._due[name] = time.monotonic() + back_after
        if name in self.workers:
            self.in_flight += self.claimed()

    def look_after(self) -> None:
        """Starts what is due, and what ended by itself (a worker does, where no Temporal answers)."""
        for name in self.mortal:
            if name not in self._due and not self._processes[name].is_alive():
                self._processes[name].kill()  # nothing but its descriptors
                self._due[name] = time.monotonic() + 0.3
            if name in self._due and time.monotonic() >= self._due[name]:
                del self._due[name]
                self._start(name)

    def is_up(self, name: str) -> bool:
        return name not in self._due and self._processes[name].is_alive()

    def lose_temporal(self) -> None:
        """Kills the server and removes all it knew; an empty one with the same name starts in its place."""
        self._processes["temporal"].kill()
        for file in self._home("temporal").glob("temporal.db*"):
            file.unlink()
        self._start("temporal")
        self._await_ready("temporal")

    def stop_mortals(self, *names: str) -> None:
        """SIGKILL; they stay down until `start_again`."""
        for name in names:
            self._processes[name].kill()
            self._due[name] = float("inf")

    def start_again(self, *names: str) -> None:
        for name in names:
            del self._due[name]
            self._start(name)
        for name in names:
            self._await_ready(name)

    def stop(self) -> None:
        for name in (*self.workers, "web", *self.infrastructure, *self.receivers):
            if name in self._processes:
                self._processes[name].kill()
        self.db.close()

    def last_words(self) -> str:
        return "\n".join(f"{name}:\n{last_lines(self.folder / f'{name}.log', 30)}" for name in (*self.workers, "web", "temporal"))

    # --- counting ---

    def claimed(self) -> int:
        """Sends that are in flight, or in doubt."""
        with self.db.read() as session:
            return session.execute(select(func.count()).where(messages.c.status == "claimed")).scalar_one()

    def open_workflows(self) -> int:
        async def count() -> int:
            client = await Client.connect(self.settings.temporal_address, namespace=NAMESPACE)
            return (await client.count_workflows("ExecutionStatus = 'Running'")).count

        return asyncio.run(count())

    def count_runs(self, *, only_open: bool = False) -> int:
        with self.db.read() as session:
            found = select(func.count()).select_from(runs)
            return session.execute(found.where(runs.c.ended_at.is_(None)) if only_open else found).scalar_one()

    def received(self, what: str = "got") -> Counter[str]:
        """What the receivers wrote down; keys as the ledger writes them."""
        count: Counter[str] = Counter()
        for name in self.receivers:
            file = self.folder / f"{name}.received"
            for line in file.read_text().splitlines() if file.exists() else ():
                kind, key = line.split(" ", 1)
                if kind == what:
                    count[key.replace(".", ":")] += 1
        return count


@dataclass
class Shop:
    """Sends events through the tracking door, as client libraries do: with message ids, again and again until the door says yes."""

    port: int
    write_key: str
    acknowledged: set[str] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)
    _gave_up: threading.Event = field(default_factory=threading.Event)

    def plan(self, at: float, batch: list[dict[str, Any]]) -> None:
        """Sends `batch` at the monotonic instant `at`, from a thread of its own."""
        thread = threading.Thread(target=self._send, args=(at, batch), daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def give_up(self) -> None:
        self._gave_up.set()
        for thread in self._threads:
            thread.join(10)

    def _send(self, at: float, batch: list[dict[str, Any]]) -> None:
        self._gave_up.wait(max(0.0, at - time.monotonic()))
        while not self._gave_up.is_set():
            if self._post(batch):
                self.acknowledged.update(call["messageId"] for call in batch)
                return
            self._gave_up.wait(0.2)

    def _post(self, batch: list[dict[str, Any]]) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            body = json.dumps({"batch": batch, "writeKey": self.write_key})
            connection.request("POST", "/v1/batch", body, {"Content-Type": "application/json", "X-Strict-Mode": "1"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
        if answer.status in (400, 401, 413, 422):
            print(answer.status, text, file=sys.stderr)
        return answer.status == 200
