"""An id that was merged away reaches the person, wherever an id can be sent; the walk is over every route that takes one."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlmodel import select

from crm.consent.consent import Evidence, record_consent
from crm.people import contacts, identity, profile
from crm.people.merge import merge
from crm.people.unmerge import unmerge
from models import Audit, Contact, Merge, Task
from storage.locks import lock_contact, person_of
from workspace.api_keys import add_key


@pytest.fixture
def merged(engine: Any) -> tuple[str, str, str]:
    """(the person, an id that became part of it, an id that had become part of that one)."""
    now = engine.clock.now()
    with engine.db.write() as session:
        first, second, third = (
            identity.resolve(session, [("email", f"{name}@example.org"), ("user_id", name)], now).contact_id
            for name in ("ada", "ida", "oda")
        )
        profile.update_fields(session, third, {"first_name": "Ada", "phone": "+41446681800"}, now, "test")
        merge(session, second, third, now)
        merge(session, first, second, now)
    return first, second, third


@pytest.fixture
def ask(client: Any, engine: Any) -> Any:
    with engine.db.write() as session:
        key = add_key(session, "admin", "Test", engine.clock.now(), role="admin")[1]

    def ask(method: str, path: str, body: Any = None) -> Any:
        answer = client.request(method, path, json=body, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code < 400, (path, answer.text)
        return answer.json() if answer.content else None

    return ask


def taking(app: Any) -> set[tuple[str, str]]:
    """(method, path) of every route that takes the id of a contact: in its path, its query or its body."""
    schema = app.openapi()

    def fields(operation: Any) -> set[str]:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        model = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]] if "$ref" in body else body
        return set(model.get("properties", {}))

    found = set()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if "contact_id" in fields(operation) | {parameter["name"] for parameter in operation.get("parameters", ())}:
                found.add((method.upper(), path))
    return found


READ = {
    "/api/v1/contacts/{contact_id}",
    "/api/v1/contacts/{contact_id}/export",
    "/api/v1/contacts/{contact_id}/timeline",
    "/api/v1/contacts/{contact_id}/consents",
    "/api/v1/contacts/{contact_id}/merges",
    "/api/v1/contacts/{contact_id}/notes",
    "/api/v1/messages?contact_id={contact_id}",
    "/api/v1/runs?contact_id={contact_id}",
    "/api/v1/tasks?contact_id={contact_id}",
}
TRIED = {
    ("PATCH", "/api/v1/contacts/{contact_id}"),
    ("DELETE", "/api/v1/contacts/{contact_id}"),
    ("POST", "/api/v1/contacts/{contact_id}/consents"),
    ("POST", "/api/v1/contacts/{contact_id}/notes"),
    ("POST", "/api/v1/contacts/{contact_id}/calls"),
    ("POST", "/api/v1/contacts/{contact_id}/mails"),
    ("DELETE", "/api/v1/contacts/{contact_id}/journeys/{journey_id}"),
    ("POST", "/api/v1/journeys/{journey_id}/enrol"),
    ("POST", "/api/v1/tasks"),
    ("POST", "/api/v1/templates/{key}/preview"),
    ("POST", "/api/v1/templates/{key}/seed-send"),
    ("POST", "/api/v1/templates/{key}/test-send"),
}
"""What changes something; each is tried below."""


def test_every_route_that_takes_a_contact_is_tried(app: Any) -> None:
    assert {route.path for route in app.routes if isinstance(route, APIRoute) and "{contact_id}" in route.path} <= {
        path for _, path in taking(app)
    }
    assert taking(app) == {("GET", path.partition("?")[0]) for path in READ} | TRIED


@pytest.mark.parametrize("path", sorted(READ))
def test_a_read_reaches_the_person(path: str, ask: Any, merged: Any, engine: Any) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        record_consent(session, merged[0], "email", "marketing", "granted", now, evidence=Evidence.DATED, source="test")
    ask("POST", "/api/v1/tasks", {"contact_id": merged[2], "title": "Call"})
    ask("POST", f"/api/v1/contacts/{merged[2]}/notes", {"text": "Wants a demo"})
    first, *others = [ask("GET", path.format(contact_id=id)) for id in merged]
    assert first
    assert others == [first, first]


def test_a_change_reaches_the_person(ask: Any, merged: Any, engine: Any) -> None:
    person, _, old = merged
    ask("PATCH", f"/api/v1/contacts/{old}", {"add_tags": ["vip"], "fields": {"last_name": "Lovelace"}, "add_points": {"fit": 5}})
    ask("POST", f"/api/v1/contacts/{old}/consents", {"channel": "email", "purpose": "marketing", "state": "withdrawn", "source": "phone"})
    found = ask("GET", f"/api/v1/contacts/{person}")
    assert (found["tags"], found["last_name"], found["scores"], found["consents"][0]["state"]) == (
        ["vip"], "Lovelace", {"fit": 5.0}, "withdrawn",
    )  # fmt: skip
    assert ask("POST", "/api/v1/tasks", {"contact_id": old, "title": "Call"})["contact_id"] == person
    ask("POST", f"/api/v1/contacts/{old}/notes", {"text": "Wants a demo"})
    ask("POST", f"/api/v1/contacts/{old}/calls", {"direction": "outgoing", "outcome": "reached", "text": "Called"})
    assert {one["kind"] for one in ask("GET", f"/api/v1/contacts/{person}/notes")} == {"note", "call"}
    with engine.db.read() as session:
        assert session.scalars(select(Task.contact_id)).all() == [person]


def test_erasing_by_an_old_id_erases_the_person(ask: Any, merged: Any, engine: Any) -> None:
    person, _, old = merged
    erased = ask("DELETE", f"/api/v1/contacts/{old}")
    assert erased["id"] == person
    assert {"kind": "erase_rest", "subject": f"contact:{person}"}.items() <= ask("GET", f"/api/v1/jobs/{erased['job_id']}").items()
    with engine.db.read() as session:
        rows = session.scalars(select(Contact).where(Contact.id.in_(merged))).all()  # type: ignore[attr-defined]
        assert all(row.erased_at is not None and row.email is None and row.first_name is None for row in rows)
        assert [line.subject for line in session.scalars(select(Audit).where(Audit.action == "contact.erase"))] == [f"contact:{person}"]


def test_every_write_by_an_old_id_takes_the_persons_lock(engine: Any, merged: Any) -> None:
    person, _, old = merged
    with engine.db.write() as session:
        assert [lock_contact(session, id).id for id in merged] == [person] * 3
        assert [person_of(session, id) for id in (*merged, "unknown")] == [person] * 3 + ["unknown"]
        assert contacts.get(session, old).id == person


def test_an_id_is_its_own_again_once_the_merge_is_undone(engine: Any, merged: Any, ask: Any) -> None:
    first, second, third = merged
    now = engine.clock.now()
    with engine.db.write() as session:
        newest = session.scalars(select(Merge).where(Merge.winner_id == first)).one()
        unmerge(session, newest.id or 0, "test", now)
    assert [ask("GET", f"/api/v1/contacts/{id}")["id"] for id in merged] == [first, second, second]
    ask("DELETE", f"/api/v1/contacts/{third}")
    with engine.db.read() as session:
        assert session.get_one(Contact, second).erased_at is not None
        assert session.get_one(Contact, first).erased_at is None
