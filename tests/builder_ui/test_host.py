"""The doors of the pages: who is let in, what the browser is told to forbid, and what a hostile socket can do (nothing)."""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.websockets import WebSocketDisconnect

from builder_ui import routes
from builder_ui.app import host
from builder_ui.kit import reactpy_compat
from models import Member, OutboxItem
from settings import Settings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # starlette would like a client that is not released for httpx
    from fastapi.testclient import TestClient


def sockets(client: Any, path: str, **headers: str) -> Any:
    return client.websocket_connect(f"ws://{client.base_url.netloc.decode()}/_reactpy/stream{path}", headers=headers)


def refused(client: Any, path: str, **headers: str) -> int:
    """The HTTP status with which a handshake is refused; a socket that was accepted first fails the test."""
    with pytest.raises(WebSocketDisconnect) as closed, sockets(client, path, **headers):
        pytest.fail("the socket was accepted")
    return closed.value.code


@pytest.fixture
def ours(settings: Settings) -> dict[str, str]:
    return {"origin": settings.public_url, "host": settings.public_url.removeprefix("http://")}


def test_a_socket_without_a_session_is_refused(client: Any, town: Any, ours: dict[str, str]) -> None:
    assert refused(client, "/ui/journeys", **ours) == 4401
    client.cookies.set("pfadwerk_session", "made-up")
    assert refused(client, "/ui/journeys", **ours) == 4401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "//", "http://[", "file://"])
def test_a_socket_from_another_site_is_refused(log_in: Any, ours: dict[str, str], origin: str) -> None:
    assert refused(log_in("admin"), "/ui/journeys", **{**ours, "origin": origin}) == 1008


def test_a_socket_without_an_origin_is_refused(log_in: Any, ours: dict[str, str]) -> None:
    assert refused(log_in("admin"), "/ui/journeys", host=ours["host"]) == 1008


def test_a_socket_for_no_page_is_refused(log_in: Any, ours: dict[str, str]) -> None:
    assert refused(log_in("admin"), "/ui/nowhere", **ours) == 4401
    assert refused(log_in("admin"), "/etc/passwd", **ours) == 4401


def test_a_member_who_is_out_is_refused(log_in: Any, town: Any, ours: dict[str, str]) -> None:
    client = log_in("viewer")
    with town.db.write() as session:
        session.execute(update(Member).where(Member.role == "viewer").values(active=False))
    assert refused(client, "/ui/journeys", **ours) == 4401
    assert client.get("/ui/journeys").status_code == 401


HOSTILE = [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"layout-event"',
    "{}",
    '{"type": "layout-event"}',
    '{"type": "layout-event", "target": 7, "data": []}',
    '{"type": "layout-event", "target": "x", "data": {}}',
    '{"type": "layout-event", "target": "x", "data": "y"}',
    '{"type": "layout-update", "target": "x", "data": []}',
    '{"type": "layout-event", "target": "x", "data": []}',
    '{"type": "layout-event", "target": "x", "data": [[[[[]]]]]}',
    '{"type": "layout-event", "target": "x", "data": [' + ",".join(["0"] * 50) + "]}",
    '{"type": "layout-event", "target": "' + "x" * 100_000 + '", "data": []}',
    "[" * 10_000,
]


def test_malformed_messages_change_nothing(log_in: Any, opened: Any, caplog: pytest.LogCaptureFixture) -> None:
    with opened(log_in("admin"), "/ui/journeys") as page:
        for text in HOSTILE:
            page.socket.send_text(text)
        page.socket.send_bytes(b"\x00\xff")
        pause = page.button("Pause now")
        page.send({"type": "layout-event", "target": pause, "data": ["too", "many", "arguments"]})
        page.see_until("The journey is paused.")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_open_socket_is_closed_when_the_session_ends(opened: Any, town: Any, settings: Settings) -> None:
    known = {"token": town.members["admin"]}

    def member(token: str, **_flags: bool) -> Member | None:
        with town.db.read() as session:
            return session.get(Member, known.get(token, ""))

    app = FastAPI()
    login = routes.Login(
        "pfadwerk_session",
        member,
        close=lambda token: None,
        require_proof=lambda token: None,
        hand_over=lambda answer, cookie: None,
        refused=lambda member, act: None,
    )
    app.include_router(routes.router(town.engine, login, lambda wakeups: None, settings.public_url, look_again_seconds=0.01))
    with TestClient(app, settings.public_url, cookies={"pfadwerk_session": "token"}) as client, opened(client, "/ui/contacts") as page:
        known.clear()
        with pytest.raises(WebSocketDisconnect) as closed:
            page.see()
    assert closed.value.code == 4401


def test_the_shell_carries_a_strict_policy_with_a_fresh_nonce(log_in: Any) -> None:
    client = log_in("admin")
    answers = [client.get("/ui/journeys") for _ in range(2)]
    nonces = {re.search(r"'nonce-([\w-]{20,})'", answer.headers["content-security-policy"])[1] for answer in answers}  # type: ignore[index]
    assert len(nonces) == 2
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        for tag in re.findall(r"<script[^>]*>", answer.text):
            assert 'nonce="' in tag
            assert "src=" in tag
        assert not re.search(r"\son\w+=|style=", answer.text)


