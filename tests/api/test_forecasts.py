"""What an act would bring about, asked by API before it is done; and an act that is told what was looked at."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import func, select

from api.admin.journeys import DOCUMENT
from crm.consent.consent import Evidence, record_consent
from engine.engine import Engine
from models import Contact, Message, Refusal, Run
from workspace import settings as workspace

BASE = "/api/v1/journeys/news"
JOURNEY: dict[str, Any] = {
    **DOCUMENT,
    "key": "news",
    "entry": {"triggers": [{"type": "manual"}], "filter": {"field": "last_name", "operator": "!=", "value": "Out"}},
    "start": "text",
    "nodes": {"text": {"kind": "send_sms", "text": "Hello"}, **DOCUMENT["nodes"]},
    "edges": [*({"from": "text", "outlet": outlet, "to": "pause"} for outlet in ("sent", "skipped", "failed")), *DOCUMENT["edges"]],
}


@pytest.fixture
def journey(admin: Any, engine: Engine) -> None:
    """Live, with five people: two agreed, one did not, one has no number, one may not enter."""
    now = engine.clock.now()
    with engine.db.write() as session:
        workspace.put(session, "quiet_hours", {"enabled": False, "channels": []}, "test", now)
        for number, agreed, name in (("1", True, "A"), ("2", True, "B"), ("3", False, "C"), (None, True, "D"), ("5", True, "Out")):
            phone = f"+4144668180{number}" if number else None
            contact = Contact(phone=phone, last_name=name, created_at=now, updated_at=now)
            session.add(contact)
            session.flush()
            if agreed:
                record_consent(session, contact.id, "sms", "marketing", "granted", now, evidence=Evidence.DATED, source="test")
    assert admin.post("/api/v1/journeys", json={"document": JOURNEY}).status_code == 201
    assert admin.post(f"{BASE}/publish", json={}).json()["number"] == 1


def count(engine: Engine, table: Any) -> int:
    with engine.db.read() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_an_enrolment_is_foretold(admin: Any, engine: Engine, journey: None) -> None:
    found = admin.post(f"{BASE}/enrol/preview", json={}).json()
    assert (found["version"], found["count"], found["judged"], found["would_enter"], found["refused"]) == (1, 5, 5, 4, {"filter": 1})
    assert sorted(one["reason"] or "" for one in found["sample"]) == ["", "", "", "", "filter"]
    ahead = found["forecast"]
    [text] = ahead["messages"]
    assert (text["node"], text["channel"], text["now"], text["held"]) == ("text", "sms", 2, {})
    assert text["skipped"] == {"no_consent": 1, "no_address": 1}
    assert (ahead["exact"], ahead["begins"], ahead["due_now"], ahead["waits"]) == (True, 4, 2, {"pause": 4})
    assert len(ahead["named"]["skipped:text:no_consent"]) == 1
    assert (count(engine, Run), count(engine, Refusal), count(engine, Message)) == (0, 0, 0), "a look writes nothing"


def test_nobody_and_nothing(admin: Any, engine: Engine, journey: None) -> None:
    nobody = {"rule": {"field": "last_name", "operator": "=", "value": "Nobody"}}
    found = admin.post(f"{BASE}/enrol/preview", json=nobody).json()
    assert (found["count"], found["would_enter"], found["forecast"]["messages"]) == (0, 0, [])
    assert admin.post("/api/v1/journeys", json={"document": DOCUMENT}).status_code == 201
    assert admin.post("/api/v1/journeys/welcome/enrol/preview", json={}).status_code == 409, "never published"


def test_an_enrolment_after_another_version_went_live_is_refused(admin: Any, engine: Engine, journey: None) -> None:
    looked_at = admin.post(f"{BASE}/enrol/preview", json={}).json()["version"]
    revision = admin.get(BASE).json()["revision"]
    changed = {**JOURNEY, "nodes": {**JOURNEY["nodes"], "text": {"kind": "send_sms", "text": "Good day"}}}
    assert admin.put(f"{BASE}/draft", json={"document": changed, "revision": revision}).status_code == 200
    assert admin.post(f"{BASE}/publish", json={}).json()["number"] == 2
    refused = admin.post(f"{BASE}/enrol/bulk", json={"version": looked_at})
    assert (refused.status_code, refused.json()["error"]["details"]["version"]) == (409, 2)
    assert admin.post(f"{BASE}/enrol/bulk", json={"version": 2}).status_code == 202


def test_a_publication_is_foretold_and_only_what_was_looked_at_goes_live(admin: Any, engine: Engine, journey: None) -> None:
    rule = {"field": "last_name", "operator": "!=", "value": "C"}
    entry = {**JOURNEY["entry"], "triggers": [{"type": "schedule", "cron": "0 8 * * *", "rule": rule}]}
    revision = admin.get(BASE).json()["revision"]
    admin.put(f"{BASE}/draft", json={"document": {**JOURNEY, "entry": entry}, "revision": revision})
    found = admin.post(f"{BASE}/publish/preview").json()
    assert (found["version"], found["revision"], found["state"], found["inside"]) == (2, revision + 1, "live", {})
    [coming] = found["coming"]
    assert (coming["trigger"], coming["at_least"], coming["forecast"]["refused"]) == ("schedule", False, {"filter": 1})
    [text] = coming["forecast"]["messages"]
    assert (text["now"], text["skipped"]) == (2, {"no_address": 1})
    admin.put(f"{BASE}/draft", json={"document": JOURNEY, "revision": revision + 1})
    assert admin.post(f"{BASE}/publish", json={"revision": found["revision"]}).status_code == 409
    assert admin.post(f"{BASE}/publish", json={"revision": revision + 2}).status_code == 200


def test_what_cannot_be_published_lists_its_problems(admin: Any, journey: None) -> None:
    assert admin.post("/api/v1/journeys", json={"document": {"spec": 1, "key": "empty", "name": "Empty"}}).status_code == 201
    refused = admin.post("/api/v1/journeys/empty/publish/preview")
    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["issues"]


@pytest.mark.usefixtures("job_worker")
def test_a_move_is_foretold(admin: Any, engine: Engine, journey: None) -> None:
    assert admin.post(f"{BASE}/enrol/bulk", json={}).status_code == 202
    until = time.monotonic() + 60
    while admin.get("/api/v1/jobs").json()["items"][0]["state"] != "done":
        assert time.monotonic() < until, "the job is still not done"
        time.sleep(0.02)
    revision = admin.get(BASE).json()["revision"]
    document = {**JOURNEY, "exit_when": [{"rule": {"field": "last_name", "operator": "=", "value": "D"}}]}
    admin.put(f"{BASE}/draft", json={"document": document, "revision": revision})
    admin.post(f"{BASE}/publish", json={})
    found = admin.post(f"{BASE}/migrations/preview", json={"from_version": 1, "to_version": 2}).json()
    ahead = found["forecast"]
    assert (found["open_runs"], ahead["population"], ahead["begins"]) == (4, 4, 0)
    assert ahead["refused"] == {"in_flight": 4}, "no worker has seen to their messages yet"
