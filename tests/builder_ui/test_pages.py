"""What the pages say about a town in which much happened, and what their buttons do."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from builder_ui import routes as all_pages
from crm.imports import uploads
from crm.sales import tasks
from engine.versions import publish
from models import Member, Message, Run
from tests.builder_ui.test_accessibility import a_pigeon, company, form, scoring, segment
from workspace.api_keys import add_key


def say(opened: Any, client: Any, path: str) -> str:
    with opened(client, path) as page:
        return str(page.text)


def test_every_page_draws_in_both_languages(log_in: Any, opened: Any, town: Any, caplog: pytest.LogCaptureFixture) -> None:
    keys = {
        "/ui/templates/{key}": "welcome-1-hello",
        "/ui/segments/{key}": segment(town).rpartition("/")[2],
        "/ui/scoring/{key}": scoring(town).rpartition("/")[2],
    }
    keys["/ui/forms/{key}"] = form(town).rpartition("/")[2]
    with town.db.write() as session:
        key = add_key(session, "server", "Shop", town.now)[0].id
        upload = uploads.take(session, uploads.read_sent("people.csv", b"email\na@example.org\n"), "test", town.now, town.now).id
    ids = {
        "/ui/contacts/import/{id}": upload,
        "/ui/runs/{id}": town.run_of("Anna"),
        "/ui/outbox/{id}": "1",
        "/ui/messages/{id}": town.message(),
        "/ui/contacts/{id}": town.people["Anna"],
        "/ui/companies/{id}": company(town).rpartition("/")[2],
        "/ui/settings/users/{id}": town.members["sales"],
        "/ui/settings/keys/{id}": key,
    }
    account = a_pigeon(town).rpartition("/")[2]
    client = log_in("admin")
    for language in ("en", "de"):
        with town.db.write() as session:
            session.get_one(Member, town.members["admin"]).locale = language
        for page in all_pages.PAGES:
            path = page.path.format(key=keys.get(page.path, "welcome"), id=ids.get(page.path, ""), name="calendar", account=account)
            path += "?q=anna" if path == "/ui/search" else ""  # without a question that page is one sentence
            assert client.get(path).status_code == 200
            assert len(say(opened, client, path)) > 40
    ours = [record for record in caplog.records if record.name != "asyncio"]  # it tells of effects that a test's end cut off
    assert not [record for record in ours if record.levelno >= logging.WARNING]


def test_cards_show_state_and_numbers(log_in: Any, opened: Any) -> None:
    text = say(opened, log_in("viewer"), "/ui/journeys?q=cart")
    assert "Cart abandonment Live Version 1" in text
    assert "3 Entered 1 In progress 0 Held 0 Stuck 2 Finished 33% Goal" in text
    assert "Welcome" not in text


def test_a_draft_that_nobody_goes_through_is_told_in_the_list_and_on_the_page(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("viewer")
    for path in ("/ui/journeys?q=welcome", "/ui/journeys/welcome"):
        assert "Unpublished changes" not in say(opened, client, path)
    with town.db.write() as session:
        journey = publish.get_journey(session, "welcome")
        publish.save_draft(session, journey.id, {**journey.draft, "description": "Other"}, journey.revision, "test", town.now)
    for path in ("/ui/journeys?q=welcome", "/ui/journeys/welcome"):
        assert "Unpublished changes" in say(opened, client, path)
    assert "contacts still enter version 1" in say(opened, client, "/ui/journeys/welcome")


def test_where_there_is_no_goal_no_share_of_it_is_said_and_numbers_say_since_when(log_in: Any, opened: Any) -> None:
    client = log_in("viewer")
    text = say(opened, client, "/ui/journeys?q=birthday")
    assert "– Goal All versions, since" in text
    assert "Goal –" in say(opened, client, "/ui/journeys/birthday")


def test_cards_are_filtered_by_state(log_in: Any, opened: Any) -> None:
    client = log_in("viewer")
    assert "Survey after a purchase" in say(opened, client, "/ui/journeys?state=draft")
    assert "No matching journeys." in say(opened, client, "/ui/journeys?state=stopped")


def test_the_outline_says_what_a_journey_does(log_in: Any, opened: Any) -> None:
    text = say(opened, log_in("viewer"), "/ui/journeys/welcome")
    assert "When a contact does  Signed Up" in text
    assert "Only if this holds: allowed e-mail for marketing" in text
    assert "If opened  Welcome 1  or clicked in  Welcome 1 yes 4. Welcome 2: tips no 12. Welcome 2: short version" in text
    assert "4 here now" in text


def test_a_draft_can_be_read_too(log_in: Any, opened: Any) -> None:
    text = say(opened, log_in("viewer"), "/ui/journeys/survey")
    assert "Never published; this is the draft" in text
    assert "Make a voucher" in text


def test_runs_are_filtered_by_status_and_step(log_in: Any, opened: Any) -> None:
    client = log_in("viewer")
    waiting = say(opened, client, "/ui/journeys/welcome?tab=runs&status=open&node=two_days")
    assert "Ben Huber" in waiting
    assert "Anna Meier" not in waiting
    assert "No matching runs." in say(opened, client, "/ui/journeys/welcome?tab=runs&status=ended")


def test_refusals_say_why(log_in: Any, opened: Any) -> None:
    client = log_in("viewer")
    text = say(opened, client, "/ui/journeys/welcome?tab=refused&q=anna")
    assert "The contact had been in this journey before, and contacts may enter it only once." in text
    assert "No refusals." in say(opened, client, "/ui/journeys/welcome?tab=refused&q=ben")


def test_the_condition_of_a_trigger_says_what_it_saw(log_in: Any, opened: Any, town: Any) -> None:
    where = {"combinator": "and", "rules": [{"field": "plan", "operator": "=", "value": "paid"}]}
    town.republish(entry={"triggers": [{"type": "event", "event": "Signed Up", "where": where}]})
    town.happens("Ben", "Signed Up", {"plan": "trial"})
    client = log_in("viewer")
    text = say(opened, client, "/ui/journeys/welcome?tab=refused&why=condition")
    assert "The contact did not match the trigger's condition 1" in text
    assert "Ben Huber The contact did not match the trigger's condition." in text
    assert "plan is “paid”  —  trial" in text
    assert "only once" not in text.partition("Ben Huber")[2]
    assert "Ben Huber" not in say(opened, client, "/ui/journeys/welcome?tab=refused&why=already_entered")


def test_a_run_explains_its_decisions_with_what_was_found(log_in: Any, opened: Any, town: Any) -> None:
    text = say(opened, log_in("viewer"), f"/ui/runs/{town.run_of('Anna')}")
    assert "opened  Welcome 1 found: once," in text
    assert "clicked in  Welcome 1 found: never" in text
    assert "waits for clicked , until" in text
    assert "Next:   in" in text


def test_a_run_that_left_early_says_so(log_in: Any, opened: Any, town: Any) -> None:
    text = say(opened, log_in("viewer"), f"/ui/runs/{town.run_of('Felix')}")
    assert "exits immediately:  Order Completed  happened" in text
    assert "Goal reached" in text
    assert "an exit rule came true" in text


def test_a_run_draws_anew_when_it_moved(log_in: Any, opened: Any, town: Any) -> None:
    run = town.run_of("Anna")
    with opened(log_in("viewer"), f"/ui/runs/{run}") as page:
        town.now = town.engine.clock.now()
        with town.db.write() as session:
            message = session.query(Message).where(Message.run_id == run, Message.node == "question").one()
            message.status = "bounced"
            message.bounced_at = town.now
        page.see_until("Bounced")


def test_the_outbox_is_searched_and_shows_who_opened(log_in: Any, opened: Any) -> None:
    client = log_in("admin")
    assert "anna@mail.example.org" in say(opened, client, "/ui/outbox?q=ANNA")
    assert "No matching messages." in say(opened, client, "/ui/outbox?q=100%25")
    assert "Opened" in say(opened, client, "/ui/outbox/1")
    assert "Anna" in say(opened, client, "/ui/outbox/1?view=text")
    assert "List-Unsubscribe" in say(opened, client, "/ui/outbox/1?view=headers")


def test_a_kept_copy_of_a_mail_fires_no_pixel(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.read() as session:
        message = session.query(Message).where(Message.run_id == town.run_of("Anna"), Message.node == "hello").one()
    client = log_in("admin")
    assert "to anna@mail.example.org" in say(opened, client, f"/ui/outbox/{message.id}")
    policy = client.get(f"/ui/outbox/{message.id}/mail").headers["content-security-policy"]
    assert "img-src data:;" in policy


def test_a_contact_has_one_story(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("viewer")
    text = say(opened, client, f"/ui/contacts/{town.people['Anna']}")
    assert "E-mail  (marketing):  granted" in text
    assert "did not enter   Welcome" in text
    assert "left the step “Read the first one?” through “yes”" in text
    only = say(opened, client, f"/ui/contacts/{town.people['Anna']}?kind=consent")
    assert "Ja, gern." in only
    assert "did not enter" not in only


@pytest.mark.parametrize(
    "path",
    [
        "/ui/journeys/none",
        "/ui/runs/none",
        "/ui/runs/%00",
        "/ui/outbox/none",
        "/ui/outbox/99999999999999999999999",
        "/ui/contacts/none",
        "/ui/contacts?before=%00&q=%25%27",
        "/ui/journeys?q=%27%22%5C&state=x",
        "/ui/journeys/welcome?tab=x&before=x&status=x&node=x",
        "/ui/journeys/welcome?tab=runs&before=x&status=x&node=x",
        "/ui/journeys/welcome?tab=refused&before=%C2%B2&q=x",
        "/ui/outbox?before=99999999999999999999999",
        "/ui/tasks?owner=x&only=x&before=none",
    ],
)
def test_wrong_addresses_are_a_sentence(log_in: Any, opened: Any, caplog: pytest.LogCaptureFixture, path: str) -> None:
    assert say(opened, log_in("viewer"), path)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# Acts


def test_a_journey_is_paused_resumed_and_stopped(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/journeys/welcome") as page:
        for button, state in (("Pause now", "paused"), ("Resume", "live"), ("Stop permanently", "stopped")):
            page.press(button)
            page.see_until(f"Welcome {state.capitalize()}")
            assert town.journey("welcome").state == state


def test_a_viewer_sees_no_buttons(log_in: Any, opened: Any) -> None:
    client = log_in("viewer")
    for path in ("/ui/journeys", "/ui/journeys/welcome", "/ui/journeys/birthday?tab=stuck", "/ui/tasks?owner=all"):
        with opened(client, path) as page:
            assert not [node for node in page.nodes() if node.get("eventHandlers")]


def test_a_role_that_was_lost_meanwhile_counts(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("marketer"), "/ui/journeys/welcome") as page:
        with town.db.write() as session:
            session.get_one(Member, town.members["marketer"]).role = "viewer"
        page.press("Pause now")
        page.see_until("Your role does not allow this.")
    assert town.journey("welcome").state == "live"


def test_what_somebody_else_did_first_is_a_sentence(log_in: Any, opened: Any, town: Any) -> None:
    from engine.versions import publish

    with opened(log_in("marketer"), "/ui/journeys/welcome") as page:
        with town.db.write() as session:
            publish.stop(town.engine, session, "welcome", "somebody", town.engine.clock.now())
        page.press("Pause now")
        page.see_until("no longer possible")
        assert "Welcome Stopped" in page.text


@pytest.mark.parametrize(("button", "status"), [("Try again", "active"), ("answered", "active"), ("End run", "ended")])
def test_a_stuck_run_is_decided_and_its_run_woken(log_in: Any, opened: Any, town: Any, woken: Any, button: str, status: str) -> None:
    run = town.run_of("Nina")
    with opened(log_in("marketer"), f"/ui/runs/{run}") as page:
        page.press(button)
        page.see_until("The run")
    with town.db.read() as session:
        assert session.get_one(Run, run).status == status
    assert woken.wakeups.runs == {run}


def test_tasks_are_taken_handed_on_and_finished(log_in: Any, opened: Any, town: Any, woken: Any) -> None:
    with town.db.write() as session:
        session.get_one(Member, town.members["sales"]).locale = "en"
    with opened(log_in("sales"), "/ui/tasks") as page:
        assert "Call Julia Frei" in page.text
        page.press("Take")
        page.see_until("The task is now yours.")
        assert "Taken" in page.text
        page.press("not yet")
        page.see_until("The task is done.")
        page.press("Mara Marti")
        page.see_until("The task was reassigned.")
    with town.db.read() as session:
        states = {task.title: (task.state, task.outcome, task.owner) for task in tasks.list_tasks(session, town.now).tasks}
    assert states["Call Julia Frei"] == ("finished", "not_yet", town.members["sales"])
    assert states["Call Karim Aziz"] == ("open", None, town.members["marketer"])
    assert woken.wakeups.runs == {town.run_of("Julia")}


def test_a_journey_by_day_channel_and_template_version(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("viewer")
    text = say(opened, client, "/ui/journeys/welcome?tab=days&span=90")
    for heading in ("By channel", "By template version", "Entered", "Control group", "Welcome 1", "E-mail"):
        assert heading in text
    assert "Nothing happened in this period." in say(opened, client, "/ui/journeys/survey?tab=days")
