"""What every response carries, what every log line leaves out, and bodies that are refused before anybody reads them."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from api.app import create_app
from engine.engine import Engine
from settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # see conftest
    from fastapi.testclient import TestClient


def test_every_answer_has_an_id_and_security_headers(client: TestClient) -> None:
    for path in ("/health", "/api/v1/journeys", "/nowhere", "/v1/track", "/login/x"):
        headers = client.get(path).headers
        assert len(headers["x-request-id"]) == 32
        assert headers["x-content-type-options"] == "nosniff"
        # forms of ours need an Origin, which a browser leaves out under no-referrer
        assert headers["referrer-policy"] == ("same-origin" if path == "/login/x" else "no-referrer")
        assert "content-security-policy" in headers


def test_a_request_keeps_the_id_it_came_with_if_it_is_harmless(client: TestClient) -> None:
    assert client.get("/health", headers={"x-request-id": "trace-0123456789"}).headers["x-request-id"] == "trace-0123456789"
    assert client.get("/health", headers={"x-request-id": "a b<script>"}).headers["x-request-id"] != "a b<script>"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"), [("GET", "/nowhere", 404, "not_found"), ("DELETE", "/health", 405, "method_not_allowed")]
)
def test_addresses_nobody_knows(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path, headers={"origin": "http://testserver"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_logs_hold_no_people_and_no_tokens(admin: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="pfadwerk"):
        admin.get("/api/v1/contacts?text=ada@example.org")
        admin.post("/api/v1/contacts", json={"fields": {"email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace"}})
        admin.get("/login/very-secret-token")
        admin.get("/api/v1/contacts/ada@example.org")
    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert "/api/v1/contacts/{contact_id}" in lines
    assert "POST /api/v1/contacts 201" in lines
    assert "ada@" not in lines.lower()
    assert "lovelace" not in lines.lower()
    assert "very-secret" not in lines


def test_what_nobody_foresaw_is_answered_and_logged_without_its_text(
    app: FastAPI, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    person = "@".join(("ada", "example.org"))

    def broken() -> None:
        raise RuntimeError(person)

    app.add_api_route("/broken", broken)
    with caplog.at_level(logging.ERROR, logger="pfadwerk"):
        answer = client.get("/broken")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "error")
    assert "ada@" not in answer.text
    assert "ada@" not in caplog.text
    assert "RuntimeError" in caplog.text
    assert answer.json()["error"]["details"]["request_id"] in caplog.text


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b'{"document": NaN}', 400, "malformed"),
        (b'{"document": {"name": "\\u0000"}}', 400, "malformed"),
        (b'{"document": {"name": "\\\\u0000"}}', 200, None),
        (orjson.dumps({"document": {"ui": nested(70)}}), 413, "too_large"),
        (b'{"a":' * 100_000, 413, "too_large"),
        (b'"' + b'\\"' * 400_000, 400, "malformed"),
        (b" " * 4_194_305, 413, "too_large"),
        (b'{"document": 3}', 422, "invalid"),
        (b"{}", 422, "invalid"),
    ],
)
def test_bodies_of_the_admin_interface(admin: TestClient, body: bytes, status: int, code: str | None) -> None:
    answer = admin.post("/api/v1/journeys/check", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json().get("error", {}).get("code")) == (status, code)


def test_a_wrong_value_is_named_by_its_place(admin: TestClient) -> None:
    error = admin.post("/api/v1/contacts", json={"identifiers": [{"kind": "user_id"}]}).json()["error"]
    assert error["details"]["issues"][0]["place"] == "body.identifiers.0.value"
    assert "body.identifiers.0.value" in error["message"]


@pytest.mark.parametrize("path", ["/api/v1/contacts?text=%00", "/api/v1/contacts/a%00b"])
def test_the_character_that_no_database_stores_is_refused_in_addresses(admin: TestClient, path: str) -> None:
    assert admin.get(path).status_code == 400


def test_health_ready_and_metrics(client: TestClient, engine: Engine) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["database"], ready.json()["redis"]) == (200, "up", "not configured")
    client.get("/ui/contacts/019aa1b2")
    client.get("/ui/nowhere/019aa1b2")
    page = client.get("/metrics", headers={"authorization": "Bearer read-my-numbers"})
    assert page.headers["content-type"].startswith("text/plain")
    for name in (
        "pfadwerk_http_request_seconds_bucket",
        "pfadwerk_ingest_events_total",
        "pfadwerk_inbox_lag_seconds",
        "pfadwerk_segment_lag_seconds 0.0",
        "pfadwerk_ingest_backlog",
        'pfadwerk_open_runs{status="stuck"} 0.0',
        'pfadwerk_http_request_seconds_count{method="GET",route="/ui/contacts/{id}",status="4xx"} 1.0',
        'pfadwerk_http_request_seconds_count{method="GET",route="/ui/{path:path}",status="4xx"} 1.0',
    ):
        assert name in page.text


def test_without_redis_and_temporal_events_are_still_taken(settings: Settings, engine: Engine, write_key: str) -> None:
    async def nobody() -> Any:
        raise RuntimeError("nobody listens")

    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}), engine, connect=nobody)
    with TestClient(app) as client:
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert (ready.json()["temporal"], ready.json()["redis"]) == ("down", "down")
        assert client.post("/v1/track", json={"userId": "u1", "event": "E", "writeKey": write_key}).status_code == 200
