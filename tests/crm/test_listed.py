"""Lists of purposes and score groups: what is in use without standing there, how each is called, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from crm.consent.consent import Evidence, record_consent
from crm.people.scores import change_score
from journeys.errors import Invalid, NotFound
from workspace import listed_names, settings


def names(*keys: str) -> dict[str, list[dict[str, str]]]:
    return {"names": [{"key": key} for key in keys]}


def says(session: Session, contact: str, channel: str, purpose: str, now: datetime) -> None:
    record_consent(session, contact, channel, purpose, "withdrawn", now, evidence=Evidence.DATED, source="test")


def test_what_contacts_say_is_kept_and_waits_to_be_listed(session: Session, make_contact: Callable[..., str], now: datetime) -> None:
    one, other = make_contact("c1"), make_contact("c2")
    for contact, channel, purpose in (
        (one, "email", "marketing"), (one, "sms", "fair"), (other, "email", "fair"), (other, "email", "autumn:sale"), (one, "push", "zoo"),
    ):  # fmt: skip
        says(session, contact, channel, purpose, now)
    assert listed_names.unlisted(session, "purposes") == ["autumn:sale", "fair", "zoo"]
    listed_names.add(session, "purposes", "fair", "member:m1", now)
    assert listed_names.unlisted(session, "purposes") == ["autumn:sale", "zoo"]
    assert [one.key for one in settings.load(session, settings.Purposes).names] == ["marketing", "newsletter", "service", "fair"]


def test_scores_that_programs_give_wait_too(session: Session, make_contact: Callable[..., str], now: datetime) -> None:
    for id, group in (("c1", "fit"), ("c2", "loyalty"), ("c3", "loyalty"), ("c4", "")):
        contact = make_contact(id)
        if group:
            change_score(session, contact, group, 5, False, "test", now, source="test")
    assert listed_names.unlisted(session, "score_groups") == ["loyalty"]
    assert listed_names.unlisted(session, "sender") == []


def test_what_no_list_can_hold_is_not_offered(session: Session, contact: str, now: datetime) -> None:
    for group in (" fair", "two\nlines", "fair"):
        change_score(session, contact, group, 5, False, "test", now, source="test")
    assert listed_names.unlisted(session, "score_groups") == ["fair"]


def test_no_more_than_a_hundred_are_offered(session: Session, contact: str, now: datetime) -> None:
    for n in range(listed_names.MOST_UNLISTED + 5):
        says(session, contact, "email", f"p{n:03}", now)
    assert listed_names.unlisted(session, "purposes") == [f"p{n:03}" for n in range(100)]


def test_a_name_is_added_once_and_only_to_a_list(session: Session, now: datetime) -> None:
    for _ in range(2):
        listed_names.add(session, "score_groups", "loyalty", "member:m1", now)
    assert [one.key for one in settings.load(session, settings.ScoreGroups).names] == ["engagement", "fit", "loyalty"]
    with pytest.raises(NotFound):
        listed_names.add(session, "sender", "loyalty", "member:m1", now)
    with pytest.raises(Invalid):
        listed_names.add(session, "score_groups", "x" * 65, "member:m1", now)


@pytest.mark.parametrize(
    ("name", "keys", "place"),
    [
        ("purposes", ("newsletter",), "names"),
        ("score_groups", ("fit",), "names"),
        ("purposes", ("marketing", "fair", "fair"), "names"),
        ("purposes", ("marketing", ""), "names.1.key"),
        ("purposes", ("marketing", "Summer sale"), "names.1.key"),
        ("score_groups", ("engagement", "a\nb"), "names.1.key"),
        ("purposes", ("marketing", "x" * 65), "names.1.key"),
        ("purposes", ("marketing", *(f"p{n}" for n in range(200))), "names"),
    ],
)
def test_a_list_that_cannot_be_is_refused_at_its_place(
    session: Session, now: datetime, name: str, keys: tuple[str, ...], place: str
) -> None:
    with pytest.raises(Invalid) as refused:
        settings.put(session, name, names(*keys), "member:m1", now)
    assert [issue.field for issue in refused.value.issues] == [place]


def test_a_label_is_the_workspaces_else_the_built_in_else_the_key(session: Session, now: datetime) -> None:
    value = {
        "names": [
            {"key": "marketing", "english": "Offers", "german": "Angebote"}, {"key": "fair", "german": "Messe"}, {"key": "service"},
            {"key": "spring_sale"},
        ]
    }  # fmt: skip
    settings.put(session, "purposes", value, "member:m1", now)
    built_in = {"service": "Help with what you bought", "spring_sale": "spring sale"}
    assert listed_names.labels(session, "purposes", "de") == {"marketing": "Angebote", "fair": "Messe", **built_in}
    assert listed_names.labels(session, "purposes", "en") == {"marketing": "Offers", "fair": "Messe", **built_in}
