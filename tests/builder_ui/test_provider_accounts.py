"""The pages of provider accounts: a form out of the provider's own configuration, secrets that only go in, tests before anything is used."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from activities import account_setup
from activities.providers import Providers
from activities.providers.imap import Imap
from activities.providers.smtp import Smtp
from builder_ui.kit.i18n import translator_for
from builder_ui.settings.account_form import PREFIX, fields_of, values_of
from builder_ui.settings.provider_account import removing
from models import MailboxReading, UnreadMail
from tests.builder_ui.test_settings_pages import submit
from tests.toy_provider import GOOD, LOFTS, Loft, Pigeon, settings_of
from workspace import accounts, stopped_accounts

ADDRESS = "/ui/settings/accounts"


@pytest.fixture(autouse=True)
def loft() -> Iterator[Loft]:
    LOFTS["alps"] = Loft()
    yield LOFTS["alps"]
    LOFTS.clear()


def add(town: Any, **channels: str) -> None:
    now = town.engine.clock.real_now()
    with town.db.write() as session:
        accounts.add(session, town.engine.address_keys, "main", account_setup.read(Pigeon, settings_of("alps"))[1], "test", now)
        accounts.note_test(session, "pigeon.main", "", now)
        accounts.carry(session, channels, "test", now)


def carried(town: Any) -> dict[str, str]:
    with town.db.read() as session:
        return accounts.carried(session)


def test_the_form_comes_out_of_the_configuration() -> None:
    fields = {
        field.name.removeprefix(PREFIX): field
        for field in fields_of(translator_for("en"), Pigeon, {"loft": "alps", "letters": 3}, ["token"])
    }
    assert {name: field.kind for name, field in fields.items()} == {
        "loft": "text",
        "token": "password",
        "breed": "select",
        "at_night": "checkbox",
        "letters": "number",
    }
    assert (fields["loft"].value, fields["loft"].required, fields["letters"].value, fields["token"].value) == ("alps", True, "3", "")
    assert (fields["letters"].least, fields["letters"].greatest, fields["breed"].options) == (
        1,
        9,
        [("homing", "Homing"), ("racing", "Racing")],
    )
    typed = {
        PREFIX + name: value for name, value in {"loft": "x", "token": "", "breed": "racing", "at_night": "on", "letters": "4"}.items()
    }
    assert values_of(Pigeon, typed) == {"loft": "x", "token": "", "breed": "racing", "at_night": True, "letters": "4"}


def test_every_built_in_provider_has_a_form() -> None:
    for kind in Providers.built_in():
        assert len([field.label for field in fields_of(translator_for("de"), kind, {})]) >= bool(kind.Config.model_fields)


def test_an_account_is_set_up_tested_and_chosen(log_in: Any, opened: Any, town: Any, loft: Loft) -> None:
    with opened(log_in("admin"), f"{ADDRESS}?provider=pigeon") as page:
        assert "No account is set up" in page.text
        assert "All accounts are accepting messages." not in page.text
        submit(page, "main", "nowhere", "coo", "homing", "", "2")
        page.see_until("Feed the pigeons.")
        assert carried(town) == {}
        submit(page, "m/n", "alps", GOOD, "homing", "", "2")
        page.see_until("Please check the highlighted fields.")
        submit(page, "main", "alps", GOOD, "homing", "", "12")
        page.see_until("Please check the highlighted fields.")
        submit(page, "main", "alps", GOOD, "homing", "", "2")
        page.see_until("The account works and was saved.")
        assert "All accounts are accepting messages." in page.text
        assert GOOD not in str(page.model)
        submit(page, "", "pigeon.main", *[""] * 7)  # e-mail, SMS, then all others, in the order of the page
        page.see_until("The change applies within a second.")
    assert carried(town) == {"sms": "pigeon.main"}


def test_an_account_is_changed_without_its_secret_and_tested(log_in: Any, opened: Any, town: Any, loft: Loft) -> None:
    add(town, sms="pigeon.main")
    with opened(log_in("admin"), f"{ADDRESS}/pigeon.main") as page:
        assert "A value is stored and never shown." in page.text
        assert GOOD not in str(page.model)
        assert "/callbacks/pigeon.main/news" in page.text
        submit(page, "alps", "", "racing", "on", "3")
        page.see_until("The account works and was saved.")
        loft.is_there = False
        submit(page, "alps", "", "homing", "", "3")
        page.see_until("Nothing was changed")
        page.press("Test the connection")
        page.see_until("Tested. See the result below.")
        assert "pigeon_no_loft" in page.text
    with town.db.read() as session:
        row = accounts.find(session, "pigeon.main")
        assert (row.config["breed"], row.config["at_night"], row.revision) == ("racing", True, 2)
        assert accounts.secrets_of(town.engine.address_keys, row) == {"token": GOOD}


def test_removing_asks_names_what_it_carries_and_is_undone(log_in: Any, opened: Any, town: Any) -> None:
    add(town, sms="pigeon.main")
    with opened(log_in("admin"), f"{ADDRESS}/pigeon.main") as page:
        assert "It is used for: SMS." in page.text
        page.press("Remove")
        page.see_until("Account removed.")
        assert carried(town) == {}
        page.press("Undo")
        page.see_until("Undone.")
    assert carried(town) == {"sms": "pigeon.main"}


def test_what_was_chosen_after_the_question_is_not_removed_with_it(town: Any) -> None:
    """The page may have been drawn before: then the question did not name what the account carries by now."""
    add(town, sms="pigeon.main")
    context: Any = SimpleNamespace(engine=town.engine, by="test", app=SimpleNamespace(real_now=town.engine.clock.real_now))
    with pytest.raises(accounts.InUse):
        removing("pigeon.main", [])(context)
    assert carried(town) == {"sms": "pigeon.main"}
    removing("pigeon.main", ["sms"])(context)
    assert carried(town) == {}


def test_others_see_which_accounts_there_are_and_change_nothing(log_in: Any, opened: Any, town: Any) -> None:
    add(town, sms="pigeon.main")
    client = log_in("viewer")
    with opened(client, ADDRESS) as page:
        assert "pigeon.main" in page.text
        assert "Test and save" not in page.text
        assert not [node for node in page.nodes() if node.get("eventHandlers")]
    with opened(client, f"{ADDRESS}/pigeon.main") as page:
        assert "Your role does not allow this." in page.text


def test_a_seeded_account_says_that_variables_are_not_read_again(log_in: Any, opened: Any, town: Any) -> None:
    now = town.engine.clock.real_now()
    with town.db.write() as session:
        accounts.seed(session, town.engine.address_keys, account_setup.read(Pigeon, settings_of("alps"))[1], "env", ["sms"], now)
    with opened(log_in("admin"), f"{ADDRESS}/pigeon.env") as page:
        assert "they are not read again" in page.text


def test_the_page_makes_a_dkim_key_and_says_what_to_paste_where(log_in: Any, opened: Any, town: Any) -> None:
    with town.db.write() as session:
        given = account_setup.read(Smtp, {"host": "localhost"})[1]
        accounts.add(session, town.engine.address_keys, "main", given, "test", town.engine.clock.real_now())
    with opened(log_in("admin"), f"{ADDRESS}/smtp.main") as page:
        assert "This account does not sign its e-mails." in page.text
        page.press("Create DKIM key")
        page.see_until("pfadwerk1._domainkey")
        assert "v=DKIM1; k=rsa; p=MII" in page.text
        assert "PRIVATE" not in str(page.model)
    with opened(log_in("admin"), f"{ADDRESS}/smtp.main") as page:
        assert "DKIM key" not in [field.get("attributes", {}).get("aria-label") for field in page.nodes()]
        assert "Replace key" in page.text


def mailbox(town: Any) -> None:
    """An account whose mailbox is read, with a mail that was passed over; it cannot be read just now."""
    now = town.engine.clock.real_now()
    given = account_setup.read(Imap, {"host": "imap.example.org", "user": "bounces", "password": "geheim"})[1]
    with town.db.write() as session:
        accounts.add(session, town.engine.address_keys, "main", given, "test", now)
        session.add(MailboxReading(account="imap.main", since=now, until=now, next_at=now, read_at=now, taken=12))
        session.add(UnreadMail(account="imap.main", uid_validity=7, uid=4711, code="imap_too_large", passed_at=now))
        stopped_accounts.stop(session, "imap.main", "imap_login_refused", now)


def test_a_mailbox_says_how_it_is_read_and_what_was_passed_over(log_in: Any, opened: Any, town: Any) -> None:
    mailbox(town)
    with opened(log_in("admin"), f"{ADDRESS}/imap.main") as page:
        for text in ("Returned mail and replies", "Mails read", "4711", "imap_too_large", "User name or password was refused"):
            assert text in page.text
        assert "Daily limit" not in page.text, "nothing is sent through it"
        assert "No mail is read from “imap.main” any more." in page.text
    client = log_in("admin")
    assert "The mailbox of imap.main cannot be read: bounces and replies wait there." in client.get("/ui/journeys").text


def test_several_accounts_share_a_channel_in_an_order(log_in: Any, opened: Any, town: Any) -> None:
    add(town, sms="pigeon.main")
    with town.db.write() as session:
        given = account_setup.read(Pigeon, settings_of("alps"))[1]
        accounts.add(session, town.engine.address_keys, "second", given, "test", town.engine.clock.real_now())
    with opened(log_in("admin"), ADDRESS) as page:
        assert "Several accounts: SMS" in page.text
        assert "Several accounts: E-mail" not in page.text, "nobody carries it"
        submit(page, "pigeon.second", "60", "pigeon.main", "30", form=1)
        page.see_until("add up to 100")
        submit(page, "pigeon.second", "x", "pigeon.main", "40", form=1)
        page.see_until("Expected a number from 0 to 100.")
        submit(page, "pigeon.second", "60", "pigeon.main", "40", form=1)
        page.see_until("The change applies within a second.")
    with town.db.read() as session:
        assert accounts.lines(session) == {"sms": [accounts.Share("pigeon.second", 60), accounts.Share("pigeon.main", 40)]}
