"""First and last touch: by the time when they happened, through calls, merges and their undoing."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.people import contacts, identity, touches
from crm.people.merge import merge
from crm.people.touches import Standing, Touch
from crm.people.unmerge import newest, unmerge
from models import Event

HOUR = timedelta(hours=1)


def came(now: datetime, hours: float, source: str = "news") -> Touch:
    return Touch("campaign", now + hours * HOUR, utm_source=source)


def put(session: Session, contact: str, *given: Touch) -> Standing:
    touches.record_all(session, [(contact, one) for one in given])
    return touches.of(session, [contact])[contact]


def test_the_order_in_which_touches_are_told_does_not_matter(now: datetime) -> None:
    typed, file = Touch("direct", now - 9 * HOUR), Touch("import", now + 9 * HOUR)
    one, two, three = came(now, 1), came(now, 2, "ads"), Touch("referrer", now + 3 * HOUR, referrer="blog.example")
    for order in permutations([typed, one, two, three, file]):
        found = touches.settle(None, order[0])
        for touch in order[1:]:
            found = touches.settle(found, touch)
        assert found == Standing(typed, three)


def test_typing_the_address_is_the_last_touch_only_of_who_never_came_otherwise(now: datetime) -> None:
    typed, again = Touch("direct", now), Touch("direct", now + HOUR)
    assert touches.settle(Standing(typed, typed), again) == Standing(typed, typed)
    assert touches.settle(Standing(again, again), typed) == Standing(typed, typed)
    assert touches.settle(Standing(came(now, 0), came(now, 0)), again).last == came(now, 0)
    assert touches.settle(Standing(again, again), came(now, -2)) == Standing(came(now, -2), came(now, -2))


def test_the_same_touch_within_half_an_hour_is_the_same_visit(now: datetime) -> None:
    standing = Standing(came(now, 0), came(now, 0))
    assert touches.settle(standing, came(now, 0.4)) == standing
    assert touches.settle(standing, came(now, 0.5)).last == came(now, 0.5)
    assert touches.settle(standing, came(now, 0.4, "ads")).last == came(now, 0.4, "ads")


def test_only_what_changes_is_told(session: Session, contact: str, now: datetime) -> None:
    first = touches.record(session, contact, came(now, 0), now)
    assert first is not None
    assert first.properties == {"touch": "both", "kind": "campaign", "source": "news"}
    assert touches.record(session, contact, came(now, 0.1), now) is None
    late, last = (touches.record(session, contact, came(now, hours), now) for hours in (-5, 5))
    assert late is not None
    assert last is not None
    assert (late.properties["touch"], last.properties["touch"]) == ("first", "last")
    assert touches.of(session, [contact])[contact] == Standing(came(now, -5), came(now, 5))


@pytest.mark.parametrize("since", [None, 5.0, -5.0])
def test_a_merge_keeps_the_earliest_and_the_latest_and_gives_both_back(
    session: Session, make_contact: Any, now: datetime, since: float | None
) -> None:
    winner, loser = make_contact("winner"), make_contact("loser")
    ours, theirs = put(session, winner, came(now, 1), came(now, 2)), put(session, loser, came(now, 0, "ads"), came(now, 3, "ads"))
    done = merge(session, winner, loser, now)
    assert touches.of(session, [winner, loser]) == {winner: Standing(theirs.first, theirs.last)}
    assert [event.properties["touch"] for event in done.events if event.name == "Lead Source Changed"] == ["both"]
    later = [] if since is None else [came(now, since, "later")]
    put(session, winner, *later)
    line = newest(session, winner)
    assert line is not None
    assert line.id is not None
    unmerge(session, line.id, "test", now)
    kept = ours
    for touch in later:
        kept = touches.settle(kept, touch)
    assert touches.of(session, [winner, loser]) == {winner: kept, loser: theirs}


def test_who_had_none_before_a_merge_has_none_after_its_undoing(session: Session, make_contact: Any, now: datetime) -> None:
    winner, loser = make_contact("winner"), make_contact("loser")
    theirs = put(session, loser, came(now, 0))
    merge(session, winner, loser, now)
    assert touches.of(session, [winner])[winner] == theirs
    line = newest(session, winner)
    assert line is not None
    assert line.id is not None
    unmerge(session, line.id, "test", now)
    assert touches.of(session, [winner, loser]) == {loser: theirs}


def test_whoever_makes_a_contact_is_its_first_touch(session: Session, now: datetime) -> None:
    made = {source: contacts.create(session, [("user_id", source)], {}, now, source)[0].id for source in ("member:1", "key:2")}
    found = touches.of(session, list(made.values()))
    assert {source: (found[id].first.kind, found[id].last.source_id) for source, id in made.items()} == {
        "member:1": ("staff", "member:1"),
        "key:2": ("api", "key:2"),
    }
    assert session.scalars(select(Event).where(Event.name == "Lead Source Changed")).all() == [], "nobody waits for somebody new"


def test_a_form_brings_its_page_and_parameters(now: datetime) -> None:
    page = "https://shop.example/signup?utm_source=news&mail=ada@example.org"
    assert touches.of_form("form:f1", now, page=page) == Touch("form", now, "form:f1", "news", landing_page="shop.example/signup")
    hidden = touches.of_form("form:f1", now, page=page, referrer="https://blog.example/a?b", parameters={"medium": "cpc", "x": 1})
    assert (hidden.utm_source, hidden.utm_medium, hidden.referrer) == (None, "cpc", "blog.example/a")


def test_a_visitor_known_later_brings_where_it_came_from(session: Session, now: datetime) -> None:
    known = identity.resolve(session, [("user_id", "ada")], now).contact_id
    put(session, known, Touch("api", now))
    visitor = identity.resolve(session, [("anonymous_id", "v1")], now).contact_id
    put(session, visitor, came(now, -1))
    joined = identity.resolve(session, [("user_id", "ada"), ("anonymous_id", "v1")], now)
    assert joined.merged == [visitor]
    assert touches.of(session, [known])[known] == Standing(came(now, -1), came(now, -1))
