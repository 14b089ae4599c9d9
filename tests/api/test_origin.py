"""What changes something is asked for by our own pages: every address and every socket, unless it is on the list."""

from __future__ import annotations

import asyncio
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.websockets import WebSocketDisconnect

from api.auth import origin
from api.auth.login import COOKIE, exchange, mint_link
from api.auth.origin import EXEMPT, REFUSED, SAFE, Origin
from engine.engine import Engine
from tests.broken import broken, load

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


def passes(guard: type[Origin], kind: str, scheme: str, method: str, path: str, **headers: str) -> bool:
    """Whether a request gets through to what stands behind the guard of https://known.example."""
    reached: list[str] = []

    async def behind(scope: Any, _receive: Any, _send: Any) -> None:
        reached.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        return {"type": "http.request"}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "scheme": scheme, "path": path, "headers": raw} | ({"method": method} if kind == "http" else {})
    asyncio.run(guard(behind, "https://known.example/ui")(scope, nothing, nothing))
    return bool(reached)


KNOWN = {"host": "known.example", "origin": "https://known.example"}
EVIL = {"host": "known.example", "origin": "https://evil.example"}
INSIDE = {"host": "10.0.0.5:8000", "cookie": "a=b"}
KEY = {"authorization": "Bearer x"}
COOKIES = {"cookie": "a=b"}
CASES: list[tuple[bool, str, str, str, str, dict[str, str]]] = [
    (True, "http", "http", "POST", "/ui/x", {**INSIDE, "origin": "https://known.example"}),
    (True, "http", "http", "POST", "/ui/x", {**INSIDE, "origin": "http://10.0.0.5:8000"}),
    (False, "http", "https", "POST", "/ui/x", {**INSIDE, "origin": "http://10.0.0.5:8000"}),
    (True, "http", "https", "POST", "/ui/x", {**INSIDE, "origin": "https://10.0.0.5:8000"}),
    (False, "http", "http", "POST", "/ui/x", {**INSIDE, "origin": "https://10.0.0.5:8000"}),
    (True, "http", "https", "POST", "/ui/x", {**KNOWN, "sec-fetch-site": "same-origin"}),
    (False, "http", "https", "POST", "/ui/x", {**KNOWN, "sec-fetch-site": "cross-site"}),
    (False, "http", "https", "POST", "/ui/x", {"host": "known.example"}),
    (False, "http", "https", "POST", "/ui/x", EVIL),
    *((True, "http", "https", method, "/ui/x", EVIL) for method in ("GET", "HEAD", "OPTIONS")),
    *((False, "http", "https", method, "/ui/x", EVIL) for method in ("POST", "PUT", "DELETE")),
    *((True, "http", "https", "POST", start + "x", {**EVIL, **COOKIES}) for start in ("/v1/", "/u/", "/p/")),
    (True, "lifespan", "", "", "", {}),
    (True, "websocket", "wss", "", "/_x", {"host": "inside.example", "origin": "https://inside.example"}),
    (True, "websocket", "ws", "", "/_x", {"host": "inside.example", "origin": "http://inside.example"}),
    (False, "websocket", "ws", "", "/_x", {"host": "inside.example", "origin": "https://inside.example"}),
    (False, "websocket", "wss", "", "/_x", EVIL),
    (False, "websocket", "wss", "", "/v1/x", EVIL),
    (False, "websocket", "wss", "", "/api/v1/x", {**EVIL, **KEY}),
    (True, "http", "https", "POST", "/api/v1/x", {**EVIL, **KEY, **COOKIES}),
    (False, "http", "https", "POST", "/api/v1/x", {**EVIL, **COOKIES}),
    *(
        (False, "http", "https", "POST", "/api/v1/x", {**EVIL, **COOKIES, "authorization": empty})
        for empty in ("Bearer ", "Bearer", "Basic x")
    ),
    (True, "http", "https", "POST", "/api/v1/x", EVIL),  # neither key nor cookie: who asks is refused behind the guard
    *((False, "http", "https", "POST", path, {**EVIL, **KEY, **COOKIES}) for path in ("/ui/logout", "/login", "/api/v2/x")),
    *((False, "http", "https", "POST", path, EVIL) for path in ("/login", "/api/v2/x")),  # a log-in in a stranger's name needs no cookie
]
"""(whether it passes, kind, scheme, method, path, headers)"""


def decided_otherwise(guard: type[Origin]) -> list[str]:
    """The cases that a guard decides in another way."""
    return [f"{case[1:]}" for case in CASES if passes(guard, *case[1:5], **case[5]) != case[0]]


def test_who_gets_through_is_a_table() -> None:
    assert decided_otherwise(Origin) == []


def test_each_part_of_the_guard_is_needed() -> None:
    rules = dict(broken(Path(origin.__file__)))
    assert len(rules) > 20
    for text, module in rules.items():
        try:
            wrong = decided_otherwise(load(module, "origin")["Origin"])
        except KeyError:  # a socket has no method to ask for
            wrong = [text]
        assert wrong, f"nothing notices that this rule is gone: {text}"


def test_a_key_needs_no_origin_and_a_missing_one_is_401(logged_in: TestClient, admin_key: str) -> None:
    path = "/api/v1/journeys/check"
    assert logged_in.post(path, json={"document": {}}, headers={"authorization": f"Bearer {admin_key}"}).status_code == 200
    for empty in ("Bearer ", "Bearer", "Basic x"):
        assert is_refused(logged_in.post(path, json={"document": {}}, headers={"authorization": empty})), "the cookie would speak"
    logged_in.cookies.clear()
    assert logged_in.post(path, json={"document": {}}).status_code == 401
