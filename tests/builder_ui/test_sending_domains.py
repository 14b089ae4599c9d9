"""The page of sending domains: checked by a press, told what to paste, allowed by an administrator only."""

from __future__ import annotations

from typing import Any

import pytest

from activities.account_setup import set_up_of
from activities.providers.smtp import Smtp
from tests.builder_ui.test_settings_pages import submit
from tests.dns_server import fixture_dns
from workspace import accounts, sending_domains, sending_plans, settings
from workspace.sending_plans import Plan

__all__ = ["fixture_dns"]
ADDRESS = "/ui/settings/domains"
RED = {"what": "dmarc", "level": "bad", "code": "dmarc_none", "name": "_dmarc.shop.example", "type": "TXT", "value": "v=DMARC1; p=none"}


@pytest.fixture(name="shop")
def fixture_shop(town: Any) -> Any:
    """A sender, and a mail server that carries e-mail."""
    now = town.engine.clock.real_now()
    with town.db.write() as session:
        settings.put(session, "sender", {"name": "Shop", "email": "shop@shop.example"}, "test", now)
        given = set_up_of(Smtp, Smtp.Config(host="localhost"))
        accounts.add(session, town.engine.address_keys, "main", given, "test", now)
        accounts.carry(session, {"email": "smtp.main"}, "test", now)
    return town


def test_what_is_missing_is_said_before_anything_can_be_checked(log_in: Any, opened: Any, town: Any) -> None:
    now = town.engine.clock.real_now()
    with town.db.write() as session:
        settings.put(session, "sender", {}, "test", now)
    with opened(log_in("admin"), ADDRESS) as page:
        assert "No sender has an address yet" in page.text
    with town.db.write() as session:
        settings.put(session, "sender", {"email": "shop@shop.example"}, "test", now)
    with opened(log_in("admin"), ADDRESS) as page:
        assert "No provider account carries e-mail yet" in page.text


def test_a_domain_with_red_marks_is_allowed_by_an_administrator(log_in: Any, opened: Any, shop: Any) -> None:
    with shop.db.write() as session:
        sending_domains.note(session, "smtp.main", "shop.example", [RED], "test", shop.engine.clock.real_now())
    with opened(log_in("marketer"), ADDRESS) as page:
        assert "There is no DMARC record." in page.text
        assert "v=DMARC1; p=none" in page.text
        assert "Check now" in page.text
        assert "Allow anyway" not in page.text
    with opened(log_in("admin"), ADDRESS) as page:
        page.press("Allow anyway")
        page.see_until("An administrator allows marketing despite red marks.")
    with shop.db.read() as session:
        assert sending_domains.checks(session, "smtp.main")["shop.example"].allowed == ["dmarc_none"]


def test_a_check_is_made_by_a_press(log_in: Any, opened: Any, shop: Any, dns: Any) -> None:
    with opened(log_in("admin"), ADDRESS) as page:
        assert "Not checked yet." in page.text
        page.press("Check now")
        page.see_until("Last check:")
        assert "There is no SPF record" in page.text
    assert ("shop.example", "MX") in dns.asked


def test_further_senders_are_entered_and_removed(log_in: Any, opened: Any, shop: Any) -> None:
    with opened(log_in("admin"), "/ui/settings/workspace/senders") as page:
        submit(page, "team", "The team", "team@shop.example", "")
        page.see_until("Saved.")
        submit(page, "team", "The team", "team@shop.example", "", "care", "", "none", "")
        page.see_until("Expected an e-mail address.")
        submit(page, "", "", "", "", "care", "", "care@shop.example", "")
        page.see_until("Saved.")
    with shop.db.read() as session:
        assert [one.key for one in settings.load(session, settings.Senders).senders] == ["care"]


def test_a_domain_warms_up_by_a_plan_that_only_administrators_change(log_in: Any, opened: Any, shop: Any) -> None:
    with opened(log_in("marketer"), ADDRESS) as page:
        assert "There is no limit." in page.text
        assert not [node for node in page.nodes() if "onSubmit" in node.get("eventHandlers", {})]
    today = shop.engine.clock.real_now().date()
    with opened(log_in("admin"), ADDRESS) as page:
        submit(page, "200", "2026-99-01", "50", "50")
        assert "Expected a date." in page.text
        submit(page, "200", today.isoformat(), "201", "50")
        assert "A warm-up begins with at least one message, and with no more than the limit." in page.text
        submit(page, "200", today.isoformat(), "50", "50")
        page.see_until("The warm-up reaches the limit on")
        assert all(str(limit) in page.text for limit in (50, 75, 112, 168, 200))
    with shop.db.read() as session:
        assert sending_plans.find(session, "@shop.example") == Plan(200, today, 50, 50)
    with opened(log_in("admin"), ADDRESS) as page:
        submit(page, "", "", "", "")
        page.see_until("There is no limit.")
