"""Companies over the interface, and by group calls."""

from __future__ import annotations

from typing import Any, cast

from engine.companies.roller import Roller, settle
from engine.jobs.worker import work_through
from engine.segments.evaluator import settle as settle_segments
from models import Company, Event, Job
from storage import company_marks
from tests.api.conftest import TestClient

COMPANIES = "/api/v1/companies"


def person(admin: TestClient, name: str) -> str:
    id: str = admin.post("/api/v1/contacts", json={"fields": {"email": f"{name}@acme.example"}}).json()["id"]
    return id


def jobs(engine: Any, kind: str) -> None:
    with engine.db.read() as session:
        ids = [job.id for job in session.query(Job).filter(Job.kind == kind, Job.state == "running")]
    for id in ids:
        work_through(engine, id)


def test_a_company_is_made_changed_found_and_deleted(admin: TestClient, engine: Any) -> None:
    made = admin.post(
        COMPANIES, json={"name": "Acme AG", "external_id": "acme", "domains": ["https://www.ACME.example/de"], "fields": {"plan": "pro"}}
    )
    assert made.status_code == 201, made.text
    one = made.json()
    assert (one["domains"], one["external_ids"], one["fields"]) == (["acme.example"], ["acme"], {"plan": "pro"})
    id = one["id"]
    for taken in ({"external_id": "acme"}, {"domains": ["acme.example"]}):
        again = admin.post(COMPANIES, json={"name": "Other", **taken})
        assert (again.status_code, again.json()["error"]["details"]["company_id"]) == (409, id)
    assert admin.post(COMPANIES, json={"name": "X", "domains": ["not a domain"]}).status_code == 422
    assert admin.post(COMPANIES, json={"name": "X", "fields": {"members": 4}}).status_code == 422
    assert admin.post(COMPANIES, json={"name": "X", "owner": "nobody"}).status_code == 422
    assert admin.post(COMPANIES, json={"name": "X", "fields": {f"f{number}": 1 for number in range(10_000)}}).status_code == 422
    assert [row["id"] for row in admin.get(COMPANIES, params={"q": "acm"}).json()["items"]] == [id]
    changed = admin.patch(f"{COMPANIES}/{id}", json={"fields": {"plan": None, "seats": 3}, "version": one["version"]}).json()
    assert (changed["fields"], changed["version"]) == ({"seats": 3}, one["version"] + 1)
    assert admin.patch(f"{COMPANIES}/{id}", json={"name": "Late", "version": one["version"]}).status_code == 409
    ann = person(admin, "ann")
    assert admin.post(f"{COMPANIES}/{id}/members", json={"contacts": [ann, "nobody"]}).status_code == 204
    settle(engine)
    assert admin.get(f"{COMPANIES}/{id}").json()["members"] == 1
    assert admin.get(f"/api/v1/contacts/{ann}/company").json()["company"]["id"] == id
    assert admin.delete(f"{COMPANIES}/{id}").status_code == 204
    jobs(engine, "company_empty")
    assert admin.get(f"{COMPANIES}/{id}").status_code == 404
    assert admin.get(f"/api/v1/contacts/{ann}/company").json()["company"] is None
    assert admin.post(COMPANIES, json={"name": "Acme AG", "external_id": "acme"}).status_code == 201, "what it was known by is free"


def test_two_become_one_and_their_people_come_along(admin: TestClient, engine: Any) -> None:
    one, other = (admin.post(COMPANIES, json={"name": name, "domains": [f"{name}.example"]}).json() for name in ("one", "other"))
    ann = person(admin, "ann")
    assert admin.put(f"/api/v1/contacts/{ann}/company", json={"company_id": other["id"]}).json()["source"] == "api"
    merged = admin.post(f"{COMPANIES}/{one['id']}/merge", json={"other": other["id"]})
    assert merged.json()["domains"] == ["one.example", "other.example"], merged.text
    assert admin.get(f"{COMPANIES}/{other['id']}").json()["id"] == one["id"], "ids outlive it"
    jobs(engine, "company_move")
    settle(engine)
    assert [row["contact_id"] for row in admin.get(f"{COMPANIES}/{one['id']}/members").json()["items"]] == [ann]
    assert admin.get(f"{COMPANIES}/{one['id']}").json()["members"] == 1
    assert admin.post(f"{COMPANIES}/{one['id']}/merge", json={"other": other["id"]}).status_code == 409, "it is the same by now"


def test_lists_are_sorted_and_go_on_at_a_cursor(admin: TestClient) -> None:
    for name in ("b", "a", "c"):
        admin.post(COMPANIES, json={"name": name})
    for sort in ("name", "created", "members", "revenue", "active"):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = admin.get(COMPANIES, params={"limit": 1, "sort": sort, **({"cursor": cursor} if cursor else {})}).json()
            seen += [row["name"] for row in page["items"]]
            cursor = page["next"]
        assert sorted(seen) == ["a", "b", "c"], sort
    assert [row["name"] for row in admin.get(COMPANIES).json()["items"]] == ["a", "b", "c"]
    assert len(admin.get(COMPANIES, params={"cursor": "no such row"}).json()["items"]) == 3


def test_upserting_is_idempotent_and_tells_what_is_left_out(admin: TestClient) -> None:
    said = {"external_id": "acme", "domain": "acme.example", "name": "Acme", "fields": {"plan": "pro", "score": 3}}
    first, second = (admin.post(f"{COMPANIES}/upsert", json=said).json() for _ in range(2))
    assert (first["created"], second["created"]) == (True, False)
    assert first["company"] | {"updated_at": None} == second["company"] | {"updated_at": None}
    assert first["refused"] == {"score": "read_only"}
    assert admin.post(f"{COMPANIES}/upsert", json={"domain": "acme.example"}).json()["company"]["id"] == first["company"]["id"]
    assert admin.post(f"{COMPANIES}/upsert", json={"external_id": "acme-2", "domain": "acme.example"}).json()["created"], (
        "another id, another company"
    )
    assert admin.post(f"{COMPANIES}/upsert", json={"name": "undefined", "fields": {}}).status_code == 200
    assert admin.post(f"{COMPANIES}/upsert", json={"external_id": "null"}).status_code == 422


