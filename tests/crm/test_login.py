"""Logging in with a password: who is let in, who is made to wait, and what ends a session. The clock is a value."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlmodel import select

from journeys.errors import Conflict, Invalid, NotFound, TooMany, Unauthorized
from models import Database, LoginFailure, LoginSession, Member
from workspace import audit, login, members, passwords, sessions, settings

KEYS = [b"k" * 32]
PASSWORD = "correct horse battery"
EMAIL = "grace@example.org"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def grace(db: Database, now: datetime) -> str:
    """A member whose hash is cheap to verify."""
    with db.write() as session:
        members.add_member(session, "Ada Lovelace", "ada@example.org", "admin", now)
        member = members.add_member(session, "Grace Hopper", EMAIL, "admin", now)
        member.password_hash = passwords.hash_of(PASSWORD, QUICK)
        return member.id


def tries(db: Database, password: str, at: datetime, email: str = EMAIL) -> str:
    """What a try comes to: `in`, `wrong` or the seconds to wait."""
    try:
        login.log_in(db, KEYS, email, password, at)
    except Unauthorized:
        return "wrong"
    except TooMany as error:
        return f"{error.retry_after_seconds:.0f}"
    return "in"


def test_the_right_pair_logs_in_with_a_fresh_cookie(db: Database, grace: str, now: datetime) -> None:
    first, member = login.log_in(db, KEYS, " Grace@Example.org ", PASSWORD, now, "Firefox")
    second, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    assert member.id == grace
    assert first != second
    found = sessions.member_of(db, first, now)
    assert found is not None
    assert found.id == grace


def test_nothing_else_does(db: Database, grace: str, now: datetime) -> None:
    assert tries(db, "wrong", now) == "wrong"
    assert tries(db, "", now) == "wrong"
    assert tries(db, PASSWORD, now, "nobody@example.org") == "wrong"
    assert tries(db, "", now, "ada@example.org") == "wrong", "she has no password yet"
    with db.write() as session:
        members.change_member(session, grace, {"active": False}, "test")
    assert tries(db, PASSWORD, now) == "wrong"


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.org"])
def test_the_wait_doubles_from_the_fifth_failure_on(db: Database, grace: str, now: datetime, email: str) -> None:
    at = now
    for _ in range(4):
        assert tries(db, "wrong", at, email) == "wrong"
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        assert tries(db, "wrong", at, email) == "wrong"
        assert tries(db, "wrong", at, email) == str(wait)
        assert tries(db, PASSWORD, at + timedelta(seconds=wait - 0.6), email) == "1", "a right password has to wait, too"
        at += timedelta(seconds=wait)


def test_a_right_password_after_the_wait_clears_the_count(db: Database, grace: str, now: datetime) -> None:
    for _ in range(5):
        tries(db, "wrong", now)
    assert tries(db, PASSWORD, now + timedelta(seconds=1)) == "in"
    assert [tries(db, "wrong", now + timedelta(seconds=1)) for _ in range(5)] == ["wrong"] * 5
    assert tries(db, PASSWORD, now + timedelta(seconds=1)) == "1"


def test_a_try_while_locked_is_not_counted(db: Database, grace: str, now: datetime) -> None:
    for _ in range(50):
        tries(db, "wrong", now)
    assert tries(db, PASSWORD, now + timedelta(seconds=1)) == "in"


def test_after_a_day_the_count_begins_anew(db: Database, grace: str, now: datetime) -> None:
    for _ in range(5):
        tries(db, "wrong", now)
    later = now + timedelta(days=1, seconds=1)
    tries(db, "wrong", later, "nobody@example.org")
    with db.read() as session:
        subjects = {row.subject for row in session.scalars(select(LoginFailure))}
    assert subjects == {login.who_is(KEYS, "nobody@example.org"), ""}, "old ones are swept"


def test_the_count_outlives_a_restart_and_names_nobody(db: Database, grace: str, now: datetime) -> None:
    for _ in range(5):
        tries(db, "wrong", now)
    again = Database(db.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""))
    assert tries(again, PASSWORD, now) == "1"
    with again.read() as session:
        rows = [row.model_dump_json() for row in session.scalars(select(LoginFailure))]
    again.close()
    assert len(rows) == 4, "the pair, the member, the network, the door"
    assert "grace" not in "".join(rows)


def test_tries_at_once_are_tries(db: Database, grace: str, now: datetime) -> None:
    """Twenty guesses in the same instant get as many answers as twenty in a row."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: tries(db, f"guess {n}", now), range(20)))
    assert answers.count("wrong") <= 5


