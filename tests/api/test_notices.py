"""Stuck runs and notices as programs see them: the metric, the list, a test."""

from __future__ import annotations

from typing import Any

from models import Journey, Run, Version
from tests.api.conftest import TestClient
from workspace import notices


def stuck_run(engine: Any, now: Any, key: str) -> None:
    with engine.db.write() as session:
        from crm.people.identity import resolve

        contact_id = resolve(session, [("user_id", key)], now).contact_id
        journey = Journey(key=key, name=key.title(), draft={}, created_at=now, updated_at=now)
        session.add(journey)
        session.flush()
        version = Version(journey_id=journey.id, number=1, document={}, digest="d", published_at=now, published_by="test")
        session.add(version)
        session.flush()
        session.add(
            Run(
                journey_id=journey.id, version_id=version.id, version_number=1, contact_id=contact_id, status="stuck", node="hello",
                reason="KeyError", started_at=now, updated_at=now,
            )
        )  # fmt: skip


def test_stuck_runs_are_a_metric_by_journey(admin: TestClient, engine: Any) -> None:
    stuck_run(engine, engine.clock.now(), "calm")
    numbers = admin.get("/metrics", headers={"authorization": "Bearer read-my-numbers"}).text
    assert 'pfadwerk_stuck_runs{journey="calm"} 1.0' in numbers


def test_a_test_is_listed_with_its_ways(admin: TestClient, engine: Any) -> None:
    assert admin.get("/api/v1/notices").json() == {"items": []}
    assert admin.post("/api/v1/notices/test", json={}).status_code == 204
    assert admin.post("/api/v1/notices/test", json={}).status_code == 204
    with engine.db.write() as session:
        [notice] = notices.due(session, engine.clock.now())
        notices.settle(session, notice, [("webhook", "")], engine.clock.now())
    [item] = admin.get("/api/v1/notices").json()["items"]
    assert (item["topic"], item["state"], [way["route"] for way in item["ways"]]) == ("test", "told", ["webhook"])


def test_the_setting_refuses_an_address_that_is_none(admin: TestClient) -> None:
    for address in ("hooks.example.org", "ftp://example.org", "https://user@example.org", "https://[::1", "https://"):
        answer = admin.put("/api/v1/settings/notices", json={"webhook": address})
        assert answer.status_code == 422, address
        assert ("no user name" if "@" in address else "https://") in answer.text
    assert admin.put("/api/v1/settings/notices", json={"webhook": "https://hooks.example.org/x?y=1"}).status_code == 200
