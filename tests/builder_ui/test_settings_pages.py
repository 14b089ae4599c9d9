"""The settings, seen by those who may not change them, and by those who try anyway."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from activities.team import account_mail
from builder_ui.kit.forms import Field, place, read
from builder_ui.kit.i18n import translator_for, translator_of
from builder_ui.settings.account import PROBLEMS
from builder_ui.settings.audit import rows_of
from builder_ui.settings.fields import ELSEWHERE, controls
from builder_ui.settings.rotations import earlier
from builder_ui.settings.sessions import browser
from crm.consent import double_opt_in
from engine.clock import Clock
from models import ApiKey, Audit, Member, OutboxItem
from workspace import audit, login, sessions, settings
from workspace import logo as picture
from workspace.api_keys import add_key
from workspace.intake import Intake

PASSWORD = "correct horse battery"


@pytest.fixture(name="origin")
def fixture_origin(settings: Any) -> dict[str, str]:
    """What a browser says of a form of ours."""
    return {"origin": settings.public_url}


def say(opened: Any, client: Any, path: str) -> str:
    with opened(client, path) as page:
        return str(page.text)


@pytest.mark.parametrize("role", ["viewer", "marketer"])
def test_who_is_no_admin_sees_values_and_no_forms_of_admins(log_in: Any, opened: Any, role: str) -> None:
    client = log_in(role)
    for path in ("/ui/settings/users", "/ui/settings/workspace/quiet_hours", "/ui/settings/workspace/calendar"):
        with opened(client, path) as page:
            assert not [node for node in page.nodes() if node.get("eventHandlers")]
    for path in ("/ui/settings/keys", "/ui/settings/audit", "/ui/settings/users/x"):
        assert "Your role does not allow this." in say(opened, client, path)
    assert client.get("/ui/settings/audit.csv").status_code == 403
    assert "Europe/Zurich" in say(opened, client, "/ui/settings/workspace/calendar")
    assert ("Audit trail" in say(opened, client, "/ui/settings")) is False


def test_a_setting_that_is_none_is_a_sentence(log_in: Any, opened: Any) -> None:
    for path in ("/ui/settings/workspace/colour", "/ui/settings/users/nobody"):
        assert "This does not exist" in say(opened, log_in("admin"), path)


@pytest.mark.parametrize("once", [account_mail.ONCE, double_opt_in.ONCE])
def test_a_link_to_an_account_or_to_a_consent_is_for_admins_only(log_in: Any, opened: Any, town: Any, once: str) -> None:
    """A viewer who could read it in the outbox could become an admin, or consent for somebody else."""
    with town.db.write() as session:
        item = session.scalars(select(OutboxItem).where(OutboxItem.message_id == town.message())).one()
        item.idempotency_key, item.recipient, item.html, item.text = f"{once}1", "alex@example.com", "", "the link"
        session.add(item)
        session.flush()
        id = item.id
    for role, seen in (("viewer", False), ("marketer", False), ("admin", True)):
        client = log_in(role)
        with opened(client, f"/ui/messages/{town.message()}") as page:
            assert (f"/ui/outbox/{id}'" in str(page.model)) is seen, "the message leads to what its reader may see"
        assert ("alex@example.com" in say(opened, client, "/ui/outbox?q=alex")) is seen
        assert ("the link" in say(opened, client, f"/ui/outbox/{id}")) is seen
        assert (client.get(f"/ui/outbox/{id}/mail").status_code == 200) is seen


def test_a_key_shows_what_was_refused_and_what_stayed_as_it_came(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        key, _ = add_key(session, "server", "Shop", town.now)
        session.get_one(Member, town.members["admin"]).locale = "de"
    address = f"/ui/settings/keys/{key.id}"
    assert "Alles, was mit diesem Schlüssel gesendet wurde, wurde angenommen." in say(opened, log_in("admin"), address)
    intake = Intake(town.db, lambda: town.now)
    for _ in range(3):
        intake.note(key.id, "refused", "Message Sent", "event", "reserved_name")
    intake.note(key.id, "kept", "Order Completed", "total", "number")
    intake.flush()
    text = say(opened, log_in("admin"), address)
    assert "Ereignis abgelehnt Message Sent event Dieser Name ist Ereignissen vorbehalten, die der Server selbst schreibt. 3" in text
    assert "Erwartet wird eine Zahl; der Wert bleibt unverändert." in text
    with opened(log_in("admin"), "/ui/settings/keys") as page:
        assert address in [node["attributes"].get("href") for node in page.nodes() if node.get("tagName") == "a"]
    assert "Message Sent" not in say(opened, log_in("viewer"), address)


def test_what_goes_by_real_time_is_shown_by_it(log_in: Any, opened: Any, town: Any) -> None:
    """A staging workspace that is a month ahead."""
    now = datetime.now(UTC)
    town.engine.clock = Clock(1.0, now, now + timedelta(days=30))
    with town.db.write() as session:
        key, _ = add_key(session, "server", "Shop", now - timedelta(days=1))
        key.last_used_at = now - timedelta(hours=2)
        sessions.open_session(session, town.members["viewer"], now - timedelta(hours=2), "x")
    client = log_in("admin")
    for path in ("keys", "users", f"users/{town.members['viewer']}"):
        assert "2 hours ago" in say(opened, client, f"/ui/settings/{path}")


def submit(page: Any, *values: str, form: int = 0, extra: int = 0) -> None:
    targets = [node["eventHandlers"]["onSubmit"]["target"] for node in page.nodes() if "onSubmit" in node.get("eventHandlers", {})]
    elements = [{"tagName": "INPUT", "value": value, "checked": value == "on"} for value in values] + [
        {"tagName": "INPUT", "value": "x"}
    ] * extra
    page.send({"type": "layout-event", "target": targets[form], "data": [{"target": {"elements": elements}}]})
    page.see()


def test_a_form_that_was_tampered_with_changes_nothing(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("admin"), "/ui/settings/keys") as page:
        submit(page, "Shop", "server", extra=1)
        assert "The form has changed in the meantime" in page.text
        submit(page, "Shop", "root")
        assert "Please check the highlighted fields." in page.text
        submit(page, "x" * 5_000, "server")
        assert "Key created." in page.text
    with town.db.read() as session:
        assert [len(key.name) for key in session.scalars(select(ApiKey))] == [64]


def test_a_browser_key_comes_with_the_lines_for_a_page_and_a_role_with_an_admin_key(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("admin"), "/ui/settings/keys") as page:
        submit(page, "Web", "browser")
        (lines,) = [node["attributes"]["value"] for node in page.nodes() if node.get("attributes", {}).get("id") == "snippet"]
        assert 'writeKey: "pfb_' in lines
        submit(page, "Reports", "admin:viewer")
        assert not [node for node in page.nodes() if node.get("attributes", {}).get("id") == "snippet"]
        submit(page, "Web", "server")
        assert "belongs to a key of another kind" in page.text
        submit(page, "Shop", "server:admin")
        assert "Please check the highlighted fields." in page.text
    with town.db.read() as session:
        assert {(key.name, key.kind, key.role) for key in session.scalars(select(ApiKey))} == {
            ("Web", "browser", ""),
            ("Reports", "admin", "viewer"),
        }


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("admin"), "/ui/settings/workspace/sender") as page:
        submit(page, "Shop", "hello@example.org", "", "Street 1")
        assert "Saved." in page.text
    with opened(log_in("admin"), "/ui/settings/workspace/frequency_caps") as page:
        submit(page, "default", "5000", "2", "D", "", "")
        assert "Expected at most 1000." in page.text
        wrong = [node for node in page.nodes() if node.get("attributes", {}).get("aria-invalid")]
        assert [node["attributes"]["defaultValue"] for node in wrong] == ["5000"]
    with town.db.read() as session:
        assert settings.load(session, settings.Sender).name == "Shop"
        assert settings.load(session, settings.FrequencyCaps).caps == ()


@pytest.mark.parametrize("name", sorted(settings.SETTINGS))
def test_a_form_gives_back_the_setting_it_was_drawn_from(name: str) -> None:
    """Opening and saving changes nothing, whatever the shape: a property without a control would be lost here."""
    usual = settings.SETTINGS[name]()
    made = controls(translator_for("en"), name, usual)
    values = {field.name: field.value for one in made.values() for field in one.fields}
    files = {one.rpartition(".")[2] for one in ELSEWHERE if one.startswith(f"{name}.")}
    assert set(made) == set(settings.SETTINGS[name].model_fields) - files
    assert settings.SETTINGS[name].model_validate({key: one.read(values) for key, one in made.items()}) == usual


def test_a_logo_is_taken_kept_when_the_form_is_saved_and_taken_away(log_in: Any, opened: Any, town: Any, origin: dict[str, str]) -> None:
    admin = log_in("admin")
    png = b"\x89PNG\r\n\x1a\n" + bytes(20)

    def logo() -> str:
        with town.db.read() as session:
            return settings.load(session, settings.Appearance).logo

    def send(content: bytes = b"", **fields: str) -> str:
        files = {"file": ("logo.png", content)} if content else None
        return str(admin.post("/ui/settings/logo", data=fields, files=files, headers=origin).headers["location"])

    assert "problem" not in send(png)
    assert logo() == picture.address(png)
    with opened(admin, "/ui/settings/workspace/appearance") as page:
        submit(page, "Shop", "#123456", "", "", "", "", "", "sans", "")
        assert "Saved." in page.text
    assert logo() == picture.address(png)
    for wrong in (b"<svg/>", png + bytes(70_000)):
        assert "problem=logo" in send(wrong)
    assert logo() == picture.address(png)
    send(remove="yes")
    assert logo() == ""


@pytest.mark.parametrize(("locale", "shown"), [("de", "24.12.2026"), ("en", "24/12/2026"), ("en-US", "12/24/2026")])
def test_days_off_are_written_and_read_as_their_reader_writes_days(locale: str, shown: str) -> None:
    usual = settings.WorkCalendar(days_off=(date(2026, 12, 24),))
    member = Member(name="x", email="x", locale=locale, created_at=datetime.now(UTC))
    made = controls(translator_of(member, "", "en"), "calendar", usual)["days_off"]
    assert [field.value for field in made.fields] == [shown]
    assert made.read({"days_off": f"{shown}\n2026-12-25, someday"}) == [date(2026, 12, 24), date(2026, 12, 25), "someday"]


def test_values_come_in_the_order_of_the_fields() -> None:
    fields = [Field("a", "A", most=3), Field("b", "B", "checkbox"), Field("c", "C", "select")]
    elements = [
        {"tagName": "INPUT", "value": "12345"},
        {"tagName": "INPUT", "checked": True},
        {"tagName": "BUTTON"},
        {"tagName": "SELECT", "value": "\0x"},
    ]
    assert read({"target": {"elements": elements}}, fields) == {"a": "123", "b": "on", "c": "x"}
    for event in ({}, {"target": None}, {"target": {"elements": []}}, {"target": {"elements": ["x"] * 3}}):
        assert read(event, fields) is None


def test_a_problem_finds_the_field_it_means() -> None:
    values = {"caps.0.count": "", "hours.0.0": "", "country": ""}
    assert [place(one, values) for one in ("caps.0.count", "hours", "hours.9.[key]", "", "country.x")] == [
        "caps.0.count", "hours.0.0", "hours.0.0", "caps.0.count", "country",
    ]  # fmt: skip


def test_the_password_is_changed_with_the_old_one_from_our_own_page(log_in: Any, town: Any, settings: Any) -> None:
    client, now = log_in("sales"), town.engine.clock.now()
    with town.db.write() as session:
        path = sessions.mint(session, town.members["sales"], "invitation", now)
    login.choose(town.db, town.engine.address_keys, path.rpartition("/")[2], PASSWORD, now)
    assert log_in("sales") is client
    ours = {"origin": settings.public_url}
    new = {"old": PASSWORD, "password": "quite another one", "again": "quite another one"}
    assert client.post("/ui/settings/password", data=new).status_code == 403
    assert client.post("/ui/settings/password", data=new, headers={"origin": "http://evil.example"}).status_code == 403
    for change, problem in (({"again": "x"}, "again"), ({"old": "wrong"}, "old"), ({"password": "short", "again": "short"}, "short")):
        answer = client.post("/ui/settings/password", data={**new, **change}, headers=ours)
        assert answer.headers["location"] == f"/ui/settings?problem={problem}"
        assert problem in PROBLEMS
    assert client.post("/ui/settings/password", data=new, headers=ours).headers["location"] == "/ui/settings?done=password"
    assert login.log_in(town.db, town.engine.address_keys, "sven@example.com", "quite another one", now)[1].id == town.members["sales"]
    assert client.get("/ui/settings").status_code == 200, "this browser stays logged in"


def test_the_trail_as_csv_is_whole_and_harmless(log_in: Any, town: Any) -> None:
    with town.db.write() as session:
        for n in range(450):
            audit.record(session, "=HYPERLINK(1)", "x.y", f"@{n}", {})
    client = log_in("admin")
    lines = client.get("/ui/settings/audit.csv?action=x.y").text.splitlines()
    assert len(lines) == 451
    assert ",'=HYPERLINK(1),x.y,'@449," in lines[1]
    with town.db.read() as session:
        whole = len(session.scalars(select(Audit.id)).all())
    assert len(list(rows_of(type("House", (), {"engine": town.engine}), {}))) == whole + 1  # type: ignore[arg-type]


def test_the_trail_calls_journeys_and_members_by_their_names(log_in: Any, opened: Any, town: Any) -> None:
    journey = town.journey("welcome")
    with town.db.write() as session:
        audit.record(session, f"member:{town.members['sales']}", "journey.pause", f"journey:{journey.id}", {})
        audit.record(session, "system", "journey.delete", "journey:gone", {})
    with opened(log_in("admin"), "/ui/settings/audit") as page:
        assert f"Sven Sutter journey.pause {journey.name}" in page.text
        assert "journey:gone" in page.text


def test_a_broken_chain_is_named(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        line = session.scalars(select(Audit).order_by(Audit.id)).all()[2]  # type: ignore[arg-type]
        line.actor = "somebody else"
        session.add(line)
        id = line.id
    with opened(log_in("admin"), "/ui/settings/audit") as page:
        submit(page, "")
        page.see_until(f"The chain is broken at line {id}.")


def test_a_chain_that_was_cut_is_seen_with_a_head_from_the_log(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("admin")
    with town.db.write() as session:
        line = audit.record(session, "m1", "x.y", "s", {})
        logged = f"INFO pfadwerk.audit: audit head {audit.head(session)}"
    with opened(client, "/ui/settings/audit") as page:
        submit(page, logged)
        page.see_until("It contains the head from the log.")
        with town.db.write() as session:
            session.delete(session.get_one(Audit, line.id))
        submit(page, logged)
        page.see_until(f"The chain is broken at line {line.id}: lines were cut off from there on.")
        submit(page, "something else")
        page.see_until("A logged head has the form NUMBER:SEAL")


def test_the_last_admin_is_told_so(log_in: Any, opened: Any, town: Any) -> None:
    with opened(log_in("admin"), f"/ui/settings/users/{town.members['admin']}") as page:
        submit(page, "Alex Admin", "alex@example.com", "viewer", "en", "Europe/Zurich", "")
        assert "The last active admin cannot be removed." in page.text
    with town.db.read() as session:
        assert session.get_one(Member, town.members["admin"]).role == "admin"


def test_orders_and_browsers() -> None:
    assert earlier(["a", "b", "c"], "c") == ["a", "c", "b"]
    assert earlier(["a", "b"], "a") == ["a", "b"]
    assert earlier(["a", "b"], "gone") == ["a", "b"]
    assert browser("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0") == "Firefox, Linux"
    assert (
        browser("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1")
        == "Safari, iPhone"
    )
    assert browser("") == ""


@pytest.mark.parametrize("name", ["frequency_caps", "purposes"])
def test_the_empty_row_below_is_called_by_a_word_that_fits_every_list(name: str) -> None:
    made = controls(translator_for("de"), name, settings.SETTINGS[name]())
    headings = [field.group for one in made.values() for field in one.fields if field.group]
    assert headings[-1] == "Neuer Eintrag"