@pytest.mark.parametrize("path", ["/ui/journeys/welcome/edit", "/ui/journeys/welcome/drawing", "/ui/gallery", "/ui/templates/welcome_1"])
def test_a_shell_has_its_files_fetched_while_the_socket_opens(log_in: Any, path: str) -> None:
    client = log_in("admin")
    files = re.findall(r'<link rel="(?:modulepreload|stylesheet)" href="([^"]*/(?:canvas|editor)-[^"]+)">', client.get(path).text)
    assert files
    assert {client.get(file).status_code for file in files} == {200}
    assert not re.search("canvas-|editor-", client.get("/ui/contacts").text)


def test_somebody_unknown_is_told_how_to_get_in(client: Any, town: Any) -> None:
    answer = client.get("/ui/journeys", headers={"accept-language": "fr, de;q=0.9"})
    assert answer.status_code == 401
    assert '<html lang="de">' in answer.text
    assert "<script" not in answer.text


def test_addresses_lead_somewhere(log_in: Any) -> None:
    client = log_in("viewer")
    assert client.get("/").headers["location"] == "/ui/journeys"
    assert client.get("/ui").headers["location"] == "/ui/journeys"
    assert client.get("/ui/nothing/here").status_code == 404
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_static_files_stay_in_the_cache_for_good(log_in: Any) -> None:
    client = log_in("viewer")
    page = client.get("/ui/journeys").text
    addresses = re.findall(r'(?:src|href)="((?:/ui/static|/_reactpy)[^"]+)"', page)
    assert {address.rpartition(".")[2] for address in addresses} == {"css", "js", "svg"}
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/ui/static/000000000000/pages.css").status_code == 404
    assert client.get("/_reactpy/assets/other.js").status_code == 404


def test_reactpy_writes_no_log_of_its_own() -> None:
    log = logging.getLogger("reactpy")
    assert log.handlers == []
    assert log.propagate
    assert reactpy_compat.CLIENT.exists()


def test_the_language_is_changed_only_from_our_own_pages(log_in: Any, ours: dict[str, str], town: Any) -> None:
    client = log_in("admin")
    assert client.post("/ui/language/de").status_code == 403
    assert client.post("/ui/language/de", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/ui/language/xx", headers=ours).status_code == 403
    answer = client.post("/ui/language/de?from=/ui/outbox", headers=ours)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/outbox")
    assert '<html lang="de">' in client.get("/ui/journeys").text


@pytest.mark.parametrize("back", ["//evil.example", "http://evil.example/ui/", "/ui\\..", "/other", "/ui/a\nb", ""])
def test_the_way_back_is_always_one_of_ours(log_in: Any, ours: dict[str, str], back: str) -> None:
    answer = log_in("admin").post("/ui/language/en", params={"from": back}, headers=ours)
    assert answer.headers["location"] == "/ui/journeys"


def test_logging_out_ends_the_session_on_the_server(log_in: Any, ours: dict[str, str]) -> None:
    client = log_in("admin")
    token = client.cookies["pfadwerk_session"]
    assert client.post("/ui/logout", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/ui/logout", headers=ours).status_code == 303
    client.cookies.set("pfadwerk_session", token)
    assert client.get("/ui/journeys").status_code == 401


HOSTILE_MAIL = (
    '<html><head></head><body><script>top.location="http://evil.example"</script><form action="http://evil.example"></form></body></html>'
)


def test_a_mail_is_shown_where_it_can_do_nothing(log_in: Any, client: Any, town: Any, settings: Settings) -> None:
    with town.db.write() as session:
        item = OutboxItem(idempotency_key="x", channel="email", recipient="a@example.org", html=HOSTILE_MAIL, accepted_at=town.now)
        session.add(item)
        session.flush()
        address = f"/ui/outbox/{item.id}/mail"
    assert client.get(address).status_code == 401
    answer = log_in("sales").get(address)
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-popups allow-popups-to-escape-sandbox;" in policy
    assert "default-src 'none'" in policy
    assert f"img-src 'self' {settings.public_url} data:" in policy
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert '<head><base target="_blank"></head>' in answer.text
    assert log_in("sales").get("/ui/outbox/999999/mail").status_code == 404


def test_a_page_is_read_no_faster_than_a_person_points() -> None:
    at = [0.0]
    pace = host.Pace(lambda: at[0])
    assert [pace.wait() for _ in range(300)] == [0.0] * 300
    waits = [pace.wait() for _ in range(60)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(1.0), "sixty more take a second"
    at[0] += 10
    assert pace.wait() == 0.0


def test_a_socket_waits_at_that_pace() -> None:
    class Socket:
        async def receive(self) -> dict[str, str]:
            return {"type": "websocket.receive", "text": '{"type": "layout-event", "target": "x", "data": []}'}

    async def read() -> float:
        receive, loop = host._receiver(Socket()), asyncio.get_running_loop()  # type: ignore[arg-type]
        before = loop.time()
        for _ in range(318):
            await receive()
        return loop.time() - before

    assert asyncio.run(read()) > 0.25, "eighteen more than at once, at sixty a second"
