"""Forms as strangers meet them: the real app over a real database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from activities.form_tickets import LIFE, FormTickets
from activities.tracking import Tracking
from crm.catalogue import load_catalogue
from crm.consent import consent
from crm.forms import forms
from crm.forms.definition import is_asked
from crm.people import contacts, identity, profile, touches
from crm.privacy.erasure import erase
from engine.engine import Engine
from models import Consent, Contact, Duplicate, Event, FormDay, FormSubmission, OptIn
from settings import Settings
from tests.made_forms import BOX, EMAIL, put_form
from workspace import settings as workspace

ANNA = "anna@example.org"
EVIL = "<script>alert(1)</script>"
SMS = {"key": "texts", "channel": "sms", "wording": {"en": "Text me."}}
NEWS = {"key": "news", "purpose": "newsletter", "wording": {"en": "Weekly news, please."}}
ASKED: Mapping[str, Any] = {
    "title": {"en": "Ask us"},
    "fields": [
        EMAIL,
        {"name": "first_name"},
        {"name": "phone", "input": "tel"},
        {"kind": "question", "name": "size", "label": {"en": "Your size"}, "input": "choice", "choices": [{"value": "S"}, {"value": "M"}]},
        {"kind": "question", "name": "note", "label": {"en": "Note"}, "input": "textarea"},
    ],
    "boxes": [{**BOX, "required": False, "wording": {"en": "Yes, write to me."}}, NEWS, SMS],
    "hidden": [{"name": "place", "value": "footer"}],
    "min_seconds": 0,
}


def opened(client: TestClient, query: str = "", key: str = "footer") -> dict[str, str]:
    """The hidden fields of the page."""
    page = client.get(f"/f/{key}?language=en{query}").text
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


def send(client: TestClient, **answers: Any) -> Any:
    return client.post("/f/footer", data={**opened(client), "email": ANNA, **answers})


def rows(engine: Engine, model: Any) -> list[Any]:
    with engine.db.read() as session:
        return list(session.scalars(select(model)))


def confirm(client: TestClient, engine: Engine, settings: Settings, which: int = 0) -> Any:
    row = rows(engine, OptIn)[which]
    address = Tracking(settings.signing_keys(), "").confirm_url("0" * 32, row.id)
    return client.post(address, data={"confirm": "yes"})


def submitted(engine: Engine) -> list[Event]:
    return [event for event in rows(engine, Event) if event.name == "Form Submitted"]


def states(engine: Engine, contact_id: str) -> dict[tuple[str, str], str | None]:
    pairs = [("email", "marketing"), ("email", "newsletter"), ("sms", "marketing")]
    with engine.db.read() as session:
        return {pair: consent.state(session, contact_id, *pair) for pair in pairs}


def known(engine: Engine, **fields: str) -> str:
    with engine.db.write() as session:
        return contacts.create(session, [("email", ANNA)], fields, engine.clock.now(), "test")[0].id


def test_the_page_asks_without_a_script_and_ticks_nothing(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    answer = client.get("/f/footer?language=en")
    assert "<h1>Ask us</h1>" in answer.text
    assert 'type="email" name="email" value="" autocomplete="email" maxlength="320" required' in answer.text
    assert "Yes, write to me." in answer.text
    assert ("checked" in answer.text, "<script" in answer.text) == (False, False)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "Vorname" in client.get("/f/footer", headers={"accept-language": "de-CH"}).text


def test_what_comes_of_a_submission(client: TestClient, engine: Engine, settings: Settings) -> None:
    put_form(engine, **ASKED)
    hidden = opened(client, "&utm_source=ads&utm_campaign=spring")
    told = {"referer": "https://shop.example/contact"}
    given = {**hidden, "email": ANNA, "first_name": "Anna", "phone": "+41 79 123 45 67", "size": "M", "note": "Line 1\nLine 2"}
    answer = client.post("/f/footer", data={**given, "agree": "yes", "news": "yes", "texts": "yes"}, headers=told)
    assert (answer.status_code, "Almost done" in answer.text) == (200, True)
    [contact], [event], [row] = rows(engine, Contact), submitted(engine), rows(engine, FormSubmission)
    assert (contact.email, contact.first_name, contact.vouched) == (ANNA, None, False)
    assert (event.contact_id, event.routed, event.type) == (contact.id, True, "system")
    assert event.properties == {
        "form": "footer", "version": 1, "page": "https://shop.example/contact", "language": "en", "boxes": ["agree", "news", "texts"],
        "answers": {"size": "M", "note": "Line 1\nLine 2"}, "hidden": {"place": "footer"},
    }  # fmt: skip
    assert event.context["campaign"] == {"source": "ads", "name": "spring"}
    assert (row.state, row.address, row.source) == ("arrived", ANNA, {"utm_source": "ads", "utm_campaign": "spring"})
    assert set(states(engine, contact.id).values()) == {"pending"}
    with engine.db.read() as session:
        touch = touches.of(session, [contact.id])[contact.id].first
    assert (touch.kind, touch.source_id, touch.utm_campaign, touch.landing_page) == (
        "form",
        "form:footer",
        "spring",
        "shop.example/contact",
    )
    said = {(one.channel, one.purpose): one for one in rows(engine, Consent)}
    assert said["sms", "marketing"].wording == "Text me."
    assert said["sms", "marketing"].proof["form_version"] == 1
    confirm(client, engine, settings)
    assert states(engine, contact.id) == {
        ("email", "marketing"): "granted", ("email", "newsletter"): "granted", ("sms", "marketing"): "pending",
    }  # fmt: skip
    [granted] = [one for one in rows(engine, Consent) if (one.state, one.purpose) == ("granted", "newsletter")]
    assert (granted.wording, granted.proof["submission"], granted.proof["form_version"]) == ("Weekly news, please.", row.id, 1)
    [contact] = rows(engine, Contact)
    assert (contact.first_name, contact.phone, contact.locale) == ("Anna", "+41791234567", "en")
    assert len(submitted(engine)) == 1


def test_where_no_mailbox_is_asked_empty_fields_are_filled_at_once(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    assert "What you filled in has arrived." in send(client, first_name="Anna").text
    send(client, first_name="Mallory", phone="+41 79 123 45 67")
    [contact] = rows(engine, Contact)
    assert (contact.first_name, contact.phone) == ("Anna", "+41791234567")
    assert rows(engine, OptIn) == rows(engine, Consent) == []


def test_a_known_address_waits_for_its_mailbox(client: TestClient, engine: Engine, settings: Settings) -> None:
    put_form(engine, **ASKED)
    id = known(engine, last_name="Meier")
    before = len(rows(engine, Event))
    told = send(client, agree="yes", first_name="Anna", last_name="Evil", phone="+41 79 123 45 67", size="S")
    stranger = client.post("/f/footer", data={**opened(client), "email": "new@example.org", "agree": "yes"})
    assert (told.status_code, told.text) == (stranger.status_code, stranger.text), "nobody learns who is known"
    with engine.db.read() as session:
        assert session.get_one(Contact, id).first_name is None
    theirs = [event for event in rows(engine, Event)[before:] if event.contact_id == id]
    assert {event.name for event in theirs} == {"Consent Changed"}, "a stranger's words reach nobody"
    assert [row.state for row in rows(engine, FormSubmission)] == ["waiting", "arrived"]
    confirm(client, engine, settings)
    [event] = [one for one in submitted(engine) if one.contact_id == id]
    assert (event.properties["answers"], event.routed) == ({"size": "S"}, True)
    with engine.db.read() as session:
        contact = session.get_one(Contact, id)
    assert (contact.first_name, contact.last_name, contact.phone) == ("Anna", "Meier", None), "a number that a stranger typed is not theirs"
    confirm(client, engine, settings)
    assert len([one for one in submitted(engine) if one.contact_id == id]) == 1


def test_a_known_address_without_a_box_is_a_duplicate_to_look_at(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    id = known(engine)
    send(client, first_name="Mallory", size="S")
    [event] = submitted(engine)
    assert event.contact_id != id
    with engine.db.read() as session:
        other = session.get_one(Contact, event.contact_id)
    assert (other.email, other.first_name, other.vouched) == (None, "Mallory", False)
    [pair] = rows(engine, Duplicate)
    assert {pair.one_id, pair.other_id} == {id, other.id}


def test_the_same_page_sent_twice_is_one_submission(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    given = {**opened(client), "email": ANNA, "agree": "yes"}
    answers = {client.post("/f/footer", data=given).text for _ in range(3)}
    assert (len(answers), len(rows(engine, FormSubmission)), len(submitted(engine)), len(rows(engine, OptIn))) == (1, 1, 1, 1)
    assert [day.submitted for day in rows(engine, FormDay)] == [1]


def test_a_page_that_was_open_while_the_form_changed_counts_as_it_was_shown(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    given = opened(client)
    put_form(engine, **{**ASKED, "boxes": [{**BOX, "wording": {"en": "Everything, for ever."}}]})
    client.post("/f/footer", data={**given, "email": ANNA, "agree": "yes"})
    [said], [row] = rows(engine, Consent), rows(engine, FormSubmission)
    assert (said.wording, said.proof["form_version"], row.version) == ("Yes, write to me.", 1, 1)


def test_what_the_form_does_not_ask_is_passed_over(client: TestClient, engine: Engine) -> None:
    put_form(engine, **{**ASKED, "boxes": []})
    send(
        client, agree="yes", news="yes", owner="me", lifecycle_stage="customer", version="9", hidden="x", place="home", **{"topic.a": "yes"}
    )
    [contact], [event], [row] = rows(engine, Contact), submitted(engine), rows(engine, FormSubmission)
    assert (contact.owner, contact.lifecycle_stage, contact.attributes) == (None, None, {})
    assert (event.properties["boxes"], event.properties["hidden"], event.properties["version"]) == ([], {"place": "footer"}, 1)
    assert (rows(engine, Consent), set(row.values)) == ([], {"email"})


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"email": ""}, "Please fill this in."),
        ({"email": "nobody"}, "Please check the e-mail address."),
        ({"email": f"{ANNA}\r\nBcc: b@example.org"}, "Please check the e-mail address."),
        ({"phone": "12"}, "Please check the phone number"),
        ({"size": "XXL"}, "Please choose one of the answers."),
        ({"note": "x" * 4_001}, "This is too long."),
        ({"first_name": EVIL, "size": "XXL"}, "&lt;script&gt;"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(client: TestClient, engine: Engine, answers: dict[str, str], told: str) -> None:
    put_form(engine, **ASKED)
    answer = send(client, **answers)
    assert (answer.status_code, told in answer.text, EVIL in answer.text) == (400, True, False)
    assert 'aria-invalid="true"' in answer.text
    assert rows(engine, FormSubmission) == rows(engine, Contact) == []


def test_texts_of_the_form_are_texts(client: TestClient, engine: Engine) -> None:
    box = {**BOX, "wording": {"en": EVIL}}
    field = {"kind": "question", "name": "q", "label": {"en": EVIL}, "help": {"en": EVIL}}
    put_form(engine, title={"en": EVIL}, intro={"en": EVIL}, fields=[EMAIL, field], boxes=[box], success={"en": EVIL}, min_seconds=0)
    assert "<script" not in client.get("/f/footer?language=en&utm_source=%22%3E%3Cscript%3E").text
    assert "<script" not in send(client, agree="yes").text


def test_programs_are_thanked_and_only_counted(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    person = send(client, agree="yes")
    trapped = send(client, agree="yes", website="https://spam.example")
    put_form(engine, **{**ASKED, "min_seconds": 30})
    quick = send(client, agree="yes")
    assert {(one.status_code, one.text) for one in (person, trapped, quick)} == {(200, person.text)}
    assert [(day.submitted, day.spam) for day in rows(engine, FormDay)] == [(1, 2)]
    assert len(rows(engine, FormSubmission)) == 1


def test_a_ticket_that_is_not_ours_or_not_for_this_form_is_asked_again(client: TestClient, engine: Engine, settings: Settings) -> None:
    form, other = put_form(engine, **ASKED), put_form(engine, "other", **ASKED)
    tickets, now = FormTickets(settings.signing_keys()), engine.clock.real_now()
    good = tickets.make(forms.id_of(form), 1, now)
    forged = FormTickets({"k": b"x" * 32}).make(forms.id_of(form), 1, now)
    late = tickets.make(forms.id_of(form), 1, now - LIFE - timedelta(seconds=1))
    for ticket in ("", "x", forged, late, tickets.make(forms.id_of(other), 1, now), good[:-1] + ("A" if good[-1] != "A" else "B")):
        answer = client.post("/f/footer", data={"ticket": ticket, "language": "en", "email": ANNA, "first_name": "Anna"})
        assert (answer.status_code, 'value="Anna"' in answer.text) == (400, True), ticket
        assert "send it again" in answer.text
    assert rows(engine, FormSubmission) == []
    put_form(engine, **{**ASKED, "plain": True})
    assert client.post("/f/footer", data={"email": ANNA}).status_code == 200
    assert client.post("/f/footer", data={"ticket": forged, "email": ANNA}).status_code == 400
    assert len(rows(engine, FormSubmission)) == 1


def hidden_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


@pytest.mark.parametrize("age", [timedelta(seconds=31), LIFE + timedelta(seconds=1)])
def test_who_mends_a_mistake_quickly_is_no_program(client: TestClient, engine: Engine, settings: Settings, age: timedelta) -> None:
    """Neither is who sends a page again that was open for a day."""
    form = put_form(engine, **{**ASKED, "min_seconds": 30})
    ticket = FormTickets(settings.signing_keys()).make(forms.id_of(form), 1, engine.clock.real_now() - age)
    back = client.post("/f/footer", data={"ticket": ticket, "language": "en", "email": "nobody"})
    if age > LIFE:
        back = client.post("/f/footer", data={"ticket": ticket, "language": "en", "email": ANNA})
    assert back.status_code == 400
    client.post("/f/footer", data={**hidden_of(back.text), "email": ANNA})
    assert [row.address for row in rows(engine, FormSubmission)] == [ANNA]
    assert [day.spam for day in rows(engine, FormDay)] == [0]


def test_a_plain_form_that_comes_back_with_a_mistake_does_not_wait_either(client: TestClient, engine: Engine) -> None:
    put_form(engine, **{**ASKED, "plain": True, "min_seconds": 30})
    back = client.post("/f/footer", data={"email": "nobody"})
    client.post("/f/footer", data={**hidden_of(back.text), "email": ANNA})
    assert [row.address for row in rows(engine, FormSubmission)] == [ANNA]


def test_a_form_speaks_its_own_language_whatever_is_asked(client: TestClient, engine: Engine) -> None:
    put_form(engine, **{**ASKED, "language": "de"})
    assert '<html lang="de"' in client.get("/f/footer?language=en").text
    assert '<html lang="de"' in send(client).text


def test_whoever_confirms_reads_what_they_agree_to(client: TestClient, engine: Engine, settings: Settings) -> None:
    put_form(engine, **{**ASKED, "boxes": [{**BOX, "wording": {"en": EVIL}}, NEWS, SMS]})
    send(client, agree="yes", news="yes", texts="yes")
    [row] = rows(engine, OptIn)
    page = client.get(Tracking(settings.signing_keys(), "").confirm_url("0" * 32, row.id)).text
    assert ("&lt;script&gt;" in page, "Weekly news, please." in page, EVIL in page, "Text me." in page) == (True, True, False, False)


def test_what_is_counted_of_one_network_has_an_end(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    assert {client.post("/f/footer", data={"website": "x"}).status_code for _ in range(70)} == {200}
    assert [day.spam < 70 for day in rows(engine, FormDay)] == [True]


def test_every_field_that_a_form_can_ask_for_can_be_written(engine: Engine) -> None:
    with engine.db.read() as session:
        known = [spec for spec in load_catalogue(session).fields.values() if is_asked(spec)]
    assert "first_name" in {spec.name for spec in known}
    assert [spec.name for spec in known if "read_only" in profile.check_fields({spec.name: "x"}).refused.values()] == []


def test_a_letter_of_a_megabyte_is_refused(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    assert client.post("/f/footer", data={**opened(client), "email": ANNA, "note": "x" * 1_000_000}).status_code == 413
    many = {f"f{n}": "x" for n in range(300)}
    assert client.post("/f/footer", data={**opened(client), "email": ANNA, **many}).status_code == 400
    assert rows(engine, FormSubmission) == []


def test_a_form_is_framed_only_by_its_sites_and_leads_only_there(client: TestClient, engine: Engine) -> None:
    put_form(engine, **{**ASKED, "hosts": ["shop.example"], "framed": True, "redirect": "https://shop.example/thanks"})
    policy = client.get("/f/footer").headers["content-security-policy"]
    assert "frame-ancestors https://shop.example http://shop.example" in policy
    assert "form-action 'self' https://shop.example;" in policy
    answer = send(client, redirect="https://evil.example")
    assert (answer.status_code, answer.headers["location"]) == (303, "https://shop.example/thanks")
    put_form(engine, **{**ASKED, "hosts": ["shop.example"]})
    assert "frame-ancestors 'none'" in client.get("/f/footer").headers["content-security-policy"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect": "https://evil.example/"},
        {"redirect": "javascript:alert(1)", "hosts": ["shop.example"]},
        {"redirect": "//shop.example/", "hosts": ["shop.example"]},
        {"redirect": "https://shop.example@evil.example/", "hosts": ["shop.example"]},
        {"redirect": "https://shop.example.evil.example/", "hosts": ["shop.example"]},
        {"redirect": "https://shop.example\\.evil.example/", "hosts": ["shop.example"]},
        {"hosts": ["*"]},
        {"hosts": ["shop.example; script-src *"]},
        {"hosts": ["https://shop.example/path"]},
        {"fields": [EMAIL, {"name": "owner"}]},
        {"fields": [EMAIL, {"name": "fist_name"}]},
        {"fields": [EMAIL, EMAIL]},
        {"fields": [EMAIL, {"kind": "question", "name": "ticket", "label": {"en": "x"}}]},
        {"fields": [EMAIL, {"kind": "question", "name": "agree", "label": {"en": "x"}}]},
        {"fields": [{**EMAIL, "required": False}]},
        {"fields": [{"name": "first_name"}], "boxes": []},
        {"boxes": [{**BOX, "channel": "in_app_", "wording": {"en": "x"}}]},
        {"boxes": [{**BOX, "purpose": "spam", "wording": {"en": "x"}}]},
        {"boxes": [BOX]},
        {"checked": True},
        {"fields": [EMAIL, {"name": "grade"}]},
        {"fields": [EMAIL, {"name": "company.name"}]},
        {"fields": [{"kind": "question", "name": "email", "label": {"en": "x"}}], "boxes": []},
        {"boxes": [{**BOX, "key": "ticket", "wording": {"en": "x"}}]},
        {"boxes": [{**BOX, "key": "website", "wording": {"en": "x"}}]},
    ],
)
def test_a_form_that_cannot_be_is_not_switched_on(admin: TestClient, wrong: dict[str, Any]) -> None:
    made = admin.post("/api/v1/forms", json={"name": "F", "key": "f", "definition": {**ASKED, **wrong}})
    answer = admin.post("/api/v1/forms/f/publish") if made.status_code == 201 else made
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["issues"]


def test_who_sends_too_much_waits(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    with engine.db.write() as session:
        workspace.put(session, "double_opt_in", {"asks_a_network": 2}, "test", engine.clock.now())
    assert [send(client).status_code for _ in range(3)] == [200, 200, 429]


def test_the_interface_makes_switches_and_archives_forms(admin: TestClient, engine: Engine) -> None:
    made = admin.post("/api/v1/forms", json={"name": "Ask us!", "definition": dict(ASKED)}).json()
    assert (made["key"], made["state"], made["version"]) == ("ask-us", "draft", 1)
    address = f"/f/{made['key']}"
    assert admin.get(address).status_code == 404
    assert admin.post("/api/v1/forms/ask-us/publish").json()["state"] == "live"
    assert admin.get(address).status_code == 200
    changed = admin.patch("/api/v1/forms/ask-us", json={"definition": {**ASKED, "title": {"en": "New"}}, "version": 1}).json()
    assert (changed["version"], changed["definition"]["title"]["en"]) == (2, "New")
    assert admin.patch("/api/v1/forms/ask-us", json={"definition": dict(ASKED), "version": 1}).status_code == 409
    assert [one["number"] for one in admin.get("/api/v1/forms/ask-us/versions").json()["items"]] == [2, 1]
    for n in range(3):
        admin.post(address, data={**opened(admin, key="ask-us"), "email": f"a{n}@example.org"})
    page = admin.get("/api/v1/forms/ask-us/submissions?limit=2").json()
    assert [one["address"] for one in page["items"]] == ["a2@example.org", "a1@example.org"]
    rest = admin.get(f"/api/v1/forms/ask-us/submissions?cursor={page['next']}").json()
    assert [one["address"] for one in rest["items"]] == ["a0@example.org"]
    found = admin.get("/api/v1/forms/ask-us/submissions?address=A1").json()["items"]
    assert [one["address"] for one in found] == ["a1@example.org"]
    assert [one["form"] for one in admin.get(f"/api/v1/contacts/{found[0]['contact_id']}/forms").json()["items"]] == ["ask-us"]
    assert [one["submitted"] for one in admin.get("/api/v1/forms/ask-us/days").json()["items"]] == [3]
    assert admin.post("/api/v1/forms/ask-us/archive").json()["state"] == "archived"
    assert admin.get(address).status_code == 404
    assert admin.post("/api/v1/forms/ask-us/restore").json()["state"] == "live"
    copy = admin.post("/api/v1/forms/ask-us/duplicate").json()
    assert (copy["name"], copy["state"]) == ("Ask us! (copy)", "draft")
    assert admin.post("/api/v1/forms/ask-us/withdraw").json()["state"] == "draft"
    assert {one["key"]: one["submitted"] for one in admin.get("/api/v1/forms").json()["items"]} == {"ask-us": 3, copy["key"]: 0}
    assert admin.get("/api/v1/forms/nobody").status_code == 404


def test_an_erased_person_leaves_no_answers(client: TestClient, engine: Engine) -> None:
    put_form(engine, **ASKED)
    send(client, first_name="Anna", note="Anna was here")
    with engine.db.write() as session:
        id = identity.find(session, ("email", ANNA))
        assert id
        erase(session, id, engine.clock.now(), by="test", keys=engine.address_keys)
    assert rows(engine, FormSubmission) == []
    assert "Anna" not in str([event.model_dump() for event in rows(engine, Event)])
