"""A provider account that takes nothing is seen wherever somebody looks: readiness, numbers, the interface."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.api.conftest import TestClient
from workspace import stopped_accounts

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_stopped_account_is_seen_and_can_be_tried(admin: TestClient, engine: Any) -> None:
    assert admin.get("/ready").json()["accounts_stopped"] == []
    with engine.db.write() as session:
        stopped_accounts.stop(session, "smtp.default", "smtp_535", NOW)
    ready = admin.get("/ready")
    assert (ready.status_code, ready.json()["status"], ready.json()["accounts_stopped"]) == (200, "degraded", ["smtp.default"])
    assert (
        'pfadwerk_account_stopped{account="smtp.default"} 1.0'
        in admin.get("/metrics", headers={"authorization": "Bearer read-my-numbers"}).text
    )
    [item] = admin.get("/api/v1/accounts/stopped").json()["items"]
    assert (item["account"], item["code"], item["probes"]) == ("smtp.default", "smtp_535", 0)
    assert admin.post("/api/v1/accounts/stopped/smtp.default/try", json={}).status_code == 204
    with engine.db.read() as session:
        row = stopped_accounts.find(session, "smtp.default")
    assert row is not None
    assert row.next_probe_at > NOW + stopped_accounts.PAUSE


def test_an_account_that_works_cannot_be_tried(admin: TestClient) -> None:
    assert admin.post("/api/v1/accounts/stopped/smtp.default/try", json={}).status_code == 404
