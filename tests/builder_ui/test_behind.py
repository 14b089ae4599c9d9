"""The people behind a number are those the number counted, page by page, through indexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from engine.versions import publish
from reports.behind import Asked, people
from storage import tally


def everybody(session: Any, asked: Asked) -> list[Any]:
    """All pages, two at a time."""
    found: list[Any] = []
    before: str | None = ""
    while before is not None:
        page, before = people(session, Asked(asked.journey_id, asked.what, asked.node, asked.outlet, asked.version, before, limit=2))
        assert len(page) <= 2
        found += page
    return found


def questions(counts: tally.Counts) -> Iterator[tuple[str, str, str, int]]:
    """(node, what, outlet, how many) of everything that is counted."""
    yield from (
        ("", "entered", "", counts.runs),
        ("", "waiting", "", counts.inside),
        ("", "ended", "", counts.ended),
        ("", "goal", "", counts.goal),
    )
    yield from (("", "refused", reason, count) for reason, count in counts.refused.items())
    for id, place in counts.nodes.items():
        yield from (
            (id, what, "", getattr(place, what)) for what in ("waiting", "entered", "sent", "opened", "clicked", "bounced", "failed")
        )
        yield from ((id, "left", outlet, count) for outlet, count in place.left.items())
        yield from ((id, "skipped", reason, count) for reason, count in place.skipped.items())


@pytest.mark.parametrize("key", ["welcome", "cart_abandonment", "birthday"])
def test_as_many_people_stand_behind_a_number_as_it_says(town: Any, key: str) -> None:
    with town.db.read() as session:
        journey = publish.get_journey(session, key)
        for version in (None, 1):
            asked = Counter()
            for node, what, outlet, count in questions(tally.read(session, journey.id, version)):
                if what == "refused" and version is not None:
                    continue
                found = everybody(session, Asked(journey.id, what, node, outlet, version))
                assert len(found) == count, (node, what, outlet)
                assert len({(one.run_id, one.contact_id, one.at) for one in found}) == count
                assert [one.at for one in found] == sorted((one.at for one in found), reverse=True) or what in (
                    "waiting",
                    "ended",
                    "goal",
                    "opened",
                    "sent",
                )
                asked[what] += 1
            assert asked["entered"] > 1
        assert everybody(session, Asked(journey.id, "entered", version=2)) == []


def test_nonsense_is_nobody_and_a_bad_key_begins_at_the_top(town: Any) -> None:
    with town.db.read() as session:
        journey = publish.get_journey(session, "welcome")
        assert people(session, Asked(journey.id, "sung", "hello")) == ([], None)
        assert people(session, Asked(journey.id, "refused", "hello")) == ([], None)
        whole = people(session, Asked(journey.id, "entered", "hello"))
        for before in ("x", "~", "2026-01-01T00:00:00~a~b~c", "~~~", "'; drop table run~1~2~3"):
            assert people(session, Asked(journey.id, "entered", "hello", before=before)) == whole


def test_every_question_goes_through_an_index(town: Any) -> None:
    if not town.db.is_sqlite:
        pytest.skip("plans are SQLite's")
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        said.append((statement, parameters))

    with town.db.read() as session:
        journey = publish.get_journey(session, "welcome")
        event.listen(town.db.engine, "before_cursor_execute", note)
        for what in ("waiting", "entered", "left", "sent", "opened", "clicked", "bounced", "failed", "skipped"):
            people(session, Asked(journey.id, what, "hello"))
        for what in ("entered", "waiting", "ended", "goal", "refused"):
            people(session, Asked(journey.id, what))
        event.remove(town.db.engine, "before_cursor_execute", note)
        plans = [
            str(row[3])
            for statement, values in said
            for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert len(said) > 15
    scans = [plan for plan in plans if plan.startswith("SCAN") and "USING" not in plan]
    assert scans == []
    assert any("ix_refusal_journey" in plan for plan in plans)
    assert any("ix_trail_node" in plan for plan in plans)
    assert any("ix_run_version_node" in plan for plan in plans)
    assert any("ix_message_journey" in plan for plan in plans)
