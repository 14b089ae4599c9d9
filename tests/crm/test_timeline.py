"""One contact's story in pages: nothing twice and nothing left out, found by words and days, and read by indexes however much happened."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from crm.people import notes
from crm.people.identity import resolve
from crm.people.scores import change_score
from crm.people.timeline import KINDS, Wanted, mark_of, timeline
from journeys.errors import Invalid
from models import Database, Message
from storage.events import append_event
from tests.plans import statements


@pytest.fixture
def person(db: Database, now: datetime) -> str:
    return somebody(db, now)


def somebody(db: Database, now: datetime) -> str:
    """Of whom many things happened at a few instants."""
    with db.write() as session:
        id = resolve(session, [("email", "carla@example.org")], now).contact_id
        for n in range(6):
            at = now + timedelta(minutes=n // 3)
            append_event(session, id, "track", f"100% Wool {n}", {}, at)
            notes.add_note(session, id, f"a_b {n}", "member:ada", at)
            notes.log_call(session, id, notes.Call("outgoing", "reached", f"call {n}"), "member:ada", at)
            change_score(session, id, "fit", 1, False, f"because {n}", at)
            session.add(Message(once_key=f"m:{n}", contact_id=id, channel="email", subject=f"Offer {n}", planned_at=at))
        return id


def keys(items: Any) -> list[tuple[Any, ...]]:
    return [(one.at, one.kind, one.key) for one in items]


def test_pages_are_the_whole_story_and_any_entry_begins_one(db: Database, person: str) -> None:
    with db.read() as session:
        whole = keys(timeline(session, person, limit=200).items)
        assert len(whole) == len(set(whole)) >= 6 * 5
        assert whole == sorted(whole, reverse=True)
        walked: list[tuple[Any, ...]] = []
        mark: str | None = None
        while mark is not None or not walked:
            page = timeline(session, person, before=mark, limit=4)
            assert keys(timeline(session, person, at=mark_of(page.items[0]), limit=4).items) == keys(page.items)
            walked, mark = walked + keys(page.items), page.next_before
        assert walked == whole


def test_words_and_days_find(db: Database, person: str, now: datetime) -> None:
    with db.read() as session:

        def found(text: str, **more: Any) -> list[str]:
            return [one.kind for one in timeline(session, person, wanted=Wanted(text=text, **more)).items]

        assert found("0% wool") == ["event"] * 6, "a sign of LIKE is a sign, and capitals do not matter"
        assert found("a_b 3") == ["note"]
        assert found("axb") == []
        assert found("OFFER 1") == ["message"]
        assert found("because 2", kinds=("score",)) == ["score"]
        assert found("because 2", kinds=("note",)) == []
        later = timeline(session, person, wanted=Wanted(since=now + timedelta(minutes=1)))
        assert {one.at for one in later.items} == {now + timedelta(minutes=1)}
        assert {one.at for one in timeline(session, person, wanted=Wanted(until=now + timedelta(minutes=1))).items} == {now}
        for mark in ("x", "W10="):
            with pytest.raises(Invalid):
                timeline(session, person, at=mark)
        with pytest.raises(Invalid):
            timeline(session, person, wanted=Wanted(("gossip",)))


SORTED = {"run", "consent", "task", "merge"}
"""Kinds of which a contact has few: their rows are found by an index and sorted."""


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(text="offer")], ids=["all", "searched"])
def test_a_page_reads_its_rows_by_an_index_in_their_order(sqlite_db: Database, now: datetime, wanted: Wanted) -> None:
    person = somebody(sqlite_db, now)
    with sqlite_db.read() as session, statements(sqlite_db) as asked:
        page = timeline(session, person, limit=3, wanted=Wanted())
        asked.clear()
        timeline(session, person, before=page.next_before, limit=3, wanted=wanted)
        assert len(asked) == len(KINDS), "one statement for each kind, whatever happened"
    with sqlite_db.engine.connect() as connection:
        for kind, statement in zip(KINDS, asked, strict=True):
            plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (None,) * statement.count("?")))
            assert re.findall(r"SCAN (?!anon|\()", plan) == [], (kind, plan)
            if kind not in SORTED:
                assert "TEMP B-TREE" not in plan.partition(" SCAN anon")[0], (kind, plan)
