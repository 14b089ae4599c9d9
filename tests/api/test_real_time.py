"""Staging may run on another day and faster: what keeps strangers out goes by the world's time all the same."""

from __future__ import annotations

import ast
import inspect
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest

from api.auth import access, login
from api.auth.login import mint_link
from engine.clock import Clock
from engine.engine import Engine
from models import Member
from workspace import passwords, second_factor
from workspace.api_keys import add_key, rotate_key
from workspace.members import add_member

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # see conftest
    from fastapi.testclient import TestClient

OURS = {"origin": "http://testserver"}
PASSWORD = "correct horse battery staple"
DAYS = (-400, 800)


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """A workspace on another day, with a clock that runs sixty times as fast."""
    wind(engine, 400)
    return engine


def wind(engine: Engine, days: int, still_at: datetime | None = None) -> None:
    """`still_at`: real time stands still there, so that a slow machine waits nothing out."""
    now = still_at or datetime.now(UTC)
    clock = Clock(60.0, now, now + timedelta(days=days))
    engine.clock = clock if still_at is None else replace(clock, read=lambda: now)


@pytest.fixture
def grace(engine: Engine) -> str:
    with engine.db.write() as session:
        row = add_member(session, "Grace", "grace@example.org", "admin", engine.clock.now())
        row.password_hash = passwords.hash_of(PASSWORD)
        return row.id


def app_of(engine: Engine, member_id: str) -> pyotp.TOTP:
    """An authenticator app, which knows no time but the world's; set up an hour ago."""
    before = datetime.now(UTC) - timedelta(hours=1)
    with engine.db.write() as session:
        second_factor.begin(session, engine.address_keys, member_id, before)
        begun = second_factor.setup(session, engine.address_keys, session.get_one(Member, member_id), before)
        assert begun is not None
        app = pyotp.TOTP(begun.secret)
        second_factor.confirm(session, engine.address_keys, member_id, app.at(before), before)
    return app


def log_in(client: TestClient) -> str:
    answer = client.post("/login", data={"email": "grace@example.org", "password": PASSWORD}, headers=OURS)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_the_code_of_an_app_is_right_on_any_day_of_the_workspace(client: TestClient, engine: Engine, grace: str) -> None:
    app = app_of(engine, grace)
    path = log_in(client)
    assert path == "/login/code"
    assert client.post(path, data={"code": app.now()}, headers=OURS).status_code == 303
    assert client.get("/api/v1/journeys").status_code == 200


@pytest.mark.parametrize("days", DAYS)
def test_winding_the_workspace_logs_nobody_out_and_asks_for_no_new_proof(client: TestClient, engine: Engine, grace: str, days: int) -> None:
    log_in(client)
    wind(engine, days)
    assert client.get("/api/v1/journeys").status_code == 200
    assert client.put("/api/v1/secrets/hook", json={"value": "s3cret"}, headers=OURS).status_code == 204


@pytest.mark.parametrize("days", DAYS)
def test_a_link_lives_for_its_minutes_and_no_day_of_the_workspace_revives_it(
    client: TestClient, engine: Engine, grace: str, days: int
) -> None:
    fresh = mint_link(engine.db, datetime.now(UTC), "", grace)
    spent = mint_link(engine.db, datetime.now(UTC) - timedelta(minutes=16), "", grace)
    wind(engine, days)
    assert client.post(spent, headers=OURS).status_code == 401
    assert client.post(fresh, headers=OURS).status_code == 303


def test_links_made_here_are_good(client: TestClient, engine: Engine, grace: str) -> None:
    log_in(client)
    link = client.post(f"/api/v1/members/{grace}/password-link", json={}, headers=OURS).json()
    assert timedelta(minutes=59) < datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC) < timedelta(minutes=61)
    client.cookies.clear()
    assert client.get(link["url"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.parametrize("days", DAYS)
def test_a_lock_after_wrong_tries_is_not_waited_out_by_winding(client: TestClient, engine: Engine, grace: str, days: int) -> None:
    now = datetime.now(UTC)
    wind(engine, 400, now)
    wrong = [client.post("/login", data={"email": "grace@example.org", "password": "x"}, headers=OURS).status_code for _ in range(7)]
    assert wrong[-1] == 429
    wind(engine, days, now)
    answer = client.post("/login", data={"email": "grace@example.org", "password": PASSWORD}, headers=OURS)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) < 120


@pytest.mark.parametrize("days", DAYS)
def test_the_grace_of_a_rotated_key_is_real_time(client: TestClient, engine: Engine, days: int) -> None:
    now = datetime.now(UTC)
    with engine.db.write() as session:
        row, old = add_key(session, "admin", "Deploy", now - timedelta(days=2))
        rotate_key(session, row.id, now - timedelta(days=1), timedelta(hours=1))
        row, graced = add_key(session, "admin", "Other", now)
        rotate_key(session, row.id, now, timedelta(hours=1))
    wind(engine, days)
    assert client.get("/api/v1/journeys", headers={"authorization": f"Bearer {old}"}).status_code == 401
    assert client.get("/api/v1/journeys", headers={"authorization": f"Bearer {graced}"}).status_code == 200


@pytest.mark.parametrize("module", [access, login])
def test_what_lets_people_in_never_asks_the_clock_of_the_workspace(module: Any) -> None:
    tree = ast.parse(inspect.getsource(module))
    asked = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in ("now", "real_now")]
    assert set(asked) == {"real_now"}
