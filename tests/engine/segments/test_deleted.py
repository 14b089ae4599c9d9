"""A segment that is deleted can be taken back for a month, and nothing begins to ask for one that is being deleted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from activities.templates import library
from activities.templates.rule_segments import refuse_gone
from activities.templates.segments import refuse_asked
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.privacy import retention
from crm.segments import members, segments
from engine.jobs.worker import do_page, work_through
from engine.segments.evaluator import settle
from engine.versions import publish
from engine.versions.uses import refuse_used_segment
from journeys.errors import Conflict, Invalid, NotFound, PfadwerkError
from models import Job, Segment, SegmentDay, SegmentFlip, SegmentMember
from tests.engine.segments.test_evaluator import BUYERS, appended, begun, is_in, journey, segment, told, world

__all__ = ["world"]


def deleted(world: Any, key: str) -> int:
    with world.db.write() as session:
        return segments.id_of(segments.remove(session, key, "test", world.now))


def jobs(world: Any) -> list[str]:
    with world.db.read() as session:
        return list(session.scalars(select(Job.id).where(Job.state == "running")))


def done(world: Any) -> None:
    for job in jobs(world):
        work_through(world.engine, job)


def restored(world: Any, id: int) -> str:
    with world.db.write() as session:
        return segments.restore(session, id, "test", world.now).key


def count(world: Any, model: Any) -> int:
    with world.db.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.parametrize("emptied", [False, True])
def test_one_that_is_taken_back_is_filled_silently(world: Any, emptied: bool) -> None:
    anna, ben = world.contact(), world.contact()
    appended(world, anna, "Order Completed")
    segment(world, "buyers", BUYERS)
    id = deleted(world, "buyers")
    with world.db.read() as session, pytest.raises(NotFound):
        segments.get(session, "buyers")
    if emptied:
        done(world)
    appended(world, ben, "Order Completed")
    settle(world.engine)
    assert restored(world, id) == "buyers"
    assert restored_twice(world, id)
    done(world)
    assert is_in(world, "buyers") == {anna, ben}
    with world.db.read() as session:
        assert members.count(session, id) == 2
        assert segments.get(session, "buyers").state == "live"
    assert told(world) == [], "nobody is told of what a fill brings"
    world.now += timedelta(days=4)
    settle(world.engine)
    assert is_in(world, "buyers") == set(), "the instants are there again"


def restored_twice(world: Any, id: int) -> bool:
    with pytest.raises(NotFound):
        restored(world, id)
    return True


def test_a_list_kept_by_hand_comes_back_with_whom_it_had_under_another_key_where_its_own_is_taken(world: Any) -> None:
    anna, ben = world.contact(), world.contact()
    segment(world, "guests", None)
    with world.db.write() as session:
        segments.put_in(session, "guests", [anna, ben], "test", world.now, silent=True)
    id = deleted(world, "guests")
    segment(world, "guests", None)
    done(world)
    key = restored(world, id)
    assert key.startswith("guests")
    assert key != "guests"
    assert is_in(world, key) == {anna, ben}
    assert is_in(world, "guests") == set()


def test_a_merge_that_is_undone_meanwhile_gives_places_on_a_deleted_list_back(world: Any) -> None:
    anna, ben = world.contact(), world.contact()
    segment(world, "guests", None)
    with world.db.write() as session:
        segments.put_in(session, "guests", [anna], "test", world.now, silent=True)
        merge(session, ben, anna, world.now)
    id = deleted(world, "guests")
    with world.db.write() as session:
        found = newest(session, ben)
        assert found is not None
        unmerge(session, found.id or 0, "test", world.now)
    restored(world, id)
    assert is_in(world, "guests") == {anna}


def test_what_it_asks_for_is_asked_again_when_it_comes_back(world: Any) -> None:
    segment(world, "buyers", BUYERS)
    segment(world, "outer", {"segment": "buyers"})
    outer, inner = deleted(world, "outer"), deleted(world, "buyers")
    with pytest.raises(Invalid):
        restored(world, outer)
    restored(world, inner)
    assert restored(world, outer) == "outer"


def test_after_a_month_it_goes_for_good(world: Any) -> None:
    anna = world.contact()
    segment(world, "guests", None)
    with world.db.write() as session:
        segments.put_in(session, "guests", [anna], "test", world.now, silent=True)
    id = deleted(world, "guests")
    world.now += segments.KEPT - timedelta(seconds=1)
    purge(world)
    assert count(world, SegmentMember) == 1
    world.now += timedelta(seconds=1)
    with pytest.raises(NotFound):
        restored(world, id)
    purge(world)
    purge(world)
    assert [count(world, model) for model in (Segment, SegmentMember, SegmentFlip, SegmentDay)] == [0, 0, 0, 0]


def purge(world: Any) -> None:
    with world.db.write() as session:
        if retention.is_due(session, world.now):
            cursor = "segments"
            while cursor.startswith("segments"):
                cursor, _ = retention.page(session, cursor, world.now, world.engine.address_keys)
    done(world)


def test_whoever_deletes_more_than_there_may_be_lets_the_oldest_go(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST", 2)
    for key in ("one", "two", "three"):
        segment(world, key, None)
        deleted(world, key)
        world.now += timedelta(seconds=1)
    with world.db.read() as session:
        assert [row.former_key for row in segments.deleted(session, world.now)] == ["three", "two"]


def test_one_comes_back_only_where_there_is_room(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    segment(world, "one", None)
    id = deleted(world, "one")
    segment(world, "two", None)
    monkeypatch.setattr(segments, "MOST", 1)
    with pytest.raises(Conflict, match="at most 1 segments"):
        restored(world, id)


def test_a_fill_that_is_under_way_ends_with_its_segment(world: Any) -> None:
    for _ in range(3):
        appended(world, world.contact(), "Order Completed")
    with world.db.write() as session:
        job = segments.create(session, "Buyers", BUYERS, "test", world.now, key="buyers").fill_job or ""
    do_page(world.engine, job)
    id = deleted(world, "buyers")
    done(world)
    assert count(world, SegmentMember) == 0
    restored(world, id)
    done(world)
    assert len(is_in(world, "buyers")) == 3


# Two at once


def together(world: Any, first: Callable[[Any], Any], second: Callable[[Any], Any]) -> PfadwerkError:
    """`second` begins while `first` has not committed yet; what it is told."""
    failed: list[PfadwerkError] = []
    waits = threading.Event()

    def later() -> None:
        try:
            with world.db.write() as session:
                waits.set()
                second(session)
        except PfadwerkError as error:
            failed.append(error)

    thread = threading.Thread(target=later)
    with world.db.write() as session:
        first(session)
        thread.start()
        if not world.db.is_sqlite:
            waits.wait(10)
    thread.join(20)
    [error] = failed
    return error


def test_who_deletes_and_who_publishes_wait_for_each_other(world: Any) -> None:
    def delete(session: Any) -> None:
        segments.hold(session)
        refuse_used_segment(world.engine, session, "buyers")
        segments.remove(session, "buyers", "test", world.now)

    segment(world, "buyers", BUYERS)
    with world.db.write() as session:
        id = publish.create_journey(session, journey("welcome", "segment_entered", "buyers"), "test", world.now).id

    def go_live(session: Any) -> None:
        publish.publish(world.engine, session, id, "test", "", world.now)

    assert "buyers" in str(together(world, delete, go_live))
    with world.db.write() as session:
        segments.restore(session, segments.id_of(segments.deleted(session, world.now)[0]), "test", world.now)
    refused = together(world, go_live, delete)
    assert isinstance(refused, Conflict)
    assert [use["journey"] for use in refused.details["used_in"]] == ["welcome"]
    assert begun(world) == []


def test_who_deletes_and_who_saves_a_template_wait_for_each_other(world: Any) -> None:
    rule = '{"segment": "buyers"}'
    segment(world, "buyers", BUYERS)
    said = {
        "subject": "Hello",
        "mjml": f"<mjml><mj-body><mj-section><mj-column><mj-text>{{% if rule({rule}) %}}Hi{{% endif %}}</mj-text></mj-column></mj-section></mj-body></mjml>",
    }

    def save(session: Any) -> None:
        refuse_gone(session, [rule])

    def delete(session: Any) -> None:
        segments.hold(session)
        refuse_asked(session, "buyers")
        segments.remove(session, "buyers", "test", world.now)

    library.save(world.db, "hello", {"default": said}, name="Hello", kind="email", message_class="marketing", actor="test", now=world.now)
    with world.db.write() as session, pytest.raises(Conflict) as refused:
        delete(session)
    assert refused.value.details["templates"] == ["hello"]
    segment(world, "other", BUYERS)
    gone = together(
        world,
        lambda session: segments.remove(session, "other", "test", world.now),
        lambda session: refuse_gone(session, ['{"segment": "other"}']),
    )
    assert "other" in str(gone)
    with world.db.write() as session:
        save(session)
