"""From a draft to a live journey, its versions, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from api.admin.journeys import DOCUMENT
from models import Database

if TYPE_CHECKING:
    from conftest import Woken

Send = Callable[..., Any]
BASE = "/api/v1/journeys"


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_db")


def changed(**more: Any) -> dict[str, Any]:
    return {**DOCUMENT, **more}


@pytest.fixture
def live(admin: Any) -> str:
    """The key of a published journey."""
    assert admin.post(BASE, json={"document": DOCUMENT}).status_code == 201
    answer = admin.post(f"{BASE}/welcome/publish", json={"note": "first"})
    assert answer.status_code == 200, answer.text
    return "welcome"


def test_the_example_of_the_documentation_is_a_journey_that_can_be_published(admin: Any, live: str) -> None:
    row = admin.get(f"{BASE}/{live}").json()
    assert (row["state"], row["live_version"], row["revision"]) == ("live", 1, 1)


def test_a_draft_knows_its_revision(admin: Any, live: str) -> None:
    loaded = admin.get(f"{BASE}/{live}")
    revision = int(loaded.headers["etag"].strip('"'))
    saved = admin.put(f"{BASE}/{live}/draft", json={"document": changed(name="Hello"), "revision": revision})
    assert (saved.json()["name"], saved.headers["etag"]) == ("Hello", f'"{revision + 1}"')
    late = admin.put(f"{BASE}/{live}/draft", json={"document": changed(name="Late"), "revision": revision})
    assert (late.status_code, late.json()["error"]["details"]["revision"]) == (409, revision + 1)


def test_problems_are_listed_all_at_once_and_publishing_is_refused(admin: Any) -> None:
    broken = changed(nodes={"pause": {"kind": "wait", "duration": "forever"}, "lost": {"kind": "no_such_kind"}})
    checked = admin.post(f"{BASE}/check", json={"document": broken}).json()
    assert not checked["publishable"]
    assert {problem["node_id"] for problem in checked["problems"]} >= {"pause", "lost"}
    admin.post(BASE, json={"document": broken})
    answer = admin.post(f"{BASE}/welcome/publish", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert len(answer.json()["error"]["details"]["issues"]) >= 2


def test_versions_stay_and_differ_in_words(admin: Any, live: str) -> None:
    longer = changed(nodes={**DOCUMENT["nodes"], "pause": {"kind": "wait", "duration": "P2D"}})
    admin.put(f"{BASE}/{live}/draft", json={"document": longer, "revision": 1})
    assert admin.post(f"{BASE}/{live}/publish", json={}).json()["number"] == 2
    assert [row["number"] for row in admin.get(f"{BASE}/{live}/versions").json()["items"]] == [2, 1]
    assert admin.get(f"{BASE}/{live}/versions/1").json()["document"]["nodes"]["pause"]["duration"] == "P1D"
    (difference,) = admin.get(f"{BASE}/{live}/diff", params={"before": 1, "after": 2}).json()
    assert (difference["place"], difference["field"]) == ("pause", "duration")
    assert difference["sentence"]
    assert admin.get(f"{BASE}/{live}/versions/9").status_code == 404


def test_pause_resume_stop_archive(admin: Any, live: str) -> None:
    states = [admin.post(f"{BASE}/{live}/{act}").json()["state"] for act in ("pause", "resume", "stop")]
    assert states == ["paused", "live", "stopped"]
    assert admin.post(f"{BASE}/{live}/pause").status_code == 409
    assert admin.post(f"{BASE}/{live}/archive").json()["archived_at"]
    assert admin.get(BASE).json()["items"] == []
    assert [row["key"] for row in admin.get(BASE, params={"archived": True}).json()["items"]] == [live]
    assert admin.post(f"{BASE}/{live}/unarchive").json()["archived_at"] is None


def test_a_journey_lies_in_a_folder_and_has_tags(admin: Any, live: str) -> None:
    place = {"folder": "Shop", "tags": ["spring", "cart"]}
    row = admin.put(f"{BASE}/{live}/labels", json=place).json()
    assert (row["folder"], row["tags"], row["revision"]) == ("Shop", ["spring", "cart"], 1)
    assert [one["key"] for one in admin.get(BASE, params={"folder": "Shop", "tag": "cart"}).json()["items"]] == [live]
    assert admin.get(BASE, params={"tag": "autumn"}).json()["items"] == []
    assert admin.get(BASE, params={"folder": ""}).json()["items"] == []
    assert admin.get(f"{BASE}/labels").json() == {"folders": ["Shop"], "tags": ["cart", "spring"]}
    assert admin.put(f"{BASE}/{live}/labels", json={"folder": "x" * 121}).status_code == 422
    assert admin.put(f"{BASE}/{live}/labels", json={"tags": ["a,b"]}).status_code == 422
    assert admin.put(f"{BASE}/none/labels", json=place).status_code == 404


def test_lists_go_on_where_the_page_before_ended(admin: Any) -> None:
    for key in ("a", "b", "c"):
        admin.post(BASE, json={"document": changed(key=key)})
    first = admin.get(BASE, params={"limit": 2}).json()
    second = admin.get(BASE, params={"limit": 2, "cursor": first["next"]}).json()
    assert ([row["key"] for row in first["items"] + second["items"]], second["next"]) == (["a", "b", "c"], None)


def test_an_earlier_version_is_published_once_more(admin: Any, live: str) -> None:
    admin.put(f"{BASE}/{live}/draft", json={"document": changed(name="Hello"), "revision": 1})
    admin.post(f"{BASE}/{live}/publish", json={})
    admin.put(f"{BASE}/{live}/draft", json={"document": changed(name="Unpublished"), "revision": 2})
    refused = admin.post(f"{BASE}/{live}/rollback", json={"version": 1})
    assert (refused.status_code, refused.json()["error"]["details"]["unpublished"]) == (409, True)
    stale = admin.post(f"{BASE}/{live}/rollback", json={"version": 1, "revision": 2, "unpublished": "drop"})
    assert stale.status_code == 409
    back = admin.post(f"{BASE}/{live}/rollback", json={"version": 1, "revision": 3, "unpublished": "copy"}).json()
    assert (back["version"]["number"], back["version"]["document"]["name"], back["copy_key"]) == (3, "Welcome", "welcome_draft")
    assert admin.get(f"{BASE}/welcome_draft").json()["draft"]["nodes"] == DOCUMENT["nodes"]
    assert admin.get(f"{BASE}/{live}").json()["live_version"] == 3


def test_a_document_goes_out_and_in_as_it_stands_in_git(admin: Any, live: str) -> None:
    text = admin.get(f"{BASE}/{live}/document").text
    assert text.endswith("}\n")
    answer = admin.put(f"{BASE}/copy/document", json={**DOCUMENT, "key": "copy"})
    assert (answer.status_code, answer.json()["state"]) == (200, "draft")
    assert admin.put(f"{BASE}/other/document", json=DOCUMENT).status_code == 422
    replaced = admin.put(f"{BASE}/{live}/document", json=changed(name="Hello"), headers={"if-match": '"1"'})
    assert replaced.json()["revision"] == 2
    assert admin.put(f"{BASE}/{live}/document", json=changed(name="Late"), headers={"if-match": '"1"'}).status_code == 409


def test_a_simulation_stores_nothing(admin: Any) -> None:
    path = admin.post(f"{BASE}/simulate", json={"document": DOCUMENT, "script": {}}).json()
    assert (path["entered"], [line["node"] for line in path["lines"] if line["what"] == "entered"]) == (True, ["pause", "done"])
    assert path["ended"]
    assert admin.get(BASE).json()["items"] == []
    assert admin.post(f"{BASE}/simulate", json={}).status_code == 422


def test_a_script_whose_answers_do_not_fit_the_journey_is_refused(admin: Any) -> None:
    refused = admin.post(f"{BASE}/simulate", json={"document": DOCUMENT, "script": {"answers": {"pause": "sent"}}})
    assert refused.status_code == 422
    [issue] = refused.json()["error"]["details"]["issues"]
    assert (issue["code"], issue["field"]) == ("unknown_outlet", "answers.pause")


@pytest.mark.parametrize(("contact", "reason"), [({"plan": "pro"}, ""), ({}, "render_missing_value"), ({"plan": None}, "")])
def test_a_message_that_a_contact_has_no_values_for_is_skipped(admin: Any, contact: dict[str, Any], reason: str) -> None:
    """As the worker does it: a template without a default for what a contact lacks cannot be written."""
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>{{ contact.first_name }} {{ contact.plan }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    template = {"name": "Plan", "kind": "email", "message_class": "transactional", "variants": {"en": {"subject": "Hi", "mjml": mjml}}}
    assert admin.put("/api/v1/templates/plan", json=template).status_code == 200
    nodes = {"mail": {"kind": "send_email", "template": "plan"}, "end": {"kind": "exit"}}
    edges = [{"from": "mail", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped")]
    document = changed(key="plan", nodes=nodes, edges=edges, start="mail", settings={"message_class": "transactional"})
    script = {"contact": {"email": "ada@example.org", **contact}}
    path = admin.post(f"{BASE}/simulate", json={"document": document, "script": script}).json()
    assert [(call["outlet"], call["reason"]) for call in path["calls"]] == [("skipped" if reason else "sent", reason)]


@pytest.mark.parametrize("start", ["0002-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_script_that_would_run_off_the_calendar_is_refused(admin: Any, start: str) -> None:
    script = {"start": start, "history": [{"after": "P1830D", "name": "x"}]}
    assert admin.post(f"{BASE}/simulate", json={"document": DOCUMENT, "script": script}).status_code == 422


def test_the_schema_names_the_kinds(admin: Any) -> None:
    assert "send_email" in admin.get(f"{BASE}/schema").text
    kinds = {kind["kind"]: kind for kind in admin.get("/api/v1/catalogue/kinds").json()}
    assert kinds["wait"]["form"]["properties"]["duration"]


def test_the_gallery_can_be_stored_as_it_is(admin: Any) -> None:
    for entry in admin.get("/api/v1/gallery").json():
        for field in entry["fields"]:
            body = {"type": field["type"], "title": field["title"]}
            assert admin.put(f"/api/v1/catalogue/fields/{field['name']}", json=body).status_code == 200
        for event in entry["events"]:
            body = {"title": event["title"], "properties": event["properties"]}
            assert admin.put(f"/api/v1/catalogue/events/{event['name']}", json=body).status_code == 200
        for template in entry["templates"]:
            body = {name: template[name] for name in ("name", "kind", "message_class", "variants")}
            answer = admin.put(f"/api/v1/templates/{template['key']}", json=body)
            assert answer.status_code == 200, answer.text
        assert admin.post(BASE, json={"document": entry["document"]}).status_code == 201
    assert len(admin.get(BASE).json()["items"]) == len(admin.get("/api/v1/gallery").json())
    one = admin.get("/api/v1/gallery/welcome").json()
    assert (one["key"], one["aim"]) == ("welcome", "win")
    assert admin.get("/api/v1/gallery/unknown").status_code == 404


OPEN_CHOICES = {
    "mql_to_sql": {("owner", "pool", "unknown_pool"), ("call", "escalate_to", "unknown_member"), ("escalate", "to.0", "unknown_member")}
}
"""Per journey of the gallery: what an empty workspace has nobody for."""


def problems(admin: Any, key: str) -> set[tuple[str, str, str]]:
    found = admin.get(f"{BASE}/{key}/check").json()["problems"]
    return {(issue["node_id"], issue["field"], issue["code"]) for issue in found if issue["severity"] == "error"}


def test_the_gallery_works_in_an_empty_workspace_once_its_people_are_chosen(admin: Any) -> None:
    test_the_gallery_can_be_stored_as_it_is(admin)
    keys = [entry["key"] for entry in admin.get("/api/v1/gallery").json()]
    assert {key: problems(admin, key) for key in keys} == {key: OPEN_CHOICES.get(key, set()) for key in keys}
    lead = admin.post("/api/v1/members", json={"name": "Lena", "email": "lena@example.org", "role": "sales"}).json()["id"]
    admin.put("/api/v1/rotations/callers", json={"name": "Callers", "members": [lead]})
    stored = admin.get(f"{BASE}/mql_to_sql").json()
    nodes = dict(stored["draft"]["nodes"])
    nodes["owner"] = {**nodes["owner"], "pool": "callers"}
    nodes["call"] = {**nodes["call"], "escalate_to": lead}
    nodes["escalate"] = {**nodes["escalate"], "to": [lead, "owner"]}
    document = {**stored["draft"], "nodes": nodes}
    assert admin.put(f"{BASE}/mql_to_sql/draft", json={"document": document, "revision": stored["revision"]}).status_code == 200
    assert {key: admin.post(f"{BASE}/{key}/publish", json={}).status_code for key in keys} == dict.fromkeys(keys, 200)


def enter(track: Send, *users: str) -> None:
    track("batch", {"batch": [{"type": "track", "userId": user, "event": "Signed Up"} for user in users]})


def test_a_run_can_be_looked_at_and_ended(admin: Any, live: str, track: Send, woken: Woken) -> None:
    enter(track, "u1")
    (run,) = admin.get("/api/v1/runs", params={"journey": live, "status": "open"}).json()["items"]
    story = admin.get(f"/api/v1/runs/{run['id']}").json()
    assert story["trail"][0]["what"] == "entered"
    assert story["next"]["node"] == "pause"
    assert admin.post(f"/api/v1/runs/{run['id']}/resume").status_code == 409
    assert admin.post(f"/api/v1/runs/{run['id']}/end").status_code == 200
    assert run["id"] in woken.wakeups.runs
    assert admin.get("/api/v1/runs", params={"journey": live, "status": "open"}).json()["items"] == []
    assert admin.get(f"{BASE}/{live}").json()["runs"]["ended"] == 1


def test_a_contact_is_taken_out_of_a_journey(admin: Any, live: str, track: Send) -> None:
    enter(track, "u1", "u2")
    run, other = admin.get("/api/v1/runs").json()["items"]
    assert admin.delete(f"/api/v1/contacts/{run['contact_id']}/journeys/{live}").json() == {"runs_ended": 1}
    assert admin.delete(f"/api/v1/contacts/{run['contact_id']}/journeys/{live}").json() == {"runs_ended": 0}
    assert [row["id"] for row in admin.get("/api/v1/runs", params={"status": "open"}).json()["items"]] == [other["id"]]