SPELLINGS = [
    "grace@example.org ",
    "\u00a0grace@example.org",
    "GRACE@example.org",
    "\u200bgrace@example.org",
    "grace@ex\u00adample.org",
    "grace@example.org\0",
]


@pytest.mark.parametrize("email", SPELLINGS)
def test_every_spelling_that_finds_a_member_is_counted_as_that_member(db: Database, grace: str, now: datetime, email: str) -> None:
    for _ in range(5):
        assert tries(db, "wrong", now) == "wrong"
    with db.read() as session:
        found = members.find_member(session, email)
    assert found is None or tries(db, PASSWORD, now, email) == "1"
    assert found is not None or login.who_is(KEYS, email) != login.who_is(KEYS, EMAIL)


def test_blanks_around_an_address_open_and_count_alike(db: Database, grace: str, now: datetime) -> None:
    answers = [tries(db, "wrong", now, f"{' ' * n}{EMAIL}{chr(0xA0) * n}") for n in range(6)]
    assert answers == ["wrong"] * 5 + ["1"]
    assert tries(db, PASSWORD, now + timedelta(seconds=1), f"\u00a0{EMAIL}\t") == "in"


def test_a_chosen_password_lifts_the_lock(db: Database, grace: str, now: datetime) -> None:
    for _ in range(5):
        tries(db, "wrong", now)
    login.choose(db, KEYS, link(db, grace, now), "quite another one", now)
    assert tries(db, "quite another one", now) == "in"


def audited(db: Database, prefix: str = "") -> list[tuple[str, str, dict[str, object]]]:
    with db.read() as session:
        lines = audit.list_lines(session, limit=200)
    return [(line.action, line.subject, line.detail) for line in reversed(lines) if line.action.startswith(prefix)]


def test_who_comes_in_fails_and_leaves_is_audited_by_id_and_network(db: Database, grace: str, now: datetime) -> None:
    with pytest.raises(Unauthorized):
        login.log_in(db, KEYS, EMAIL, "wrong", now, network="192.0.2.0/24")
    with pytest.raises(Unauthorized):
        login.log_in(db, KEYS, "nobody@example.org", "wrong", now, network="192.0.2.0/24")
    cookie, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now, network="192.0.2.0/24")
    sessions.close_session(db, cookie)
    sessions.close_session(db, cookie)
    me, stranger = f"member:{grace}", f"address:{login.who_is(KEYS, 'nobody@example.org')[:16]}"
    assert audited(db, "log") == [
        ("login.fail", me, {"failures": 1, "network": "192.0.2.0/24"}),
        ("login.fail", stranger, {"failures": 1, "network": "192.0.2.0/24"}),
        ("login", me, {"with": "password", "network": "192.0.2.0/24"}),
        ("logout", me, {}),
    ]
    with db.read() as session:
        assert "example.org" not in "".join(line.model_dump_json() for line in audit.list_lines(session, limit=200))


def test_the_trail_hears_of_a_lock_and_otherwise_once_a_minute(db: Database, grace: str, now: datetime) -> None:
    for _ in range(5):
        tries(db, "wrong", now)
    at = now + timedelta(seconds=2)
    tries(db, "wrong", at)
    tries(db, "wrong", at + timedelta(minutes=1))
    assert [(action, detail["failures"]) for action, _, detail in audited(db, "login.")] == [
        ("login.fail", 1),
        ("login.lock", 5),
        ("login.lock", 7),
    ]


def test_a_weak_hash_is_renewed_by_logging_in(db: Database, grace: str, now: datetime) -> None:
    login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    with db.read() as session:
        stored = session.get_one(Member, grace).password_hash
    assert stored is not None
    assert not passwords.is_weak(stored)
    assert passwords.fits(stored, PASSWORD)


# Links


def link(db: Database, member_id: str, now: datetime) -> str:
    with db.write() as session:
        return members.password_link(session, member_id, "test", now)[2].rpartition("/")[2]


