"""The second factor: codes that are good once and a little early or late, recovery codes, who turns it off. The clock is a value."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlmodel import select

from journeys.errors import Conflict, Invalid, TooMany, Unauthorized
from models import Database, Member, RecoveryCode, SecondFactor
from workspace import audit, login, members, passwords, second_factor, sessions, settings
from workspace.login import CodeNeeded

KEYS = [b"k" * 32]
PASSWORD = "correct horse battery"
EMAIL = "grace@example.org"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def grace(db: Database, now: datetime) -> Member:
    with db.write() as session:
        member = members.add_member(session, "Grace Hopper", EMAIL, "admin", now)
        member.password_hash = passwords.hash_of(PASSWORD, QUICK)
        return member


@pytest.fixture
def app(db: Database, grace: Member, now: datetime) -> pyotp.TOTP:
    """Grace's authenticator app, confirmed an hour ago."""
    return turned_on(db, grace, now - timedelta(hours=1))[0]


def turned_on(db: Database, member: Member, at: datetime) -> tuple[pyotp.TOTP, list[str]]:
    with db.write() as session:
        second_factor.begin(session, KEYS, member.id, at)
        begun = second_factor.setup(session, KEYS, member, at)
        assert begun is not None
        app = pyotp.TOTP(begun.secret)
        return app, second_factor.confirm(session, KEYS, member.id, app.at(at), at)


def first_step(db: Database, at: datetime) -> str:
    """The ticket that a right password gives."""
    with pytest.raises(CodeNeeded) as asked:
        login.log_in(db, KEYS, EMAIL, PASSWORD, at)
    return asked.value.ticket


def second_step(db: Database, code: str, at: datetime) -> str:
    """What a code comes to after a right password: `in`, `wrong`, or the seconds to wait."""
    try:
        login.by_code(db, KEYS, first_step(db, at), code, at)
    except Invalid:
        return "wrong"
    except TooMany as error:
        return f"{error.retry_after_seconds:.0f}"
    return "in"


def test_a_password_alone_opens_nothing(db: Database, grace: Member, app: pyotp.TOTP, now: datetime) -> None:
    ticket = first_step(db, now)
    assert sessions.member_of(db, ticket, now) is None
    with pytest.raises(Unauthorized):
        login.by_code(db, KEYS, "made up", app.at(now), now)
    with pytest.raises(Unauthorized):
        login.by_code(db, KEYS, ticket, app.at(now + sessions.TICKET_LIFE), now + sessions.TICKET_LIFE)
    cookie, _ = login.by_code(db, KEYS, ticket, app.at(now), now)
    found = sessions.member_of(db, cookie, now)
    assert found is not None
    assert found.id == grace.id
    with pytest.raises(Unauthorized):
        login.by_code(db, KEYS, ticket, app.at(now + timedelta(seconds=30)), now + timedelta(seconds=30))


def test_links_ask_for_the_code_too(db: Database, grace: Member, app: pyotp.TOTP, now: datetime) -> None:
    with db.write() as session:
        link = sessions.mint(session, grace.id, "login", now).rpartition("/")[2]
        reset = sessions.mint(session, grace.id, "reset", now).rpartition("/")[2]
    with pytest.raises(CodeNeeded):
        login.by_link(db, KEYS, link, now)
    with pytest.raises(CodeNeeded) as asked:
        login.choose(db, KEYS, reset, "quite another one", now)
    assert login.by_code(db, KEYS, asked.value.ticket, app.at(now), now)


def test_a_new_password_makes_tickets_worthless(db: Database, grace: Member, app: pyotp.TOTP, now: datetime) -> None:
    ticket = first_step(db, now)
    with db.write() as session:
        reset = sessions.mint(session, grace.id, "reset", now).rpartition("/")[2]
    with pytest.raises(CodeNeeded):
        login.choose(db, KEYS, reset, "quite another one", now)
    with pytest.raises(Unauthorized):
        login.by_code(db, KEYS, ticket, app.at(now), now)


