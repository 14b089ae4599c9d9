"""The public addresses, as browsers, mail programs and scanners meet them."""

from __future__ import annotations

import base64
import hashlib
import re
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import select

from activities.rendering import link_digest
from activities.tracking import Tracking, store_links
from api.public.brand import colours
from crm.consent import consent, mailbox
from crm.consent.consent import Evidence, record_consent
from crm.people import profile
from engine.engine import Engine
from models import Body, Consent, Contact, Event, Hit, Message, new_id
from tests.api.public.conftest import SHOP
from workspace import logo, settings
from workspace.colours import DARK, LEAST_CONTRAST, LIGHT, contrast, readable

FIREFOX = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def state(engine: Engine, message: Message, channel: str = "email") -> str | None:
    with engine.db.read() as session:
        return consent.state(session, message.contact_id, channel, "marketing")


def events(engine: Engine, name: str) -> list[Event]:
    with engine.db.read() as session:
        return list(session.scalars(select(Event).where(Event.name == name)))


def test_the_pixel_is_a_picture_and_an_event(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    answer = client.get(tracking.pixel_url(message.id), headers=FIREFOX)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    assert "no-store" in answer.headers["cache-control"]
    opened = events(engine, "Message Opened")
    assert [(event.properties["machine"], event.routed) for event in opened] == [(False, True)]
    with engine.db.read() as session:
        assert session.get_one(Message, message.id).opened_at is not None


def test_a_click_goes_to_the_stored_target(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    answer = client.get(tracking.click_url(message.id, link_digest(SHOP)), headers=FIREFOX)
    assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
    assert [event.properties["link"] for event in events(engine, "Message Clicked")] == [SHOP]


def test_there_is_no_open_redirect(client: TestClient, tracking: Tracking, message: Message) -> None:
    unknown = tracking.click_url(message.id, link_digest("https://evil.example/"))
    assert client.get(unknown, params={"url": "https://evil.example/"}).status_code == 404


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "//evil.example", "data:text/html,x", "https:evil", "file:///etc/passwd", "/ui/", "", "ftp://evil.example/"],
)
def test_what_is_no_web_address_leads_nowhere_though_it_was_stored(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, url: str
) -> None:
    with engine.db.write() as session:
        store_links(session, {link_digest(url): url}, engine.clock.now())
    answer = client.get(tracking.click_url(message.id, link_digest(url)))
    assert (answer.status_code, "location" in answer.headers) == (404, False)


