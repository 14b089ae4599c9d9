"""An administrator's half hour in a real Chromium: invite somebody, who chooses a password and logs in; set quiet hours; make a key; check the trail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from api.auth.login import mint_link
from settings import Settings
from workspace import settings as workspace

PASSWORD = "correct horse battery"


Visitor = Callable[..., BrowserContext]


@pytest.fixture
def visitor(chrome: Browser, settings: Settings, served: None) -> Iterator[Visitor]:
    """A browser of its own."""
    contexts: list[BrowserContext] = []

    def visitor(**options: Any) -> BrowserContext:
        context = chrome.new_context(base_url=settings.public_url, **{"locale": "en-GB", **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        return context

    yield visitor
    for context in contexts:
        context.close()


def enter(context: BrowserContext, town: Any, settings: Settings, role: str = "admin") -> Page:
    page = context.new_page()
    page.goto(mint_link(town.db, town.engine.clock.now(), settings.public_url, town.members[role]))
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def test_an_invited_person_chooses_a_password_and_logs_in(visitor: Visitor, town: Any, settings: Settings) -> None:
    admin = enter(visitor(), town, settings)
    heard: list[str] = []
    admin.on("pageerror", lambda error: heard.append(str(error)))
    admin.get_by_role("link", name="Settings").click()
    admin.get_by_role("link", name="Users").click()
    admin.get_by_label("Name", exact=True).fill("Alan Turing")
    admin.get_by_label("E-mail address").fill("alex@example.com")
    admin.get_by_label("E-mail address").press("Enter")
    expect(admin.get_by_text("A member of the team has this e-mail address already.")).to_be_visible()
    expect(admin.get_by_label("Name", exact=True)).to_have_value("Alan Turing")
    admin.get_by_label("E-mail address").fill("alan@example.org")
    admin.get_by_role("button", name="Invite").click()
    expect(admin.get_by_text("It was e-mailed to alan@example.org.")).to_be_visible()
    link = admin.get_by_label("Link to choose a password").input_value()
    expect(admin.get_by_role("row", name=re.compile("Alan Turing"))).to_contain_text("no password yet")

    alan = visitor(locale="de-CH").new_page()
    alan.goto(link)
    alan.get_by_label("Neues Passwort").fill("Alan Turing 1912")
    alan.get_by_label("Passwort wiederholen").fill("Alan Turing 1912")
    alan.get_by_role("button").click()
    expect(alan.get_by_role("alert")).to_contain_text("darf nicht Ihr Name")
    alan.get_by_label("Neues Passwort").fill(PASSWORD)
    alan.get_by_label("Passwort wiederholen").fill(PASSWORD)
    alan.get_by_role("button").click()
    expect(alan.get_by_role("heading", level=1)).to_be_visible()

    elsewhere = visitor().new_page()
    elsewhere.goto("/ui/tasks?owner=all")
    elsewhere.get_by_role("link", name="Log in with a password").click()
    elsewhere.get_by_label("E-mail address").fill("alan@example.org")
    elsewhere.get_by_label("Password").fill("not it at all")
    elsewhere.get_by_role("button", name="Log in").click()
    expect(elsewhere.get_by_role("alert")).to_contain_text("is incorrect")
    elsewhere.get_by_label("Password").fill(PASSWORD)
    elsewhere.get_by_role("button", name="Log in").click()
    expect(elsewhere).to_have_url(re.compile(r"/ui/tasks\?owner=all$"))

    elsewhere.goto("/ui/settings")
    expect(elsewhere.get_by_text("this one")).to_be_visible()
    elsewhere.get_by_label("Current password").fill(PASSWORD)
    elsewhere.get_by_label("New password").fill("quite another one")
    elsewhere.get_by_label("Repeat password").fill("quite another one")
    elsewhere.get_by_role("button", name="Change the password").click()
    expect(elsewhere.get_by_text("Your password is changed.")).to_be_visible()
    alan.reload()
    expect(alan.get_by_role("heading", level=1)).to_contain_text("nicht angemeldet")

    admin.get_by_role("link", name="Alan Turing").click()
    admin.get_by_role("group").filter(has_text="Deactivate").locator("summary").click()
    admin.locator("details[open]").get_by_role("button", name="Deactivate").click()
    expect(admin.get_by_text("They are deactivated and logged out.")).to_be_visible()
    elsewhere.reload()
    expect(elsewhere.get_by_role("link", name="Log in with a password")).to_be_visible()
    assert heard == []


def test_quiet_hours_by_keyboard_with_a_mistake_on_the_way(visitor: Visitor, town: Any, settings: Settings) -> None:
    page = enter(visitor(), town, settings)
    page.goto("/ui/settings/workspace/quiet_hours")
    page.get_by_label("Keep quiet hours").focus()
    page.keyboard.press("Space")
    zone = page.get_by_label("Time zone for contacts without one")
    zone.fill("Mars/Olympus")
    zone.press("Enter")
    expect(page.get_by_text("Please check the highlighted fields.")).to_be_visible()
    expect(zone).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Keep quiet hours")).to_be_checked()
    zone.fill("Europe/Vienna")
    page.get_by_label("Sunday").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    with town.db.read() as session:
        stored = workspace.load(session, workspace.QuietHours)
    assert (stored.enabled, stored.zone, stored.days) == (True, "Europe/Vienna", ("sun",))


def test_caps_and_working_hours_come_back_as_they_were_entered(visitor: Visitor, town: Any, settings: Settings) -> None:
    page = enter(visitor(), town, settings)
    page.goto("/ui/settings/workspace/frequency_caps")
    page.get_by_label("Maximum number of messages").fill("3")
    page.get_by_label("In any period of").fill("2")
    page.get_by_label("Unit").select_option("W")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Maximum number of messages")).to_have_count(2)
    page.goto("/ui/settings/workspace/calendar")
    page.get_by_label("Friday until").fill("12:30")
    page.get_by_label("Public holidays of the country").fill("CH")
    page.get_by_label("Region").fill("ZH")
    page.get_by_label("Other days off").fill("2026-12-24\n2026-12-31")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Changed by Alex Admin,")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Friday until")).to_have_value("12:30")
    expect(page.get_by_label("Saturday from")).to_have_value("")
    with town.db.read() as session:
        [cap] = workspace.load(session, workspace.FrequencyCaps).caps
        calendar = workspace.load(session, workspace.WorkCalendar)
    assert (cap.count, cap.per.days) == (3, 14)
    assert (calendar.region, [day.isoformat() for day in calendar.days_off]) == ("ZH", ["2026-12-24", "2026-12-31"])


def test_a_key_is_shown_once_rotated_and_revoked(visitor: Visitor, town: Any, settings: Settings) -> None:
    page = enter(visitor(permissions=["clipboard-read", "clipboard-write"]), town, settings)
    page.goto("/ui/settings/keys")
    page.get_by_label("Name", exact=True).fill("Shop")
    page.get_by_role("button", name="Create").click()
    key = page.get_by_label("The new key").input_value()
    assert key.startswith("pfb_")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.reload()
    expect(page.get_by_role("row", name=re.compile("Shop"))).to_be_visible()
    expect(page.get_by_label("The new key")).to_have_count(0)
    page.locator("summary", has_text="Rotate").click()
    page.locator("details[open]").get_by_role("button", name="1 week").click()
    expect(page.get_by_label("The new key")).not_to_have_value(key)
    expect(page.get_by_role("row", name=re.compile("Shop"))).to_have_count(2)
    page.locator("summary", has_text="Revoke").first.click()
    page.locator("details[open]").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked", exact=True)).to_be_visible()
    page.goto("/ui/settings/audit?action=key.revoke")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Verify audit trail").click()
    expect(page.get_by_text("Audit trail verified.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 2
    assert "key.revoke" in lines[1]


def test_rotations_are_filled_and_reordered(visitor: Visitor, town: Any, settings: Settings) -> None:
    page = enter(visitor(), town, settings, "marketer")
    page.goto("/ui/settings/rotations")
    page.get_by_label("Someone else").select_option(label="Mara Marti")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("listitem").filter(has_text="Mara Marti")).to_be_visible()
    page.get_by_role("button", name="Mara Marti: earlier").click()
    expect(page.locator(".order li").first).to_contain_text("Mara Marti")
    page.get_by_role("button", name="Remove Sven Sutter").click()
    expect(page.locator(".order li")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_all_fits_on_a_phone(visitor: Visitor, town: Any, settings: Settings, scheme: str) -> None:
    page = enter(visitor(viewport={"width": 390, "height": 844}, color_scheme=scheme), town, settings)
    for path in ("", "/users", "/rotations", "/workspace/calendar", "/workspace/frequency_caps", "/keys", "/secrets", "/audit"):
        page.goto(f"/ui/settings{path}")
        expect(page.get_by_role("navigation", name="Settings")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
