"""What changes something is asked for by our own pages: every address and every socket, unless it is on the list."""

from __future__ import annotations

import asyncio
import re
import warnings
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.websockets import WebSocketDisconnect

from api.login import COOKIE, exchange, mint_link
from api.origin import EXEMPT, REFUSED, SAFE, Origin
from engine.live import Engine

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # see conftest
    from fastapi.testclient import TestClient

OURS = "http://testserver"
FOREIGN: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://testserver.evil.example"},
    {"origin": "https://testserver"},
    {},
    {"sec-fetch-site": "cross-site"},
    {"origin": OURS, "sec-fetch-site": "cross-site"},
    {"origin": OURS, "sec-fetch-site": "same-site"},
]


def filled(path: str) -> str:
    return re.sub(r"{[^}]+:int}", "1", path).replace("{path:path}", "ui/journeys").replace("{", "").replace("}", "")


def changing(app: FastAPI) -> list[tuple[str, str]]:
    """(method, address) of everything that may change something."""
    routes = [route for route in app.router.routes if isinstance(route, APIRoute)]
    return sorted((method, filled(route.path)) for route in routes for method in route.methods - set(SAFE))


@pytest.fixture
def logged_in(client: TestClient, engine: Engine) -> TestClient:
    token = mint_link(engine.db, engine.clock.now(), "").rpartition("/")[2]
    client.cookies.set(COOKIE, exchange(engine.db, engine.address_keys, token, engine.clock.now())[0])
    return client


def is_refused(answer: Any) -> bool:
    return answer.status_code == 403 and REFUSED in answer.text


def test_every_address_that_changes_something_refuses_foreign_pages(app: FastAPI, logged_in: TestClient) -> None:
    passed, exempt = [], set()
    found = changing(app)
    assert len(found) > 100
    for method, path in found:
        reason = next((start for start in EXEMPT if path.startswith(start)), None)
        exempt |= {reason} if reason else set()
        for headers in FOREIGN:
            if not reason and not is_refused(logged_in.request(method, path, headers=headers)):
                passed.append((method, path, headers))
    assert passed == []
    assert exempt == set(EXEMPT), "what is on the list is there, and its reason with it"
    assert all(len(reason) > 40 for reason in EXEMPT.values())


def test_what_is_on_the_list_is_open_to_others(app: FastAPI, logged_in: TestClient) -> None:
    for method, path in changing(app):
        if path.startswith(tuple(EXEMPT)):
            assert not is_refused(logged_in.request(method, path, headers={"origin": "https://shop.example"})), path


def test_our_own_pages_pass(app: FastAPI, logged_in: TestClient) -> None:
    refused = [
        (method, path)
        for method, path in changing(app)
        if path.startswith(("/ui/", "/login", "/password", "/prove"))
        and is_refused(logged_in.request(method, path, headers={"origin": OURS, "sec-fetch-site": "same-origin"}))
    ]
    assert refused == []


def test_an_address_that_is_added_later_is_guarded_too(app: FastAPI, logged_in: TestClient) -> None:
    app.add_api_route("/added/later", lambda: {"done": True}, methods=["POST"])
    assert is_refused(logged_in.post("/added/later"))
    assert logged_in.post("/added/later", headers={"origin": OURS}).json() == {"done": True}


@pytest.mark.parametrize("headers", FOREIGN)
def test_every_socket_refuses_foreign_pages(app: FastAPI, logged_in: TestClient, headers: dict[str, str]) -> None:
    paths = [filled(route.path) for route in app.router.routes if isinstance(route, APIWebSocketRoute)]
    assert paths
    for path in paths:
        with pytest.raises(WebSocketDisconnect) as refused, logged_in.websocket_connect(path, headers=headers):
            pass
        assert refused.value.code == 1008
        with logged_in.websocket_connect(path, headers={"origin": OURS}) as socket:
            assert socket.receive_json()


def passes(kind: str, scheme: str, path: str = "/ui/x", **headers: str) -> bool:
    """Whether a request gets through to what stands behind the guard of https://known.example."""
    reached: list[str] = []

    async def behind(scope: Any, _receive: Any, _send: Any) -> None:
        reached.append(scope["path"])

    async def nothing(*_: Any) -> Any:
        return {"type": "http.request"}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "scheme": scheme, "path": path, "headers": raw} | ({"method": "POST"} if kind == "http" else {})
    asyncio.run(Origin(behind, "https://known.example/")(scope, nothing, nothing))
    return bool(reached)


def test_the_known_address_is_ours_and_so_is_the_one_that_was_asked() -> None:
    inside = {"host": "10.0.0.5:8000"}
    assert passes("http", "http", origin="https://known.example", **inside)
    assert passes("http", "http", origin="http://10.0.0.5:8000", **inside)
    assert not passes("http", "https", origin="http://10.0.0.5:8000", **inside)
    assert passes("websocket", "wss", origin="https://inside.example", host="inside.example")
    assert not passes("websocket", "ws", origin="https://inside.example", host="inside.example")


def test_a_key_opens_the_admin_interface_alone() -> None:
    foreign = {"host": "known.example", "origin": "https://evil.example"}
    assert passes("http", "https", "/api/v1/journeys", authorization="Bearer x", cookie="a=b", **foreign)
    assert passes("http", "https", "/api/v1/journeys", **foreign), "neither key nor cookie: who asks is refused behind the guard"
    for path in ("/ui/logout", "/login", "/api/v2/journeys"):
        assert not passes("http", "https", path, authorization="Bearer x", cookie="a=b", **foreign)
        assert not passes("http", "https", path, **foreign), "a log-in in the name of a stranger needs no cookie"
    assert not passes("websocket", "wss", "/api/v1/live", authorization="Bearer x", **foreign)


def test_a_key_needs_no_origin_and_a_missing_one_is_401(logged_in: TestClient, admin_key: str) -> None:
    path = "/api/v1/journeys/check"
    assert logged_in.post(path, json={"document": {}}, headers={"authorization": f"Bearer {admin_key}"}).status_code == 200
    for empty in ("Bearer ", "Bearer", "Basic x"):
        assert is_refused(logged_in.post(path, json={"document": {}}, headers={"authorization": empty})), "the cookie would speak"
    logged_in.cookies.clear()
    assert logged_in.post(path, json={"document": {}}).status_code == 401
