"""Several accounts carry one channel: each its share, and one for another, but never a message that another one may have sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from activities.accounts import LiveTimeouts
from activities.providers.provider import InDoubt, RetryLater
from activities.sending.breakers import SLOWED, Breakers, Stopped, Turn
from activities.sending.effect import Effects, perform
from activities.sending.handler import named
from activities.sending.line import Member, in_order
from activities.sending.rates import watch_rates
from journeys.calls import activity_of
from models import Audit
from storage import sending_counts
from storage.tally import day_of
from tests.engine.conftest import World
from tests.engine.test_accounts import Sending
from tests.plans import statements
from tests.toy_provider import LOFTS, Pigeon
from workspace import accounts as rows
from workspace import sending_domains, sending_plans, stopped_accounts
from workspace.accounts import Share
from workspace.sending_plans import Plan


class Sure(Pigeon):
    """Knows each letter by its key, and takes it once however often it is called."""

    name = "sure"
    delivery_check = "idempotent"
    remembers = timedelta(days=1)


class Blind(Pigeon):
    """Cannot say what became of a letter."""

    name = "blind"
    delivery_check = "blind"


KINDS = (Sure, Blind)


@pytest.fixture(params=["transactional"])
def sending(request: pytest.FixtureRequest, sqlite_world: World) -> Iterator[Sending]:
    yield Sending(sqlite_world, request.param, *KINDS)
    LOFTS.clear()


def share(sending: Sending, *line: tuple[str, int]) -> None:
    with sending.world.db.write() as session:
        rows.share(session, "sms", [Share(*one) for one in line], "test", sending.world.now)
    sending.seconds += 2


def stop(sending: Sending, account: str, code: str = "pigeon_hawk") -> None:
    with sending.world.db.write() as session:
        (stopped_accounts.hold if stopped_accounts.is_rate(code) else stopped_accounts.stop)(session, account, code, sending.world.now)
    sending.world.later(seconds=2)


def fill(sending: Sending, *accounts: str) -> None:
    """No more marketing may leave through them today."""
    with sending.world.db.write() as session:
        for account in accounts:
            sending_plans.put(session, account, Plan(1), "test", sending.world.now)
            sending_plans.count(session, account, sending.world.now.date(), 1)
    sending.world.later(seconds=2)


def slow(sending: Sending, account: str) -> None:
    """Many of its messages have bounced."""
    with sending.world.db.write() as session:
        for what in ("tried",) * 500 + ("bounced",) * 20:
            sending_counts.note(session, account, what, sending.world.now)
    watch_rates(sending.effects)
    sending.world.later(seconds=2)


def works_again(sending: Sending, account: str) -> None:
    with sending.world.db.write() as session:
        stopped_accounts.works(session, account)
    sending.world.later(seconds=2)


def arrived() -> dict[str, int]:
    return {name: len(loft.arrived) for name, loft in LOFTS.items()}


# The draw

shares = st.lists(st.integers(0, 100), min_size=1, max_size=5).filter(any)


@given(shares, st.text(max_size=20))
def test_the_draw_is_always_the_same_and_asks_everybody_once(numbers: list[int], key: str) -> None:
    line = [Member(str(n), share) for n, share in enumerate(numbers)]
    asked = in_order(line, key, "")
    assert asked == in_order(line, key, "")
    assert asked[0].share > 0, "who has no share only stands in"
    at = line.index(asked[0])
    assert asked == [*line[at:], *line[:at]]


def test_the_draw_is_near_the_shares() -> None:
    line = [Member("a", 60), Member("b", 0), Member("c", 40)]
    drawn = [in_order(line, f"run:{n}:1", "")[0].account for n in range(10_000)]
    assert abs(drawn.count("a") - 6_000) < 200  # four standard deviations
    assert drawn.count("b") == 0


def test_an_account_that_may_not_send_from_the_domain_is_no_candidate() -> None:
    line = [Member("a", 10), Member("b", 90, frozenset({"@good.example"}))]
    for n in range(50):
        assert [one.account for one in in_order(line, str(n), "@other.example")] == ["a"]
    assert {in_order(line, str(n), "@good.example")[0].account for n in range(50)} == {"a", "b"}


def test_which_domains_those_are_the_checks_of_each_account_say(sending: Sending) -> None:
    first, second = sending.add("alps"), sending.add("jura")
    now, good = sending.world.now, [{"what": "dkim", "level": "good", "code": "dkim_ok"}]
    with sending.world.db.write() as session:
        rows.share(session, "email", [Share(first, 50), Share(second, 50)], "test", now)
    sending.seconds += 2
    sending.accounts.look()

    def able(domain: str) -> set[str]:
        return {one.account for one in sending.accounts.in_order("email", "key", f"@{domain}")}

    assert able("shop.example") == {first}
    with sending.world.db.write() as session:
        sending_domains.note(session, second, "shop.example", good, "test", now)
    sending.seconds += 2
    sending.accounts.look()
    assert (able("shop.example"), able("other.example")) == ({first, second}, {first})


# Standing in


def test_each_sends_its_share_and_the_time_limit_is_the_longest(sending: Sending) -> None:
    share(sending, (first := sending.add("alps"), 50), (second := sending.add("jura", Sure), 50))
    for _ in range(12):
        assert sending.attempt(sending.enters()) == "done"
    assert all(arrived().values())
    assert sum(arrived().values()) == 12
    assert LiveTimeouts(sending.accounts, ["sms"], {})["sms"] == 7.0
    assert [one.account for one in sending.accounts.sharing("sms")] == [first, second]


@pytest.mark.parametrize("sending", ["marketing"], indirect=True)
@pytest.mark.parametrize("why", ["stopped", "rate", "full", "removed"])
def test_the_next_takes_what_the_drawn_one_cannot(sending: Sending, why: str) -> None:
    share(sending, (first := sending.add("alps"), 100), (second := sending.add("jura"), 0), (sending.add("eiger"), 0))
    if why == "full":
        fill(sending, first)
    elif why == "removed":
        with sending.world.db.write() as session:
            rows.remove(session, first, "test", sending.world.now)
        sending.seconds += 2
    else:
        stop(sending, first, "rate_bounces" if why == "rate" else "pigeon_hawk")
    sending.world.later(seconds=2)
    run = sending.enters()
    assert sending.attempt(run) == "done"
    assert (sending.message(run).status, sending.message(run).account) == ("sent", second)
    assert arrived() == {"alps": 0, "jura": 1, "eiger": 0}


@pytest.mark.parametrize("sending", ["marketing"], indirect=True)
@pytest.mark.parametrize("code", ["pigeon_hawk", "rate_bounces"])
def test_who_has_no_room_passes_it_by_a_stopped_one_to_the_one_after(sending: Sending, code: str) -> None:
    line = [sending.add(loft) for loft in ("alps", "jura", "eiger")]
    share(sending, *zip(line, (100, 0, 0), strict=True))
    fill(sending, line[0])
    stop(sending, line[1], code)
    run = sending.enters()
    assert sending.attempt(run) == "done"
    assert (sending.message(run).account, arrived()) == (line[2], {"alps": 0, "jura": 0, "eiger": 1})


@pytest.mark.parametrize("sending", ["marketing"], indirect=True)
def test_who_stands_in_for_one_without_room_is_slowed_all_the_same(sending: Sending) -> None:
    share(sending, (first := sending.add("alps"), 100), (second := sending.add("jura"), 0))
    fill(sending, first)
    slow(sending, second)
    assert [sending.attempt(sending.enters()) for _ in range(2)] == ["done", "retry_later"]
    assert arrived() == {"alps": 0, "jura": 1}


@pytest.mark.parametrize("sending", ["marketing"], indirect=True)
def test_where_none_takes_it_it_waits_for_its_own(sending: Sending) -> None:
    share(sending, (first := sending.add("alps"), 100), (second := sending.add("jura"), 0))
    fill(sending, first, second)
    run = sending.enters()
    assert sending.attempt(run) == "held"
    assert (sending.message(run).reason, sending.message(run).account) == ("daily_limit", first)
    with sending.world.db.read() as session:
        tomorrow = sending.world.now.date() + timedelta(days=1)
        assert [sending_plans.waiting(session, one, tomorrow - timedelta(days=1)) for one in (first, second)] == [1, 0]
    stop(sending, first)
    stop(sending, second)
    assert sending.attempt(run) == "retry_later"
    assert arrived() == {"alps": 0, "jura": 0}


def test_what_a_slowed_account_keeps_back_no_other_one_takes(sending: Sending) -> None:
    share(sending, (first := sending.add("alps"), 100), (sending.add("jura"), 0))
    slow(sending, first)

    def turn(*, marketing: bool) -> tuple[str, str]:
        through, found = sending.effects.turn(sending.performers["sms"], "sms", "key", marketing=marketing)
        return named(through)["account"], found.code if isinstance(found, Stopped) else "goes"

    assert [turn(marketing=True) for _ in range(2)] == [(first, "goes"), (first, SLOWED)]
    assert turn(marketing=False) == (first, "goes")


def test_what_certainly_did_not_leave_goes_through_the_next(sending: Sending) -> None:
    share(sending, (first := sending.add("alps"), 100), (second := sending.add("jura"), 0))
    LOFTS["alps"].next = RetryLater("pigeon_tired", timedelta(seconds=10))
    run = sending.enters()
    assert sending.attempt(run) == "retry_later"
    stop(sending, first)
    assert sending.attempt(run) == "done"
    assert (sending.message(run).status, sending.message(run).account) == ("sent", second)


def test_sharing_asks_the_database_nothing_more_for_a_message(sending: Sending) -> None:
    """Neither the draw nor standing in: what the process knows of its accounts is a second old at most."""
    sending.choose(first := sending.add("alps"))
    second = sending.add("jura")
    _asked_for_one(sending)  # what a process reads once
    alone = _asked_for_one(sending)
    share(sending, (first, 50), (second, 50))
    assert [_asked_for_one(sending) for _ in range(12)] == [alone] * 12
    assert all(arrived().values())
    stop(sending, first)
    assert [_asked_for_one(sending) for _ in range(6)] == [alone] * 6
    with statements(sending.world.db) as asked:
        through = {sending.effects.turn(sending.performers["sms"], "sms", str(n))[1] for n in range(12)}
    assert (through, asked) == ({Turn(second)}, [])


def _asked_for_one(sending: Sending) -> list[str]:
    """The statements for a message, after the process has looked at its accounts."""
    sending.accounts.look()
    sending.effects.breakers.quotas.look()
    for account in LOFTS:
        sending.effects.breakers.takes(f"pigeon.{account}", marketing=False)
    run = sending.enters()
    with statements(sending.world.db) as asked:
        assert sending.attempt(run) == "done"
    return asked


# Once


@pytest.mark.parametrize("dies", [False, True], ids=["no answer", "death"])
@pytest.mark.parametrize("kind", [Pigeon, Sure, Blind])
def test_after_doubt_no_other_account_is_asked_whatever_is_stopped(
    sending: Sending, kind: Any, dies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had arrived through the one that stood in. The drawn one works again and would send it a second time."""
    share(sending, (first := sending.add("alps", kind), 100), (second := sending.add("jura", kind), 0))
    stop(sending, first)
    run = sending.enters()
    if dies:
        with _mortal(sending.world, _once_it_has_left, monkeypatch), pytest.raises(Death):
            sending.attempt(run)
        assert sending.message(run).status == "claimed"
    else:
        LOFTS["jura"].next = InDoubt("pigeon_hawk")
        sending.attempt(run)
    works_again(sending, first)
    stop(sending, second)
    sending.world.later(minutes=1)
    assert sending.attempt(run) == "done"
    assert (sending.message(run).status, sending.message(run).account) == ("uncertain" if kind is Blind else "sent", second)
    assert arrived() == {"alps": 0, "jura": 1}
    with sending.world.db.read() as session:
        assert set(sending_counts.read(session, day_of(sending.world.now))) == {second}, "the rates are those of who made the call"


