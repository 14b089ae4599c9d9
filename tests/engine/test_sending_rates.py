"""An account with too many bounces or complaints: marketing waits, other messages leave, in every process within a second."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from activities.providers.provider import SenderStopped
from activities.sending.breakers import Breakers, Stopped
from activities.sending.effect import Effects
from activities.sending.rates import watch_rates
from models import SendingDay
from storage import sending_counts
from tests.engine.test_accounts import LOFTS, Sending
from workspace import sending_rates, settings, stopped_accounts

PROMO = {
    "spec": 1, "key": "promo", "name": "promo", "settings": {"message_class": "marketing", "timezone": "Europe/Zurich"},
    "entry": {"triggers": [{"type": "event", "event": "Promo"}], "reentry": {"policy": "after_exit"}},
    "start": "text", "nodes": {"text": {"kind": "send_sms", "text": "Buy"}, "end": {"kind": "exit"}},
    "edges": [{"from": "text", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
}  # fmt: skip


@pytest.fixture
def sending(sqlite_world: Any) -> Any:
    made = Sending(sqlite_world)
    made.world.publish(PROMO)
    made.account = made.add("alps")  # type: ignore[attr-defined]
    made.choose(made.account)  # type: ignore[attr-defined]
    with made.world.db.write() as session:
        settings.put(session, "quiet_hours", {"enabled": False, "channels": []}, "test", made.world.now)
        settings.put(session, "frequency_caps", {"caps": []}, "test", made.world.now)
    yield made
    LOFTS.clear()


def counts(sending: Any, tried: int, bounced: int = 0, complained: int = 0) -> None:
    """What others sent, and the keeper's next round."""
    with sending.world.db.write() as session:
        for what, count in (("tried", tried), ("bounced", bounced), ("complained", complained)):
            for _ in range(count):
                sending_counts.note(session, sending.account, what, sending.world.now)
    watch_rates(sending.effects)
    sending.world.now += timedelta(seconds=2)


def promo(sending: Any) -> str:
    run: str = sending.world.run(sending.world.happens(sending.contact, "Promo"))
    return run


def test_what_is_sent_is_counted_and_folded(sending: Any) -> None:
    assert sending.attempt(sending.enters()) == "done"
    watch_rates(sending.effects)
    with sending.world.db.read() as session:
        assert [(row.account, row.what, row.count) for row in session.scalars(select(SendingDay))] == [(sending.account, "tried", 1)]


def test_stopped_marketing_waits_and_other_messages_leave(sending: Any) -> None:
    other = Effects(sending.world.engine, sending.effects.performers, Breakers(sending.world.db, lambda: sending.world.now))
    counts(sending, 500, bounced=25)
    waits = promo(sending)
    assert sending.attempt(waits) == "retry_later"
    assert (sending.message(waits).status, sending.message(waits).reason) == ("planned", "account_stopped")
    assert sending.attempt(sending.enters()) == "done", "a confirmation or an invoice"
    sending.world.now += timedelta(seconds=2)
    sending.effects, mine = other, sending.effects
    assert sending.attempt(waits) == "retry_later", "in another process, and after a message that went"
    with sending.world.db.write() as session:
        sending_rates.resume(session, sending.account, "member:ada", sending.world.now)
    sending.world.now += timedelta(seconds=2)
    assert sending.attempt(waits) == "done"
    sending.effects = mine


def test_slowed_marketing_leaves_one_by_one(sending: Any) -> None:
    counts(sending, 500, bounced=20)
    first = promo(sending)
    assert sending.attempt(first) == "done"
    second = promo(sending)
    assert sending.attempt(second) == "retry_later"
    assert sending.attempt(sending.enters()) == "done"
    sending.world.now += timedelta(seconds=2)
    assert sending.attempt(second) == "done"


def test_a_domain_is_stopped_by_its_own_rates_and_other_senders_of_the_account_go_on(sending: Any) -> None:
    with sending.world.db.write() as session:
        for name, bounced in ((sending.account, 30), ("@bad.example", 30), ("@slow.example", 20)):
            for what, count in (("tried", 1_000 if name == sending.account else 500), ("bounced", bounced)):
                for _ in range(count):
                    sending_counts.note(session, name, what, sending.world.now)  # type: ignore[arg-type]
    watch_rates(sending.effects)
    breakers = Breakers(sending.world.db, lambda: sending.world.now)

    def turn(sender: str, *, marketing: bool = True) -> str:
        found = breakers.turn(sending.account, 5.0, marketing=marketing, sender=sender)
        return f"{found.code} {found.name}" if isinstance(found, Stopped) else "goes"

    with sending.world.db.read() as session:
        assert sending_rates.known(session) == {sending.account: "warn", "@bad.example": "stop", "@slow.example": "slow"}
    assert turn("@bad.example") == "rate_bounces @bad.example"
    assert turn("@bad.example", marketing=False) == "goes", "a confirmation or an invoice"
    assert (turn("@good.example"), turn("")) == ("goes", "goes")
    assert (turn("@slow.example"), turn("@slow.example")) == ("goes", "rate_slow @slow.example")
    with sending.world.db.write() as session:
        sending_rates.resume(session, "@bad.example", "member:ada", sending.world.now)
    sending.world.now += timedelta(seconds=2)
    assert turn("@bad.example") == "goes"


def test_what_is_no_marketing_has_a_breaker_beside_the_rates(sending: Any) -> None:
    """The account is stopped by its rates, and then refuses everything: transactional messages wait as well, and one at a time tries."""
    counts(sending, 500, bounced=25)
    LOFTS["alps"].next = SenderStopped("pigeon_ill")
    waiting = [sending.enters()]
    assert sending.attempt(waiting[0]) == "retry_later"
    LOFTS["alps"].next = SenderStopped("pigeon_ill")
    assert isinstance(sending.effects.breakers.turn(sending.account, 5.0), Stopped), "nobody else tries meanwhile"
    sending.world.now += timedelta(seconds=6)
    tries = [sending.effects.breakers.turn(sending.account, 5.0) for _ in range(2)]
    assert [isinstance(one, Stopped) for one in tries] == [False, True], "one at a time"
    sending.world.now += timedelta(seconds=11)  # whoever tried has died
    assert sending.attempt(waiting[0]) == "retry_later", "the probe"
    assert isinstance(sending.effects.breakers.turn(sending.account, 5.0), Stopped)
    sending.world.now += timedelta(seconds=6)
    assert sending.attempt(waiting[0]) == "done"
    assert not isinstance(sending.effects.breakers.turn(sending.account, 5.0), Stopped)
    with sending.world.db.read() as session:
        assert [row.code for row in stopped_accounts.listed(session)] == ["rate_bounces"], "which only an administrator ends"
