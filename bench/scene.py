"""Where benchmarks play: a real Temporal server, the receiver of mails, and child processes over fresh SQLite databases."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import reference
from bench.serve import RECEIVER_PORT
from commands.process import Process, Program, python
from commands.servers import LOOPBACK, free_port, start_temporal
from engine.engine import Engine
from models import Database
from settings import Settings
from worker import build_engine

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60


@dataclass
class Workspace:
    """One fresh database with what was published into it, and the settings that its processes share."""

    settings: Settings
    db: Database
    engine: Engine

    def ids(self, count: int) -> list[str]:
        """So many new contacts."""
        return reference.add_contacts(self.db, count)


@dataclass
class Scene:
    """The servers that run through a whole benchmark."""

    folder: Path
    temporal: Process
    receiver_port: int
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def workspace(self, document: Mapping[str, Any] | None = None, **settings: Any) -> Iterator[Workspace]:
        """A new workspace in which `document` is live; `settings` are further ones."""
        home = self.folder / f"workspace-{next(self._numbers)}"
        home.mkdir()
        shutil.copyfile(self._base(), home / "pfadwerk.db")
        chosen = Settings.load(
            home=home,
            temporal_address=self.temporal.address,
            channels={"email": {"provider": "http_fake"}},
            secret_key="k1:" + "bench" * 10,
            log_level="warning",
            port=free_port(),
            **settings,
        )
        db = Database(chosen.database_url)
        try:
            engine = build_engine(chosen, db, [])
            if document is not None:
                reference.publish(engine, dict(document))
            yield Workspace(chosen, db, engine)
        finally:
            db.close()

    @contextmanager
    def child(self, name: str, settings: Settings) -> Iterator[Process]:
        """A process of `bench.serve` that is ready, stopped at the end."""
        process = _child(name, settings.home, {**settings.environment(), RECEIVER_PORT: str(self.receiver_port)})
        with process:
            if name in ("api", "callbacks"):
                _wait_for_port(process, settings.port)
            else:
                process.wait_ready(READY_SECONDS)
            yield process

    def ask(self, path: str) -> Any:
        """What the receiver answers: /-/count, /-/times; /-/clear forgets."""
        connection = http.client.HTTPConnection(LOOPBACK, self.receiver_port, timeout=30)
        try:
            connection.request("GET", path)
            text = connection.getresponse().read()
            return json.loads(text) if text else None
        finally:
            connection.close()

    def _base(self) -> Path:
        """An empty database to copy; migrating one takes seconds."""
        base = self.folder / "base.db"
        if not base.exists():
            db = reference.fresh_database(base)
            with db.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()
        return base


@contextmanager
def open_scene() -> Iterator[Scene]:
    """Starts the servers and stops them at the end; nothing is left behind."""
    with TemporaryDirectory(prefix="pfadwerk-bench-") as name:
        folder = Path(name)
        port = free_port()
        environment = {RECEIVER_PORT: str(port)}
        with start_temporal(folder / "temporal") as temporal, _child("receiver", folder, environment) as receiver:
            receiver.wait_ready(READY_SECONDS)
            yield Scene(folder, temporal, port)


def _child(name: str, folder: Path, environment: Mapping[str, str]) -> Process:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    program = Program(name, python("-m", "bench.serve", name), environment={**environment, "PYTHONPATH": path})
    return Process(program, folder / f"{name}.log")


def _wait_for_port(process: Process, port: int) -> None:
    from commands.servers import is_free

    process.program = Program(process.program.name, process.program.command, is_ready=lambda: not is_free(port))
    process.wait_ready(READY_SECONDS)
