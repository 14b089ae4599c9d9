"""Bounces and complaints of the accounts: everybody sees what is stopped and why, an administrator lets it go on."""

from __future__ import annotations

from typing import Any

from storage import sending_counts
from workspace import sending_rates

ADDRESS = "/ui/settings/accounts"


def counts(town: Any, account: str, tried: int, bounced: int = 0, complained: int = 0) -> None:
    now = town.engine.clock.real_now()
    with town.db.write() as session:
        for what, count in (("tried", tried), ("bounced", bounced), ("complained", complained)):
            for _ in range(count):
                sending_counts.note(session, account, what, now)  # type: ignore[arg-type]
        sending_rates.apply(session, now)


def test_a_stopped_account_is_seen_by_all_and_let_go_on_by_an_administrator(log_in: Any, opened: Any, town: Any) -> None:
    counts(town, "smtp.main", 500, complained=3)
    counts(town, "smtp.news", 500, bounced=15)
    with opened(log_in("marketer"), ADDRESS) as page:
        assert "Too many people report its messages as spam." in page.text
        assert "15 (30 of 1,000)" in page.text
        assert "Resume sending" not in page.text
        assert "Try now" not in page.text
    with opened(log_in("admin"), ADDRESS) as page:
        page.press("Resume sending")
        page.see_until("The account is sending again.")
    with town.db.read() as session:
        assert sending_rates.known(session) == {"smtp.news": "warn"}
