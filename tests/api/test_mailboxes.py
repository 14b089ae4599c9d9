"""Mailboxes that are read: each mail once, whatever dies in between, and none keeps the others from being read."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from sqlmodel import select

from activities import account_admin
from activities.accounts import Accounts
from activities.inbound import mailboxes
from activities.inbound.mailboxes import MOST_TRIES, Mailboxes
from activities.inbound.take import Inbound
from activities.providers import Providers
from activities.providers.imap import Imap, ImapConfig
from activities.providers.provider import Surroundings
from activities.webhooks.address_guard import Guard
from commands.mail import inbound_of
from engine.temporal.wakeups import Wakeups
from models import Contact, Event, InboundMail, MailboxReading, ProviderAccount, UnreadMail
from tests.activities.providers.imap_server import PASSWORD, USER, Box, ImapServer
from tests.activities.providers.test_smtp import certificate
from tests.toy_provider import always_later
from workspace import accounts as rows
from workspace import stopped_accounts

ANNA, MAIL, ACCOUNT = "a" * 32, "anna@example.com", "imap.main"
BEGIN = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Local(Imap):
    """Trusts the certificate of the test's server, which stands on this machine."""

    pem: ClassVar[Path]

    @classmethod
    def open(cls, config: ImapConfig, around: Surroundings) -> Self:
        one = super().open(config, around)
        one._server = replace(one._server, context=ssl.create_default_context(cafile=str(cls.pem)), answer_seconds=0.5)
        return one


@dataclass
class Town:
    engine: Any
    accounts: Accounts
    inbound: Inbound
    box: Box
    now: datetime = BEGIN
    readers: list[Mailboxes] = field(default_factory=list)

    def reader(self) -> Mailboxes:
        return Mailboxes(self.accounts, self.inbound, lambda: self.now)

    def reads(self, after: timedelta = timedelta(minutes=5)) -> Wakeups:
        self.now += after
        return self.reader().read_due()

    def texts(self) -> list[str]:
        """What was written, as far as it arrived."""
        with self.engine.db.read() as session:
            return [
                one.properties["text"] for one in session.scalars(select(Event).where(Event.name == "Message Replied").order_by(Event.id))
            ]  # type: ignore[arg-type]

    def somebody(self, address: str) -> str:
        """Another contact, since of one person only so many replies count."""
        with self.engine.db.write() as session:
            session.merge(Contact(id=address.partition("@")[0].zfill(32), email=address, created_at=BEGIN, updated_at=BEGIN))
        return address

    def row(self) -> MailboxReading:
        with self.engine.db.read() as session:
            return session.get_one(MailboxReading, ACCOUNT)

    def stop(self) -> Any:
        with self.engine.db.read() as session:
            return stopped_accounts.find(session, ACCOUNT)

    def passed_over(self) -> list[tuple[int, str]]:
        with self.engine.db.read() as session:
            return [(one.uid, one.code) for one in session.scalars(select(UnreadMail))]

    def changes(self, **values: Any) -> None:
        with self.engine.db.read() as session:
            row = rows.find(session, ACCOUNT)
        account_admin.change(self.accounts, ACCOUNT, values, row.revision, "member:m1", self.now)


def letter(text: str, sender: str = MAIL) -> bytes:
    return f"From: {sender}\r\nTo: hello@example.org\r\nSubject: Hi\r\nMessage-ID: <{text}@x>\r\n\r\n{text}\r\n".encode()


@pytest.fixture
def town(engine: Any, settings: Any, tmp_path: Path) -> Iterator[Town]:
    Local.pem = certificate(tmp_path)
    box = Box(folders={"INBOX": [], "Done": [], "Other": []})
    server = ImapServer(box, Local.pem)
    around = Surroundings(engine.db, engine.clock.now, guard=Guard.allowing(["127.0.0.1"]))
    accounts = Accounts(engine.db, Providers.of_none().with_kinds(Local), engine.address_keys, around, always_later)
    with engine.db.write() as session:
        session.add(Contact(id=ANNA, email=MAIL, created_at=BEGIN, updated_at=BEGIN))
    config = {"host": "127.0.0.1", "port": server.port, "user": USER, "password": PASSWORD}
    account_admin.add(accounts, "imap", "main", config, "member:m1", BEGIN)
    yield Town(engine, accounts, inbound_of(settings, engine, Providers.of_none()), box)
    accounts.close()
    server.close()