def test_a_link_sets_the_password_once_and_ends_what_was_open(db: Database, grace: str, now: datetime) -> None:
    old, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    token, other = link(db, grace, now), link(db, grace, now)
    cookie, _ = login.choose(db, KEYS, token, "quite another one", now)
    assert sessions.member_of(db, cookie, now) is not None
    assert sessions.member_of(db, old, now) is None
    for spent in (token, other, "made up"):
        with pytest.raises(Unauthorized):
            login.choose(db, KEYS, spent, "and another one", now)
    assert tries(db, PASSWORD, now) == "wrong"
    assert tries(db, "quite another one", now) == "in"


def test_a_weak_choice_leaves_the_link_good(db: Database, grace: str, now: datetime) -> None:
    token = link(db, grace, now)
    with pytest.raises(Invalid):
        login.choose(db, KEYS, token, "short", now)
    login.choose(db, KEYS, token, "quite another one", now)


def test_an_invitation_lasts_three_days_and_a_reset_an_hour(db: Database, grace: str, now: datetime) -> None:
    with db.write() as session:
        invited, path = members.invite(session, "Alan Turing", "alan@example.org", "tester", "test", now)
    for member_id, token, life in (
        (invited.id, path.rpartition("/")[2], timedelta(days=3)),
        (grace, link(db, grace, now), timedelta(hours=1)),
    ):
        with db.read() as session:
            assert sessions.owner(session, token, "password", now + life - timedelta(seconds=1)).id == member_id
            with pytest.raises(Unauthorized):
                sessions.owner(session, token, "password", now + life)


def test_links_of_one_purpose_do_not_serve_the_other(db: Database, grace: str, now: datetime) -> None:
    with db.write() as session:
        login_token = sessions.mint(session, grace, "login", now).rpartition("/")[2]
    with pytest.raises(Unauthorized):
        login.choose(db, KEYS, login_token, "quite another one", now)
    with db.write() as session, pytest.raises(Unauthorized):
        sessions.use(session, link_in(session, grace, now), "login", now)


def link_in(session: object, member_id: str, now: datetime) -> str:
    return sessions.mint(session, member_id, "reset", now).rpartition("/")[2]  # type: ignore[arg-type]


# Changing


def test_changing_asks_for_the_old_password_and_keeps_this_browser_only(db: Database, grace: str, now: datetime) -> None:
    here, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    there, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    with pytest.raises(Invalid) as refused:
        login.change(db, KEYS, grace, here, "wrong", "quite another one", now)
    assert [issue.field for issue in refused.value.issues] == ["old"]
    with pytest.raises(Invalid):
        login.change(db, KEYS, grace, here, PASSWORD, "short", now)
    renewed = login.change(db, KEYS, grace, here, PASSWORD, "quite another one", now)
    assert sessions.member_of(db, renewed, now) is not None
    assert sessions.member_of(db, here, now) is None, "whoever copied the old cookie is out"
    assert sessions.member_of(db, there, now) is None
    assert tries(db, "quite another one", now) == "in"


def test_guessing_the_old_password_is_slowed_down_like_logging_in(db: Database, grace: str, now: datetime) -> None:
    for _ in range(5):
        with pytest.raises(Invalid):
            login.change(db, KEYS, grace, "", "wrong", "quite another one", now)
    with pytest.raises(TooMany):
        login.change(db, KEYS, grace, "", PASSWORD, "quite another one", now)


def test_what_is_audited_names_no_password(db: Database, grace: str, now: datetime) -> None:
    login.change(db, KEYS, grace, "", PASSWORD, "quite another one", now)
    with db.read() as session:
        lines = "".join(line.model_dump_json() for line in audit.list_lines(session, subject=f"member:{grace}"))
    assert "member.password" in lines
    assert "another" not in lines
    assert "argon2" not in lines


# Sessions and members


def test_a_session_that_nobody_uses_ends_and_looking_is_no_use(db: Database, grace: str, now: datetime) -> None:
    used, idle = (login.log_in(db, KEYS, EMAIL, PASSWORD, now)[0] for _ in range(2))
    with db.write() as session:
        settings.put(session, "access", {"idle": "PT1H"}, "test", now)
    for minutes in range(10, 70, 10):
        at = now + timedelta(minutes=minutes)
        assert sessions.member_of(db, used, at) is not None
        assert (sessions.member_of(db, idle, at, used=False) is not None) == (minutes < 60)
    assert sessions.member_of(db, idle, now + timedelta(hours=1)) is None
    with db.read() as session:
        assert len(sessions.list_sessions(session, grace, now + timedelta(hours=1))) == 1


