"""After a backup was restored: the notice above the messages says how much waits for a decision, and those who may decide about all of it do."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from builder_ui.kit.i18n import translator_of
from crm.jobs import end_early
from engine.jobs.worker import do_page
from journeys.errors import NotFound
from models import Audit, Job, Member, Message, Restore
from tests.builder_ui.browsing import Enter, complaints

PEOPLE = ("Rita", "Samir", "Tom")
BUTTONS = {"en": ("All were sent", "Send all", "One by one"), "de": ("Alle wurden gesendet", "Alle senden", "Einzeln")}


@pytest.fixture
def restore(town: Any) -> Restore:
    found: Restore = town.restored(*PEOPLE)
    return found


def say(opened: Any, client: Any, path: str = "/ui/messages") -> str:
    with opened(client, path) as page:
        return str(page.text)


def member_of(town: Any, who: str, **changes: Any) -> Member:
    with town.db.write() as session:
        member: Member = session.get_one(Member, town.members[who])
        for name, value in changes.items():
            setattr(member, name, value)
        return member


def fates(town: Any) -> list[tuple[str, str]]:
    """Of the second mail, by person."""
    with town.db.read() as session:
        found = select(Message).where(Message.node == "again", Message.contact_id.in_([town.people[name] for name in PEOPLE]))  # type: ignore[attr-defined]
        return [(message.status, message.reason) for message in session.scalars(found)]


def jobs(town: Any) -> list[Job]:
    with town.db.read() as session:
        return list(session.scalars(select(Job)))


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        (
            "en",
            "May have been sent between {since} and {until}, before a backup was restored: 3. This cannot be known for certain, so they wait for a decision",
        ),
        ("de", "Zwischen {since} und {until} vielleicht schon gesendet, bevor eine Sicherung wiederhergestellt wurde: 3. Niemand"),
    ],
)
def test_the_notice_names_how_many_wait_and_since_when(
    log_in: Any, opened: Any, town: Any, restore: Restore, locale: str, said: str
) -> None:
    assert fates(town) == [("uncertain", "perhaps_sent")] * 3
    t = translator_of(member_of(town, "marketer", locale=locale), "", "en")
    text = say(opened, log_in("marketer"))
    assert said.format(since=t.moment(restore.since), until=t.moment(restore.until)) in text
    assert all(button in text for button in BUTTONS[locale])


def test_without_a_restore_there_is_no_notice(log_in: Any, opened: Any, town: Any) -> None:
    assert "before a backup was restored:" not in say(opened, log_in("marketer"))


@pytest.mark.parametrize(("role", "may"), [("admin", True), ("marketer", True), ("viewer", False)])
def test_only_those_who_may_decide_are_offered_to(log_in: Any, opened: Any, town: Any, restore: Restore, role: str, may: bool) -> None:
    text = say(opened, log_in(role))
    assert "before a backup was restored: 3." in text
    assert [button in text for button in BUTTONS["en"]] == [may] * 3


def test_somebody_who_may_not_any_more_decides_nothing(log_in: Any, opened: Any, town: Any, restore: Restore) -> None:
    """The page was open when the role was taken away."""
    with opened(log_in("marketer"), "/ui/messages") as page:
        member_of(town, "marketer", role="viewer")
        page.press("Count all as sent")
        page.see_until("Your role does not allow this.")
    assert jobs(town) == []


@pytest.mark.parametrize(
    ("press", "assume", "fate"),
    [("Count all as sent", "sent", ("sent", "confirmed")), ("Send all now", "unsent", ("held", "send_again"))],
)
def test_a_decision_about_all_is_worked_through_and_the_notice_goes(
    log_in: Any, opened: Any, app: Any, town: Any, restore: Restore, press: str, assume: str, fate: tuple[str, str]
) -> None:
    client = log_in("marketer")
    with opened(client, "/ui/messages") as page:
        page.press(press)
        page.see_until("They are being decided")
        assert "All were sent" not in page.text, "nobody decides twice"
        [job] = jobs(town)
        do_page(town.engine, job.id)
        while "before a backup was restored:" in page.text:
            page.see()
    assert fates(town) == [fate] * 3
    [job] = jobs(town)
    assert (job.state, job.done, job.counts, job.created_by) == ("done", 3, {"decided": 3}, f"member:{town.members['marketer']}")
    with town.db.read() as session:
        assert session.get_one(Restore, restore.id).assume == assume
        assert session.scalars(select(Audit).where(Audit.action == "restore.assume")).one().actor == f"member:{town.members['marketer']}"


def test_one_by_one_takes_back_what_was_said_of_what_comes_later(log_in: Any, opened: Any, app: Any, town: Any, restore: Restore) -> None:
    """Work that failed says why and offers the choice again."""
    client = log_in("marketer")
    with opened(client, "/ui/messages") as page:
        page.press("Send all now")
        page.see_until("They are being decided")
        with town.db.write() as session:
            job = session.scalars(select(Job)).one()
            end_early(session, job, "failed", town.now, NotFound("This restore does not exist."))
        page.see_until("failed before it finished: This restore does not exist.")
        page.press("Decide one by one")
        page.see_until("Each waits for a decision.")
    with town.db.read() as session:
        assert session.get_one(Restore, restore.id).assume == "ask"
    assert len(jobs(town)) == 1


@pytest.mark.parametrize("width", [1400, 390])
def test_it_is_asked_before_anything_is_done(served: None, enter: Enter, town: Any, restore: Restore, width: int) -> None:
    """In a real browser, by a marketer: nothing hangs over the edge of a phone, and the first press changes nothing."""
    page: Page = enter("marketer")
    heard = complaints(page)
    page.set_viewport_size({"width": width, "height": 860})
    page.goto("/ui/messages")
    notice = page.get_by_role("region", name="Before the restore")
    expect(notice).to_contain_text("before a backup was restored: 3.")
    notice.get_by_role("link", name="One by one").click()
    expect(page).to_have_url("/ui/messages?state=undecided")
    expect(page.get_by_role("row").filter(has_text="may have been sent before a backup was restored")).to_have_count(3)
    yes = notice.get_by_role("button", name="Count all as sent")
    expect(yes).to_be_hidden()
    notice.get_by_text("All were sent", exact=True).click()
    expect(yes).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert jobs(town) == []
    yes.click()
    expect(page.get_by_role("status")).to_contain_text("They are being counted as sent")
    expect(notice).to_have_count(0)
    assert fates(town) == [("sent", "confirmed")] * 3
    assert heard == []
