"""The real app over a real database; Temporal is replaced by a list of what would have been woken."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.keys import add_key
from engine.clock import Clock
from engine.live import Engine
from engine.wakeups import Wakeups
from journeys.nodes import Palette
from models import Database
from settings import Settings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # starlette would like a client that is not released for httpx
    from fastapi.testclient import TestClient


@dataclass
class Woken:
    """Stands where Temporal stands."""

    wakeups: Wakeups = field(default_factory=Wakeups)

    async def wake(self, wakeups: Wakeups) -> None:
        self.wakeups.add(wakeups)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", database_url="sqlite:///unused.db", public_url="http://testserver")


@pytest.fixture
def engine(db: Database) -> Engine:
    return Engine(db, Clock(), Palette.built_in(), b"k" * 32)


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def app(settings: Settings, engine: Engine, woken: Woken) -> FastAPI:
    return create_app(settings, engine, waker=woken)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """Talks to the app as nobody."""
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


@pytest.fixture
def write_key(engine: Engine) -> str:
    with engine.db.write() as session:
        return add_key(session, "write", "Shop", engine.clock.now())[1]


@pytest.fixture
def admin(client: TestClient, engine: Engine) -> TestClient:
    """Talks to the app with an admin key."""
    with engine.db.write() as session:
        key = add_key(session, "admin", "Tests", engine.clock.now())[1]
    client.headers["authorization"] = f"Bearer {key}"
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