def test_a_proof_is_good_for_a_while_and_given_by_the_password(db: Database, grace: str, now: datetime) -> None:
    cookie, member = login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    sessions.require_proof(db, cookie, now + timedelta(minutes=15))
    later = now + timedelta(minutes=16)
    with pytest.raises(sessions.ProofNeeded):
        sessions.require_proof(db, cookie, later)
    with pytest.raises(Invalid):
        login.prove(db, KEYS, member, cookie, "wrong", later)
    with pytest.raises(sessions.ProofNeeded):
        sessions.require_proof(db, cookie, later)
    login.prove(db, KEYS, member, cookie, PASSWORD, later)
    sessions.require_proof(db, cookie, later)
    with pytest.raises(sessions.ProofNeeded):
        sessions.require_proof(db, "made up", later)


def test_who_has_no_password_yet_needs_a_fresh_link_to_choose_one_in_a_session(db: Database, grace: str, now: datetime) -> None:
    with db.write() as session:
        ada = members.find_member(session, "ada@example.org")
        assert ada is not None
        token = sessions.mint(session, ada.id, "login", now).rpartition("/")[2]
    cookie, _ = login.by_link(db, KEYS, token, now)
    with pytest.raises(sessions.ProofNeeded):
        login.change(db, KEYS, ada.id, cookie, "", "quite another one", now + timedelta(hours=1))
    with pytest.raises(Invalid):
        login.prove(db, KEYS, ada, cookie, "", now)
    assert login.change(db, KEYS, ada.id, cookie, "", "quite another one", now)


def test_a_deactivated_member_is_out_at_once_and_stays_out(db: Database, grace: str, now: datetime) -> None:
    cookie, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    token = link(db, grace, now)
    with db.write() as session:
        members.change_member(session, grace, {"active": False}, "test")
    with db.write() as session:
        members.change_member(session, grace, {"active": True}, "test")
    assert sessions.member_of(db, cookie, now) is None
    with pytest.raises(Unauthorized):
        login.choose(db, KEYS, token, "quite another one", now)


def test_sessions_are_ended_one_by_one_or_all(db: Database, grace: str, now: datetime) -> None:
    here, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now, "Firefox")
    there, _ = login.log_in(db, KEYS, EMAIL, PASSWORD, now + timedelta(minutes=1), "Chrome")
    with db.write() as session:
        rows = sessions.list_sessions(session, grace, now)
        assert [row.user_agent for row in rows] == ["Chrome", "Firefox"]
        assert [sessions.is_this(row, here) for row in rows] == [False, True]
        assert sessions.last_seen(session) == {grace: now + timedelta(minutes=1)}
        for id in ("%", "", "0" * 16, sessions.id_of(rows[0])[:8]):
            with pytest.raises(NotFound):
                sessions.end_session(session, grace, id)
        with pytest.raises(NotFound):
            sessions.end_session(session, "somebody else", sessions.id_of(rows[0]))
        sessions.end_session(session, grace, sessions.id_of(rows[0]))
    assert sessions.member_of(db, there, now) is None
    login.log_in(db, KEYS, EMAIL, PASSWORD, now)
    with db.write() as session:
        assert sessions.end_sessions(session, grace, keep=here) == 1
        assert [row.user_agent for row in session.scalars(select(LoginSession))] == ["Firefox"]


def test_the_last_admin_cannot_be_taken_away(db: Database, grace: str, now: datetime) -> None:
    with db.write() as session:
        ada = members.find_member(session, "ada@example.org")
        assert ada is not None
        members.change_member(session, ada.id, {"role": "viewer"}, "test")
    for change in ({"role": "viewer"}, {"active": False}):
        with db.write() as session, pytest.raises(Conflict):
            members.change_member(session, grace, change, "test")


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "},
        {"role": "king"},
        {"locale": "fr"},
        {"timezone": "Mars/Olympus"},
        {"email": "no address"},
        {"password_hash": "x"},
        {"active": "no"},
    ],
)
def test_wrong_values_name_their_field(db: Database, grace: str, now: datetime, change: dict[str, object]) -> None:
    with db.write() as session, pytest.raises(Invalid) as refused:
        members.change_member(session, grace, change, "test")
    assert [issue.field for issue in refused.value.issues] == list(change)
