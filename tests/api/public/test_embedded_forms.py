"""What the script of a form asks for and sends: for the sites of the form, and for nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from crm.people import identity
from engine.engine import Engine
from models import Contact, Event, FormDay, FormSubmission, Identity
from tests.made_forms import BOX, EMAIL, put_form

SHOP = {"origin": "https://shop.example"}
ASKED: dict[str, Any] = {
    "fields": [EMAIL],
    "boxes": [{**BOX, "required": False, "wording": {"en": "Yes"}}],
    "hosts": ["shop.example"],
    "min_seconds": 0,
    "redirect": "https://shop.example/thanks",
    "popup": {"after_seconds": 3, "paths": ["/sale"]},
}


def ask(client: TestClient, **headers: str) -> Any:
    return client.get("/v1/forms/footer?language=en", headers={**SHOP, **headers})


def send(client: TestClient, headers: dict[str, str] | None = None, **answers: Any) -> Any:
    return client.post(
        "/v1/forms/footer", data={"ticket": ask(client).json()["ticket"], "language": "en", **answers}, headers=headers or SHOP
    )


def rows(engine: Engine, model: Any) -> list[Any]:
    with engine.db.read() as session:
        return list(session.scalars(select(model)))


def test_the_script_learns_what_to_show_and_sends_it(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    answer = ask(client)
    told = answer.json()
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (SHOP["origin"], "Origin")
    assert [one["label"] for one in told["form"]["fields"]] == ["E-mail address"]
    assert told["form"]["boxes"][0]["ticked"] is False
    assert told["popup"]["after_seconds"] == 3
    page = "https://shop.example/sale?x=1"
    done = send(client, email="a@example.org", agree="yes", page=page, referrer="https://search.example/", utm_source="ads")
    assert (done.json()["state"], done.json()["redirect"]) == ("done", "https://shop.example/thanks")
    [row] = rows(engine, FormSubmission)
    assert (row.page, row.source) == (page, {"utm_source": "ads", "referrer": "https://search.example/"})
    wrong = send(client, email="nobody").json()
    assert (wrong["state"], wrong["wrong"]) == ("wrong", {"email": "Please check the e-mail address."})


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://shop.example.evil.example", "null", "file://", "https://shop.example:8443", "http://["]
)
def test_no_other_site_may(client: TestClient, engine: Engine, origin: str) -> None:
    put_form(engine, **ASKED)
    answers = [ask(client, origin=origin), send(client, {"origin": origin}, email="a@example.org")]
    assert [one.status_code for one in answers] == [404, 404]
    assert ["access-control-allow-origin" in one.headers for one in answers] == [False, False]
    assert rows(engine, FormSubmission) == []


def test_our_own_pages_may_and_no_page_lies_about_where_it_is(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    assert ask(client, origin="http://testserver").status_code == 200
    send(client, email="a@example.org", page="https://bank.example/")
    send(client, email="a@example.org", page="http://[")
    assert [row.page for row in rows(engine, FormSubmission)] == [SHOP["origin"]] * 2


def test_a_double_click_a_late_page_and_a_program(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    given = {"ticket": ask(client).json()["ticket"], "email": "a@example.org"}
    assert [client.post("/v1/forms/footer", data=given, headers=SHOP).json()["state"] for _ in range(2)] == ["done", "done"]
    stale = client.post("/v1/forms/footer", data={"ticket": "x", "email": "a@example.org"}, headers=SHOP)
    assert (stale.status_code, stale.json()["state"]) == (409, "stale")
    assert client.post("/v1/forms/footer", data={**given, "ticket": stale.json()["ticket"]}, headers=SHOP).json()["state"] == "done"
    assert send(client, email="b@example.org", website="x").json()["state"] == "done"
    assert [(day.submitted, day.spam) for day in rows(engine, FormDay)] == [(2, 1)]


def test_a_browser_that_is_known_keeps_its_contact_unless_it_wants_not_to_be_followed(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    for n, headers in enumerate((SHOP, {**SHOP, "sec-gpc": "1"}, {**SHOP, "dnt": "1"})):
        send(client, headers, email=f"a{n}@example.org", anonymous_id=f"browser-number-{n}")
    named = {one.value: one.contact_id for one in rows(engine, Identity) if one.kind == "anonymous_id"}
    assert list(named) == ["browser-number-0"]
    send(client, email="a0@example.org", anonymous_id="browser-number-0")
    assert len(rows(engine, Contact)) == 3


def test_a_browser_that_was_followed_before_tells_its_address_by_the_form(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    with engine.db.write() as session:
        identity.resolve_batch(session, [[("anonymous_id", "browser-number-1")]], engine.clock.now(), visitors={0})
    send(client, email="a@example.org", anonymous_id="browser-number-1")
    [contact] = rows(engine, Contact)
    assert contact.email == "a@example.org"


def test_how_somebody_new_came_is_no_change(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    send(client, email="a@example.org", anonymous_id="browser-number-1")
    assert [one.name for one in rows(engine, Event) if one.name == "Lead Source Changed"] == []


def test_one_browser_cannot_speak_for_anothers_address(client: TestClient, engine: Engine) -> None:
    """Whoever has the address is vouched for: the browser's own contact gets neither the address nor what hangs on it."""
    from crm.people import contacts

    put_form(engine, **ASKED)
    with engine.db.write() as session:
        id = contacts.create(session, [("email", "a@example.org")], {}, engine.clock.now(), "test")[0].id
    send(client, email="a@example.org", agree="yes", anonymous_id="browser-number-1")
    [row] = rows(engine, FormSubmission)
    assert (row.contact_id, row.state) == (id, "waiting")
    assert {one.contact_id for one in rows(engine, Identity) if one.kind == "anonymous_id"} != {id}
