"""Templates as a collection, on every database: found, copied, thrown away, compared, and not lost while being written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.templates import library, listing
from activities.templates.listing import TemplateFilter
from journeys.errors import Conflict, Invalid, NotFound
from models import Contact, Database, Journey, Run, Template, TemplateVersion, Version, new_id

SMS = {"de": {"text": "Hallo {{ contact.first_name }}"}, "en": {"text": "Hello"}}


def put(db: Database, now: datetime, key: str, **more: Any) -> None:
    about: dict[str, Any] = {"name": key.title(), "kind": "sms", "message_class": "marketing", **more}
    library.save(db, key, SMS, actor="test", now=now, **about)


def journey(db: Database, now: datetime, key: str, *, draft: dict[str, Any], pins: dict[str, Any], state: str = "live") -> None:
    with db.write() as session:
        row = Journey(key=key, name=key.title(), draft=draft, state=state, live_version=1, created_at=now, updated_at=now)
        session.add(row)
        session.flush()
        session.add(Version(journey_id=row.id, number=1, digest="x", document=draft, pins={"templates": pins}, published_at=now))


def test_templates_are_found_by_what_stands_on_their_label(db: Database, now: datetime) -> None:
    put(db, now, "alpha", folder="Spring", tags=["warm", "new"])
    put(db, now, "beta", folder="Spring", name="Beta 50 %")
    put(db, now, "gamma", tags=["warm"])

    def found(**wanted: Any) -> list[str]:
        with db.read() as session:
            return [one.key for one in listing.find(session, TemplateFilter(**wanted), limit=10)]

    assert found() == ["alpha", "beta", "gamma"]
    assert found(folder="Spring") == ["alpha", "beta"]
    assert found(tag="warm") == ["alpha", "gamma"]
    assert found(text="50 %") == ["beta"]
    assert found(text="%") == ["beta"]
    assert found(kind="email") == []
    with db.write() as session:
        library.archive(session, "gamma", "test", now)
    assert found(archived=True) == ["gamma"]
    with db.read() as session:
        assert listing.labels(session) == (["Spring"], ["new", "warm"])
        assert [one.key for one in listing.find(session, TemplateFilter(), limit=1, offset=1)] == ["beta"]


def test_a_use_says_whether_it_is_entered_now_still_walked_through_or_only_drawn(db: Database, now: datetime) -> None:
    named = {"nodes": {"a": {"kind": "send_sms", "template": "hello"}, "b": {"kind": "send_sms", "template": "new"}}}
    journey(db, now, "one", draft=named, pins={"hello": 3})
    with db.write() as session:
        row = session.scalars(select(Journey)).one()
        row.live_version = 3
        for number, pins in ((2, {"hello": 1, "gone": 1}), (3, {"hello": 2})):
            session.add(Version(journey_id=row.id, number=number, digest="x", document={}, pins={"templates": pins}, published_at=now))
        session.flush()
        first, second = session.scalars(select(Version.id).where(col(Version.number) < 3).order_by(col(Version.number)))
        walking(session, row.id, second, 2, now, ended=None)
        walking(session, row.id, first, 1, now, ended=now)
    with db.read() as session:
        found = {key: [(use.place, use.version, use.template_version) for use in uses] for key, uses in listing.uses(session).items()}
    assert found == {
        "hello": [("live", 3, 2), ("inside", 2, 1)],
        "gone": [("inside", 2, 1)],
        "new": [("draft", None, None)],
    }


def walking(session: Session, journey_id: str, version_id: str, number: int, now: datetime, ended: datetime | None) -> None:
    contact = Contact(id=new_id(), created_at=now, updated_at=now)
    session.add(contact)
    session.flush()
    status = "active" if ended is None else "ended"
    session.add(
        Run(
            contact_id=contact.id, journey_id=journey_id, version_id=version_id, version_number=number, status=status, started_at=now,
            updated_at=now, ended_at=ended,
        )
    )  # fmt: skip


def test_only_what_no_journey_names_is_thrown_away(db: Database, now: datetime) -> None:
    for key in ("pinned", "drawn", "free"):
        put(db, now, key)
    journey(db, now, "one", draft={"nodes": {}}, pins={"pinned": 1})
    journey(db, now, "two", draft={"nodes": {"a": {"kind": "send_sms", "template": "drawn"}}, "note": '"free"'}, pins={}, state="draft")
    with db.read() as session:
        assert listing.naming_journeys(session, "pinned") == ["one"]
        assert listing.naming_journeys(session, "drawn") == ["two"]
        assert [(use.journey_key, use.template_version) for use in listing.uses(session)["pinned"]] == [("one", 1)]
        assert [(use.journey_key, use.place) for use in listing.uses(session)["drawn"]] == [("two", "draft")]
    for key in ("pinned", "drawn"):
        with db.write() as session, pytest.raises(Conflict):
            listing.delete(session, key, "test")
    with db.write() as session:
        listing.delete(session, "free", "test")
    with db.read() as session:
        assert session.get(Template, "free") is None
        assert session.get(TemplateVersion, ("free", 1)) is None


def test_a_draft_is_kept_beside_the_version(db: Database, now: datetime) -> None:
    put(db, now, "alpha")
    with db.write() as session:
        library.save_draft(session, "alpha", {"de": {"text": "{{ half"}}, 1, now)
    with db.read() as session:
        template = library.get(session, "alpha")
        assert listing.is_draft(session, template)
        assert library.load(session, "alpha").variants.keys() == {"de", "en"}
    with db.write() as session:
        with pytest.raises(Conflict):
            library.save_draft(session, "alpha", SMS, 1, now)
        with pytest.raises(NotFound):
            library.save_draft(session, "nothing", SMS, 1, now)


@pytest.mark.parametrize(
    "variants",
    [{}, {"de": "x"}, {"de": {"html": "x"}}, {"de": {"text": 7}}, {"de": {"text": "x" * 300_001}}, {"de": {"text": "\0"}}],
)
def test_what_is_no_draft_is_refused(sqlite_db: Database, now: datetime, variants: dict[str, Any]) -> None:
    put(sqlite_db, now, "alpha")
    with sqlite_db.write() as session, pytest.raises(Invalid):
        library.save_draft(session, "alpha", variants, 1, now)


def test_labels_have_limits(sqlite_db: Database, now: datetime) -> None:
    put(sqlite_db, now, "alpha")
    about: dict[str, Any] = {"name": "x", "message_class": "marketing", "folder": "", "tags": [], "actor": "test", "now": now}
    for wrong in (
        {"folder": "x" * 121},
        {"tags": ["x" * 61]},
        {"tags": [""]},
        {"tags": ["x"] * 21},
        {"name": ""},
        {"message_class": "loud"},
    ):
        with sqlite_db.write() as session, pytest.raises(Invalid):
            library.describe(session, "alpha", 1, **{**about, **wrong})


def test_changes_are_lines_of_parts() -> None:
    old = {"de": {"subject": "A", "mjml": "1\n2\n3\n4\n5\n6\n7"}, "fr": {"subject": "F"}}
    new = {"de": {"subject": "A", "mjml": "1\n2\n3\n4\nfive\n6\n7"}, "en": {"subject": "E"}}
    found = listing.changes(old, new, ("subject", "mjml"))
    assert [(change.locale, change.part) for change in found] == [("de", "mjml"), ("en", "subject"), ("fr", "subject")]
    assert found[0].lines[1:] == ((" ", "3"), (" ", "4"), ("-", "5"), ("+", "five"), (" ", "6"), (" ", "7"))
    assert [line for line in found[1].lines if line[0] != "…"] == [("+", "E")]
    long = listing.changes({"de": {"mjml": "a\n" * 5_000}}, {"de": {"mjml": "b\n" * 5_000}}, ("mjml",))
    assert len(long[0].lines) <= listing.MAX_DIFF_LINES + 1
