"""A client that was written for the version before is refused with the name of today, and what it was told then works."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI

from api.http import former


def test_a_key_of_a_body_that_was_renamed_is_named(admin: Any) -> None:
    body = {"names": [{"kind": "user_id", "value": "u1"}], "fields": {"email": "ada@example.org"}}
    refused = admin.post("/api/v1/contacts", json=body)
    assert refused.status_code == 422
    said = refused.json()["error"]["details"]["issues"][0]["message"]
    assert said == "There is no “names” here any more: it is called “identifiers” now."
    again = {("identifiers" if key == "names" else key): value for key, value in body.items()}
    assert admin.post("/api/v1/contacts", json=again).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "today"),
    [
        ("PUT", "/api/v1/journeys/0123/place", "/api/v1/journeys/0123/labels"),
        ("POST", "/api/v1/suppressions/lift", "/api/v1/suppressions/unsuppress"),
    ],
)
def test_an_address_that_was_renamed_is_named(admin: Any, method: str, path: str, today: str) -> None:
    refused = admin.request(method, path, json={})
    assert refused.status_code in (404, 405)
    assert refused.json()["error"]["message"] == f"This address is called {today} now."


def test_nothing_else_is_told(admin: Any) -> None:
    for method, path in (("GET", "/api/v1/suppressions/lift"), ("PUT", "/api/v1/journeys/a/b/place"), ("POST", "/lift")):
        assert "is called" not in admin.request(method, path).text
    assert former.field("names", ("folder",)) is None


def test_what_is_told_is_there(app: FastAPI) -> None:
    there = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    for method, pattern, today in former.ADDRESSES:
        example = re.sub(r"[(){]|\[\^/\]\+", lambda found: "{journey_id}" if "[" in found[0] else "", pattern.pattern)
        new = former.address(method, example)
        assert (method, new) in there, (method, example, today)
