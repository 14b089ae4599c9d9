"""Segments over the interface."""

from __future__ import annotations

from typing import Any

from crm.segments import segments
from engine.jobs.worker import work_through
from engine.segments.evaluator import settle
from tests.api.conftest import TestClient

SEGMENTS = "/api/v1/segments"
VIP = {"tag": "vip"}


def person(admin: TestClient, name: str = "ann") -> str:
    made = admin.post("/api/v1/contacts", json={"fields": {"email": f"{name}@example.org"}})
    assert made.status_code in (200, 201), made.text
    id: str = made.json()["id"]
    return id


def fill(engine: Any, key: str) -> None:
    with engine.db.read() as session:
        job = segments.get(session, key).fill_job
    work_through(engine, job)


def test_a_segment_is_made_filled_asked_and_deleted(admin: TestClient, engine: Any) -> None:
    ann, bob = person(admin), person(admin, name="bob")
    assert admin.patch(f"/api/v1/contacts/{ann}", json={"add_tags": ["vip"]}).status_code == 200
    assert admin.post(f"{SEGMENTS}/count", json={"rule": VIP}).json() == {"count": 1, "sample": [ann]}
    made = admin.post(SEGMENTS, json={"name": "Very Important", "rule": VIP})
    assert (made.status_code, made.json()["key"], made.json()["state"]) == (201, "very-important", "filling")
    fill(engine, "very-important")
    one = admin.get(f"{SEGMENTS}/very-important").json()
    assert (one["state"], one["members"], one["fill"]["counts"]["entered"]) == ("live", 1, 1)
    assert [row["contact_id"] for row in admin.get(f"{SEGMENTS}/very-important/members").json()["items"]] == [ann]
    assert admin.get(f"/api/v1/contacts/{ann}/segments").json()["items"][0]["key"] == "very-important"
    why = admin.get(f"{SEGMENTS}/very-important/contacts/{bob}").json()
    assert (why["member"], why["terms"][0]["result"], why["flips_at"]) == (False, False, None)
    admin.patch(f"/api/v1/contacts/{bob}", json={"add_tags": ["vip"]})
    settle(engine)
    [day] = admin.get(f"{SEGMENTS}/very-important/growth").json()["items"]
    assert (day["entered"], day["left"], day["members"]) == (2, 0, 2)
    changed = admin.patch(f"{SEGMENTS}/very-important", json={"rule": {"tag": "other"}}).json()
    assert (changed["version"], changed["state"]) == (2, "filling")
    fill(engine, "very-important")
    assert admin.get(SEGMENTS).json()["items"][0]["members"] == 0
    assert admin.post(f"{SEGMENTS}/very-important/fill").json()["version"] == 3
    assert admin.delete(f"{SEGMENTS}/very-important").status_code == 204
    assert admin.get(f"{SEGMENTS}/very-important").status_code == 404
    assert admin.post(SEGMENTS, json={"name": "Very Important", "rule": VIP}).json()["key"] == "very-important", "its key is free"


def test_a_list_is_kept_by_hand_and_pages(admin: TestClient) -> None:
    people = sorted(person(admin, name=f"p{number}") for number in range(3))
    assert admin.post(SEGMENTS, json={"name": "Guests"}).json()["kind"] == "static"
    assert admin.post(f"{SEGMENTS}/guests/members", json={"contacts": [*people, "nobody"]}).status_code == 204
    first = admin.get(f"{SEGMENTS}/guests/members", params={"limit": 2}).json()
    second = admin.get(f"{SEGMENTS}/guests/members", params={"limit": 2, "cursor": first["next"]}).json()
    assert [row["contact_id"] for row in (*first["items"], *second["items"])] == people
    assert second["next"] is None
    admin.post(SEGMENTS, json={"name": "Speakers"})
    admin.post(f"{SEGMENTS}/speakers/members", json={"contacts": people[:1]})
    assert admin.get(f"{SEGMENTS}/guests/overlap/speakers").json() == {"one": 3, "other": 1, "both": 1}
    assert admin.post(f"{SEGMENTS}/guests/members/remove", json={"contacts": people}).status_code == 204
    assert admin.get(f"{SEGMENTS}/guests").json()["members"] == 0


