"""Nothing leads from an address of ours to somewhere else: whatever stands in whichever parameter."""

from __future__ import annotations

import re
import warnings
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.auth.login import COOKIE, exchange, mint_link
from builder_ui.app.host import is_page
from engine.engine import Engine

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # see conftest
    from fastapi.testclient import TestClient

OURS = "http://testserver"
HOSTILE = (
    "https://evil.example/ui/",
    "//evil.example/ui/",
    "/\\evil.example/ui/",
    "\\\\evil.example",
    "/ui/\\..\\..//evil.example",
    "https:evil.example",
    "http://testserver@evil.example/ui/",
    "http://testserver.evil.example/ui/",
    "javascript:alert(1)//ui/",
    "data:text/html,x",
    "/ui/\r\nSet-Cookie: a=b",
    "/ui/\nLocation: https://evil.example",
    "\t//evil.example",
    "/ui/\u2028x",
    "https://еvil.example/ui/",
    "///evil.example/ui/",
    "/.//evil.example",
)
USUAL = (
    "from",
    "next",
    "return",
    "return_to",
    "returnUrl",
    "redirect",
    "redirect_uri",
    "url",
    "to",
    "back",
    "goto",
    "continue",
    "dest",
    "q",
)
FIELDS = {"email": "a@example.org", "password": "x", "again": "x", "code": "1", "proof": "x", "name": "x", "key": "x", "old": "x"}


def leads_away(location: str) -> bool:
    """As a browser reads it: blanks before it do not count, and a backslash is a slash."""
    parts = urlsplit(location.strip().replace("\\", "/"))
    return bool(parts.netloc or parts.scheme) and f"{parts.scheme}://{parts.netloc}" != OURS


@pytest.mark.parametrize("text", [*HOSTILE, "/ui/" + "a" * 997])
def test_no_address_of_a_page_leads_away(text: str) -> None:
    assert not is_page(text)


@pytest.mark.parametrize("text", ["/ui/", "/ui/" + "a" * 996, "/ui/journeys", "/ui/contacts?q=a%20b&page=2", "/ui/journeys/größe/edit"])
def test_our_own_pages_are_known(text: str) -> None:
    assert is_page(text)


@pytest.mark.parametrize("logged_in", [False, True])
def test_no_route_leads_away_whatever_it_is_asked(app: FastAPI, client: TestClient, engine: Engine, logged_in: bool) -> None:
    if logged_in:
        token = mint_link(engine.db, engine.clock.now(), "").rpartition("/")[2]
        client.cookies.set(COOKIE, exchange(engine.db, engine.address_keys, token, engine.clock.now())[0])
    led, away = set(), []
    routes = [one for one in app.router.routes if isinstance(one, APIRoute) and not one.path.startswith(("/api/", "/v1/"))]
    for route in routes:
        declared = {one.alias for one in route.dependant.query_params}
        path = re.sub(r"{[^}]*}", "de", route.path)
        for method in route.methods & {"GET", "POST"} if "logout" not in path else ():
            for text in HOSTILE if "from" in declared or "/ui/" in path else HOSTILE[:2]:
                sent = dict.fromkeys({*USUAL, *declared}, text)
                data = {**sent, **FIELDS} if method == "POST" else None
                answer = client.request(method, path, params=sent, data=data, headers={"origin": OURS, "referer": "https://evil.example/"})
                location = answer.headers.get("location")
                if location is not None:
                    led.add(path)
                    away += [(method, path, text, location)] if leads_away(location) else []
                away += [(method, path, text, "header")] if "a=b" in answer.headers.get("set-cookie", "") else []
    assert away == []
    assert led