def test_group_calls_make_companies_that_rules_ask_for(admin: TestClient, client: TestClient, engine: Any, write_key: str) -> None:
    admin.post("/api/v1/segments", json={"name": "Acme", "rule": {"field": "company.name", "operator": "=", "value": "Acme"}})
    calls = [
        {"type": "group", "userId": name, "groupId": "acme", "traits": {"name": "Acme", "plan": plan, "members": 9}, "messageId": name}
        for name, plan in (("ann", "free"), ("bob", "pro"))
    ]
    calls += [{"type": "group", "anonymousId": "a1", "groupId": "acme"}, {"type": "group", "userId": "cid", "groupId": "undefined"}]
    calls += [{"type": "track", "userId": "ann", "event": "Order Completed", "properties": {"revenue": 10, "currency": "EUR"}}]
    assert client.post("/v1/batch", json={"batch": calls}, auth=(write_key, "")).status_code == 200
    settle(engine)
    settle_segments(engine)
    [one] = admin.get(COMPANIES).json()["items"]
    assert (one["name"], one["members"], one["revenue"], one["fields"]) == ("Acme", 3, 10.0, {"plan": "pro"})
    assert [row["members"] for row in admin.get("/api/v1/segments").json()["items"]] == [3]
    with engine.db.read() as session:
        joined = session.query(Event).filter(Event.name == "Company Joined").all()
        assert {row.properties["name"] for row in joined} == {"Acme"}
        assert len(joined) == 3
        assert session.query(Company).count() == 1
    client.post("/v1/identify", json={"userId": "ann", "anonymousId": "a1"}, auth=(write_key, ""))
    settle(engine)
    assert admin.get(COMPANIES).json()["items"][0]["members"] == 2, "the visitor was ann"


def test_a_browser_fills_in_what_nobody_has_said(
    admin: TestClient, client: TestClient, engine: Any, browser_key: str, write_key: str
) -> None:
    call = {"userId": "ann", "groupId": "acme", "traits": {"name": "Acme", "plan": "free"}}
    client.post("/v1/group", json=call, auth=(write_key, ""))
    forged = {"userId": "eve", "groupId": "acme", "traits": {"name": "Evil", "plan": "pro", "seats": 1}}
    client.post("/v1/group", json=forged, auth=(browser_key, ""))
    client.post("/v1/group", json={"userId": "eve", "groupId": "other", "traits": {"name": "Other"}}, auth=(browser_key, ""))
    settle(engine)
    rows = {row["name"]: row for row in admin.get(COMPANIES).json()["items"]}
    assert rows["Acme"]["fields"] == {"plan": "free"}
    assert (rows["Acme"]["members"], rows["Other"]["members"]) == (2, 0), "a browser moves nobody"


def test_an_address_means_a_company_where_the_workspace_says_so(admin: TestClient, engine: Any) -> None:
    put = admin.put("/api/v1/settings/companies", json={"by_domain": True, "free_mailers": ["club.example"]})
    assert put.status_code == 200, put.text
    ann = person(admin, "ann")
    for address in ("a@gmx.ch", "b@mailinator.com", "c@sub.web.de", "d@club.example", "e@bluewin.ch"):
        admin.post("/api/v1/contacts", json={"fields": {"email": address}})
    settle(engine)
    [one] = admin.get(COMPANIES).json()["items"]
    assert (one["name"], one["domain"], one["members"]) == ("acme.example", "acme.example", 1)
    admin.patch(f"/api/v1/contacts/{ann}", json={"fields": {"email": "ann@gmail.com"}})
    settle(engine)
    assert admin.get(f"/api/v1/contacts/{ann}/company").json()["company"] is None


def test_what_a_person_chose_stands_against_group_calls(admin: TestClient, client: TestClient, engine: Any, write_key: str) -> None:
    client.post("/v1/group", json={"userId": "ann", "groupId": "acme"}, auth=(write_key, ""))
    settle(engine)
    [acme] = admin.get(COMPANIES).json()["items"]
    [ann] = [row["contact_id"] for row in admin.get(f"{COMPANIES}/{acme['id']}/members").json()["items"]]
    chosen = admin.post(COMPANIES, json={"name": "Chosen"}).json()["id"]
    admin.put(f"/api/v1/contacts/{ann}/company", json={"company_id": chosen})
    client.post("/v1/group", json={"userId": "ann", "groupId": "acme"}, auth=(write_key, ""))
    assert admin.get(f"/api/v1/contacts/{ann}/company").json()["company"]["name"] == "Chosen"
    with engine.db.read() as session:
        last = session.query(Event).filter(Event.name == "Group Joined").order_by(Event.id.desc()).first()
        assert last.properties["refused"] == {"company": "chosen_by_hand"}


def test_steady_orders_do_not_keep_a_company_from_being_told(admin: TestClient, engine: Any) -> None:
    acme, ann = admin.post(COMPANIES, json={"name": "Acme"}).json()["id"], person(admin, "ann")
    admin.post(f"{COMPANIES}/{acme}/members", json={"contacts": [ann]})
    roller = Roller(engine, cast(Any, None))
    for _ in range(4):
        roller.page()
        with engine.db.write() as session:
            company_marks.mark(session, [ann], engine.clock.now())
    assert admin.get(f"{COMPANIES}/{acme}").json()["members"] == 1