def test_what_is_wrong_is_said_with_its_place(admin: TestClient) -> None:
    admin.post(SEGMENTS, json={"name": "One", "rule": VIP})
    admin.post(SEGMENTS, json={"name": "Two", "rule": {"segment": "one"}})
    circle = admin.patch(f"{SEGMENTS}/one", json={"rule": {"segment": "two"}})
    assert circle.status_code == 422
    assert "one → two → one" in circle.text
    for rule in (
        {"field": "nobody_knows", "operator": "=", "value": 1},
        {"segment": "nowhere"},
        {"event": ""},
        {"message": "opened", "node": "x"},
        {"score": "luck", "operator": ">", "value": 1},
        {"consent": "email", "purpose": "fun", "value": "granted"},
        {"topic": "nowhere", "value": "withdrawn"},
    ):
        refused = admin.post(SEGMENTS, json={"name": "Wrong", "rule": rule})
        assert refused.status_code == 422, rule
        assert '"rule' in refused.text, refused.text
    [near] = admin.post(SEGMENTS, json={"name": "Wrong", "rule": {"rules": [VIP, {"segment": "onee"}]}}).json()["error"]["details"][
        "issues"
    ]
    assert (near["field"], "Did you mean “one”?" in near["message"]) == ("rule.rules.1.segment", True)
    assert admin.post(SEGMENTS, json={"name": "Two", "key": "two"}).status_code == 409
    assert admin.post(f"{SEGMENTS}/one/members", json={"contacts": ["x"]}).status_code == 409
    kept = admin.delete(f"{SEGMENTS}/one")
    assert (kept.status_code, "Two" in kept.text) == (409, True)
    assert [one["key"] for one in admin.get(f"{SEGMENTS}/one/uses").json()["items"]] == ["two"]


def test_a_journey_that_runs_keeps_its_segment(admin: TestClient) -> None:
    admin.post(SEGMENTS, json={"name": "Vip", "rule": VIP})
    document = {
        "spec": 1,
        "key": "hello",
        "name": "Hello",
        "entry": {"triggers": [{"type": "segment_entered", "segment": "vip"}]},
        "start": "day",
        "nodes": {"day": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
        "edges": [{"from": "day", "to": "end"}],
    }
    made = admin.post("/api/v1/journeys", json={"document": document})
    assert made.status_code == 201, made.text
    published = admin.post("/api/v1/journeys/hello/publish", json={})
    assert published.status_code in (200, 201), published.text
    [use] = admin.get(f"{SEGMENTS}/vip/uses").json()["items"]
    assert (use["kind"], use["key"]) == ("journey", "hello")
    assert admin.delete(f"{SEGMENTS}/vip").status_code == 409


def test_a_template_whose_rule_asks_keeps_its_segment(admin: TestClient) -> None:
    for key in ("vip", "old", "free"):
        admin.post(SEGMENTS, json={"name": key, "key": key, "rule": VIP})
    text = "{%% if rule({'rules': [{'segment': '%s', 'member': false}]}) %%}Hello{%% endif %%} segment"
    save(admin, text % "old")
    save(admin, text % "vip")
    assert admin.get(f"{SEGMENTS}/vip/uses").json()["items"] == [
        {"kind": "template", "key": "offer", "name": "Offer", "node": "", "field": ""}
    ]
    kept = admin.delete(f"{SEGMENTS}/vip")
    assert (kept.status_code, kept.json()["error"]["details"]["templates"], "Offer" in kept.text) == (409, ["offer"], True)
    assert admin.delete(f"{SEGMENTS}/old").status_code == 204, "nobody gets that version"
    assert admin.get(f"{SEGMENTS}/free/uses").json()["items"] == []


def save(admin: TestClient, text: str) -> None:
    there = admin.get("/api/v1/templates/offer")
    body = {"name": "Offer", "kind": "sms", "variants": {"default": {"text": text}}}
    saved = admin.put("/api/v1/templates/offer", json=body | ({"revision": there.json()["revision"]} if there.status_code == 200 else {}))
    assert saved.status_code in (200, 201), saved.text
