"""A merge taken back: what moved goes back, the stricter stays where somebody has spoken since, and what cannot be split is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent import consent
from crm.consent.consent import Evidence, record_consent
from crm.people import duplicates, profile, scores
from crm.people.identity import find, resolve
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.privacy.erasure import erase
from journeys.errors import Conflict, NotFound
from models import Audit, Contact, Event, Identity, Merge, MergeMoved, Message, Run, Score, Subscription, Tag
from storage.events import append_event

HOUR = timedelta(hours=1)
MakeRun = Callable[..., Run]


def say(session: Session, contact: str, state: str, at: datetime, channel: str = "email") -> None:
    record_consent(session, contact, channel, "marketing", state, at, evidence=Evidence.DATED, source=f"{at}")


@pytest.fixture
def pair(session: Session, make_run: MakeRun, now: datetime) -> tuple[str, str]:
    """Two colleagues with all that a contact can have."""
    found = []
    for number, name in enumerate(("Ada", "Ben")):
        id = resolve(session, [("user_id", name), ("email", f"{name}@work.example"), ("anonymous_id", f"a{name}")], now).contact_id
        profile.update_fields(session, id, {"first_name": name, f"of_{name}": number, "plan": name, "phone": "+41446681800"}, now, "test")
        profile.add_tag(session, id, name, now)
        profile.add_tag(session, id, "both", now)
        scores.change_score(session, id, "fit", 10 + number, False, "", now)
        append_event(session, id, "track", f"Event of {name}", {}, now)
        run = make_run(f"run-{name}", id, run_key=name)
        session.add(Subscription(run_id=run.id, topic="event:X", why="exit", contact_id=id))
        session.add(Message(id=f"m-{name}", once_key=name, contact_id=id, run_id=run.id, channel="email", planned_at=now))
        found.append(id)
    scores.change_score(session, found[1], "engagement", 5, False, "", now)
    say(session, found[0], "granted", now)
    say(session, found[1], "withdrawn", now)
    say(session, found[1], "granted", now, "sms")
    session.flush()
    return found[0], found[1]


def portrait(session: Session, contact_id: str) -> dict[str, Any]:
    """Everything of a contact that a merge could mix up."""
    session.flush()
    session.expire_all()
    row = session.get_one(Contact, contact_id)
    whose = {model: model.contact_id == contact_id for model in (Identity, Tag, Score, Event, Run, Subscription, Message)}  # type: ignore[attr-defined]
    return {
        "fields": {name: getattr(row, name) for name in ("email", "phone", "first_name", "attributes", "created_at", "merged_into")},
        "names": sorted((one.kind, one.value) for one in session.scalars(select(Identity).where(whose[Identity]))),
        "tags": sorted(one.tag for one in session.scalars(select(Tag).where(whose[Tag]))),
        "scores": {one.score_group: one.value for one in session.scalars(select(Score).where(whose[Score]))},
        "events": sorted(one.name for one in session.scalars(select(Event).where(whose[Event], Event.type != "system"))),
        "runs": sorted((one.id, one.status) for one in session.scalars(select(Run).where(whose[Run]))),
        "subscriptions": sorted(one.run_id for one in session.scalars(select(Subscription).where(whose[Subscription]))),
        "messages": sorted(one.id for one in session.scalars(select(Message).where(whose[Message]))),
        "consents": {channel: consent.state(session, contact_id, channel, "marketing") for channel in ("email", "sms")},
    }


def join(session: Session, pair: tuple[str, str], now: datetime) -> int:
    merge(session, *pair, now)
    line = newest(session, pair[0])
    assert line is not None
    assert line.id is not None
    return line.id


def test_both_are_what_they_were(session: Session, pair: tuple[str, str], now: datetime) -> None:
    before = [portrait(session, id) for id in pair]
    merge_id = join(session, pair, now + HOUR)
    assert portrait(session, pair[0]) != before[0]
    done = unmerge(session, merge_id, "m1", now + 2 * HOUR)
    assert [portrait(session, id) for id in pair] == before
    assert done.left == []
    assert done.to_wake == ["run-Ben"]
    assert {(event.contact_id, event.name) for event in done.events} >= {(pair[1], "Contact Changed"), (pair[0], "Consent Changed")}
    line = session.get_one(Merge, merge_id)
    assert (line.undone_at, line.undone_by) == (now + 2 * HOUR, "m1")
    assert "contact.unmerge" in [row.action for row in session.scalars(select(Audit))]
    for id in pair:
        log = consent.history(session, id)
        assert [row.state for row in log if row.channel == "email"][-1] == consent.state(session, id, "email", "marketing")


def test_they_are_not_merged_or_suggested_again(session: Session, pair: tuple[str, str], now: datetime) -> None:
    visitor = resolve(session, [("anonymous_id", "new")], now).contact_id
    merge(session, pair[0], visitor, now)
    merge_id = newest(session, pair[0]).id  # type: ignore[union-attr]
    unmerge(session, merge_id or 0, "m1", now)
    assert resolve(session, [("user_id", "Ada"), ("anonymous_id", "new")], now).merged == []
    assert visitor not in {id for one in duplicates.page(session).pairs for id in (one.one.id, one.other.id)}


def test_what_was_done_since_stays_with_the_one_who_stayed(session: Session, pair: tuple[str, str], now: datetime) -> None:
    merge_id = join(session, pair, now)
    append_event(session, pair[0], "track", "Later", {}, now + HOUR)
    profile.update_fields(session, pair[0], {"of_Ben": "changed", "phone": "+41446681801"}, now + HOUR, "test")
    resolve(session, [("user_id", "Ben"), ("anonymous_id", "later")], now)
    done = unmerge(session, merge_id, "m1", now + 2 * HOUR)
    kept, back = (portrait(session, id) for id in pair)
    assert "Later" in kept["events"]
    assert (kept["fields"]["attributes"]["of_Ben"], back["fields"]["attributes"]["of_Ben"]) == ("changed", 1)
    assert (kept["fields"]["phone"], back["fields"]["phone"]) == ("+41446681801", "+41446681800")
    assert ("anonymous_id", "later") in kept["names"]
    assert done.left == ["later", "fields"]


@pytest.mark.parametrize(("since", "stayed", "parted"), [("withdrawn", "withdrawn", "withdrawn"), ("granted", "granted", "withdrawn")])
def test_where_somebody_has_spoken_since_the_stricter_stays(
    session: Session, pair: tuple[str, str], now: datetime, since: str, stayed: str, parted: str
) -> None:
    """Ada had said yes and Ben no."""
    merge_id = join(session, pair, now + HOUR)
    say(session, pair[0], since, now + 2 * HOUR)
    unmerge(session, merge_id, "m1", now + 3 * HOUR)
    assert [consent.state(session, id, "email", "marketing") for id in pair] == [stayed, parted]


def test_a_no_for_both_stays_for_both(session: Session, pair: tuple[str, str], now: datetime) -> None:
    """Neither had spoken of this channel, or only one had."""
    merge_id = join(session, pair, now + HOUR)
    for channel in ("whatsapp", "sms"):
        say(session, pair[0], "withdrawn", now + 2 * HOUR, channel)
    unmerge(session, merge_id, "m1", now + 3 * HOUR)
    for id in pair:
        assert [consent.state(session, id, channel, "marketing") for channel in ("whatsapp", "sms")] == ["withdrawn"] * 2


def test_a_run_that_the_merge_ended_stays_ended(session: Session, make_contact: Any, make_run: MakeRun, now: datetime) -> None:
    pair = make_contact("one"), make_contact("two")
    make_run("elder", "one", {}, started_at=now - HOUR)
    make_run("younger", "two", {}, started_at=now)
    done = unmerge(session, join(session, pair, now), "m1", now)
    assert done.left == ["runs_ended"]
    assert portrait(session, "two")["runs"] == [("younger", "ended")]


def test_the_newest_is_undone_first_and_what_was_merged_before_follows(session: Session, make_contact: Any, now: datetime) -> None:
    for name in ("a", "b", "c", "d"):
        make_contact(name, first_name=name)
    first = join(session, ("b", "a"), now)
    second = join(session, ("c", "b"), now)
    third = join(session, ("c", "d"), now)
    for blocked in (first, second):
        with pytest.raises(Conflict, match="Later merges"):
            unmerge(session, blocked, "m1", now)
    assert session.get_one(Contact, "a").merged_into == "c"
    unmerge(session, third, "m1", now)
    unmerge(session, second, "m1", now)
    session.expire_all()
    assert {id: session.get_one(Contact, id).merged_into for id in "abcd"} == {"a": "b", "b": None, "c": None, "d": None}
    unmerge(session, first, "m1", now)
    session.expire_all()
    assert session.get_one(Contact, "a").merged_into is None
    with pytest.raises(Conflict, match="undone already"):
        unmerge(session, first, "m1", now)
    with pytest.raises(NotFound):
        unmerge(session, 10_000, "m1", now)


def test_a_merge_of_old_and_one_that_was_erased_cannot_be_undone(session: Session, pair: tuple[str, str], now: datetime) -> None:
    merge_id = join(session, pair, now)
    line = session.get_one(Merge, merge_id)
    kept = line.kept
    line.kept = {"contact": {}}
    session.flush()
    assert newest(session, pair[0]) is None
    with pytest.raises(Conflict, match="older"):
        unmerge(session, merge_id, "m1", now)
    line.kept = kept
    erase(session, pair[0], now, by="m1")
    session.expire_all()
    assert session.scalars(select(MergeMoved)).all() == []
    with pytest.raises(Conflict, match="erased"):
        unmerge(session, merge_id, "m1", now)


def test_an_address_that_was_one_person_s_is_shared_again(session: Session, now: datetime) -> None:
    family = ("email", "family@example.org")
    one, two = (str(resolve(session, [("user_id", id), family], now).contact_id) for id in ("u1", "u2"))
    profile.update_fields(session, two, {"email": family[1]}, now, "test")
    merge_id = join(session, (one, two), now)
    assert find(session, family) == one
    unmerge(session, merge_id, "m1", now)
    assert find(session, family) is None
