"""The second factor and the fresh proof on the pages: set up, asked for, turned off; what weighs more asks once more, by the socket too."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from playwright.sync_api import expect
from sqlalchemy import update
from sqlmodel import select
from starlette.websockets import WebSocketDisconnect

from builder_ui.app.screen import NotAllowed, allowed
from builder_ui.kit.context import AppContext, PageContext
from builder_ui.kit.i18n import translator_for
from journeys.errors import Unauthorized
from models import ApiKey, LoginSession, Member
from tests.builder_ui.logins import login_of
from workspace import audit, login, passwords, second_factor, sessions, settings
from workspace.roles import ACTS, PROVED

PASSWORD = "correct horse battery"


def grow_old(town: Any) -> None:
    """Lets the last proof of every session lie an hour back."""
    with town.db.write() as session:
        session.execute(update(LoginSession).values(proved_at=town.engine.clock.now() - timedelta(hours=1)))


def submit(page: Any, *values: str, form: int = 0) -> None:
    targets = [node["eventHandlers"]["onSubmit"]["target"] for node in page.nodes() if "onSubmit" in node.get("eventHandlers", {})]
    elements = [{"tagName": "INPUT", "value": value} for value in values]
    page.send({"type": "layout-event", "target": targets[form], "data": [{"target": {"elements": elements}}]})
    page.see()


def test_a_key_made_on_a_page_asks_once_more_who_one_is(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("admin")
    grow_old(town)
    with opened(client, "/ui/settings/keys") as page:
        submit(page, "Shop", "server")
        assert "Please confirm first that it is you." in page.text
        assert "/prove?from=/ui/settings/keys" in [node["attributes"].get("href") for node in page.nodes() if node.get("tagName") == "a"]
        with town.db.write() as session:
            assert session.scalar(select(ApiKey.id)) is None
            session.execute(update(LoginSession).values(proved_at=town.engine.clock.now()))
        submit(page, "Shop", "server")
        assert "Key created." in page.text


def context_of(town: Any, role: str, **of_login: Any) -> PageContext:
    with town.db.read() as session:
        member = session.get_one(Member, town.members[role])
    app = AppContext(town.engine, replace(login_of(member), **of_login), lambda _wakeups: None, "http://127.0.0.1")
    return PageContext(app, member, "token", translator_for("en"), "/ui/settings", {})


@pytest.mark.parametrize("act", sorted(ACTS))
def test_the_socket_asks_for_a_proof_exactly_where_the_table_says(town: Any, act: str) -> None:
    """Whatever a page or an editor does goes through `allowed`; what a page reads by itself does not ask."""

    def no_proof(_token: str) -> None:
        raise sessions.ProofNeeded("Please confirm first that it is you.", address="/prove")

    context = context_of(town, "admin", require_proof=no_proof)
    assert allowed(context, act, reading=True)
    if act in PROVED:
        with pytest.raises(sessions.ProofNeeded):
            allowed(context, act)
    else:
        assert allowed(context, act)


def test_what_a_page_reads_by_itself_keeps_no_idle_session_alive(town: Any) -> None:
    asked: list[bool] = []

    def member(_token: str, used: bool = True, owing: bool = False) -> None:
        asked.append(used)

    context = context_of(town, "admin", member=member)
    for act in ("me.read", "contact.read"):
        with pytest.raises(Unauthorized):
            allowed(context, act, reading=True)
    assert not any(asked)
    with pytest.raises(Unauthorized):
        allowed(context, "contact.change")
    assert any(asked)


def test_who_is_refused_on_a_page_stands_in_the_trail(town: Any) -> None:
    refused: list[str] = []
    context = context_of(town, "viewer", refused=lambda _member, act: refused.append(act))
    with pytest.raises(NotAllowed):
        allowed(context, "key.manage")
    with pytest.raises(NotAllowed):
        allowed(context, "key.manage", reading=True)
    assert refused == ["key.manage"], "an act that was tried, not a page that was looked at"


def test_who_owes_a_second_factor_does_nothing_but_set_it_up(town: Any) -> None:
    with town.db.read() as session:
        owing_one = session.get_one(Member, town.members["admin"])

    def member(_token: str, used: bool = True, owing: bool = False) -> Member | None:
        return owing_one if owing else None

    context = context_of(town, "admin", member=member)
    for act in ("journey.change", "contact.read", "key.manage"):
        for reading in (False, True):
            with pytest.raises(NotAllowed):
                allowed(context, act, reading=reading)
    assert allowed(context, "me.second_factor")
    assert allowed(context, "me.read", reading=True)


def test_who_owes_one_is_led_to_the_account_and_their_sockets_stay_shut(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("marketer")
    with town.db.write() as session:
        settings.put(session, "access", {"second_factor": "everybody"}, "test", town.engine.clock.now())
    assert client.get("/ui/contacts").headers["location"] == "/ui/settings"
    assert client.get("/ui/export/contacts.csv").status_code in (401, 403)
    with opened(client, "/ui/settings") as page:
        assert "Your workspace requires an authenticator app" in page.text
    with pytest.raises(WebSocketDisconnect), opened(client, "/ui/contacts"):
        pass


def test_an_admin_resets_the_factor_of_somebody_else(log_in: Any, opened: Any, town: Any) -> None:
    keys, now, id = town.engine.address_keys, town.engine.clock.now(), town.members["marketer"]
    with town.db.write() as session:
        second_factor.begin(session, keys, id, now)
        begun = second_factor.setup(session, keys, session.get_one(Member, id), now)
        assert begun is not None
        second_factor.confirm(session, keys, id, pyotp.TOTP(begun.secret).at(now), now)
    with opened(log_in("admin"), f"/ui/settings/users/{id}") as page:
        page.press("Reset")
        page.see_until("They can log in without a second factor")
    with town.db.read() as session:
        assert not second_factor.is_on(session, id)
        assert [line.subject for line in audit.list_lines(session, action="second_factor.off")] == [f"member:{id}"]


def test_a_person_sets_up_an_app_and_logs_in_with_it(served: None, enter: Any, town: Any, context: Any) -> None:
    """In a real browser: scan, confirm, keep the codes, log out, log in with password and code, and turn it off again."""
    id = town.members["marketer"]
    with town.db.write() as session:
        member = session.get_one(Member, id)
        member.password_hash = passwords.hash_of(PASSWORD)
        email = member.email
    page = enter("marketer")
    page.goto("/ui/settings")
    page.get_by_role("button", name="Set up an authenticator app").click()
    expect(page.get_by_alt_text("QR code for the authenticator app")).to_be_visible()
    secret = page.locator("code", has_text=re.compile(r"^(\w{4} ){7}\w{4}$")).inner_text().replace(" ", "")
    app = pyotp.TOTP(secret)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Please check the highlighted fields.")).to_be_visible()
    page.get_by_label("Code").fill(app.at(town.engine.clock.now()))
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("The second factor is on.")).to_be_visible()
    codes = page.get_by_label("Recovery codes").input_value().split("\n")
    assert len(codes) == second_factor.RECOVERY_CODES
    context.clear_cookies()
    page.goto("/login?from=/ui/settings")
    page.get_by_label("E-mail address").fill(f" {email.upper()}")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Enter the code")).to_be_visible()
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("9 recovery codes are left.")).to_be_visible()
    grow_old(town)
    page.get_by_text("Turn off").first.click()
    page.get_by_role("button", name="Turn off").click()
    page.get_by_role("link", name="Confirm").click()
    page.get_by_label("Code").fill(codes[1])
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("Turn off").first.click()
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("The second factor is off.")).to_be_visible()
    assert login.log_in(town.db, town.engine.address_keys, email, PASSWORD, town.engine.clock.now())
