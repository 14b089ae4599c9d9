"""What a browser key may do and what not: every kind of key, every call, every state of the contact, from one table; and attacks."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import col, select

from api.tracking.write_keys import add_key
from engine.engine import Engine
from journeys.errors import Conflict
from models import ConsentState, Contact, Event, Identity, Merge

Send = Callable[..., Any]


@pytest.fixture
def browser(client: Any, browser_key: str) -> Send:
    """Posts to the tracking door with a browser key."""
    return sender(client, browser_key)


@pytest.fixture
def server(track: Send) -> Send:
    """The same with a server key."""
    return track


def sender(client: Any, key: str) -> Send:
    basic = base64.b64encode(f"{key}:".encode()).decode()

    def send(path: str, body: Any, **headers: str) -> Any:
        answer = client.post(f"/v1/{path}", json=body, headers={"authorization": f"Basic {basic}", **headers})
        assert answer.status_code == 200, answer.text
        return answer

    return send


MINE, OTHERS = "browser-mine", "browser-of-somebody-else"

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "first_name": ("identify", {"traits": {"firstName": "New"}}),
    "plan": ("identify", {"traits": {"plan": "new"}}),
    "email": ("identify", {"traits": {"email": "new-{user}@example.org"}}),
    "phone": ("identify", {"traits": {"phone": "+41443334455"}}),
    "cleared": ("identify", {"traits": {"firstName": None, "email": None, "plan": None}}),
    "group": ("group", {"groupId": "new", "traits": {"name": "New"}}),
    "merged": ("alias", {"previousId": "other-{user}"}),
    "external": ("track", {"event": "E", "context": {"externalIds": [{"type": "shop", "id": "7-{user}"}]}}),
    "device": ("track", {"event": "E"}),
}
"""What a call is after -> the call; it names the user and comes from the browser `MINE`."""

FULL = {"email": "{user}@example.org", "phone": "+41441112233", "firstName": "Ada", "plan": "old"}
STATES: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "nobody yet": [],
    "made by this browser": [("browser", "identify", {"anonymousId": MINE, "traits": {}})],
    "made by another browser": [("browser", "identify", {"anonymousId": OTHERS, "traits": {}})],
    "named by a server, empty": [("server", "track", {"event": "E"})],
    "named by a server, filled": [
        ("server", "identify", {"traits": FULL}),
        ("server", "group", {"groupId": "old", "traits": {"name": "Old"}}),
    ],
    "made by this browser, then named by a server": [
        ("browser", "identify", {"anonymousId": MINE, "traits": {}}),
        ("server", "track", {"event": "E"}),
    ],
}
"""What is said about the user before."""

FIELDS = {"first_name", "plan", "group"}
MAY: dict[str, set[str]] = {
    "nobody yet": {*FIELDS, "email", "phone", "device"},
    "made by this browser": {*FIELDS, "email", "phone"},
    "made by another browser": FIELDS,
    "named by a server, empty": FIELDS,
    "named by a server, filled": set(),
    "made by this browser, then named by a server": FIELDS,
}
"""Which of the calls of a browser key have an effect. (The device is known before where the contact was made by this browser.)"""


def filled_in(value: Any, user: str) -> Any:
    if isinstance(value, dict):
        return {key: filled_in(inner, user) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled_in(inner, user) for inner in value]
    return value.replace("{user}", user) if isinstance(value, str) else value


def looks(engine: Engine, user: str) -> dict[str, Any]:
    """Everything of the user's contact that a call can be after."""
    with engine.db.read() as session:
        named = session.get(Identity, ("user_id", user))
        if named is None:
            return dict.fromkeys(CALLS) | {"cleared": (None, None, None)}
        contact = session.get(Contact, named.contact_id)
        assert contact is not None
        names = set(session.scalars(select(Identity.kind).where(Identity.contact_id == contact.id)))
        devices = set(session.scalars(select(Identity.value).where(Identity.contact_id == contact.id, Identity.kind == "anonymous_id")))
        merged = session.scalar(select(Merge.id).where(Merge.winner_id == contact.id))
    fields = {"first_name": contact.first_name, "plan": contact.attributes.get("plan"), "email": contact.email, "phone": contact.phone}
    return {
        **fields,
        "cleared": (contact.first_name, contact.email, contact.attributes.get("plan")),
        "group": contact.attributes.get("group"),
        "merged": merged,
        "external": "external:shop" in names or None,
        "device": f"{MINE}-{user}" in devices or None,
    }


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", ["browser", "server"])
def test_what_each_kind_of_key_may_do_to_a_contact_in_each_state(
    browser: Send, server: Send, engine: Engine, kind: str, state: str
) -> None:
    keys = {"browser": browser, "server": server}
    effects: set[str] = set()
    for number, (aim, (path, call)) in enumerate(CALLS.items()):
        user = f"u{number}"
        if aim == "merged":
            server("track", {"userId": f"other-{user}", "event": "E"})
        for sent_by, before_path, before in STATES[state]:
            said = filled_in(before, user)
            if "anonymousId" in said:
                said["anonymousId"] += f"-{user}"
            keys[sent_by](before_path, {"userId": user, **said})
        before_it = looks(engine, user)
        keys[kind](path, {"userId": user, "anonymousId": f"{MINE}-{user}", **filled_in(call, user)})
        if looks(engine, user)[aim] != before_it[aim]:
            effects.add(aim)
    expected = MAY[state] if kind == "browser" else set(CALLS)
    if kind == "server":
        expected = expected - ({"cleared"} if "filled" not in state else set()) - ({"device"} if "this browser" in state else set())
    assert effects == expected


