"""Drafts that were replaced, on both databases: whoever began with one of them loses nothing of what they made, however many save at once."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func
from sqlmodel import select

from engine.versions import drafts, publish
from journeys import conflicts
from journeys.errors import Conflict
from models import Database, DraftRevision

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BASE: dict[str, Any] = {
    "spec": 1,
    "key": "shared",
    "name": "Shared",
    "start": "pause",
    "nodes": {"pause": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "pause", "outlet": "next", "to": "end"}],
}


@pytest.fixture
def journey_id(db: Database) -> str:
    with db.write() as session:
        return publish.create_journey(session, BASE, "member:1", NOW).id


def save(db: Database, journey_id: str, document: dict[str, Any], revision: int, by: str = "member:1") -> int:
    """As a page saves: who was faster is merged in."""
    for _ in range(100):
        try:
            with db.write() as session:
                return publish.save_draft(session, journey_id, document, revision, by, NOW).revision
        except Conflict:
            with db.read() as session:
                since = drafts.since(session, publish.get_journey(session, journey_id), revision)
            assert since is not None
            document, revision = since.merged(document, by, NOW).document, since.revision
    raise AssertionError("others were always faster")


def draft(db: Database, journey_id: str) -> dict[str, Any]:
    with db.read() as session:
        return dict(publish.get_journey(session, journey_id).draft)


def named(document: dict[str, Any], id: str, name: str) -> dict[str, Any]:
    made = copy.deepcopy(document)
    made["nodes"][id]["name"] = name
    return made


def test_many_who_save_at_once_lose_nothing(db: Database, journey_id: str) -> None:
    def work(author: int) -> None:
        mine, revision = BASE, 1
        for number in range(4):
            mine = copy.deepcopy(mine)
            mine["nodes"][f"step_{author}_{number}"] = {"kind": "wait", "duration": "P1D"}
            revision = save(db, journey_id, mine, revision, f"member:{author}")
            with db.read() as session:
                journey = publish.get_journey(session, journey_id)
                mine, revision = dict(journey.draft), journey.revision

    with ThreadPoolExecutor(4) as authors:
        list(authors.map(work, range(4)))
    found = draft(db, journey_id)
    assert found["nodes"].keys() == {"pause", "end", *(f"step_{author}_{number}" for author in range(4) for number in range(4))}
    assert conflicts.open_in(found) == []


def test_what_somebody_saves_while_the_news_are_read_is_left_for_the_next_time(db: Database, journey_id: str) -> None:
    save(db, journey_id, named(BASE, "pause", "First"), 1)
    with db.read() as session:
        journey = publish.get_journey(session, journey_id)
        save(db, journey_id, named(BASE, "pause", "Second"), 2)
        since = drafts.since(session, journey, 1)
    assert since is not None
    assert (since.revision, since.document["nodes"]["pause"]["name"], len(since.steps)) == (2, "First", 1)


def test_it_is_told_who_changed_what_and_when(db: Database, journey_id: str) -> None:
    save(db, journey_id, named(BASE, "pause", "By Kim"), 1, "member:kim")
    save(db, journey_id, named(named(BASE, "pause", "By Kim"), "end", "By Alex"), 2, "member:alex")
    save(db, journey_id, named(named(BASE, "pause", "Mine"), "end", "Mine"), 1, "member:me")
    asked = {one.place: (one.by, one.over, one.over_at) for one in conflicts.open_in(draft(db, journey_id))}
    assert asked == {
        "pause": ("member:me", "member:kim", NOW.isoformat()),
        "end": ("member:me", "member:alex", NOW.isoformat()),
    }
    with db.read() as session:
        assert "conflict" in [issue.code for issue in publish.check_draft(_engine(db), session, draft(db, journey_id))]


def test_each_draft_is_unpacked_once_whatever_is_asked(db: Database, journey_id: str) -> None:
    theirs = named(named(BASE, "pause", "Theirs"), "end", "Theirs")
    save(db, journey_id, theirs, 1)
    for number in range(2, 6):
        save(db, journey_id, {**theirs, "description": str(number)}, number)
    with db.read() as session:
        since = drafts.since(session, publish.get_journey(session, journey_id), 1)
    assert since is not None
    read: list[str] = []

    class Counted(drafts.Replaced):
        def __getattribute__(self, name: str) -> Any:
            read.append(name)
            return super().__getattribute__(name)

    counted = replace(since, steps=tuple(Counted(one.by, one.at, one.packed) for one in since.steps))
    assert len(counted.merged(named(named(BASE, "pause", "Mine"), "end", "Mine"), "member:me", NOW).conflicts) == 2
    assert read.count("packed") == len(since.steps) + 1, "and the first once more, as what both began with"


def test_what_a_document_says_of_its_builder_silences_nobody_else(db: Database, journey_id: str) -> None:
    theirs = {**named(BASE, "pause", "Theirs"), "ui": {"saved_in": "mine"}}
    save(db, journey_id, theirs, 1, "key:1")
    with db.read() as session:
        since = drafts.since(session, publish.get_journey(session, journey_id), 1)
    assert since is not None
    mine = named(BASE, "pause", "Mine")
    assert [one.mine for one in since.merged(mine, "member:me", NOW, {"mine"}).conflicts] == ["Mine"]
    assert since.merged(mine, "key:1", NOW, {"mine"}).conflicts == ()


def test_who_began_before_all_that_is_kept_is_asked_and_told_of_whom_it_is_known(db: Database, journey_id: str) -> None:
    """Also of what nobody changed in a draft that is kept: it may be theirs, and may have been changed before."""
    for number in range(1, drafts.KEPT + 5):
        save(db, journey_id, named(BASE, "pause", str(number)), number, "member:kim")
    mine = named(BASE, "pause", "Mine")
    mine["nodes"] |= {"pause": {**mine["nodes"]["pause"], "duration": "P2D"}, "new": {"kind": "exit"}}
    save(db, journey_id, mine, 1, "member:me")
    found = draft(db, journey_id)
    assert {one.path[-1]: (one.mine, one.by, one.over) for one in conflicts.open_in(found)} == {
        "name": ("Mine", "member:me", "member:kim"),
        "duration": ("P2D", "member:me", ""),
    }
    assert (found["nodes"]["pause"]["duration"], found["nodes"]["new"]) == ("P1D", {"kind": "exit"})


def _engine(db: Database) -> Any:
    from engine.clock import Clock
    from engine.engine import Engine
    from journeys.nodes import Palette

    return Engine(db, Clock(), Palette.built_in(), (b"k" * 32,))


def test_the_newest_are_kept_and_no_more(db: Database, journey_id: str) -> None:
    for number in range(1, drafts.KEPT + 5):
        save(db, journey_id, named(BASE, "pause", str(number)), number)
    with db.read() as session:
        journey = publish.get_journey(session, journey_id)
        assert session.scalar(select(func.count()).select_from(DraftRevision)) == drafts.KEPT
        long_ago = drafts.since(session, journey, 1)
        assert long_ago is not None
        assert (long_ago.older, long_ago.base["nodes"]["pause"]["name"]) == (True, "4")
        oldest = drafts.since(session, journey, journey.revision - drafts.KEPT)
        assert oldest is not None
        assert oldest.older is False
        assert oldest.base["nodes"]["pause"]["name"] == "4"
        now = drafts.since(session, journey, journey.revision)
        assert now is not None
        assert (now.base, now.steps) == (journey.draft, ())
        assert drafts.since(session, journey, journey.revision + 1) is None, "a page that is ahead, as after a restore, is asked"
