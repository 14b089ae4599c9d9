"""Operating journeys: archive and back, folders and tags, versions and the way back, moving those who wait."""

from __future__ import annotations

from typing import Any

import pytest

from builder_ui.journeys import migrate as page_of_moves
from engine.versions import listing, migrate, publish
from models import Job, Migration, Run

WELCOME = "/ui/journeys/welcome"


def say(opened: Any, client: Any, path: str) -> str:
    with opened(client, path) as page:
        return str(page.text)


def leave(page: Any, label: str, text: str) -> None:
    """Types into the first field of this name and leaves it."""
    for node in page.nodes():
        for child in node.get("children", ()):
            if node.get("tagName") == "label" and label in node.get("children", ()) and isinstance(child, dict):
                page.send(
                    {"type": "layout-event", "target": child["eventHandlers"]["onBlur"]["target"], "data": [{"target": {"value": text}}]}
                )
                return
    raise AssertionError(f"no field {label!r}")


# The list


def test_an_archived_journey_can_be_taken_back_at_once_and_later(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("marketer")
    with opened(client, "/ui/journeys?q=survey") as page:
        page.press("Archive now")
        page.see_until("The journey is archived.")
        assert town.journey("survey").archived_at is not None
        page.press("Undo")
        page.see_until("Undone.")
        assert "Survey after a purchase" in page.text
        page.press("Archive now")
        page.see_until("The journey is archived.")
    assert "1 archived" in say(opened, client, "/ui/journeys")
    with opened(client, "/ui/journeys?archived=1") as page:
        page.press("Restore")
        page.see_until("The journey was restored.")
    assert town.journey("survey").archived_at is None


def test_a_running_journey_is_stopped_before_it_is_archived(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/journeys/cart_abandonment") as page:
        assert "is live. No one will enter it any more" in page.text
        page.press("Stop and archive")
        page.see_until("The journey is archived.")
    row = town.journey("cart_abandonment")
    assert (row.state, row.archived_at is not None) == ("stopped", True)


def test_an_archived_journey_says_so_and_offers_only_the_way_back(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        publish.archive(session, "survey", "test", town.now)
    text = say(opened, log_in("marketer"), "/ui/journeys/survey")
    assert "This journey is archived." in text
    assert "Restore" in text
    assert "Edit" not in text


def test_folder_and_tags_are_kept_and_narrow_the_list(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("marketer")
    with opened(client, "/ui/journeys?q=survey") as page:
        leave(page, "Folder", "Shop")
        leave(page, "Tags, separated by commas", "spring, spring , after sales")
        page.press("Save")
        page.see_until("Folder and tags saved.")
    assert (town.journey("survey").folder, town.journey("survey").tags) == ("Shop", ["spring", "after sales"])
    text = say(opened, client, "/ui/journeys?folder=Shop&tag=spring")
    assert "Survey after a purchase" in text
    assert "Cart abandonment" not in text
    assert "Survey after a purchase" not in say(opened, client, "/ui/journeys?folder=-")


def test_a_tag_that_is_too_long_is_a_sentence(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/journeys?q=survey") as page:
        leave(page, "Tags, separated by commas", "x" * 41)
        page.press("Save")
        page.see_until("A tag has at most 40 characters and no comma.")
    assert town.journey("survey").tags == []


def test_many_journeys_come_in_pages(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        draft = publish.get_journey(session, "survey").draft
        for n in range(61):
            publish.create_journey(session, {**draft, "key": f"many_{n:02}", "name": f"Many {n:02}"}, "test", town.now)
    client = log_in("viewer")
    with opened(client, "/ui/journeys?q=many") as page:
        assert "Many 59" in page.text
        assert "Many 60" not in page.text
        (more,) = [
            node["attributes"]["href"]
            for node in page.nodes()
            if "More" in node.get("children", ()) and "href" in node.get("attributes", {})
        ]
    assert "Many 60" in say(opened, client, more)


# Versions


def test_versions_say_what_changed_who_published_and_who_is_inside(log_in: Any, opened: Any, town: Any) -> None:
    town.republish(name="Welcome, patiently")
    text = say(opened, log_in("viewer"), f"{WELCOME}?tab=versions")
    assert "Version 2 Contacts enter here" in text
    assert "Mara Marti A little more patience" in text
    assert "0 in progress 1 change name changes from Welcome to Welcome, patiently." in text
    assert "5 in progress The first version." in text
    assert "Roll back" not in text
    assert "You are viewing version 1. New contacts enter version 2." in say(opened, log_in("viewer"), f"{WELCOME}?version=1")


def test_the_way_back_says_what_changes_and_whom_it_concerns(log_in: Any, opened: Any, town: Any) -> None:
    town.republish(name="Welcome, patiently")
    with opened(log_in("marketer"), f"{WELCOME}?tab=versions&back=1") as page:
        assert "Roll back to version 1?" in page.text
        assert "The 5 contacts in progress stay on their versions" in page.text
        assert "name changes from Welcome, patiently to Welcome." in page.text
        page.see_until("What happens then")
        assert "Publishing itself enrols no one and sends nothing." in page.text
        page.press("Roll back now")
        page.see_until("The earlier version is live again, as a new version.")
        assert "Version 3 Contacts enter here" in page.text
        assert "Roll back to version 1?" not in page.text
    assert (town.journey("welcome").live_version, town.journey("welcome").name) == (3, "Welcome")


@pytest.mark.parametrize(("button", "copied"), [("Keep them as a copy and roll back", True), ("Discard them and roll back", False)])
def test_edits_that_were_never_published_are_asked_about(log_in: Any, opened: Any, town: Any, button: str, copied: bool) -> None:
    town.republish(name="Welcome, patiently")
    with town.db.write() as session:
        journey = publish.get_journey(session, "welcome")
        publish.save_draft(session, journey.id, {**journey.draft, "name": "Unfinished"}, journey.revision, "test", town.now)
    with opened(log_in("marketer"), f"{WELCOME}?tab=versions&back=1") as page:
        assert "The draft has unpublished changes." in page.text
        page.press(button)
        page.see_until("The earlier version is live again, as a new version.")
    with town.db.read() as session:
        keys = [one.key for one in listing.page(session, listing.JourneyFilter(text="welcome_draft")).journeys]
    assert keys == (["welcome_draft"] if copied else [])


def test_a_draft_that_was_saved_meanwhile_is_not_lost(log_in: Any, opened: Any, town: Any) -> None:
    town.republish(name="Welcome, patiently")
    with opened(log_in("marketer"), f"{WELCOME}?tab=versions&back=1") as page:
        with town.db.write() as session:
            journey = publish.get_journey(session, "welcome")
            publish.save_draft(session, journey.id, {**journey.draft, "name": "Just now"}, journey.revision, "test", town.now)
        page.press("Roll back now")
        page.see_until("no longer possible")
        assert "The draft has unpublished changes." in page.text
    assert town.journey("welcome").live_version == 2


# Moving those who wait


def choose(page: Any, node: str, target: str) -> None:
    select = next(one for one in page.nodes() if one.get("attributes", {}).get("id") == f"map-{node}")
    page.send({"type": "layout-event", "target": select["eventHandlers"]["onChange"]["target"], "data": [{"target": {"value": target}}]})


def work(town: Any) -> None:
    """What the jobs of the web server do, at once."""
    with town.db.read() as session:
        running = list(session.scalars(publish.select(Migration.id).where(Migration.state.in_(migrate.AT_WORK))))
    for id in running:
        with town.db.write() as session:
            while not migrate.carry_on(town.engine, session, id, town.engine.clock.now())[1]:
                pass


def test_those_who_wait_are_moved_with_a_map_after_a_dry_run_and_put_back(log_in: Any, opened: Any, town: Any) -> None:
    address = town.without_two_days()
    with town.db.read() as session:
        waiting = list(
            session.scalars(
                publish.select(Run.id).where(Run.node == "two_days", Run.ended_at.is_(None), Run.journey_id == town.journey("welcome").id)
            )
        )
    assert waiting
    with opened(log_in("marketer"), address) as page:
        choose(page, "two_days", "pause")
        page.press("Dry run")
        page.see_until("This would happen")
        assert "4 wait at" in page.text
        assert town.journey("welcome").live_version == 2
        page.press("Move now")
        page.see_until("The contacts are being moved.")
        work(town)
        page.see_until("were moved.")
    with town.db.read() as session:
        assert {session.get_one(Run, id).version_number for id in waiting} == {2}
        assert {session.get_one(Run, id).node for id in waiting} == {"pause"}
        assert session.scalars(publish.select(Job.kind)).all() == ["migrate"]
    with opened(log_in("marketer"), address) as page:
        page.press("Preview moving back")
        page.see_until("would go back to version 1.")
        assert "5 would go back to version 1." in page.text
        assert "4 would then wait at" in page.text
        assert town.journey("welcome").live_version == 2
        page.press("Move back")
        page.see_until("The contacts are being moved back.")
        work(town)
        page.see_until("were moved back.")
    with town.db.read() as session:
        assert {session.get_one(Run, id).version_number for id in waiting} == {1}
    assert "Version 1 → 2 Moved back" in say(opened, log_in("viewer"), f"{WELCOME}?tab=versions")


def test_who_shall_stay_stays(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), town.without_two_days()) as page:
        page.press("Dry run")
        page.see_until("and stay: no target")


def test_a_map_that_was_changed_after_the_dry_run_wants_another_look(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), town.without_two_days()) as page:
        choose(page, "two_days", "pause")
        page.press("Dry run")
        page.see_until("This would happen")
        choose(page, "two_days", "")
        page.press("Move now")
        page.see_until("The targets were changed: make a dry run first.")
    with town.db.read() as session:
        assert session.scalars(publish.select(Migration.id)).all() == []


@pytest.mark.parametrize("query", ["", "?from=1&to=1", "?from=x&to=99999999999999", "?from=7&to=2", "?id=none"])
def test_strange_versions_to_move_between_are_a_sentence(log_in: Any, opened: Any, query: str) -> None:
    assert "No contacts are waiting" in say(opened, log_in("marketer"), f"{WELCOME}/migrate{query}")


def test_a_viewer_moves_nobody(log_in: Any, opened: Any, town: Any) -> None:
    address = town.without_two_days()
    with opened(log_in("viewer"), address) as page:
        assert "Your role does not allow this." in page.text
        assert not [node for node in page.nodes() if node.get("eventHandlers")]


@pytest.mark.usefixtures("job_worker")
def test_stuck_runs_try_again_all_at_once(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/journeys/birthday?tab=stuck") as page:
        assert "2 stuck runs try again" in page.text
        page.press("Try all again now")
        page.see_until("No run is stuck.")
    with town.db.read() as session:
        assert {session.get_one(Run, town.run_of(first)).status for first in ("Nina", "Oliver")} == {"active"}


def test_what_is_moving_is_said_in_both_languages() -> None:
    assert set(page_of_moves.MIGRATION_STATES) == {"running", "done", *migrate.AT_WORK, "rolled_back"}