def identify(user: str | None, device: str | None, **traits: Any) -> dict[str, Any]:
    ids = {"userId": user, "anonymousId": device}
    return {**{name: value for name, value in ids.items() if value}, "traits": traits}


def contact_of(engine: Engine, kind: str, value: str) -> Contact:
    with engine.db.read() as session:
        named = session.get(Identity, (kind, value))
        assert named is not None
        contact = session.get(Contact, named.contact_id)
    assert contact is not None
    return contact


def refusals(engine: Engine) -> list[dict[str, str]]:
    with engine.db.read() as session:
        events = session.scalars(select(Event).where(Event.type != "system").order_by(col(Event.id)))
        return [event.properties["refused"] for event in events if "refused" in event.properties]


@pytest.fixture
def ada(server: Send, engine: Engine) -> str:
    """A customer, known to the shop's server; the id of the contact."""
    server("identify", identify("ada", None, email="ada@example.org", firstName="Ada"))
    return contact_of(engine, "user_id", "ada").id


def test_what_was_left_out_stands_at_the_event(browser: Send, ada: str, engine: Engine) -> None:
    browser("identify", identify("ada", "evil", firstName="Mallory", lastName="Lovelace", phone="+41441112233"))
    assert refusals(engine) == [
        {"anonymous_id": "needs_server_key", "phone": "needs_server_key", "first_name": "filled"},
    ]
    contact = contact_of(engine, "user_id", "ada")
    assert (contact.first_name, contact.last_name, contact.phone) == ("Ada", "Lovelace", None)


def test_a_server_key_is_refused_nothing(server: Send, ada: str, engine: Engine) -> None:
    server("identify", identify("ada", None, firstName="Augusta"))
    assert contact_of(engine, "user_id", "ada").first_name == "Augusta"
    assert refusals(engine) == []


def test_an_address_of_a_stranger_finds_nobody(browser: Send, ada: str, engine: Engine) -> None:
    """Neither the profile nor what happens afterwards is the stranger's; and the sender's contact does not carry the address."""
    browser("identify", identify(None, "evil", email="Ada@Example.org", firstName="Buy now"))
    browser("track", {"anonymousId": "evil", "event": "Checkout Started"})
    evil = contact_of(engine, "anonymous_id", "evil")
    assert (evil.id != ada, evil.email, contact_of(engine, "user_id", "ada").first_name) == (True, None, "Ada")
    with engine.db.read() as session:
        assert session.scalars(select(Event.contact_id).where(Event.name == "Checkout Started")).one() == evil.id


def test_an_address_alone_is_no_name_for_a_browser_key(client: Any, browser: Send, ada: str, engine: Engine) -> None:
    for call in (identify(None, None, email="ada@example.org"), {"context": {"externalIds": [{"type": "shop", "id": "7"}]}, "traits": {}}):
        answer = browser("batch", {"batch": [{"type": "identify", **call}]})
        assert answer.headers["x-dropped-events"] == "1"


