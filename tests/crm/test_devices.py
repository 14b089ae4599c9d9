"""Devices of contacts: whose they are, how many, what the contact's field says, and what stays after merges, partings, years and erasures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from crm.people import devices, identity
from crm.people.devices import MOST, UNSEEN, Registration
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.privacy.erasure import erase_person
from crm.privacy.export import export
from crm.privacy.retention import PURGES
from journeys.errors import Invalid, NotFound
from models import Audit, Contact, Database, Device, Event
from tests.activities.providers.push_service import Browser

BROWSER = Browser()


def web(name: str = "one", **changes: Any) -> Registration:
    given = {"p256dh": BROWSER.p256dh, "auth": BROWSER.subscription("")["keys"]["auth"], "made_for": "K"} | changes
    return Registration("web", f"https://push.example/{name}", **given)


def people(session: Any, now: datetime, *names: str) -> list[str]:
    return [identity.resolve(session, [("user_id", name)], now).contact_id for name in names]


def has(session: Any, contact_id: str) -> tuple[str | None, list[str]]:
    """What the field says, and the addresses, the one seen last first."""
    said = session.scalar(select(Contact.push_devices).where(Contact.id == contact_id))
    return said, [one.address.rpartition("/")[2] for one in devices.of_contact(session, contact_id)]


def told(session: Any, contact_id: str) -> list[tuple[str, Any]]:
    events = session.scalars(select(Event).where(Event.contact_id == contact_id).order_by(col(Event.id)))
    return [(one.name, one.properties.get("reason") or one.properties.get("changes") or one.properties.get("kind")) for one in events]


def test_a_device_is_registered_once_and_says_so(db: Database, now: datetime) -> None:
    with db.write() as session:
        [anna] = people(session, now, "anna")
        devices.register(session, anna, web(app="https://shop.example"), now)
        devices.register(session, anna, web(), now + timedelta(hours=1))
        devices.register(session, anna, Registration("android", "t1"), now + timedelta(hours=2))
        assert has(session, anna) == ("android web", ["t1", "one"])
        [_, browser] = devices.of_contact(session, anna)
        assert (browser.created_at, browser.last_seen_at, browser.app) == (now, now + timedelta(hours=1), "https://shop.example")
        assert told(session, anna) == [
            ("Device Added", "web"),
            ("Contact Changed", {"push_devices": [None, "web"]}),
            ("Device Added", "android"),
            ("Contact Changed", {"push_devices": ["web", "android web"]}),
        ]


def test_a_device_is_one_person_s_at_a_time(db: Database, now: datetime) -> None:
    with db.write() as session:
        anna, boris = people(session, now, "anna", "boris")
        devices.register(session, anna, web(), now)
        devices.register(session, boris, web(), now)
        assert (has(session, anna), has(session, boris)) == ((None, []), ("web", ["one"]))
        assert ("Device Removed", "moved") in told(session, anna)
        assert not devices.leave(session, anna, "https://push.example/one", now), "it is no longer hers to remove"
        assert devices.leave(session, boris, "https://push.example/one", now)
        assert has(session, boris) == (None, [])


def test_beyond_the_limit_the_one_unseen_for_longest_goes(db: Database, now: datetime) -> None:
    with db.write() as session:
        [anna] = people(session, now, "anna")
        for number in range(MOST + 2):
            devices.register(session, anna, web(f"d{number}"), now + timedelta(minutes=number))
        assert has(session, anna)[1] == [f"d{number}" for number in range(MOST + 1, 1, -1)]
        assert [what for what in told(session, anna) if what[0] == "Device Removed"] == [("Device Removed", "limit")] * 2


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example/x", "https:///x", "https://user@push.example/x", "https://push.example:8443/x", "ftp://push.example/x",
        "https://push.example/a b", "https://push.example/\r\nX: y", "https://push.example/ä", "https://[::1/x", "", "https://p.example/" + "x" * 3_000,
        "https://push.example/#x",
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    keys = BROWSER.subscription("")["keys"]
    with pytest.raises(Invalid):
        Registration("web", endpoint, keys["p256dh"], keys["auth"])


@pytest.mark.parametrize(
    "keys", [{"p256dh": "AAAA"}, {"p256dh": "B" * 87}, {"auth": "AAAA"}, {"auth": ""}, {"p256dh": "ä"}, {"auth": "*" * 22}]
)
def test_what_are_no_keys_is_refused(keys: dict[str, str]) -> None:
    """Nobody could ever read a message that was encrypted to them."""
    with pytest.raises(Invalid):
        web(**keys)


@pytest.mark.parametrize("token", ["", " ", "a\nb", "x" * 3_000, "ü"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Invalid):
        Registration("ios", token)


def test_a_merge_brings_the_devices_along_and_parting_takes_them_back(db: Database, now: datetime) -> None:
    with db.write() as session:
        anna, anne = people(session, now, "anna", "anne")
        for number in range(MOST):
            devices.register(session, anna, web(f"a{number}"), now)
        devices.register(session, anne, Registration("ios", "t"), now + timedelta(days=1))
        merge(session, anna, anne, now)
        said, addresses = has(session, anna)
        assert (said, len(addresses), addresses[0]) == ("ios web", MOST, "t")
        assert has(session, anne) == (None, [])
        devices.register(session, anne, web("late"), now + timedelta(days=2))
        assert has(session, anna)[1][0] == "late", "who asks for the former contact means the present one"
        found = newest(session, anna)
        assert found is not None
        unmerge(session, found.id or 0, "m1", now)
        assert has(session, anne) == ("ios", ["t"])
        assert has(session, anna)[0] == "web"


def test_a_changed_subscription_stays_the_same_person_s(db: Database, now: datetime) -> None:
    with db.write() as session:
        anna, boris = people(session, now, "anna", "boris")
        devices.register(session, anna, web("old"), now)
        devices.register(session, boris, web("his"), now)
        assert devices.renew(session, "https://push.example/unknown", web("new"), now) is None
        with pytest.raises(Invalid):
            devices.renew(session, "https://push.example/old", web("his"), now)
        assert devices.renew(session, "https://push.example/old", web("new"), now) is not None
        assert (has(session, anna), has(session, boris)) == (("web", ["new"]), ("web", ["his"]))
        devices.register(session, anna, web("newer"), now)
        devices.renew(session, "https://push.example/new", web("newer"), now)
        assert has(session, anna) == ("web", ["newer"]), "the page was faster than the service worker"


def test_a_device_that_has_registered_anew_meanwhile_is_not_taken_for_gone(db: Database, now: datetime) -> None:
    with db.write() as session:
        [anna] = people(session, now, "anna")
        device = devices.register(session, anna, web("old"), now)
        id = device.id or 0
        devices.renew(session, "https://push.example/old", web("new"), now)
        assert not devices.take(session, id, "gone", now, address="https://push.example/old")
        assert devices.take(session, id, "gone", now, address="https://push.example/new")
        assert not devices.take(session, id, "gone", now)


def test_a_person_of_the_team_removes_one_and_the_trail_says_so(db: Database, now: datetime) -> None:
    with db.write() as session:
        anna, boris = people(session, now, "anna", "boris")
        id = devices.register(session, anna, web(), now).id or 0
        with pytest.raises(NotFound):
            devices.remove(session, boris, id, "m1", now)
        devices.remove(session, anna, id, "m1", now)
        assert has(session, anna) == (None, [])
        [line] = session.scalars(select(Audit).where(Audit.action == "contact.device_remove"))
        assert (line.actor, line.subject) == ("m1", f"contact:{anna}")
        assert "push.example" not in str(line.model_dump())


def test_devices_are_exported_and_erased(db: Database, now: datetime) -> None:
    with db.write() as session:
        [anna] = people(session, now, "anna")
        devices.register(session, anna, web(), now)
        assert [row["address"] for row in export(session, anna)["devices"]] == ["https://push.example/one"]
    erase_person(db, anna, now, by="test", keys=[b"k" * 32])
    with db.write() as session:
        assert (has(session, anna), session.scalars(select(Device)).all()) == ((None, []), [])
        with pytest.raises(NotFound):
            devices.register(session, anna, web(), now)


def test_what_was_not_seen_for_a_year_is_removed(db: Database, now: datetime) -> None:
    [purge] = [one for one in PURGES if one.name == "devices"]
    with db.write() as session:
        [anna] = people(session, now, "anna")
        devices.register(session, anna, web("old"), now - UNSEEN - timedelta(hours=1))
        devices.register(session, anna, web("used"), now - UNSEEN + timedelta(hours=1))
        assert purge.is_due(session, now)
        assert purge.page(session, "", now, ()).counts == {"devices": 1}
        assert has(session, anna) == ("web", ["used"])
        assert not purge.is_due(session, now)
