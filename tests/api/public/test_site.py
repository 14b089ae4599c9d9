"""What the script of a site sends, and what it may say about whom: the real app over a real database."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from activities.rendering.links import link_digest
from activities.tracking import Tracking, store_links
from activities.visit_tokens import LIFE, VisitTokens, with_token
from crm.people import contacts, identity
from crm.privacy.erasure import erase
from engine.engine import Engine
from models import Contact, Event, Identity, Message
from settings import Settings
from workspace import settings as workspace

BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "content-type": "text/plain", "origin": "https://shop.example"}
PAGE: dict[str, Any] = {"type": "page", "anonymousId": "browser-number-1", "properties": {"url": "https://shop.example/a"}}


@pytest.fixture
def anna(engine: Engine) -> str:
    with engine.db.write() as session:
        return contacts.create(session, [("email", "anna@example.org")], {}, engine.clock.now(), "test")[0].id


def send(client: TestClient, key: str, headers: dict[str, str] | None = None, **more: Any) -> int:
    body = json.dumps({"writeKey": key, **PAGE, **more})
    return int(client.post("/v1/site", content=body, headers={**BROWSER, **(headers or {})}).status_code)


def token(settings: Settings, engine: Engine, contact: str, age: timedelta = timedelta(0)) -> str:
    return VisitTokens(settings.signing_keys()).make(contact, engine.clock.real_now() - age)


def events(engine: Engine) -> list[Event]:
    with engine.db.read() as session:
        return [one for one in session.scalars(select(Event).order_by(Event.id)) if one.type in ("page", "track")]  # type: ignore[arg-type]


def holder(engine: Engine, anonymous_id: str = "browser-number-1") -> str | None:
    with engine.db.read() as session:
        return identity.find(session, ("anonymous_id", anonymous_id))


@pytest.mark.parametrize("wish", [{"sec-gpc": "1"}, {"dnt": "1"}])
def test_who_does_not_want_to_be_followed_is_not(client: TestClient, engine: Engine, browser_key: str, wish: dict[str, str]) -> None:
    assert send(client, browser_key, wish) == 204
    with engine.db.read() as session:
        assert session.scalars(select(Contact)).all() == []
    assert send(client, browser_key) == 204
    assert len(events(engine)) == 1


def test_a_link_says_who_comes_and_what_was_done_before_joins(
    client: TestClient, engine: Engine, settings: Settings, browser_key: str, anna: str
) -> None:
    send(client, browser_key)
    assert holder(engine) != anna
    assert send(client, browser_key, token=token(settings, engine, anna)) == 204
    assert holder(engine) == anna
    assert {one.contact_id for one in events(engine)} == {anna}
    assert len(events(engine)) == 2


def test_a_browser_in_which_somebody_else_is_known_stays_theirs(
    client: TestClient, engine: Engine, settings: Settings, browser_key: str, anna: str
) -> None:
    with engine.db.write() as session:
        other = identity.resolve(session, [("user_id", "bo"), ("anonymous_id", "browser-number-1")], engine.clock.now()).contact_id
    send(client, browser_key, token=token(settings, engine, anna))
    assert (holder(engine), [one.contact_id for one in events(engine)]) == (other, [other])


@pytest.mark.parametrize("broken", ["late", "forged", "erased", "nobody"])
def test_a_token_that_says_nothing_any_more(
    client: TestClient, engine: Engine, settings: Settings, browser_key: str, anna: str, broken: str
) -> None:
    with engine.db.write() as session:
        if broken == "erased":
            erase(session, anna, engine.clock.now(), by="test", keys=engine.address_keys)
    forged = VisitTokens({"k": b"x" * 32}).make(anna, engine.clock.real_now())
    given = {
        "late": token(settings, engine, anna, LIFE),
        "forged": forged,
        "erased": token(settings, engine, anna),
        "nobody": token(settings, engine, "0" * 32),
    }
    assert send(client, browser_key, token=given[broken]) == 204
    assert holder(engine) not in (anna, None)


def test_a_browser_names_nobody_by_itself(client: TestClient, engine: Engine, browser_key: str, anna: str) -> None:
    with engine.db.write() as session:
        session.add(Identity(kind="user_id", value="anna", contact_id=anna, created_at=engine.clock.now()))
    more: dict[str, Any] = {
        "userId": "anna",
        "traits": {"email": "anna@example.org"},
        "context": {"externalIds": [{"id": "anna", "type": "user"}], "traits": {"email": "x@example.org"}},
    }
    assert send(client, browser_key, **more) == 204
    [event] = events(engine)
    assert (event.contact_id != anna, event.context) == (True, {})


def test_what_cannot_be_taken(client: TestClient, browser_key: str) -> None:
    assert send(client, "pfw_nobody") == 401
    assert send(client, browser_key, type="identify") == 400
    assert send(client, browser_key, anonymousId="") == 400
    assert send(client, browser_key, properties={"x": "x" * 20_000}) == 413
    assert client.post("/v1/site", content="[", headers=BROWSER).status_code == 400


def test_programs_are_marked(client: TestClient, engine: Engine, browser_key: str) -> None:
    send(client, browser_key, {"user-agent": "Googlebot/2.1"})
    send(client, browser_key, type="track", event="Seen", messageId="m2")
    assert [one.context.get("bot") for one in events(engine)] == [True, None]


def test_a_followed_link_carries_a_token_to_our_own_sites_only(client: TestClient, engine: Engine, settings: Settings, anna: str) -> None:
    ours, theirs, now = "https://shop.example/a?b=1&pfw=old#c", "https://other.example/a", engine.clock.now()
    with engine.db.write() as session:
        workspace.put(session, "tracking", {"sites": ["shop.example"]}, "test", now)
        store_links(session, {link_digest(url): url for url in (ours, theirs)}, now, anna)
        for id, test in (("1" * 32, False), ("2" * 32, True)):
            session.add(
                Message(id=id, once_key=id, contact_id=anna, channel="email", planned_at=now, sent_at=now, status="sent", test=test)
            )
    tracking = Tracking(settings.signing_keys(), "")

    def leads(message: str, url: str, **headers: str) -> str:
        return str(client.get(tracking.click_url(message, link_digest(url)), headers={**BROWSER, **headers}).headers["location"])

    there = leads("1" * 32, ours)
    [given] = parse_qs(urlsplit(there).query)["pfw"]
    assert VisitTokens(settings.signing_keys()).read(given, engine.clock.real_now()) == anna
    assert there == with_token("https://shop.example/a?b=1#c", given)
    assert leads("1" * 32, theirs) == theirs
    assert leads("1" * 32, ours, **{"sec-gpc": "1"}) == ours
    assert leads("2" * 32, ours) == ours