def test_another_systems_id_neither_finds_nor_is_given(browser: Send, server: Send, ada: str, engine: Engine) -> None:
    server("track", {"userId": "ada", "event": "E", "context": {"externalIds": [{"type": "shop", "id": "7"}]}})
    for number in ("7", "8"):
        shop = {"externalIds": [{"type": "shop", "id": number}]}
        browser("identify", {"anonymousId": "evil", "traits": {"firstName": "Mallory"}, "context": shop})
    with engine.db.read() as session:
        held = {row.value: row.contact_id for row in session.scalars(select(Identity).where(Identity.kind == "external:shop"))}
    assert held == {"7": ada}


def test_an_anonymous_id_spelt_like_a_user_id_is_no_user_id(browser: Send, ada: str, engine: Engine) -> None:
    browser("identify", identify(None, "ada", firstName="Mallory"))
    browser("alias", {"userId": "mallory", "previousId": "ada"})
    assert contact_of(engine, "anonymous_id", "ada").id != ada
    assert contact_of(engine, "user_id", "mallory").id != ada
    assert contact_of(engine, "user_id", "ada").first_name == "Ada"


@pytest.mark.parametrize("ids", [("mallory", "ada"), ("ada", "mallory")])
def test_an_alias_merges_nobody(browser: Send, server: Send, ada: str, engine: Engine, ids: tuple[str, str]) -> None:
    server("track", {"userId": "mallory", "event": "E"})
    browser("batch", {"batch": [{"type": "alias", "userId": ids[0], "previousId": ids[1], "anonymousId": "evil"}]})
    assert contact_of(engine, "user_id", "ada").id != contact_of(engine, "user_id", "mallory").id
    assert refusals(engine)[-1]["alias"] == "needs_server_key"


def test_the_alias_of_a_visitor_who_registers_is_no_refusal(browser: Send, engine: Engine) -> None:
    browser("page", {"anonymousId": "a1", "name": "Home"})
    browser("alias", {"userId": "u1", "previousId": "a1", "anonymousId": "a1"})
    assert contact_of(engine, "user_id", "u1").id == contact_of(engine, "anonymous_id", "a1").id
    assert refusals(engine) == []


def test_two_users_of_one_browser_stay_two(browser: Send, engine: Engine) -> None:
    browser("identify", identify("u1", "a1"))
    browser("identify", identify("u2", "a1", firstName="Second"))
    one, two = contact_of(engine, "user_id", "u1"), contact_of(engine, "user_id", "u2")
    assert (one.id != two.id, one.first_name, contact_of(engine, "anonymous_id", "a1").id) == (True, None, one.id)


def test_in_one_batch_no_call_prepares_the_way_for_the_next(browser: Send, ada: str, engine: Engine) -> None:
    calls: list[dict[str, Any]] = [
        {"type": "track", "userId": "ada", "anonymousId": "evil", "event": "E"},
        {"type": "identify", **identify(None, "evil", email="evil@example.org")},
        {"type": "identify", **identify("ada", "evil", email="evil@example.org", phone="+41441112233")},
        {"type": "group", "userId": "ada", "anonymousId": "evil", "groupId": "g", "traits": {"id": "other"}},
        {"type": "alias", "userId": "ada", "previousId": "evil", "anonymousId": "evil"},
    ]
    browser("batch", {"batch": calls})
    contact = contact_of(engine, "user_id", "ada")
    assert (contact.id, contact.email, contact.phone, contact.attributes) == (ada, "ada@example.org", None, {"group": {"id": "g"}})
    assert contact_of(engine, "anonymous_id", "evil").id != ada


def test_who_takes_a_name_in_advance_has_no_power_over_its_owner(browser: Send, server: Send, engine: Engine) -> None:
    """A user id or an address can be guessed before the server has ever said it. From when it does, the browser gives no names."""
    browser("identify", identify("u1", "evil", email="victim@example.org"))
    server("identify", identify("u1", None, email="victim@example.org"))
    browser("identify", identify("u1", "evil", phone="+41441112233"))
    browser("identify", identify(None, "evil", phone="+41441112233"))
    browser("identify", identify("u2", "evil", phone="+41441112233"))
    victim = contact_of(engine, "user_id", "u1")
    assert (victim.phone, victim.vouched) == (None, True)
    assert contact_of(engine, "user_id", "u2").id != victim.id


