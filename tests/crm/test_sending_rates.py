"""Bounces and complaints of an account: counted as they happen, judged over days, and let pass by an administrator."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from journeys.errors import Conflict, NotFound
from models import Audit, SendingLevel, StoppedAccount
from storage import sending_counts
from storage.sending_counts import Sent
from workspace import sending_rates, settings, stopped_accounts
from workspace.settings import SendingLimits

LIMITS = SendingLimits(least=1_000)


@pytest.mark.parametrize(
    ("tried", "bounced", "complained", "wanted"),
    [
        (1_000, 0, 0, ""), (1_000, 19, 0, ""), (1_000, 20, 0, "warn bounces"), (1_000, 34, 0, "warn bounces"), (1_000, 35, 0, "slow bounces"),
        (1_000, 49, 0, "slow bounces"), (1_000, 50, 0, "stop bounces"), (4_000, 0, 3, ""), (4_000, 0, 4, "warn complaints"), (4_000, 0, 8, "slow complaints"),
        (4_000, 0, 12, "stop complaints"), (999, 999, 999, ""), (1_000, 0, 2, ""), (1_000, 50, 3, "stop complaints"), (4_000, 200, 4, "stop bounces"),
        (3_000, 0, 3, "warn complaints"), (0, 0, 0, ""),
    ],
)  # fmt: skip
def test_the_worse_rate_counts(tried: int, bounced: int, complained: int, wanted: str) -> None:
    found = sending_rates.judge(Sent(tried, bounced, complained), LIMITS)
    assert f"{found.level} {found.why}".strip() == wanted


def sends(session: Session, now: datetime, tried: int = 0, bounced: int = 0, complained: int = 0, account: str = "smtp.main") -> None:
    for what, count in (("tried", tried), ("bounced", bounced), ("complained", complained)):
        for _ in range(count):
            sending_counts.note(session, account, what, now)  # type: ignore[arg-type]


def level(session: Session, now: datetime) -> str:
    assert sending_rates.needs_applying(session, now) == bool(sending_rates.apply(session, now))
    assert not sending_rates.needs_applying(session, now)
    return sending_rates.known(session).get("smtp.main", "")


def code(session: Session) -> str:
    row = stopped_accounts.find(session, "smtp.main")
    return row.code if row is not None else ""


def test_folded_or_not_the_sums_are_the_same(session: Session, now: datetime) -> None:
    sends(session, now, 7, 2, 1)
    sends(session, now - timedelta(days=3), 5)
    sends(session, now, 1, account="other.x")
    sends(session, now, 1, account="")
    before = sending_counts.read(session, now.date() - timedelta(days=6))
    assert before["smtp.main"] == {now.date(): Sent(7, 2, 1), now.date() - timedelta(days=3): Sent(5)}
    while sending_counts.fold(session, 4):
        assert sending_counts.read(session, now.date() - timedelta(days=6)) == before
    assert not sending_counts.has_fresh(session)
    sends(session, now, 1)
    assert sending_counts.read(session, now.date())["smtp.main"] == {now.date(): Sent(8, 2, 1)}
    sending_counts.forget(session, now.date())
    assert sorted(sending_counts.read(session, now.date() - timedelta(days=6))["smtp.main"]) == [now.date()]


def test_a_warning_ends_when_its_days_are_over_and_a_stop_does_not(session: Session, now: datetime) -> None:
    sends(session, now, 500, 10)
    assert (level(session, now), code(session)) == ("warn", "")
    assert level(session, now + timedelta(days=7)) == ""
    sends(session, now, 0, 20)
    assert (level(session, now), code(session)) == ("stop", "rate_bounces")
    assert (level(session, now + timedelta(days=30)), code(session)) == ("stop", "rate_bounces")
    actions = [
        (line.action, line.detail.get("level")) for line in session.scalars(select(Audit).where(Audit.subject == "account:smtp.main"))
    ]
    assert actions == [("account.rate", "warn"), ("account.rate", ""), ("account.rate", "stop")]


def test_an_administrator_lets_it_go_on_and_what_came_before_counts_no_more(session: Session, now: datetime) -> None:
    with pytest.raises(NotFound):
        sending_rates.resume(session, "smtp.main", "member:ada", now)
    sends(session, now - timedelta(days=1), 500, 40)
    sends(session, now, 500, 40)
    assert level(session, now) == "stop"
    sending_rates.resume(session, "smtp.main", "member:ada", now)
    assert (level(session, now), code(session)) == ("", "")
    sends(session, now, 490, 10)
    assert level(session, now) == "", "fewer than 500 since"
    sends(session, now, 10, 15)
    assert level(session, now) == "stop"


def test_nobody_else_takes_a_stop_away(session: Session, now: datetime) -> None:
    stopped_accounts.stop(session, "smtp.main", "smtp_535", now)
    sends(session, now, 500, 40)
    assert (level(session, now), code(session)) == ("stop", "rate_bounces"), "whatever had stopped it before"
    assert not stopped_accounts.works(session, "smtp.main")
    with pytest.raises(Conflict):
        stopped_accounts.try_now(session, "smtp.main", "member:eve", now)
    assert not stopped_accounts.stop(session, "smtp.main", "smtp_535", now)
    assert code(session) == "rate_bounces"
    session.delete(session.get_one(StoppedAccount, "smtp.main"))
    session.flush()
    sending_rates.apply(session, now)
    assert code(session) == "rate_bounces", "the keeper puts back what holds"


def test_a_slowed_account_has_one_turn_at_a_time(session: Session, now: datetime) -> None:
    sends(session, now, 500, 20)
    assert level(session, now) == "slow"
    every = timedelta(seconds=1)
    assert [sending_rates.take_slot(session, "smtp.main", now + timedelta(seconds=s), every) for s in (0, 0.5, 1, 1.5, 2)] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_limits_that_stop_before_they_warn_are_refused(session: Session, now: datetime) -> None:
    with pytest.raises(ValueError, match="warning"):
        SendingLimits(complaints_warn=4)
    with pytest.raises(ValueError, match="warning"):
        SendingLimits(bounces_warn=60)
    settings.put(session, "sending_limits", {"least": 100, "bounces_stop": 30, "bounces_warn": 30}, "member:ada", now)
    sends(session, now, 100, 3)
    assert level(session, now) == "stop"


def test_many_stopped_accounts_are_written_of_once(session: Session, now: datetime) -> None:
    """More than any page shows."""
    for number in range(stopped_accounts.MOST + 1):
        session.add(SendingLevel(account=f"smtp.{number}", level="stop", why="bounces", since=now, next_at=now))
    session.flush()
    assert sending_rates.needs_applying(session, now)
    sending_rates.apply(session, now)
    assert not sending_rates.needs_applying(session, now)
