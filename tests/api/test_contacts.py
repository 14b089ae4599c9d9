"""A contact's life through the admin interface, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models import Database

Send = Callable[..., Any]
BASE = "/api/v1/contacts"


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_db")


@pytest.fixture
def ada(admin: Any) -> dict[str, Any]:
    body = {
        "identifiers": [{"kind": "user_id", "value": "u1"}],
        "fields": {"email": "Ada@Example.org", "first_name": "Ada", "last_name": "Lovelace", "plan": "pro"},
    }
    answer = admin.post(BASE, json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_a_contact_is_made_found_and_changed(admin: Any, ada: dict[str, Any]) -> None:
    assert {"kind": "email", "value": "ada@example.org"} in ada["identifiers"]
    assert ada["lead_source"]["first"] == ada["lead_source"]["last"]
    assert (ada["lead_source"]["first"]["kind"], ada["lead_source"]["first"]["utm_source"]) == ("api", None)
    assert [row["id"] for row in admin.get(BASE, params={"text": "ada"}).json()["items"]] == [ada["id"]]
    assert admin.get(BASE, params={"text": "grace"}).json()["items"] == []
    change = {"fields": {"plan": None, "city": "Bern"}, "add_tags": ["vip"], "add_points": {"engagement": 5}}
    changed = admin.patch(f"{BASE}/{ada['id']}", json=change).json()
    assert (changed["attributes"], changed["tags"], changed["scores"]) == ({"city": "Bern"}, ["vip"], {"engagement": 5.0})
    assert admin.get(BASE, params={"tag": "vip"}).json()["items"][0]["id"] == ada["id"]


def test_somebody_known_is_not_made_twice(admin: Any, ada: dict[str, Any]) -> None:
    answer = admin.post(BASE, json={"fields": {"email": "ada@example.org"}})
    assert (answer.status_code, answer.json()["error"]["details"]["contact_id"]) == (409, ada["id"])


def test_a_wrong_field_is_named_and_nothing_is_written(admin: Any, ada: dict[str, Any]) -> None:
    answer = admin.patch(f"{BASE}/{ada['id']}", json={"fields": {"city": "Bern", "email": "no address"}})
    assert (answer.status_code, answer.json()["error"]["details"]["issues"][0]["field"]) == (422, "email")
    assert admin.get(f"{BASE}/{ada['id']}").json()["attributes"] == {"plan": "pro"}


def test_an_edit_of_something_that_changed_meanwhile_is_refused(admin: Any, ada: dict[str, Any]) -> None:
    etag = admin.get(f"{BASE}/{ada['id']}").headers["etag"]
    assert admin.patch(f"{BASE}/{ada['id']}", json={"fields": {"plan": "free"}}, headers={"if-match": etag}).status_code == 200
    assert admin.patch(f"{BASE}/{ada['id']}", json={"fields": {"plan": "max"}}, headers={"if-match": etag}).status_code == 409


def test_several_numbers_are_stated_by_people_and_by_servers(admin: Any, track: Send, ada: dict[str, Any]) -> None:
    place = f"{BASE}/{ada['id']}"
    changed = admin.patch(place, json={"fields": {"phones": ["+41791111111", "+41792222222"]}}).json()
    assert (changed["phone"], changed["phones"]) == ("+41791111111", ["+41791111111", "+41792222222"])
    track("identify", {"userId": "u1", "traits": {"phones": "+41793333333, +41 79 111 11 11"}})
    assert admin.get(place).json()["phones"] == ["+41791111111", "+41793333333"]
    refused = admin.patch(place, json={"fields": {"phones": [f"+4179000000{n}" for n in range(10)] + ["+41799999999"]}})
    assert (refused.status_code, refused.json()["error"]["details"]["issues"][0]["code"]) == (422, "too_many")


def test_lists_are_paged_to_the_end(admin: Any, track: Send) -> None:
    track("batch", {"batch": [{"type": "track", "userId": f"u{n}", "event": "E"} for n in range(25)]})
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = admin.get(BASE, params={"limit": 10} | ({"cursor": cursor} if cursor else {})).json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert len(seen) == len(set(seen)) == 25


def test_consent_is_a_log(admin: Any, ada: dict[str, Any]) -> None:
    path = f"{BASE}/{ada['id']}/consents"
    granted = {"channel": "email", "state": "granted", "source": "fair", "wording": "Yes, please", "proof": {"ip": "203.0.113.77"}}
    assert admin.post(path, json=granted).status_code == 201
    now = admin.post(path, json={"channel": "email", "state": "withdrawn"}).json()
    assert [(row["channel"], row["state"]) for row in now] == [("email", "withdrawn")]
    log = admin.get(path).json()
    assert [row["state"] for row in log] == ["granted", "withdrawn"]
    assert log[0]["proof"]["ip"] == "203.0.113.0"


def test_a_program_that_repeats_an_old_yes_takes_back_no_withdrawal(admin: Any, ada: dict[str, Any]) -> None:
    path = f"{BASE}/{ada['id']}/consents"
    admin.post(path, json={"channel": "email", "state": "withdrawn"})
    (kept,) = admin.post(path, json={"channel": "email", "state": "granted"}).json()
    assert kept["state"] == "withdrawn"
    (new,) = admin.post(path, json={"channel": "email", "state": "granted", "said_at": "2099-01-01T00:00:00Z"}).json()
    assert new["state"] == "granted"


def test_the_story_has_everything_in_pages(admin: Any, track: Send, ada: dict[str, Any]) -> None:
    track("batch", {"batch": [{"type": "track", "userId": "u1", "event": f"E{n}"} for n in range(5)]})
    path = f"{BASE}/{ada['id']}/timeline"
    first = admin.get(path, params={"limit": 3, "kind": "event"}).json()
    rest = admin.get(path, params={"cursor": first["next"], "kind": "event"}).json()
    names = [item["data"]["name"] for item in [*first["items"], *rest["items"]]]
    assert names[:5] == ["E4", "E3", "E2", "E1", "E0"]
    assert admin.get(path, params={"cursor": "nonsense"}).status_code == 422


def test_an_address_is_suppressed_and_let_in_again(admin: Any) -> None:
    address = {"channel": "email", "address": "ada@example.org"}
    assert admin.post("/api/v1/suppressions", json=address).json() == {"suppressed": True, "reason": "manual"}
    assert admin.post("/api/v1/suppressions/lookup", json={**address, "address": "ADA@example.org"}).json()["suppressed"]
    admin.post("/api/v1/suppressions/unsuppress", json={**address, "why": "new opt-in"})
    assert not admin.post("/api/v1/suppressions/lookup", json=address).json()["suppressed"]


def test_export_and_erasure(admin: Any, track: Send, ada: dict[str, Any]) -> None:
    track("track", {"userId": "u1", "event": "Order Completed", "properties": {"note": "for Ada"}})
    bundle = admin.get(f"{BASE}/{ada['id']}/export").json()
    assert bundle["contact"]["email"] == "ada@example.org"
    assert any(event["name"] == "Order Completed" for event in bundle["events"])
    answer = admin.delete(f"{BASE}/{ada['id']}").json()
    assert answer == {"id": ada["id"], "runs_ended": 0, "job_id": answer["job_id"]}
    left = admin.get(f"{BASE}/{ada['id']}/export").text.lower()
    assert "ada@" not in left
    assert "lovelace" not in left
    assert admin.get(BASE).json()["items"] == []


@pytest.mark.parametrize("path", ["", "/export", "/timeline", "/consents"])
def test_nobody_is_not_found(admin: Any, path: str) -> None:
    answer = admin.get(f"{BASE}/unknown{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def colleagues(admin: Any) -> list[str]:
    """Two contacts with one switchboard number; nobody is refused for it."""
    made = []
    for name in ("Ada", "Ben"):
        body = {"identifiers": [{"kind": "user_id", "value": name}], "fields": {"first_name": name, "phone": "+41446681800"}}
        answer = admin.post(BASE, json=body)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
    return made


def test_possible_duplicates_are_merged_and_parted_again(admin: Any) -> None:
    one, other = colleagues(admin)
    [pair] = admin.get("/api/v1/duplicates").json()["items"]
    assert (pair["reason"], {row["id"] for row in pair["contacts"]}) == ("phone", {one, other})
    stranger = admin.post(f"/api/v1/duplicates/{pair['id']}/merge", json={"winner": "nobody"})
    assert stranger.status_code == 409
    assert admin.post(f"/api/v1/duplicates/{pair['id']}/merge", json={"winner": one}).json() == {"decided": "merged", "contact_id": one}
    assert admin.get(f"{BASE}/{other}").json()["id"] == one
    assert admin.get("/api/v1/duplicates").json()["items"] == []
    [line] = admin.get(f"{BASE}/{one}/merges").json()
    assert (line["contact_id"], line["can_be_undone"]) == (other, True)
    undone = admin.post(f"/api/v1/merges/{line['id']}/undo").json()
    assert undone == {"contact_id": one, "other_id": other, "left": []}
    assert [admin.get(f"{BASE}/{id}").json()["first_name"] for id in (one, other)] == ["Ada", "Ben"]
    assert admin.post(f"/api/v1/merges/{line['id']}/undo").status_code == 409
    assert admin.get("/api/v1/duplicates").json()["items"] == [], "remembered as different"


def test_that_two_are_not_the_same_person_is_remembered(admin: Any) -> None:
    colleagues(admin)
    [pair] = admin.get("/api/v1/duplicates").json()["items"]
    assert admin.post(f"/api/v1/duplicates/{pair['id']}/different").json() == {"decided": "different", "contact_id": None}
    assert admin.get("/api/v1/duplicates").json()["items"] == []
    assert admin.post(f"/api/v1/duplicates/{pair['id']}/merge", json={"winner": pair["contacts"][0]["id"]}).status_code == 409
    assert admin.post("/api/v1/duplicates/999999/different").status_code == 404


def test_an_address_of_another_account_makes_a_contact_of_its_own(admin: Any, ada: dict[str, Any]) -> None:
    body = {"identifiers": [{"kind": "user_id", "value": "u2"}], "fields": {"email": "ada@example.org"}}
    answer = admin.post(BASE, json=body)
    assert (answer.status_code, answer.json()["email"]) == (201, "ada@example.org")
    assert answer.json()["id"] != ada["id"]
