"""Lists of journeys: filters, order, pages, folders and tags, and numbers that agree with the rows."""

from __future__ import annotations

import pytest

from engine.runs.operations import counts
from engine.runs.rows import halt, lock_run
from engine.versions import listing, publish
from journeys.errors import Invalid

DOCUMENT = {
    "spec": 1,
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "pause",
    "nodes": {"pause": {"kind": "wait", "duration": "P3D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "pause", "to": "end"}],
}
NAMES = ("Zebra", "apple", "Banana", "apple pie", "100%")


@pytest.fixture
def stocked(world):
    with world.db.write() as session:
        for n, name in enumerate(NAMES):
            world.later(minutes=1)
            publish.create_journey(session, {**DOCUMENT, "key": f"j{n}", "name": name}, "test", world.now)
    return world


def listed(world, wanted, **more):
    with world.db.read() as session:
        found = listing.page(session, wanted, **more)
        return [journey.name for journey in found.journeys], found.next_after


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["100%", "apple", "apple pie", "Banana", "Zebra"]),
        ("created", ["100%", "apple pie", "Banana", "apple", "Zebra"]),
        ("key", ["Zebra", "apple", "Banana", "apple pie", "100%"]),
        ("nonsense", ["100%", "apple", "apple pie", "Banana", "Zebra"]),
    ],
)
def test_pages_follow_each_other_in_every_order(stocked, order, names):
    found, after = listed(stocked, listing.JourneyFilter(order=order), limit=2)
    more, after = listed(stocked, listing.JourneyFilter(order=order), limit=2, after=after)
    last, none = listed(stocked, listing.JourneyFilter(order=order), limit=2, after=after)
    assert (found + more + last, none) == (names, None)


def test_a_page_behind_one_that_is_gone_begins_anew(stocked):
    assert listed(stocked, listing.JourneyFilter(), after="gone")[0] == listed(stocked, listing.JourneyFilter())[0]


def put_away(world, key, folder, tags):
    with world.db.write() as session:
        return listing.put_away(session, key, folder, tags, "test")


def test_folders_and_tags_narrow(stocked):
    put_away(stocked, "j1", " Shop ", ["spring", "spring", "", "Größe 42"])
    put_away(stocked, "j2", "Shop", ["spring"])
    assert listed(stocked, listing.JourneyFilter(folder="Shop"))[0] == ["apple", "Banana"]
    assert listed(stocked, listing.JourneyFilter(folder=""))[0] == ["100%", "apple pie", "Zebra"]
    assert listed(stocked, listing.JourneyFilter(tag="Größe 42"))[0] == ["apple"]
    assert listed(stocked, listing.JourneyFilter(tag="spring", text="BAN"))[0] == ["Banana"]
    assert listed(stocked, listing.JourneyFilter(text="0%"))[0] == ["100%"]
    with stocked.db.read() as session:
        assert listing.labels(session) == (["Shop"], ["Größe 42", "spring"])
        assert listing.by_state(session, listing.JourneyFilter(state="live", folder="Shop")) == {"draft": 2}


def test_archived_ones_have_a_list_of_their_own(stocked):
    with stocked.db.write() as session:
        publish.archive(session, "j0", "test", stocked.now)
    assert "Zebra" not in listed(stocked, listing.JourneyFilter())[0]
    assert listed(stocked, listing.JourneyFilter(archived=True))[0] == ["Zebra"]


@pytest.mark.parametrize(
    ("folder", "tags", "fields"),
    [("x" * 121, [], ["folder"]), ("", [str(n) for n in range(21)], ["tags"]), ("", ["x" * 41], ["tags"]), ("", ["a,b"], ["tags"])],
)
def test_limits_are_said_and_nothing_is_written(stocked, folder, tags, fields):
    with pytest.raises(Invalid) as refused:
        put_away(stocked, "j1", folder, tags)
    assert [issue.field for issue in refused.value.issues] == fields


def test_numbers_of_a_page_agree_with_the_rows(world):
    key = world.publish({**DOCUMENT, "key": "a", "name": "A"})
    other = world.publish({**DOCUMENT, "key": "b", "name": "B"})
    started = [run for _ in range(4) for run in world.happens(world.contact(), "Signed Up").starts]
    inside = [run for run in started if world.row(run).journey_id == key]
    world.later(days=4)
    for run in inside[:3]:
        world.step(run)
    with world.db.write() as session:
        halt(session, lock_run(session, inside[3]), world.now, "stuck", "KeyError")
        found = listing.numbers(session, [key, other])
        assert {id: found[id].by_status() for id in found} == {id: counts(session, id) for id in (key, other)}
        assert (found[key].whole.runs, found[key].whole.inside, found[key].stuck) == (4, 1, 1)
        assert listing.numbers(session, []) == {}


def test_a_draft_that_is_not_live_is_told_and_positions_do_not_count(world):
    document = {**DOCUMENT, "key": "a", "name": "A"}
    id = world.publish(document)

    def saved(**changes):
        with world.db.write() as session:
            journey = publish.get_journey(session, id)
            publish.save_draft(session, id, {**document, **changes}, journey.revision, "test", world.now)
            return listing.unpublished(session, [publish.get_journey(session, id)])

    assert saved(ui={"positions": {"pause": [1, 2]}}) == set()
    assert saved(description="Other") == {id}
    assert saved() == set()
    with world.db.read() as session:
        assert listing.published_since(session, [id]) == {id: world.now}
        assert listing.unpublished(session, []) == set()


def test_a_journey_that_was_never_published_has_nothing_unpublished(stocked):
    with stocked.db.read() as session:
        assert listing.unpublished(session, [publish.get_journey(session, "j0")]) == set()
