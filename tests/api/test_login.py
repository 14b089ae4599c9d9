"""One-time links, sessions, and what each role may do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from api.errors import Unauthorized
from api.login import COOKIE, SESSION_LIFE, exchange, member_of, mint_link
from crm.team import add_member
from engine.live import Engine
from models import LoginSession, LoginToken, Member

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

OURS = {"origin": "http://testserver"}


def link(engine: Engine, role: str | None = None) -> str:
    """The path of a fresh login link; for the first admin unless a role is named."""
    now = engine.clock.now()
    member_id = None
    if role:
        with engine.db.write() as session:
            member_id = add_member(session, "Somebody", f"{role}@example.org", role, now).id
    return mint_link(engine.db, now, "", member_id)


def log_in(client: TestClient, engine: Engine, role: str | None = None) -> None:
    answer = client.post(link(engine, role))
    assert answer.status_code == 303


def test_a_link_logs_in_once(client: TestClient, engine: Engine) -> None:
    path = link(engine)
    answer = client.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/api/v1/journeys").status_code == 200
    client.cookies.clear()
    assert client.post(path).status_code == 401
    assert client.get("/api/v1/journeys").status_code == 401


def test_looking_at_a_link_does_not_use_it_up(client: TestClient, engine: Engine) -> None:
    path = link(engine)
    for _ in range(3):
        page = client.get(path, headers={"accept-language": "de-CH"})
        assert "<button>" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
    assert client.post(path).status_code == 303


def test_links_and_sessions_end(engine: Engine) -> None:
    now = engine.clock.now()
    token = link(engine).rpartition("/")[2]
    with pytest.raises(Unauthorized):
        exchange(engine.db, token, now + timedelta(minutes=16))
    cookie, member = exchange(engine.db, token, now)
    assert member.role == "admin"
    assert member_of(engine.db, cookie, now + SESSION_LIFE - timedelta(minutes=1)) is not None
    assert member_of(engine.db, cookie, now + SESSION_LIFE) is None


def test_neither_link_nor_cookie_is_stored(client: TestClient, engine: Engine) -> None:
    token = link(engine).rpartition("/")[2]
    client.post(f"/login/{token}")
    with engine.db.read() as session:
        rows = [*session.scalars(select(LoginToken)), *session.scalars(select(LoginSession))]
    stored = "".join(row.model_dump_json() for row in rows)
    assert len(rows) == 2
    assert token not in stored
    assert client.cookies[COOKIE] not in stored


def test_logging_out_ends_the_session_itself(client: TestClient, engine: Engine) -> None:
    log_in(client, engine)
    cookie = client.cookies[COOKIE]
    assert client.post("/logout").status_code == 204
    assert member_of(engine.db, cookie, engine.clock.now()) is None


def test_a_member_who_left_is_out(client: TestClient, engine: Engine) -> None:
    log_in(client, engine)
    with engine.db.write() as session:
        member = session.scalars(select(Member)).one()
        member.active = False
        session.add(member)
    assert client.get("/api/v1/journeys").status_code == 401


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://testserver.evil.example"])
def test_a_cookie_changes_nothing_from_foreign_pages(client: TestClient, engine: Engine, origin: str | None) -> None:
    log_in(client, engine)
    headers = {"origin": origin} if origin else {}
    answer = client.post("/api/v1/keys", json={"kind": "write", "name": "Shop"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert client.post("/api/v1/keys", json={"kind": "write", "name": "Shop"}, headers=OURS).status_code == 201


@pytest.mark.parametrize(
    ("role", "method", "path", "body", "status"),
    [
        ("viewer", "GET", "/api/v1/journeys", None, 200),
        ("viewer", "POST", "/api/v1/contacts", {"fields": {"email": "a@example.org"}}, 403),
        ("sales", "POST", "/api/v1/contacts", {"fields": {"email": "a@example.org"}}, 201),
        ("sales", "POST", "/api/v1/journeys", {"document": {"spec": 1, "key": "k", "name": "K"}}, 403),
        ("marketer", "POST", "/api/v1/journeys", {"document": {"spec": 1, "key": "k", "name": "K"}}, 201),
        ("marketer", "GET", "/api/v1/keys", None, 403),
        ("tester", "PUT", "/api/v1/settings/tracking", {"level": "none"}, 403),
        ("engineer", "DELETE", "/api/v1/contacts/some-id", None, 403),
        ("admin", "GET", "/api/v1/keys", None, 200),
    ],
)
def test_roles_are_checked_by_the_server(
    client: TestClient, engine: Engine, role: str, method: str, path: str, body: object, status: int
) -> None:
    log_in(client, engine, role)
    assert client.request(method, path, json=body, headers=OURS).status_code == status


def test_tries_without_a_session_are_limited(client: TestClient) -> None:
    statuses = [client.get("/api/v1/journeys", headers={"authorization": f"Bearer guess-{n}"}).status_code for n in range(40)]
    assert set(statuses) == {401, 429}
