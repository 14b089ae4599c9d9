"""The real app over a real database; Temporal is replaced by a list of what would have been woken."""

from __future__ import annotations

import base64
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.tracking.write_keys import add_key
from engine.clock import Clock
from engine.engine import Engine
from engine.jobs.worker import JobWorker
from engine.temporal.wakeups import Wakeups
from journeys.nodes import Palette
from models import Database
from settings import Settings
from tests.toy_provider import accounts_of

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # starlette would like a client that is not released for httpx
    from fastapi.testclient import TestClient


@dataclass
class Woken:
    """Stands where Temporal stands."""

    wakeups: Wakeups = field(default_factory=Wakeups)

    async def wake(self, wakeups: Wakeups) -> None:
        self.wakeups.add(wakeups)


METRICS = "read-my-numbers"


@pytest.fixture
def db(sqlite_db: Database) -> Database:
    """What stands before the database does not hang on its kind; tests of what is stored ask for both kinds themselves."""
    return sqlite_db


@pytest.fixture(scope="session")
def usual_settings() -> Settings:
    """To copy: looking for a hundred variables in the environment takes longer than many a test."""
    return Settings(home=Path("unused"), database_url="sqlite:///unused.db", public_url="http://testserver", metrics_token=METRICS)


@pytest.fixture
def settings(usual_settings: Settings, tmp_path: Path) -> Settings:
    return usual_settings.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture
def engine(db: Database) -> Engine:
    return Engine(db, Clock(), Palette.built_in(), (b"k" * 32,))


@pytest.fixture
def woken() -> Woken:
    return Woken()


_described: list[dict[str, Any]] = []
"""What the app says of itself: made once, because it takes a second and hangs on no setting."""


def once_described(app: FastAPI) -> FastAPI:
    make = app.openapi

    def described() -> dict[str, Any]:
        if not _described:
            _described.append(make())
        return _described[0]

    app.openapi = described  # type: ignore[method-assign]
    return app


@pytest.fixture
def app(settings: Settings, engine: Engine, woken: Woken) -> FastAPI:
    return once_described(create_app(settings, engine, waker=woken, accounts=accounts_of(engine)))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Talks to the app as nobody."""
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


@pytest.fixture
def job_worker(engine: Engine, woken: Woken) -> Iterator[None]:
    """A worker's threads for background jobs, beside the web server."""
    jobs = JobWorker(engine, woken.wakeups.add)
    jobs.start()
    yield
    jobs.stop()


@pytest.fixture
def write_key(engine: Engine) -> str:
    with engine.db.write() as session:
        return add_key(session, "server", "Shop", engine.clock.now())[1]


@pytest.fixture
def browser_key(engine: Engine) -> str:
    with engine.db.write() as session:
        return add_key(session, "browser", "Web", engine.clock.now())[1]


@pytest.fixture
def admin(client: TestClient, admin_key: str) -> TestClient:
    """Talks to the app with an admin key."""
    client.headers["authorization"] = f"Bearer {admin_key}"
    return client


Send = Callable[..., Any]


@pytest.fixture
def track(client: TestClient, write_key: str) -> Send:
    """Posts to the tracking door with the write key; returns the response."""
    basic = base64.b64encode(f"{write_key}:".encode()).decode()

    def send(path: str, body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(f"/v1/{path}", json=body, headers={"authorization": f"Basic {basic}", **named})

    return send


@pytest.fixture
def live_url(settings: Settings, engine: Engine, woken: Woken) -> Iterator[str]:
    """The app behind a real uvicorn on a free port of this machine, whose address is its public one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with serving(create_app(settings.model_copy(update={"public_url": url}), engine, waker=woken), listening):
            yield url


@contextmanager
def serving(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """Runs an app behind a real uvicorn as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert httpx.get(f"{url}/health", timeout=10).status_code == 200  # the socket listens already: this waits until it is served
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def admin_key(engine: Engine) -> str:
    with engine.db.write() as session:
        return add_key(session, "admin", "Tests", engine.clock.now())[1]