def test_each_mail_is_read_once_and_marked(town: Town) -> None:
    town.box.arrives(letter("old"), came=BEGIN.date() - timedelta(days=9))
    for text in ("one", "two"):
        town.box.arrives(letter(text))
    town.reads()
    assert town.texts() == ["one", "two"], "what lay there long before nobody asked for"
    assert [mail.flags for mail in town.box.folders["INBOX"]] == [set(), {"\\Seen"}, {"\\Seen"}]
    asked = len(town.box.said)
    town.reads(timedelta(seconds=30))
    assert len(town.box.said) == asked, "every two minutes"
    town.box.arrives(letter("three"))
    town.reads()
    assert town.texts() == ["one", "two", "three"]
    assert (town.row().taken, town.row().read_at, town.stop()) == (3, town.now, None)
    with town.engine.db.read() as session:
        assert {one.via for one in session.scalars(select(InboundMail))} == {"mailbox"}


def test_mails_are_moved_where_that_is_set_also_after_a_death(town: Town) -> None:
    town.changes(afterwards="move", move_to="Done")
    town.box.arrives(letter("one"))
    town.box.quirk["UID MOVE"] = lambda tag, _: f"{tag} NO not now\r\n".encode()
    town.reads()
    assert (town.texts(), town.row().unmarked, town.stop().code) == (["one"], [1], "imap_move_refused")
    town.box.quirk.clear()
    town.reads(timedelta(hours=1))
    assert ([len(town.box.folders[name]) for name in ("INBOX", "Done")], town.row().unmarked, town.stop()) == ([0, 1], [], None)
    town.changes(afterwards="leave")
    town.box.arrives(letter("two"))
    town.reads()
    assert (town.texts(), town.row().unmarked, town.box.folders["INBOX"][0].flags) == (["one", "two"], [], set())


def test_a_server_that_numbers_anew_doubles_and_loses_nothing(town: Town) -> None:
    for text in ("one", "two"):
        town.box.arrives(letter(text))
    town.reads()
    town.box.folders["INBOX"].pop(0)
    town.box.renumbers()
    town.box.arrives(letter("three"))
    town.reads()
    assert (town.texts(), town.row().uid_validity, town.row().last_uid) == (["one", "two", "three"], 8, 2)
    town.box.next_uid = 2  # an older state of the same numbering
    town.box.folders["INBOX"] = []
    town.box.arrives(letter("four"))
    town.box.next_uid = 2
    town.reads()
    assert town.texts() == ["one", "two", "three", "four"]


def test_another_folder_begins_anew(town: Town) -> None:
    town.box.arrives(letter("one"))
    town.reads()
    town.box.next_uid = 1
    town.box.arrives(letter("two"), folder="Other")
    town.changes(folder="Other", password=PASSWORD)
    town.reads(timedelta(seconds=10))
    assert town.texts() == ["one", "two"]


def test_one_reads_at_a_time_and_a_turn_ends_with_its_reader(town: Town) -> None:
    town.box.arrives(letter("one"))
    first, second = town.reader(), town.reader()
    [mailbox] = town.accounts.collecting()
    assert first._begin(mailbox)
    assert not second._begin(mailbox)
    town.now += mailboxes.TURN + timedelta(seconds=1)
    assert second._begin(mailbox)
    first._turn(mailbox, Wakeups())
    assert town.texts() == [], "whoever was frozen does nothing any more"
    second._turn(mailbox, Wakeups())
    assert town.texts() == ["one"]


class Death(BaseException):
    """SIGKILL, as near as a test gets."""


def dies(act: Any, at: int) -> bool:
    """Runs it until the line number `at` of the reader; whether it came so far."""
    left = at

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != mailboxes.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise Death
        return trace

    sys.settrace(trace)
    try:
        act()
    except Death:
        return True
    finally:
        sys.settrace(None)
    return False