def _once_it_has_left() -> None:
    if any(arrived().values()):
        raise Death


@pytest.mark.parametrize("kind", [Pigeon, Sure])
def test_a_death_at_any_point_sends_it_once(sending: Sending, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawn one does not answer, so another stands in; when the process has died, the drawn one is back and the other one is stopped."""
    share(sending, (first := sending.add("alps", kind), 100), (second := sending.add("jura", kind), 0))
    passed = _tell(sending, (first, second), 0, monkeypatch)
    assert passed > 12
    through = {_tell(sending, (first, second), fatal, monkeypatch) and sending.last for fatal in range(1, passed + 1)}  # type: ignore[attr-defined]
    assert through == {first, second}, "some died before the call, and some after it"


class Death(BaseException):
    """SIGKILL, as near as a test gets."""


def _tell(sending: Sending, line: tuple[str, str], fatal: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """One message, with the process dying at point `fatal`; returns how many points there were."""
    first, second = line
    world, passed = sending.world, 0
    LOFTS["alps"].is_there, before = False, sum(arrived().values())
    for account in line:
        works_again(sending, account)
    sending.effects = _anew(sending)
    run = sending.enters()

    def reach() -> None:
        nonlocal passed
        passed += 1
        if passed == fatal:
            raise Death

    with _mortal(world, reach, monkeypatch):
        for _ in range(40):
            try:
                perform(sending.effects, activity_of("sms"), run, world.row(run).step, world.now)
                break
            except ApplicationError as error:
                world.now += error.next_retry_delay or timedelta(seconds=1)
            except Death:
                world.later(minutes=2)
                LOFTS["alps"].is_there = True
                works_again(sending, first)
                stop(sending, second)
                sending.effects = _anew(sending)
    message = sending.message(run)
    assert message.status == "sent", f"death at point {fatal}"
    assert sum(arrived().values()) == before + 1, f"death at point {fatal}"
    sending.last = message.account  # type: ignore[attr-defined]
    return passed


def _anew(sending: Sending) -> Effects:
    """What a new process knows."""
    world = sending.world
    return Effects(
        world.engine, sending.performers, Breakers(world.db, lambda: world.now), sending.accounts.find, sending.performers.sharing
    )


@contextmanager
def _mortal(world: World, reach: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    dialect, commit, send = world.db.engine.dialect, world.db.engine.dialect.do_commit, Pigeon.send

    def commit_between_points(connection: Any) -> None:
        reach()
        commit(connection)
        reach()

    def send_between_points(self: Pigeon, message: Any) -> Any:
        reach()
        answer = send(self, message)
        reach()
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(dialect, "do_commit", commit_between_points)
        patched.setattr(Pigeon, "send", send_between_points)
        yield


# Deciding


@pytest.mark.parametrize(
    "line",
    [[], [("pigeon.alps", 50)], [("pigeon.alps", 50), ("pigeon.alps", 50)], [("pigeon.alps", 150), ("pigeon.jura", -50)]],
)
def test_shares_that_do_not_add_up_are_refused(sending: Sending, line: list[tuple[str, int]]) -> None:
    sending.add("alps")
    sending.add("jura")
    with pytest.raises(rows.Invalid):
        share(sending, *line)


def test_the_old_form_names_the_first_and_makes_another_one_the_only(sending: Sending) -> None:
    share(sending, (first := sending.add("alps"), 30), (second := sending.add("jura"), 70))
    sending.choose(first)
    with sending.world.db.read() as session:
        assert rows.carried(session) == {"sms": first}
        assert rows.lines(session) == {"sms": [Share(first, 30), Share(second, 70)]}
    sending.choose(second)
    with sending.world.db.read() as session:
        assert rows.lines(session) == {"sms": [Share(second, 100)]}
        audited = [row.detail for row in session.query(Audit).filter_by(action="account.carry").order_by(Audit.at, Audit.id)]
    assert audited[-1]["shares_before"] == [{"account": first, "share": 30}, {"account": second, "share": 70}]
