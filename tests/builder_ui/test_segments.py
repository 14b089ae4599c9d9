"""The pages of segments: the list, the editor with its count, who is in and why, lists kept by hand, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import select

from activities.templates import library
from builder_ui.kit.i18n import translator_for
from builder_ui.segments import chart
from builder_ui.segments.editor import condition, said
from builder_ui.segments.ready import READY
from builder_ui.segments.writing import Found, Writing
from crm.people import contacts
from crm.people.contacts import ContactFilter
from crm.segments import members, segments
from engine.jobs.worker import do_page
from engine.segments.evaluator import settle
from engine.versions import publish
from journeys.rules import check_rule, parse_rule
from models import Audit, Event, Job, Run
from reports.segment_growth import growth
from storage.tally import day_of
from tests.builder_ui.conftest import _texts

LEADS = {"combinator": "and", "rules": [{"field": "lifecycle_stage", "operator": "=", "value": "lead"}]}


def say(opened: Any, client: Any, path: str) -> str:
    with opened(client, path) as page:
        return " ".join(page.text.split())


def filled(town: Any) -> None:
    """Does what the worker would do."""
    while True:
        with town.db.read() as session:
            job = session.scalars(select(Job.id).where(Job.state == "running")).first()
        if job is None:
            break
        do_page(town.engine, job)
    settle(town.engine)


def made(town: Any, name: str, rule: Mapping[str, Any] | None, *people: str) -> str:
    """A segment, filled; `people` are put in by hand."""
    now = town.engine.clock.now()
    with town.db.write() as session:
        key = segments.create(session, name, rule, "test", now).key
        if people:
            segments.put_in(session, key, [town.people[one] for one in people], "test", now)
    filled(town)
    return key


def write(page: Any, id: str, value: str) -> None:
    """Types into the field of an id and leaves it, or chooses in it."""
    [field] = [node for node in page.nodes() if node.get("attributes", {}).get("id") == id]
    handlers = field["eventHandlers"]
    target = (handlers.get("onBlur") or handlers["onChange"])["target"]
    page.send({"type": "layout-event", "target": target, "data": [{"target": {"value": value}}]})


def names_in(town: Any, key: str) -> set[str]:
    with town.db.read() as session:
        ids = {id for id, _ in members.page(session, segments.id_of(segments.get(session, key)))}
    return {first for first, id in town.people.items() if id in ids}


def test_the_empty_list_says_what_segments_are_and_offers_ready_made_ones(log_in: Any, opened: Any) -> None:
    text = say(opened, log_in("marketer"), "/ui/segments")
    assert "A segment is a named group of contacts." in text
    assert all(one.name in text for one in READY.values())
    assert "Never bought" not in say(opened, log_in("viewer"), "/ui/segments"), "who may make none is offered none"


@pytest.mark.parametrize("name", READY)
def test_a_ready_made_one_is_a_rule_without_a_problem(town: Any, name: str) -> None:
    with town.db.read() as session:
        segments.read_rule(session, READY[name].rule)
        catalogue = publish.load_catalogue(session)
    warned = [one.code for one in check_rule(parse_rule(READY[name].rule), catalogue, None, "rule", scope="contact")]
    assert warned == []


def test_from_a_ready_made_one_to_its_members(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("marketer")
    with opened(client, "/ui/new-segment?from=never_bought") as page:
        page.see_until("For example")
        assert "11 contacts" in page.text
        assert "Felix Baumann" not in page.text
        assert "only since entering the journey" not in page.text, "there is no journey here"
        page.press("Save segment")
        page.see_until("Segment saved.")
        page.see_until("View segment")
    assert "Filling" in say(opened, client, "/ui/segments")
    filled(town)
    text = say(opened, client, "/ui/segments")
    assert "Never bought" in text
    assert "Dynamic" in text
    assert "11 " in text
    assert "Up to date" in text
    assert "+11" in text
    assert "Anna Meier" in say(opened, client, "/ui/segments/never-bought")
    with town.db.read() as session:
        line = session.scalars(select(Audit).where(Audit.action == "segment.create")).one()
    assert (line.actor, line.subject) == (f"member:{town.members['marketer']}", "segment:never-bought")


def test_the_count_follows_the_rule_and_nothing_is_stored_before(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/new-segment") as page:
        assert "Add a condition to see whom it finds." in page.text
        page.press("+ Field")
        page.see_until("The rule is not complete yet")
        write(page, "pfb-segment-rule-rules-0-field", "lifecycle_stage")
        page.see_until("evangelist")  # the value is chosen now
        write(page, "pfb-segment-rule-rules-0-value", "lead")
        page.see_until("5 contacts")
        write(page, "pfb-segment-rule-rules-0-value", "customer")
        page.see_until("0 contacts")
        page.press("Save segment")
        page.see_until("Expected a name of 1 to 120 characters.")
        write(page, "pfb-segment-name", "Customers")
        page.press("Save segment")
        page.see_until("Segment saved.")
    with town.db.read() as session:
        assert [one.key for one in segments.listed(session)] == ["customers"]


def test_hostile_rules_are_refused_with_their_place(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/new-segment") as page:
        page.press("+ Field")
        page.see_until("The rule is not complete yet")
        write(page, "pfb-segment-rule-rules-0-field", "trigger.x")
        page.see_until("Condition 1:")
        write(page, "pfb-segment-name", "x")
        page.press("Save segment")
        page.see_until("There is no run here yet")
    with town.db.read() as session:
        assert segments.listed(session) == []


def test_two_who_change_one_segment_do_not_overwrite_each_other(log_in: Any, opened: Any, town: Any) -> None:
    key = made(town, "Leads", LEADS)
    with opened(log_in("marketer"), f"/ui/segments/{key}?view=rule") as page:
        with town.db.write() as session:
            segments.change(session, key, "test", town.engine.clock.now(), description="By somebody else")
        write(page, "pfb-segment-name", "Mine")
        page.press("Save segment")
        page.see_until("Someone else has changed this segment in the meantime.")
    with town.db.read() as session:
        assert segments.get(session, key).name == "Leads"


def test_why_somebody_is_in_or_out(log_in: Any, opened: Any, town: Any) -> None:
    key, client = made(town, "Leads", LEADS), log_in("viewer")
    found = say(opened, client, f"/ui/segments/{key}?view=why&find=anna")
    assert "Anna Meier" in found
    text = say(opened, client, f"/ui/segments/{key}?view=why&contact={town.people['Anna']}")
    assert "In the segment since" in text
    assert "holds: lifecycle stage is “lead” lead" in text
    text = say(opened, client, f"/ui/segments/{key}?view=why&contact={town.people['Felix']}")
    assert "Not in it" in text
    assert "does not hold:" in text
    for nobody in ("nobody", "x%00y", "' OR 1=1"):
        assert "There is no such contact." in say(opened, client, f"/ui/segments/{key}?view=why&contact={nobody}")


def test_members_are_paged_and_searched(log_in: Any, opened: Any, town: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key, client = made(town, "Leads", LEADS), log_in("viewer")
    from builder_ui.segments import membership

    monkeypatch.setattr(membership, "PAGE_SIZE", 4)
    with opened(client, f"/ui/segments/{key}") as page:
        text = page.text
        [more] = [node["attributes"]["href"] for node in page.nodes() if "More" in str(node.get("children")) and node.get("tagName") == "a"]
    rest = say(opened, client, more)
    names = ("Anna", "Ben", "Carla", "Emma", "Ivan")
    assert sum(name in text for name in names) == 4
    assert sum(name in rest for name in names) == 1
    one = say(opened, client, f"/ui/segments/{key}?q=carla")
    assert "Carla Rossi" in one
    assert "Ben Huber" not in one
    assert "Felix" not in say(opened, client, f"/ui/segments/{key}?q=felix").partition("Members")[2]
    listed = say(opened, client, f"/ui/contacts?segment={key}")
    assert "In the segment “Leads” ×" in listed
    assert "5 contacts" in listed


def test_a_static_segment_is_kept_by_hand(log_in: Any, opened: Any, town: Any) -> None:
    key, client = made(town, "Jury", None, "Ben"), log_in("marketer")
    with opened(client, f"/ui/segments/{key}?find=anna") as page:
        page.press("Add")
        page.see_until("Added to the segment.")
        assert names_in(town, key) == {"Anna", "Ben"}
        page.press("Undo")
        page.see_until("Undone.")
        assert names_in(town, key) == {"Ben"}
    with opened(client, f"/ui/segments/{key}") as page:
        page.press("Remove")
        page.see_until("Removed from the segment.")
    assert names_in(town, key) == set()
    with town.db.read() as session:
        told = session.scalars(select(Event.name).where(Event.contact_id == town.people["Ben"]).order_by(Event.id)).all()
    assert told[-2:] == ["Segment Entered", "Segment Left"]


def test_the_contact_shows_its_segments_and_changes_its_lists(log_in: Any, opened: Any, town: Any) -> None:
    made(town, "Leads", LEADS)
    jury, client, anna = made(town, "Jury", None), log_in("marketer"), town.people["Anna"]
    with opened(client, f"/ui/contacts/{anna}?view=edit") as page:
        assert "Leads" in page.text
        page.press("Add to the segment")
        page.see_until("Added to the segment.")
    assert names_in(town, jury) == {"Anna"}
    assert "Entered the segment Jury" in say(opened, client, f"/ui/contacts/{anna}")
    with opened(client, f"/ui/contacts/{anna}?view=edit") as page:
        page.press("Remove")
        page.see_until("Removed from the segment.")
    assert names_in(town, jury) == set()


def test_overlap_counts_both_sides(log_in: Any, opened: Any, town: Any) -> None:
    leads, jury = made(town, "Leads", LEADS), made(town, "Jury", None, "Anna", "Felix")
    text = say(opened, log_in("viewer"), f"/ui/segments/{leads}?view=overlap&with={jury}")
    assert "In both 1 20% 50%" in text
    assert "Only in “Leads” 4 80%" in text
    assert "Only in “Jury” 1 – 50%" in text


def begins_with(town: Any, key: str) -> None:
    """The welcome journey is entered by whoever enters the segment."""
    draft = town.journey("welcome").draft
    town.republish(entry={**draft["entry"], "triggers": [{"type": "segment_entered", "segment": key}]})


def test_who_is_put_on_a_list_enters_the_journey_at_once(log_in: Any, opened: Any, town: Any, woken: Any) -> None:
    jury = made(town, "Jury", None)
    begins_with(town, jury)
    with opened(log_in("marketer"), f"/ui/segments/{jury}?find=felix") as page:
        page.press("Add")
        page.see_until("Added to the segment.")
    with town.db.read() as session:
        run = session.scalars(select(Run).where(Run.contact_id == town.people["Felix"]).order_by(Run.id)).all()[-1]
    assert run.journey_id == town.journey("welcome").id
    assert run.id in woken.wakeups.starts


def test_without_a_condition_nothing_is_stored(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/new-segment") as page:
        write(page, "pfb-segment-name", "Everybody")
        page.press("Save segment")
        page.see_until("A segment needs a rule: add a condition.")
    with town.db.read() as session:
        assert segments.listed(session) == []


def test_what_is_used_is_not_deleted_and_says_by_what(log_in: Any, opened: Any, town: Any) -> None:
    leads, client = made(town, "Leads", LEADS), log_in("marketer")
    asking = made(town, "No leads", {"combinator": "and", "rules": [{"segment": leads, "member": False}]})
    begins_with(town, leads)
    text = say(opened, client, f"/ui/segments/{leads}")
    assert "It cannot be deleted as long as these use it:" in text
    assert "No leads" in text
    assert "Welcome" in say(opened, client, "/ui/segments")
    assert "These use this segment, and follow a change of it:" in say(opened, client, f"/ui/segments/{leads}?view=rule")
    with opened(client, f"/ui/segments/{asking}") as page:
        page.press("Delete segment")
        page.see_until("Segment deleted.")
        assert "There is no segment at this address, or no longer." in page.text
    with opened(client, "/ui/segments") as page:
        page.press("Restore")
        page.see_until("Segment restored.")
        assert "Deleted within" not in page.text
    assert "No leads" in say(opened, client, f"/ui/segments/{asking}")


def test_a_template_that_asks_is_named(log_in: Any, opened: Any, town: Any) -> None:
    leads, client = made(town, "Leads", LEADS), log_in("marketer")
    text = '{% if rule({"segment": "leads"}) %}Hello{% endif %}'
    about: Any = {"name": "Offer", "kind": "sms", "message_class": "marketing", "actor": "test", "now": town.engine.clock.now()}
    library.save(town.db, "offer", {"default": {"text": text}}, **about)
    page = say(opened, client, f"/ui/segments/{leads}")
    assert "It cannot be deleted as long as these use it: Offer" in page
    assert "Offer" in say(opened, client, "/ui/segments")


def test_an_old_page_does_not_delete_what_was_put_to_use_meanwhile(log_in: Any, opened: Any, town: Any) -> None:
    leads = made(town, "Leads", LEADS)
    with opened(log_in("marketer"), f"/ui/segments/{leads}") as page:
        button = page.button("Delete segment")
        made(town, "No leads", {"combinator": "and", "rules": [{"segment": leads, "member": False}]})
        begins_with(town, leads)
        page.send({"type": "layout-event", "target": button, "data": [{}]})
        page.see_until("It cannot be deleted as long as these use it: Welcome, No leads.")
    with town.db.read() as session:
        assert segments.get(session, leads).name == "Leads"


def test_who_may_only_look_changes_nothing(log_in: Any, opened: Any, town: Any) -> None:
    jury, client = made(town, "Jury", None, "Ben"), log_in("viewer")
    text = say(opened, client, f"/ui/segments/{jury}?find=anna")
    assert "Ben Huber" in text
    assert "Add contacts" not in text
    assert "Remove" not in text
    assert "Delete" not in text
    assert "Your role does not allow this." in say(opened, client, f"/ui/segments/{jury}?view=rule")
    assert "Your role does not allow this." in say(opened, client, "/ui/new-segment")


def test_filters_go_through_the_members_in_pages_of_any_order(town: Any) -> None:
    key = made(town, "Jury", None, "Anna", "Ben", "Felix")
    with town.db.read() as session:
        filter = ContactFilter(segment_id=segments.id_of(segments.get(session, key)))
        everybody = sorted(town.people[one] for one in ("Anna", "Ben", "Felix"))
        assert contacts.ids(session, filter, everybody[0]) == everybody[1:]
        for sort in contacts.SORTS:
            first = contacts.search(session, filter, limit=2, sort=sort)
            rest = contacts.search(session, filter, before=first.next_before, limit=2, sort=sort)
            assert sorted(one.id for one in [*first.contacts, *rest.contacts]) == everybody


class Slow(Writing):
    """Its first count takes longer than the second."""

    async def _counted(self, turn: int) -> Found:
        await asyncio.sleep(0.1 if turn == 1 else 0)
        return Found(count=turn)


def test_the_answer_to_a_rule_that_has_changed_is_thrown_away() -> None:
    writing = Slow(None, None, {"rule": LEADS})  # type: ignore[arg-type]
    asyncio.run(counted_twice(writing))
    assert writing.found is not None
    assert writing.found.count == 2
    assert not writing.counting


async def counted_twice(writing: Writing) -> None:
    writing.count_soon(0)
    await asyncio.sleep(0.02)
    writing.count_soon(0)
    await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Found(), "Counting takes longer than 3 seconds here."),
        (Found(refused="Too many previews at once"), "Too many previews at once"),
        (Found(7, [("1" * 32, "")]), "7 contacts For example Contact 111111"),
    ],
)
def test_what_came_of_a_count_is_said(found: Found, words: str) -> None:
    context: Any = SimpleNamespace(t=translator_for("en"))
    writing = Writing(context, None, {"rule": LEADS})  # type: ignore[arg-type]
    writing.found = found
    assert words in " ".join(" ".join(_texts({"children": said(writing)})).split())


def test_growth_goes_back_day_by_day_from_today(town: Any) -> None:
    key = made(town, "Jury", None, "Anna", "Ben")
    today = day_of(town.engine.clock.now())
    with town.db.read() as session:
        id = segments.id_of(segments.get(session, key))
        assert growth(session, {id: 2}, today, 3) == {id: [0, 0, 0, 2]}
        assert growth(session, {id: 7}, today, 1) == {id: [5, 7]}


def test_growth_names_who_dropped_out_and_no_direction(log_in: Any, opened: Any, town: Any) -> None:
    key = made(town, "Jury", None, "Anna", "Ben")
    text = say(opened, log_in("viewer"), f"/ui/segments/{key}?view=growth")
    t = translator_for("de")
    assert "Day Joined Dropped out Contacts" in text
    assert (t("Joined"), t("Dropped out")) == ("Zugänge", "Abgänge")


def test_places_on_the_chart_and_of_conditions() -> None:
    assert chart.places([0, 5, 10]) == [(2.0, 30.0), (60.0, 16.0), (118.0, 2.0)]
    assert {y for _, y in chart.places([4, 4])} == {16.0}
    assert condition("rule.rules.1.rules.0.value") == "2.1"
    assert condition("name") == ""