@pytest.mark.parametrize(
    ("traits", "kept"),
    [
        ({"address": {"city": "Basel"}}, {"address": {"city": "Bern"}, "n": 0}),
        ({"address": None}, {"address": {"city": "Bern"}, "n": 0}),
        ({"address.city": "Basel"}, {"address": {"city": "Bern"}, "n": 0}),
        ({"address.city.part": "Basel"}, {"address": {"city": "Bern"}, "n": 0}),
        ({"address.zip": "3000"}, {"address": {"city": "Bern", "zip": "3000"}, "n": 0}),
        ({"n": 1}, {"address": {"city": "Bern"}, "n": 0}),
        ({" n ": 1, "first_name": "X"}, {"address": {"city": "Bern"}, "n": 0}),
    ],
)
def test_whatever_way_leads_to_a_field_it_is_not_overwritten(
    browser: Send, server: Send, engine: Engine, traits: dict[str, Any], kept: dict[str, Any]
) -> None:
    server("identify", identify("u1", None, firstName="Ada", address={"city": "Bern"}, n=0))
    browser("identify", identify("u1", "a1", **traits))
    contact = contact_of(engine, "user_id", "u1")
    assert (contact.first_name, contact.attributes) == ("Ada", kept)


def test_nobody_can_fill_a_contact_up(browser: Send, server: Send, ada: str, engine: Engine) -> None:
    for part in range(4):
        browser("identify", identify("ada", None, **{f"junk{part}_{number}": 1 for number in range(200)}))
    server("identify", identify("ada", None, plan="pro"))
    attributes = contact_of(engine, "user_id", "ada").attributes
    assert (attributes["plan"], len(attributes)) == ("pro", 201)


@pytest.mark.parametrize("held", [None, "withdrawn", "pending", "granted"])
@pytest.mark.parametrize("said", ["granted", "pending", "withdrawn"])
@pytest.mark.parametrize("said_at", [None, "2099-01-01T00:00:00Z"])
def test_no_consent_is_loosened(
    browser: Send, server: Send, ada: str, engine: Engine, held: str | None, said: str, said_at: str | None
) -> None:
    statement = {"channel": "email", "state": said, "said_at": said_at}
    if held:
        server("identify", identify("ada", None, consents={"email": {"marketing": held}}))
    browser("identify", identify("ada", "evil", consents=[statement]))
    with engine.db.read() as session:
        (row,) = session.scalars(select(ConsentState)).all()
    assert row.state == ("withdrawn" if said == "withdrawn" else held or "pending")


def test_a_server_key_in_a_web_page_is_worth_what_a_browser_key_is(server: Send, ada: str, engine: Engine) -> None:
    server("identify", identify("ada", "evil", firstName="Mallory"), origin="https://shop.example")
    assert contact_of(engine, "user_id", "ada").first_name == "Ada"


def test_a_browser_key_has_a_name_of_its_own(engine: Engine) -> None:
    """The name is the source of its events: with the server's name it could send the server's message ids first."""
    now = engine.clock.now()
    with engine.db.write() as session:
        for kind, name in (("server", "Shop"), ("browser", "Web"), ("admin", "Shop")):
            add_key(session, kind, name, now)  # type: ignore[arg-type]
        with pytest.raises(Conflict):
            add_key(session, "browser", "Shop", now)
        with pytest.raises(Conflict):
            add_key(session, "server", "Web", now)


def test_events_of_a_browser_are_the_users_as_ever(browser: Send, ada: str, engine: Engine) -> None:
    """Journeys live on them; anybody can send them, as with every tracking service."""
    browser("track", {"userId": "ada", "anonymousId": "a1", "event": "Order Completed", "properties": {"total": 10}})
    browser("track", {"anonymousId": "a1", "event": "Logged Out"})
    with engine.db.read() as session:
        of = dict(session.execute(select(Event.name, Event.contact_id).where(Event.type == "track")).all())
    assert of["Order Completed"] == ada
    assert of["Logged Out"] != ada


def test_a_browser_gives_its_contact_one_address(browser: Send, engine: Engine) -> None:
    browser("identify", identify("u1", "a1", email="one@example.org"))
    browser("identify", identify("u1", "a1", email="two@example.org"))
    assert contact_of(engine, "user_id", "u1").email == "one@example.org"
    with engine.db.read() as session:
        assert session.scalars(select(Identity.value).where(Identity.kind == "email")).all() == ["one@example.org"]
