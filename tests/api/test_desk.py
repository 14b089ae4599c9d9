"""Tasks, templates, team, catalogue, settings, keys, secrets and the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from engine.engine import Engine
from models import Audit, OutboxItem

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

Send = Callable[..., Any]
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.first_name | default('you') }}</mj-text></mj-column></mj-section></mj-body></mjml>"
TEMPLATE = {"name": "Hello", "kind": "email", "message_class": "transactional", "variants": {"default": {"subject": "Hi", "mjml": MJML}}}


@pytest.fixture
def contact(admin: Any) -> str:
    return str(admin.post("/api/v1/contacts", json={"fields": {"email": "ada@example.org", "first_name": "Ada"}}).json()["id"])


@pytest.fixture
def member(admin: Any) -> str:
    return str(admin.post("/api/v1/members", json={"name": "Grace", "email": "grace@example.org", "role": "sales"}).json()["id"])


def test_a_task_is_taken_finished_and_told_to_journeys(admin: Any, contact: str, member: str) -> None:
    task = admin.post("/api/v1/tasks", json={"contact_id": contact, "title": "Call", "outcomes": ["reached", "not reached"]}).json()
    path = f"/api/v1/tasks/{task['id']}"
    assert admin.post(f"{path}/take", json={}).status_code == 422, "a key belongs to nobody"
    assert admin.post(f"{path}/take", json={"member_id": member}).json()["state"] == "taken"
    assert admin.get("/api/v1/tasks", params={"owner": member}).json()["items"][0]["id"] == task["id"]
    assert admin.post(f"{path}/reassign", json={"owner": None}).json()["state"] == "open"
    assert admin.post(f"{path}/finish", json={"outcome": "maybe"}).status_code == 422
    assert admin.post(f"{path}/finish", json={"outcome": "reached", "note": "ok"}).json()["state"] == "finished"
    assert admin.post(f"{path}/cancel", json={}).status_code == 409
    assert [change["what"] for change in admin.get(path).json()["changes"]] == ["created", "taken", "reassigned", "finished"]
    story = admin.get(f"/api/v1/contacts/{contact}/timeline", params={"kind": "event"}).json()["items"]
    assert story[0]["data"]["name"] == "Task Finished"
    assert story[0]["data"]["routed"]


def test_a_template_is_compiled_previewed_and_sent_to_oneself_only(admin: Any, engine: Engine, contact: str, member: str) -> None:
    saved = admin.put("/api/v1/templates/hello", json=TEMPLATE)
    assert (saved.status_code, saved.json()["version"]) == (200, 1)
    preview = admin.post("/api/v1/templates/hello/preview", json={"contact_id": contact}).json()
    assert "Hello Ada" in preview["html"]
    draft = {"variants": {"default": {"subject": "Hi", "mjml": MJML.replace("Hello", "Salut")}}}
    assert "Salut" in admin.post("/api/v1/templates/hello/preview", json=draft).json()["html"]
    sent = admin.post("/api/v1/templates/hello/test-send", json={"contact_id": contact, "member_id": member}).json()
    assert (sent["status"], sent["test"]) == ("sent", True)
    with engine.db.read() as session:
        assert [item.recipient for item in session.scalars(select(OutboxItem))] == ["grace@example.org"]
    shown = admin.get(f"/api/v1/messages/{sent['id']}").json()
    assert "Hello Ada" in shown["body"]["html"]
    assert admin.get("/api/v1/messages", params={"contact_id": contact}).json()["items"][0]["id"] == sent["id"]


def test_a_template_that_cannot_be_compiled_is_not_stored(admin: Any) -> None:
    broken = {**TEMPLATE, "variants": {"default": {"subject": "Hi", "mjml": "<mjml><mj-body>{{ oops"}}}
    answer = admin.put("/api/v1/templates/hello", json=broken)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["issues"]
    assert admin.get("/api/v1/templates/hello").status_code == 404


def test_template_versions_and_revisions(admin: Any) -> None:
    admin.put("/api/v1/templates/hello", json=TEMPLATE)
    second = {**TEMPLATE, "revision": 1, "variants": {"default": {"subject": "Hello", "mjml": MJML}}}
    assert admin.put("/api/v1/templates/hello", json=second).json()["version"] == 2
    assert admin.put("/api/v1/templates/hello", json=second).status_code == 409
    assert [row["number"] for row in admin.get("/api/v1/templates/hello/versions").json()["items"]] == [2, 1]
    assert admin.get("/api/v1/templates/hello/versions/1").json()["source"]["default"]["subject"] == "Hi"
    assert admin.delete("/api/v1/templates/hello").json()["archived_at"]
    assert admin.get("/api/v1/templates").json()["items"] == []
    assert admin.post("/api/v1/templates/hello/unarchive").json()["archived_at"] is None
    assert [row["key"] for row in admin.get("/api/v1/templates").json()["items"]] == ["hello"]


def test_templates_have_a_folder_and_tags(admin: Any) -> None:
    saved = admin.put("/api/v1/templates/hello", json={**TEMPLATE, "folder": "Spring", "tags": ["warm", "warm"]}).json()
    assert (saved["folder"], saved["tags"]) == ("Spring", ["warm"])
    again = admin.put("/api/v1/templates/hello", json=TEMPLATE).json()
    assert (again["folder"], again["tags"]) == ("Spring", ["warm"])
    assert len(admin.get("/api/v1/templates", params={"folder": "Spring"}).json()["items"]) == 1
    assert admin.get("/api/v1/templates", params={"folder": "Autumn"}).json()["items"] == []
    assert admin.put("/api/v1/templates/hello", json={**TEMPLATE, "tags": ["x"] * 21}).status_code == 422


def test_the_last_admin_stays(admin: Any, member: str) -> None:
    boss = admin.post("/api/v1/members", json={"name": "Ada", "email": "ada@example.org", "role": "admin"}).json()["id"]
    assert admin.patch(f"/api/v1/members/{boss}", json={"role": "viewer"}).status_code == 409
    assert admin.patch(f"/api/v1/members/{boss}", json={"active": False}).status_code == 409
    assert admin.get("/api/v1/members", params={"active": True}).json()[0]["role"] == "admin"
    assert admin.patch(f"/api/v1/members/{member}", json={"role": "admin"}).json()["role"] == "admin"
    assert admin.patch(f"/api/v1/members/{boss}", json={"role": "viewer"}).status_code == 200


def test_who_is_named_in_a_journey_that_runs_is_not_deactivated_by_mistake(admin: Any, member: str) -> None:
    admin.post("/api/v1/members", json={"name": "Ada", "email": "ada@example.org", "role": "admin"})
    document = {
        "spec": 1,
        "key": "calls",
        "name": "Calls",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": "call",
        "nodes": {"call": {"kind": "create_task", "title": "Call", "owner": member}, "end": {"kind": "exit"}},
        "edges": [{"from": "call", "to": "end"}],
    }
    assert admin.post("/api/v1/journeys", json={"document": document}).status_code == 201
    assert admin.post("/api/v1/journeys/calls/publish", json={}).status_code == 200
    refused = admin.patch(f"/api/v1/members/{member}", json={"active": False})
    assert refused.status_code == 409
    assert [(use["journey"], use["node"], use["field"]) for use in refused.json()["error"]["details"]["used_in"]] == [
        ("calls", "call", "owner")
    ]
    assert admin.patch(f"/api/v1/members/{member}", json={"name": "Grace H."}).json()["active"]
    assert not admin.patch(f"/api/v1/members/{member}", json={"active": False, "anyway": True}).json()["active"]
    assert admin.post("/api/v1/journeys/calls/publish", json={}).status_code == 422


def test_a_member_gets_a_link(admin: TestClient, member: str) -> None:
    url = admin.post(f"/api/v1/members/{member}/login-link").json()["url"]
    del admin.headers["authorization"]
    assert admin.post(url, headers={"origin": "http://testserver"}).status_code == 303
    assert admin.get("/api/v1/tasks", params={"owner": "me"}).status_code == 200


def test_rotations(admin: Any, member: str) -> None:
    assert admin.put("/api/v1/rotations/sales-ch", json={"members": [member]}).json()["turn"] == 0
    assert admin.put("/api/v1/rotations/sales-ch", json={"members": ["nobody"]}).status_code == 422
    assert [row["pool"] for row in admin.get("/api/v1/rotations").json()] == ["sales-ch"]


def test_the_catalogue_learns_from_traffic_and_can_be_told(admin: Any, track: Send) -> None:
    track("track", {"userId": "u1", "event": "Webinar Joined", "properties": {"seats": 3}})
    track("identify", {"userId": "u1", "traits": {"favourite": "blue"}})
    (event,) = admin.get("/api/v1/catalogue/events", params={"text": "Webinar J"}).json()
    assert (event["origin"], event["properties"]) == ("learned", {"seats": "number"})
    assert admin.get("/api/v1/catalogue/fields", params={"text": "favourite"}).json()[0]["type"] == "string"
    assert admin.put("/api/v1/catalogue/fields/plan_level", json={"type": "number"}).json()["origin"] == "declared"
    assert admin.delete("/api/v1/catalogue/fields/plan_level").status_code == 204
    assert admin.put("/api/v1/catalogue/events/Trial%20Ended", json={"properties": {"why": "string"}}).status_code == 200
    assert admin.delete("/api/v1/catalogue/events/Trial%20Ended").status_code == 204
    sentence = admin.post("/api/v1/catalogue/sentence", json={"rule": {"field": "plan", "operator": "=", "value": "pro"}}).json()
    assert "pro" in sentence["text"]


def test_settings_are_checked(admin: Any) -> None:
    assert admin.put("/api/v1/settings/tracking", json={"level": "clicks"}).json()["level"] == "clicks"
    assert admin.get("/api/v1/settings").json()["tracking"]["level"] == "clicks"
    assert admin.put("/api/v1/settings/tracking", json={"level": "everything"}).status_code == 422
    assert admin.get("/api/v1/settings/unknown").status_code == 404


def test_a_key_is_shown_once_used_rotated_and_revoked(admin: Any) -> None:
    made = admin.post("/api/v1/keys", json={"kind": "server", "name": "Shop"}).json()
    assert made["key"] not in admin.get("/api/v1/keys").text
    body = {"userId": "u1", "event": "E", "writeKey": made["key"]}
    without = {"authorization": ""}
    assert admin.post("/v1/track", json=body, headers=without).status_code == 200
    rotated = admin.post(f"/api/v1/keys/{made['id']}/rotate", json={"grace": "PT0S"}).json()
    assert admin.post("/v1/track", json=body, headers=without).status_code == 401
    assert admin.post("/v1/track", json={**body, "writeKey": rotated["key"]}, headers=without).status_code == 200
    assert admin.delete(f"/api/v1/keys/{rotated['id']}").json()["revoked_at"]
    assert admin.post("/v1/track", json={**body, "writeKey": rotated["key"]}, headers=without).status_code == 401


def test_secrets_go_in_and_never_come_out(admin: Any) -> None:
    assert admin.put("/api/v1/secrets/crm", json={"value": "s3cret-value"}).status_code == 204
    assert admin.get("/api/v1/secrets").json() == ["crm"]
    assert "s3cret" not in admin.get("/api/v1/audit").text
    assert admin.delete("/api/v1/secrets/crm").status_code == 204


def test_a_secret_that_a_running_journey_names_is_removed_by_who_says_so(admin: Any) -> None:
    admin.put("/api/v1/secrets/crm", json={"value": "s3cret-value"})
    hook = {"kind": "call_webhook", "url": "https://crm.example.com/", "headers": {"Authorization": {"secret": "crm", "prefix": "Bearer "}}}
    document = {
        "spec": 1, "key": "hooked", "name": "Hooked", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "hook",
        "nodes": {"hook": hook, "end": {"kind": "exit"}},
        "edges": [{"from": "hook", "outlet": outlet, "to": "end"} for outlet in ("ok", "failed")],
    }  # fmt: skip
    assert admin.post("/api/v1/journeys", json={"document": document}).status_code == 201
    assert admin.post("/api/v1/journeys/hooked/publish", json={}).status_code == 200
    refused = admin.delete("/api/v1/secrets/crm")
    assert refused.status_code == 409
    assert [(use["node"], use["field"]) for use in refused.json()["error"]["details"]["used_in"]] == [
        ("hook", "headers.Authorization.secret")
    ]
    assert admin.get("/api/v1/secrets").json() == ["crm"]
    assert admin.delete("/api/v1/secrets/crm?anyway=true").status_code == 204


def test_every_act_is_in_the_audit_trail(admin: Any, contact: str) -> None:
    admin.put("/api/v1/settings/tracking", json={"level": "none"})
    lines = admin.get("/api/v1/audit", params={"limit": 1}).json()
    assert lines["items"][0]["action"] == "setting.put"
    older = admin.get("/api/v1/audit", params={"cursor": lines["next"]}).json()["items"]
    assert [line["action"] for line in older] == ["contact.create"]
    assert "ada@" not in str(older)
    state = admin.get("/api/v1/audit/verify").json()
    assert (state["broken_at"], state["problem"], state["keyed_from"]) == (None, "", 1)


def test_a_trail_that_was_cut_shows_with_a_logged_head(admin: Any, contact: str, engine: Any) -> None:
    admin.put("/api/v1/settings/tracking", json={"level": "none"})
    logged = admin.get("/api/v1/audit/verify").json()["head"]
    number = int(logged.partition(":")[0])
    assert admin.get("/api/v1/audit/verify", params={"head": logged}).json()["broken_at"] is None
    with engine.db.write() as session:
        session.delete(session.get_one(Audit, number))
    assert admin.get("/api/v1/audit/verify").json()["broken_at"] is None
    state = admin.get("/api/v1/audit/verify", params={"head": f"audit head {logged}"}).json()
    assert (state["broken_at"], state["problem"]) == (number, "cut")
    assert admin.get("/api/v1/audit/verify", params={"head": "5"}).status_code == 422


def sharing(admin: Any) -> None:
    """A journey that runs and names a rotation, a purpose, a score and a class of caps."""
    admin.put("/api/v1/settings/purposes", json={"names": [{"key": "marketing"}, {"key": "fair"}]})
    admin.put("/api/v1/settings/score_groups", json={"names": [{"key": "engagement"}, {"key": "loyalty"}]})
    admin.put("/api/v1/settings/frequency_caps", json={"caps": [{"cap_class": "events", "count": 1, "per": "P1D"}]})
    document = {
        "spec": 1,
        "key": "sharing",
        "name": "Sharing",
        "settings": {"purpose": "fair", "cap_class": "events"},
        "entry": {"triggers": [{"type": "score", "group": "loyalty", "at_least": 5}]},
        "start": "share",
        "nodes": {"share": {"kind": "assign_owner", "pool": "team"}, "end": {"kind": "exit"}},
        "edges": [{"from": "share", "to": "end"}],
    }
    assert admin.post("/api/v1/journeys", json={"document": document}).status_code == 201
    assert admin.post("/api/v1/journeys/sharing/publish", json={}).status_code == 200


@pytest.mark.parametrize(
    ("path", "without", "place"),
    [
        ("settings/purposes", {"names": [{"key": "marketing"}]}, ("", "settings.purpose", "fair")),
        ("settings/score_groups", {"names": [{"key": "engagement"}]}, ("", "entry.triggers.0.group", "loyalty")),
        ("settings/frequency_caps", {"caps": []}, ("", "settings.cap_class", "events")),
        ("rotations/team", {"members": []}, ("share", "pool", "team")),
    ],
)
def test_what_a_running_journey_names_is_not_taken_away_by_mistake(
    admin: Any, member: str, path: str, without: dict[str, Any], place: tuple[str, str, str]
) -> None:
    assert admin.put("/api/v1/rotations/team", json={"members": [member]}).status_code == 200
    sharing(admin)
    before = admin.get("/api/v1/settings").json(), admin.get("/api/v1/rotations").json()
    refused = admin.put(f"/api/v1/{path}", json=without)
    assert refused.status_code == 409
    [use] = refused.json()["error"]["details"]["used_in"]
    assert (use["journey"], use["node"], use["field"], use["name"]) == ("sharing", *place)
    assert (admin.get("/api/v1/settings").json(), admin.get("/api/v1/rotations").json()) == before
    anyway = {"params": {"anyway": True}} if path.startswith("settings") else {}
    body = without if anyway else {**without, "anyway": True}
    assert admin.put(f"/api/v1/{path}", json=body, **anyway).status_code == 200


def test_what_is_used_and_not_listed_is_told(admin: Any) -> None:
    said = {"identifiers": [{"kind": "user_id", "value": "u9"}], "consents": [{"channel": "email", "purpose": "fair", "state": "granted"}]}
    assert admin.post("/api/v1/contacts", json={"identifiers": said["identifiers"]}).status_code in (200, 201)
    [contact] = admin.get("/api/v1/contacts").json()["items"]
    statement = {"channel": "email", "purpose": "fair", "state": "granted", "source": "fair"}
    assert admin.post(f"/api/v1/contacts/{contact['id']}/consents", json=statement).status_code in (200, 201)
    assert admin.get("/api/v1/settings/purposes/unlisted").json() == ["fair"]
    assert admin.get("/api/v1/settings/sender/unlisted").json() == []
    assert admin.get("/api/v1/settings/colour/unlisted").status_code == 404