def test_an_address_that_was_exchanged_in_the_database_leads_nowhere(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    with engine.db.write() as session:
        session.execute(text("UPDATE link SET url = 'https://evil.example/'"))
    answer = client.get(tracking.click_url(message.id, link_digest(SHOP)))
    assert (answer.status_code, "location" in answer.headers) == (404, False)
    assert "type the address of the sender" in answer.text


@pytest.mark.parametrize(
    "url",
    [
        "https://user:password@shop.example/",
        "https://shop.example/\\evil",
        "https://bücher.example/ß?q=ä",
        "https://shop.example/?next=https://evil.example",
    ],
)
def test_what_we_sent_is_led_to_as_it_was_sent_without_a_second_header(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, url: str
) -> None:
    with engine.db.write() as session:
        store_links(session, {link_digest(url): url}, engine.clock.now())
    answer = client.get(tracking.click_url(message.id, link_digest(url)))
    assert answer.status_code == 302
    assert urlsplit(answer.headers["location"]).netloc.endswith(
        urlsplit(url).netloc.encode("idna").decode() if url.isascii() else "example"
    )


def test_a_line_break_in_a_stored_address_makes_no_header(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    url = "https://shop.example/\r\nSet-Cookie: a=b"
    with engine.db.write() as session:
        store_links(session, {link_digest(url): url}, engine.clock.now())
    answer = client.get(tracking.click_url(message.id, link_digest(url)))
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("change", ["first", "last", "longer", "other message", "query"])
def test_a_tampered_link_leads_nowhere(client: TestClient, tracking: Tracking, message: Message, change: str) -> None:
    path = tracking.click_url(message.id, link_digest(SHOP))
    head, token = path.rsplit("/", 1)
    unsubscribe = tracking.unsubscribe_url(message.id).rsplit("/", 1)[1]
    other = {
        "first": ("B" if token[0] != "B" else "C") + token[1:],
        "last": token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        "longer": token + "A",
        "other message": unsubscribe,
        "query": f"{token[:-4]}?url={SHOP}",
    }[change]
    assert client.get(f"{head}/{other}").status_code == 404


def test_a_head_request_is_a_scanner(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    assert client.head(tracking.click_url(message.id, link_digest(SHOP)), headers=FIREFOX).status_code == 302
    assert client.head(tracking.pixel_url(message.id), headers=FIREFOX).status_code == 200
    with engine.db.read() as session:
        assert {hit.agent_class for hit in session.scalars(select(Hit))} == {"scanner"}
        assert session.get_one(Message, message.id).clicked_at is None


def test_a_link_works_although_nothing_can_be_stored(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    with engine.db.write() as session:
        session.execute(text("DROP TABLE hit"))
    assert client.get(tracking.click_url(message.id, link_digest(SHOP)), headers=FIREFOX).headers["location"] == SHOP
    assert client.get(tracking.pixel_url(message.id), headers=FIREFOX).status_code == 200


@pytest.mark.parametrize("path", ["o", "c", "u", "p", "v"])
def test_every_address_that_leads_nowhere_says_the_same(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, path: str
) -> None:
    good = {
        "o": tracking.pixel_url, "u": tracking.unsubscribe_url, "p": tracking.preferences_url, "v": tracking.view_url,
        "c": lambda id: tracking.click_url(id, link_digest(SHOP)),
    }[path](message.id)  # fmt: skip
    token = good.rpartition("/")[2]
    wrong = ["x", token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), tracking.bounce_address("b@e.org", message.id)]
    others = {"o": "u", "u": "p", "p": "v", "v": "u", "c": "o"}
    answers = [client.get(f"/{path}/{one}") for one in wrong] + [client.get(f"/{others[path]}/{token}")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert events(engine, "Message Opened") == []


def test_looking_never_unsubscribes(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    url = tracking.unsubscribe_url(message.id)
    page = client.get(url, params={"List-Unsubscribe": "One-Click", "confirm": "yes"}, headers=FIREFOX)
    client.head(url)
    assert page.status_code == 200
    assert state(engine, message) == "granted"
    assert 'lang="de"' in page.text


def test_one_click_unsubscribes_at_once(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    url = tracking.unsubscribe_url(message.id)
    answers = [client.post(url, data=ONE_CLICK), client.post(url, files={"List-Unsubscribe": (None, "One-Click")})]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any("set-cookie" in answer.headers or "location" in answer.headers for answer in answers)
    assert state(engine, message) == "withdrawn"
    with engine.db.read() as session:
        said = session.scalars(select(Consent).where(Consent.state == "withdrawn")).all()
    assert [(row.source, row.proof["message_id"]) for row in said] == [("one-click", message.id)]
    assert [event.routed for event in events(engine, "Consent Changed") if event.properties["state"] == "withdrawn"] == [True]


def another(engine: Engine, message: Message) -> Message:
    """A second account with Anna's address, which agreed and got a mail of its own."""
    with engine.db.write() as session:
        at = message.planned_at
        contact = Contact(email="anna@example.org", locale="de-CH", created_at=at, updated_at=at)
        session.add(contact)
        session.flush()
        consent.record_consent(session, contact.id, "email", "marketing", "granted", at, evidence=consent.Evidence.DATED, source="test")
        body = Body(contact_id=contact.id, recipient="anna@example.org", created_at=at)
        session.add(body)
        session.flush()
        row = Message(
            id=new_id(), once_key="r:n:2", contact_id=contact.id, channel="email", status="sent", planned_at=at, sent_at=at, body_id=body.id
        )  # fmt: skip
        session.add(row)
    return row


def stops(engine: Engine, address: str) -> bool:
    with engine.db.read() as session:
        return mailbox.says_no(session, engine.address_keys, "email", "marketing", address)


def test_one_click_stops_the_mailbox_and_only_the_mailbox_says_yes_again(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    other = another(engine, message)
    page = tracking.preferences_url(other.id)
    assert boxes(client.get(page).text)["c.email.marketing"] is True
    client.post(tracking.unsubscribe_url(message.id), data=ONE_CLICK)
    assert stops(engine, "anna@example.org")
    assert boxes(client.get(page).text)["c.email.marketing"] is False, "nothing comes, so the box is empty"
    client.post(page, data={"c.tracking.marketing": "on", "save": "yes"})
    assert stops(engine, "anna@example.org"), "an unchanged page says nothing"
    client.post(page, data={"c.email.marketing": "on", "c.tracking.marketing": "on", "save": "yes"})
    assert not stops(engine, "anna@example.org")
    assert (state(engine, message), state(engine, other)) == ("withdrawn", "granted")


def test_an_old_mail_stops_the_mailbox_it_went_to(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    with engine.db.write() as session:
        profile.update_fields(session, message.contact_id, {"email": "new@example.org"}, engine.clock.now(), "test")
    client.post(tracking.preferences_url(message.id), data={"nothing": "yes"})
    assert stops(engine, "anna@example.org")
    assert stops(engine, "new@example.org")


def test_who_unsubscribed_elsewhere_unsubscribes_the_mailbox_all_the_same(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    with engine.db.write() as session:
        now = engine.clock.now()
        profile.update_fields(session, message.contact_id, {"email": "new@example.org"}, now, "test")
        consent.record_consent(
            session, message.contact_id, "email", "marketing", "withdrawn", now, evidence=consent.Evidence.DATED, source="test"
        )
    assert not stops(engine, "anna@example.org")
    client.post(tracking.unsubscribe_url(message.id), data=ONE_CLICK)
    assert stops(engine, "anna@example.org")


def test_the_button_on_the_page_unsubscribes(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    page = client.post(tracking.unsubscribe_url(message.id), data={"confirm": "yes"})
    assert page.status_code == 200
    assert 'role="status"' in page.text
    assert state(engine, message) == "withdrawn"


def test_any_other_post_does_nothing(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    url = tracking.unsubscribe_url(message.id)
    assert client.post(url).status_code == 400
    assert client.post(url, data={"List-Unsubscribe": "Two-Clicks"}).status_code == 400
    assert client.post(url, data={"confirm": "y" * 40_000}).status_code == 413
    assert (
        client.post(url, data={f"f{number}": "x" for number in range(300)}, headers={"content-type": "multipart/form-data"}).status_code
        == 400
    )
    assert state(engine, message) == "granted"


def boxes(page: str) -> dict[str, bool]:
    return {name: bool(checked) for name, checked in re.findall(r'name="([co]\.[^"]+)"( checked)?', page)}


def test_preferences_show_what_holds_and_record_what_changes(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    url = tracking.preferences_url(message.id)
    assert boxes(client.get(url).text) == {"c.email.marketing": True, "o.tracking.marketing": False}
    client.post(url, data={"c.email.marketing": "on", "save": "yes"})
    with engine.db.read() as session:
        assert len(session.scalars(select(Consent)).all()) == 1
    page = client.post(url, data={"save": "yes"})
    assert boxes(page.text) == {"c.email.marketing": False, "o.tracking.marketing": False}
    assert (state(engine, message), state(engine, message, "tracking")) == ("withdrawn", None)
    page = client.post(url, data={"c.email.marketing": "on", "o.tracking.marketing": "on", "save": "yes"})
    assert (state(engine, message), state(engine, message, "tracking")) == ("granted", "withdrawn")
    assert boxes(page.text) == {"c.email.marketing": True, "c.tracking.marketing": False}
    client.post(url, data={"c.email.marketing": "on", "c.tracking.marketing": "on", "save": "yes"})
    assert state(engine, message, "tracking") == "granted"
    with engine.db.read() as session:
        last = session.scalars(
            select(Consent).where(Consent.source == "preferences", Consent.state == "granted", Consent.channel == "email")
        ).one()
    assert last.wording == "News and offers – By e-mail"


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("said", [None, "withdrawn", "pending", "granted"])
def test_no_box_is_ticked_before_somebody_said_yes(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, asks: bool, said: str | None
) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        settings.put(session, "tracking", {"opens_need_consent": asks}, "test", now)
        for channel in ("sms", "tracking"):
            if said:
                record_consent(session, message.contact_id, channel, "marketing", said, now, evidence=Evidence.DATED, source="test")
    ticked = boxes(client.get(tracking.preferences_url(message.id)).text)
    ticked.pop("c.email.marketing")
    assert set(ticked.values()) == {said == "granted"}
    assert ("o.tracking.marketing" in ticked) == (said is None and not asks), "the objection stands where nobody is asked first"


def test_nothing_at_all_is_an_objection_on_every_channel(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    client.post(tracking.preferences_url(message.id), data={"c.email.marketing": "on", "nothing": "yes"})
    assert {state(engine, message, channel) for channel in ("email", "sms", "push", "tracking")} == {"withdrawn"}


def test_boxes_that_were_not_shown_cannot_be_ticked(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    client.post(tracking.preferences_url(message.id), data={"c.email.marketing": "on", "c.sms.marketing": "on", "save": "yes"})
    assert state(engine, message, "sms") is None


@pytest.mark.parametrize("door", ["unsubscribe_url", "preferences_url"])
def test_links_in_a_test_message_change_nothing(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, door: str
) -> None:
    with engine.db.write() as session:
        session.get_one(Message, message.id).test = True
    make: Callable[[str], str] = getattr(tracking, door)
    assert client.post(make(message.id), data={**ONE_CLICK, "confirm": "yes", "nothing": "yes"}).status_code == 200
    assert state(engine, message) == "granted"


def test_the_message_in_the_browser_can_run_nothing(client: TestClient, tracking: Tracking, message: Message, engine: Engine) -> None:
    answer = client.get(tracking.view_url(message.id))
    assert "Hallo" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    with engine.db.write() as session:
        session.delete(session.scalars(select(Body)).one())
    assert client.get(tracking.view_url(message.id)).status_code == 404


def test_pages_let_nothing_load_or_run(client: TestClient, tracking: Tracking, message: Message) -> None:
    for url in (tracking.unsubscribe_url(message.id), tracking.preferences_url(message.id), "/u/x"):
        answer = client.get(url)
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in answer.text
        assert "viewport" in answer.text
        assert "prefers-color-scheme: dark" in answer.text


def test_the_style_sheet_is_the_one_that_the_policy_names(client: TestClient) -> None:
    answer = client.get("/u/x")
    sheet = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert sheet is not None
    digest = base64.b64encode(hashlib.sha256(sheet[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("locale", "accepted", "language"),
    [
        (None, "de-AT,en;q=0.5", "de"),
        (None, "fr", "en"),
        (None, "en;q=0.2, de;q=0.9", "de"),
        ("en", "de", "en"),
        ("de_CH", "en", "de"),
        (None, ";;q=x,,", "en"),
    ],
)
def test_the_language_is_the_contacts_then_the_browsers(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, locale: str | None, accepted: str, language: str
) -> None:
    with engine.db.write() as session:
        session.get_one(Contact, message.contact_id).locale = locale
    page = client.get(tracking.preferences_url(message.id), headers={"accept-language": accepted})
    assert f'<html lang="{language}">' in page.text


def test_who_was_erased_is_nobody(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    with engine.db.write() as session:
        contact = session.get_one(Contact, message.contact_id)
        contact.erased_at = engine.clock.now()
    assert client.post(tracking.unsubscribe_url(message.id), data=ONE_CLICK).status_code == 404
    assert client.get(tracking.pixel_url(message.id)).status_code == 200
    assert events(engine, "Message Opened") == []


def test_guessing_is_slowed_down(client: TestClient) -> None:
    statuses = {client.get(f"/u/guess{number}").status_code for number in range(35)}
    assert statuses == {404, 429}


@pytest.mark.parametrize(("language", "label"), [("en", "Offers we like"), ("de", "Angebote, die wir mögen")])
def test_a_purpose_is_called_as_the_workspace_calls_it_and_so_is_the_proof(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, language: str, label: str
) -> None:
    with engine.db.write() as session:
        names = {"names": [{"key": "marketing", "english": "Offers we like", "german": "Angebote, die wir mögen"}]}
        settings.put(session, "purposes", names, "test", engine.clock.now())
        session.get_one(Message, message.id).locale = language
    url = tracking.preferences_url(message.id)
    assert label in client.get(url).text
    client.post(url, data={"save": "yes"})
    with engine.db.read() as session:
        wordings = session.scalars(select(Consent.wording).where(Consent.source == "preferences", Consent.channel == "email")).all()
    assert wordings == [f"{label} – By e-mail"]


PIXEL_PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
LOOK = {
    "name": "Käfer & Söhne",
    "colour": "#ffd400",
    "website": "https://shop.example/",
    "imprint": "https://shop.example/imprint",
    "privacy": "https://shop.example/privacy?a=1&b=2",
    "logo": logo.address(PIXEL_PNG),
}


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_pages_carry_the_senders_name_logo_and_colour(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, language: str
) -> None:
    with engine.db.write() as session:
        settings.put(session, "appearance", LOOK, "test", engine.clock.now())
        settings.put(session, "sender", {"name": "x", "postal_address": "Weg 1\n3000 Bern"}, "test", engine.clock.now())
    said = {"accept-language": language}
    for url in (tracking.unsubscribe_url(message.id), tracking.preferences_url(message.id), "/u/x", "/p/preview"):
        answer = client.get(url, headers=said)
        assert f'<img src="{LOOK["logo"]}" alt="Käfer &amp; Söhne">' in answer.text
        assert 'href="https://shop.example/privacy?a=1&amp;b=2"' in answer.text
        assert "Weg 1\n3000 Bern" in answer.text
        policy = answer.headers["content-security-policy"]
        assert "img-src data:;" in policy
        sheets = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        assert len(sheets) == 2
        assert all(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" in policy for one in sheets)


def test_a_workspace_that_set_nothing_shows_the_senders_name_and_no_picture(client: TestClient, engine: Engine) -> None:
    with engine.db.write() as session:
        settings.put(session, "sender", {"name": "<b>Shop</b>"}, "test", engine.clock.now())
    answer = client.get("/p/preview")
    assert "&lt;b&gt;Shop&lt;/b&gt;" in answer.text
    assert "<img" not in answer.text
    assert "img-src" not in answer.headers["content-security-policy"]


def test_the_preview_takes_nothing(client: TestClient) -> None:
    assert client.post("/p/preview", data={"nothing": "yes"}).status_code in (404, 405)


@given(st.text("0123456789abcdef", min_size=6, max_size=6))
def test_text_in_any_colour_can_be_read(digits: str) -> None:
    colour = f"#{digits}"
    for paper in (LIGHT, DARK):
        assert contrast(readable(colour, paper), paper) >= LEAST_CONTRAST
    ink = re.search(r"--deed-ink: (#[0-9a-f]{6})", colours(colour))
    assert ink is not None
    assert contrast(ink[1], colour) >= LEAST_CONTRAST


def test_contrast_is_as_published() -> None:
    assert round(contrast("#000000", "#ffffff"), 2) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