@pytest.mark.parametrize(("seconds", "answer"), [(-60, "wrong"), (-30, "in"), (0, "in"), (30, "in"), (60, "wrong")])
def test_a_clock_may_be_a_step_off(db: Database, app: pyotp.TOTP, now: datetime, seconds: int, answer: str) -> None:
    assert second_step(db, app.at(now + timedelta(seconds=seconds)), now) == answer


def test_a_code_is_good_once_and_so_is_every_older_one(db: Database, app: pyotp.TOTP, now: datetime) -> None:
    assert second_step(db, app.at(now), now) == "in"
    assert second_step(db, app.at(now), now + timedelta(seconds=5)) == "wrong"
    assert second_step(db, app.at(now - timedelta(seconds=30)), now + timedelta(seconds=5)) == "wrong"
    assert second_step(db, app.at(now + timedelta(seconds=30)), now + timedelta(seconds=30)) == "in"


def test_of_two_at_once_one_gets_in(db: Database, app: pyotp.TOTP, now: datetime) -> None:
    tickets = [first_step(db, now) for _ in range(2)]

    def enter(ticket: str) -> bool:
        try:
            return bool(login.by_code(db, KEYS, ticket, app.at(now), now))
        except Invalid:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(enter, tickets)) == [False, True]


@pytest.mark.parametrize("code", ["", "000000", "12345", "1234567", "١٢٣٤٥٦", "²²²²²²", "x" * 5_000, "aaaaa-aaaaa", "\0"])
def test_what_is_no_code_is_refused(db: Database, app: pyotp.TOTP, now: datetime, code: str) -> None:
    assert (
        code in (app.at(now), app.at(now - timedelta(seconds=30)), app.at(now + timedelta(seconds=30)))
        or second_step(db, code, now) == "wrong"
    )


def test_codes_are_read_as_people_type_them(db: Database, app: pyotp.TOTP, now: datetime) -> None:
    code = app.at(now)
    assert second_step(db, f" {code[:3]} {code[3:]} ", now) == "in"


def test_a_recovery_code_is_good_once(db: Database, grace: Member, now: datetime) -> None:
    _, codes = turned_on(db, grace, now - timedelta(hours=1))
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert second_step(db, codes[0].upper().replace("-", " "), now) == "in"
    assert second_step(db, codes[0], now) == "wrong"
    with db.write() as session:
        assert second_factor.codes_left(session, grace.id) == 9
        lines = [line for line in audit.list_lines(session) if line.action == "second_factor.recovery_code"]
        renewed = second_factor.renew_codes(session, KEYS, grace.id)
    assert [line.detail for line in lines] == [{"left": 9}]
    assert second_step(db, codes[1], now) == "wrong"
    assert second_step(db, renewed[0], now) == "in"


def test_somebody_elses_recovery_code_is_none(db: Database, grace: Member, now: datetime) -> None:
    turned_on(db, grace, now - timedelta(hours=1))
    with db.write() as session:
        other = members.add_member(session, "Ada Lovelace", "ada@example.org", "admin", now)
    _, codes = turned_on(db, other, now - timedelta(hours=1))
    assert second_step(db, codes[0], now) == "wrong"


def test_neither_secret_nor_codes_are_stored_readable(db: Database, grace: Member, now: datetime) -> None:
    app, codes = turned_on(db, grace, now)
    with db.read() as session:
        rows = [*session.scalars(select(SecondFactor)), *session.scalars(select(RecoveryCode)), *audit.list_lines(session)]
    stored = "".join(row.model_dump_json() for row in rows)
    assert app.secret not in stored
    assert not any(code in stored or second_factor.plain(code) in stored for code in codes)


def test_wrong_codes_are_slowed_down_and_a_right_password_does_not_help(db: Database, app: pyotp.TOTP, now: datetime) -> None:
    assert [second_step(db, "000 000", now) for _ in range(6)] == ["wrong"] * 5 + ["1"]
    assert second_step(db, app.at(now), now) == "1", "a right one has to wait, too"