def test_a_death_between_any_two_lines_loses_and_doubles_nothing(town: Town) -> None:
    texts: list[str] = []
    at, deaths = 0, True
    while deaths:
        at += 13 if at > 30 else 3
        for one in ("a", "b"):
            texts.append(f"{one}{at}")
            town.box.arrives(letter(texts[-1], town.somebody(f"{at}@example.com")))
        town.now += timedelta(minutes=5)
        deaths = dies(partial(town.reader().read_due), at)
        town.reads()
        assert town.texts() == texts, f"after a death at line {at}"
        assert (town.row().unmarked, town.passed_over()) == ([], [])
    assert at > 90
    assert all(mail.flags == {"\\Seen"} for mail in town.box.folders["INBOX"])


def test_a_mail_that_cannot_be_read_is_passed_over_and_listed(town: Town) -> None:
    town.box.arrives(letter("one"))
    poison = town.box.arrives(letter("bad"))
    town.box.arrives(letter("three"))
    good = town.box.quirk

    def fetch(tag: str, arguments: str) -> bytes:
        raw = town.box.folders["INBOX"][int(arguments.split()[0]) - 1].raw
        if arguments.startswith(f"{poison} "):
            return b"* 2 FETCH (UID 2 BODY[]<0> {99999999}\r\n"
        return f"* 1 FETCH (UID {arguments.split()[0]} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + f")\r\n{tag} OK done\r\n".encode()

    good["UID FETCH"] = fetch
    for _ in range(MOST_TRIES + 1):
        town.reads()
    assert town.texts() == ["one", "three"]
    assert town.passed_over() == [(poison, "imap_too_large")]
    assert [mail.flags for mail in town.box.folders["INBOX"]] == [{"\\Seen"}, set(), {"\\Seen"}], "it lies there as it came"
    assert town.stop() is None


def test_a_mail_that_ends_its_reader_is_passed_over_too(town: Town) -> None:
    town.box.arrives(letter("bad"))
    town.box.arrives(letter("two"))
    town.inbound = replace(town.inbound, mail_domains={"x": "("})  # only to be told from the good one below
    for _ in range(MOST_TRIES):
        town.now += timedelta(minutes=5)
        reader = town.reader()
        reader.inbound = Deadly()  # type: ignore[assignment]
        with pytest.raises(Death):
            reader.read_due()
    town.reads()
    assert (town.texts(), town.passed_over()) == (["two"], [(1, "mail_broke_off")])


class Deadly:
    def take(self, *_: object, **__: object) -> None:
        raise Death


def test_hostile_mails_hold_up_nobody(town: Town) -> None:
    for raw in (
        b"",
        b"\x00\xff" * 40_000,
        b"Subject: =?x?b?\x00?=\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n" * 9_000,
    ):
        town.box.arrives(raw)
    town.box.arrives(letter("good"))
    town.reads()
    assert (town.texts(), town.passed_over(), town.row().last_uid) == (["good"], [], 5)


def test_a_refused_log_in_stops_the_account_and_is_tried_ever_more_rarely(town: Town) -> None:
    town.box.password = "another"
    town.reads()
    assert (town.stop().code, town.stop().probes, town.stop().next_probe_at - town.now) == ("imap_login_refused", 1, timedelta(minutes=15))
    logged_in = town.box.said.count("AUTHENTICATE")
    town.reads(timedelta(minutes=14))
    assert town.box.said.count("AUTHENTICATE") == logged_in, "servers lock out whoever tries often"
    town.reads(timedelta(minutes=2))
    assert town.stop().next_probe_at - town.now == timedelta(minutes=30)
    town.box.password = PASSWORD
    town.box.arrives(letter("one"))
    with town.engine.db.write() as session:
        stopped_accounts.try_now(session, ACCOUNT, "member:m1", town.now)
    town.reads(timedelta(seconds=5))
    assert (town.stop(), town.texts()) == (None, ["one"])


def test_a_server_that_does_not_answer_counts_as_stopped_after_a_while(town: Town) -> None:
    town.box.hangs = {"SELECT"}
    stops = []
    for _ in range(3):
        town.reads()
        stops.append(town.stop() and town.stop().code)
    assert stops == [None, None, "imap_too_slow"]


def test_a_removed_account_is_not_read(town: Town) -> None:
    town.box.arrives(letter("one"))
    with town.engine.db.write() as session:
        rows.remove(session, ACCOUNT, "member:m1", town.now)
    town.reads()
    assert town.texts() == []
    with town.engine.db.read() as session:
        assert PASSWORD not in str(session.get_one(ProviderAccount, ACCOUNT).model_dump())
