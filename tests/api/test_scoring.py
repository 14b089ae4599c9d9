"""Scoring over the interface."""

from __future__ import annotations

from typing import Any

from api.admin.scoring import EXAMPLE
from crm.catalogue import declare_field
from crm.scoring import models
from engine.jobs.worker import work_through
from engine.segments.evaluator import settle
from tests.api.conftest import TestClient
from tests.api.test_segments import person

MODELS = "/api/v1/scoring/models"
DEFINITION = {
    "rules": [{"id": "vip", "group": "fit", "points": 30, "rule": {"tag": "vip"}, "name": "Very important"}],
    "thresholds": [
        {"id": "high", "group": "fit", "at_least": 20, "name": "High", "actions": [{"kind": "update_contact", "add_tags": ["hot"]}]}
    ],
    "grading": {"letters": [30, 20, 10], "numbers": [30, 20, 10]},
}


def worked(engine: Any, key: str) -> None:
    with engine.db.read() as session:
        job = models.get(session, key).job
    work_through(engine, job)


def test_a_model_is_made_tried_changed_and_deleted(admin: TestClient, engine: Any) -> None:
    ann = person(admin)
    admin.patch(f"/api/v1/contacts/{ann}", json={"add_tags": ["vip"]})
    tried = admin.post("/api/v1/scoring/dry-run", json={"definition": DEFINITION}).json()
    assert tried == {
        "scored": 1,
        "grades": {"A4": 1},
        "above": {"high": 1},
        "crossed": {"high": 1},
        "examples": {"high": [ann]},
        "next": None,
    }
    made = admin.post(MODELS, json={"name": "Leads", "definition": DEFINITION})
    assert (made.status_code, made.json()["key"], made.json()["state"]) == (201, "leads", "scoring")
    worked(engine, "leads")
    one = admin.get(f"{MODELS}/leads").json()
    assert (one["state"], one["job"]["counts"]) == ("on", {"scored": 1, "booked": 1, "crossed": 1})
    assert admin.get("/api/v1/scoring/grades").json() == {"grades": {"A4": 1}}
    found = admin.get(f"/api/v1/contacts/{ann}/scores").json()
    assert (found["scores"], found["grade"], found["reached"][0]["threshold"]) == ({"fit": 30}, "A4", "high")
    assert [(row["points"], row["why"], row["rule"]) for row in found["items"]] == [(30, "changed", "vip")]
    of_it, of_nothing = (
        admin.post("/api/v1/scoring/dry-run", json={"key": "leads", **more}).json()["above"] for more in ({}, {"definition": {}})
    )
    assert (of_it, of_nothing) == ({"high": 1}, {}), "a definition without rules is one"
    more = {"rules": [{**DEFINITION["rules"][0], "points": 15}]}  # type: ignore[index,dict-item]
    assert admin.patch(f"{MODELS}/leads", json={"definition": more, "version": 9}).status_code == 409
    changed = admin.patch(f"{MODELS}/leads", json={"definition": more, "version": 1}).json()
    assert (changed["version"], changed["state"]) == (2, "scoring")
    worked(engine, "leads")
    first = admin.get(f"/api/v1/contacts/{ann}/scores", params={"limit": 1}).json()
    second = admin.get(f"/api/v1/contacts/{ann}/scores", params={"limit": 1, "cursor": first["next"]}).json()
    assert ([row["points"] for page in (first, second) for row in page["items"]], second["next"]) == ([-15, 30], None)
    assert (first["grade"], admin.get("/api/v1/scoring/grades").json()) == (None, {"grades": {}})
    assert admin.post(f"{MODELS}/leads/score").json()["version"] == 3
    assert admin.patch(f"{MODELS}/leads", json={"on": False}).json()["state"] == "off"
    assert admin.post(f"{MODELS}/leads/score").status_code == 409
    assert admin.delete(f"{MODELS}/leads").status_code == 204
    assert admin.get(f"{MODELS}/leads").status_code == 404
    assert admin.get(MODELS).json() == {"items": []}


def test_the_documented_example_is_a_model_and_what_is_wrong_has_its_place(admin: TestClient, engine: Any) -> None:
    ann = person(admin)
    wrong = admin.post(
        MODELS, json={"name": "x", "definition": {"rules": [{"id": "a", "group": "fit", "points": "many", "rule": {"tag": "x"}}]}}
    )
    assert (wrong.status_code, wrong.json()["error"]["details"]["issues"][0]["field"]) == (422, "rules.0.points")
    with engine.db.write() as session:
        declare_field(session, "country", "string", engine.clock.now())
    assert admin.patch(f"/api/v1/contacts/{ann}", json={"fields": {"country": "CH"}}).status_code == 200
    assert admin.post(MODELS, json={"name": "Example", "definition": EXAMPLE}).status_code == 201
    worked(engine, "example")
    settle(engine)
    assert admin.get(f"/api/v1/contacts/{ann}/scores").json()["scores"] == {"fit": 20}