def test_a_chosen_password_does_not_lift_the_lock_on_codes_and_a_reset_does(
    db: Database, grace: Member, app: pyotp.TOTP, now: datetime
) -> None:
    ticket = first_step(db, now)
    for _ in range(5):
        with pytest.raises(Invalid):
            login.by_code(db, KEYS, ticket, "000 000", now)
    with db.write() as session:
        reset = sessions.mint(session, grace.id, "reset", now).rpartition("/")[2]
    with pytest.raises(CodeNeeded) as asked:
        login.choose(db, KEYS, reset, "quite another one", now)
    with pytest.raises(TooMany):
        login.by_code(db, KEYS, asked.value.ticket, app.at(now), now)
    with db.write() as session:
        login.reset_factor(session, KEYS, grace.id, "member:somebody")
    again, _ = turned_on(db, grace, now - timedelta(hours=1))
    assert login.by_code(db, KEYS, asked.value.ticket, again.at(now), now)


def test_a_factor_counts_only_once_it_is_confirmed(db: Database, grace: Member, now: datetime) -> None:
    with db.write() as session:
        second_factor.begin(session, KEYS, grace.id, now)
        with pytest.raises(Invalid):
            second_factor.confirm(session, KEYS, grace.id, "000000", now)
    assert login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    with db.write() as session:
        begun = second_factor.setup(session, KEYS, grace, now)
        assert begun is not None
        late = now + second_factor.SETUP_LIFE + timedelta(seconds=1)
        assert second_factor.setup(session, KEYS, grace, late) is None
        with pytest.raises(Conflict):
            second_factor.confirm(session, KEYS, grace.id, pyotp.TOTP(begun.secret).at(late), late)


def test_the_picture_is_drawn_and_holds_no_address_of_others(db: Database, grace: Member, now: datetime) -> None:
    with db.write() as session:
        second_factor.begin(session, KEYS, grace.id, now)
        begun = second_factor.setup(session, KEYS, grace, now)
    assert begun is not None
    assert begun.picture.startswith("data:image/svg+xml")
    assert begun.secret not in repr(begun)


def test_one_that_counts_is_not_replaced_silently(db: Database, grace: Member, app: pyotp.TOTP, now: datetime) -> None:
    with db.write() as session, pytest.raises(Conflict):
        second_factor.begin(session, KEYS, grace.id, now)
    assert second_step(db, app.at(now), now) == "in"


def test_turned_off_it_is_asked_no_more(db: Database, grace: Member, app: pyotp.TOTP, now: datetime) -> None:
    with db.write() as session:
        login.reset_factor(session, KEYS, grace.id, "member:somebody")
        lines = [(line.actor, line.subject) for line in audit.list_lines(session) if line.action == "second_factor.off"]
    assert lines == [("member:somebody", f"member:{grace.id}")]
    assert login.log_in(db, KEYS, EMAIL, PASSWORD, now)


def test_a_proof_is_the_code_where_there_is_one(db: Database, grace: Member, app: pyotp.TOTP, now: datetime) -> None:
    cookie, member = login.by_code(db, KEYS, first_step(db, now), app.at(now), now)
    later = now + timedelta(hours=1)
    with pytest.raises(Invalid):
        login.prove(db, KEYS, member, cookie, PASSWORD, later)
    with pytest.raises(sessions.ProofNeeded):
        sessions.require_proof(db, cookie, later)
    login.prove(db, KEYS, member, cookie, app.at(later), later)
    sessions.require_proof(db, cookie, later)


@pytest.mark.parametrize(
    ("wanted", "role", "owed"),
    [("nobody", "admin", False), ("admins", "admin", True), ("admins", "sales", False), ("everybody", "sales", True)],
)
def test_who_owes_one(db: Database, now: datetime, wanted: str, role: str, owed: bool) -> None:
    with db.write() as session:
        member = members.add_member(session, "Alan Turing", "alan@example.org", role, now)
        settings.put(session, "access", {"second_factor": wanted}, "test", now)
    with db.read() as session:
        assert second_factor.is_owed(session, member) == owed
    turned_on(db, member, now)
    with db.read() as session:
        assert not second_factor.is_owed(session, member)
