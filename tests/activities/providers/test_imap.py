"""The provider `imap` at its wire: what it says to a good server, and that no bad one holds it up, fills it or leads it elsewhere."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from activities.providers import Providers
from activities.providers.imap import Imap, ImapConfig
from activities.providers.imap_wire import ImapServer as Server
from activities.providers.imap_wire import encoded, opened
from activities.providers.provider import MessageDead, ProviderFailure, SenderStopped, Unreachable
from activities.webhooks.address_guard import Guard
from tests.activities.providers.imap_server import PASSWORD, USER, Box, ImapServer
from tests.activities.providers.test_smtp import certificate

CONFIG: dict[str, Any] = {"host": "127.0.0.1", "user": USER, "password": PASSWORD}
HERE = Guard.allowing(["127.0.0.1"])
LONG_AGO = date(2026, 1, 31)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("imap"))


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def server(box: Box, pem: Path) -> Iterator[ImapServer]:
    server = ImapServer(box, pem)
    yield server
    server.close()


@pytest.fixture
def where(server: ImapServer, pem: Path) -> Server:
    return Server("127.0.0.1", server.port, USER, PASSWORD, "tls", HERE, ssl.create_default_context(cafile=str(pem)), answer_seconds=0.3)


def look(where: Server, folder: str = "INBOX", *, seconds: float = 5.0, most: int = 100) -> list[bytes | None]:
    with opened(where, folder, seconds=seconds, read_only=False) as there:
        return [there.fetch(uid, most) for uid in there.uids(0, LONG_AGO, 50)]


def code(where: Server, failure: type[ProviderFailure] = SenderStopped, **more: Any) -> str:
    with pytest.raises(ProviderFailure) as caught:
        look(where, **more)
    assert type(caught.value) is failure
    return caught.value.code


def test_mails_are_read_and_stay_as_they_are(box: Box, where: Server) -> None:
    box.arrives(b"From: a\r\n\r\nold", came=date(2026, 1, 30))
    box.arrives(b"From: a\r\n\r\n) \x00 A2 OK {5}\r\nline")
    box.arrives(b"x" * 1_000)
    assert look(where) == [b"From: a\r\n\r\n) \x00 A2 OK {5}\r\nline", b"x" * 100], "of a large one the first part"
    assert all(not mail.flags for mail in box.folders["INBOX"])
    with opened(where, "INBOX", seconds=5, read_only=False) as there:
        assert (there.uids(3, LONG_AGO, 50), there.fetch(9, 100), there.validity, there.next_uid) == ([], None, 7, 4)


@pytest.mark.parametrize("capabilities", ["IMAP4rev1 AUTH=PLAIN", "IMAP4rev1"])
def test_the_password_is_checked_in_either_way(box: Box, where: Server, capabilities: str) -> None:
    box.capabilities, box.password = capabilities, 'q"\\'
    assert look(replace(where, password='q"\\')) == []
    assert code(replace(where, password="wrong")) == "imap_login_refused"
    box.capabilities = "IMAP4rev1 LOGINDISABLED"
    assert code(where) == "imap_no_login"
    box.capabilities = "IMAP4rev1"
    assert code(where) == "imap_not_ascii"


def test_nothing_is_said_without_encryption(box: Box, pem: Path, where: Server) -> None:
    plain = ImapServer(box, pem, starts_plain=True)
    there = replace(where, port=plain.port, tls="starttls")
    try:
        assert look(there) == []
        assert code(replace(there, context=None)) == "imap_certificate"
        box.capabilities = "IMAP4rev1 AUTH=PLAIN"
        code(there, Unreachable)
        box.capabilities = "IMAP4rev1 STARTTLS AUTH=PLAIN"
        box.injects = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"
        code(there, Unreachable)
    finally:
        plain.close()
    assert box.said.count("AUTHENTICATE") == 1


def test_addresses_are_guarded(where: Server) -> None:
    assert code(replace(where, guard=Guard())) == "imap_address_refused"
    assert code(replace(where, host="nowhere.invalid"), Unreachable) == "imap_unreachable"


@pytest.mark.parametrize(("folder", "wanted"), [("Nowhere", "imap_no_folder"), ('a" "b', "imap_no_folder")])
def test_a_folder_that_is_not_there_is_said(where: Server, folder: str, wanted: str) -> None:
    assert code(where, folder=folder) == wanted


def test_names_of_folders_are_sent_as_the_protocol_wants(box: Box, where: Server) -> None:
    assert encoded("Entwürfe & Rückläufer/日本") == "Entw&APw-rfe &- R&APw-ckl&AOQ-ufer/&ZeVnLA-"
    box.folders["R&APw-ck"] = []
    assert look(where, "Rück") == []


def says(text: str | bytes) -> Callable[[str, str], bytes]:
    """An answer with {tag} in it."""
    raw = text if isinstance(text, bytes) else text.encode()
    return lambda tag, _: raw.replace(b"{tag}", tag.encode())


HOSTILE = [
    ("UID FETCH", "* 1 FETCH (UID 1 BODY[]<0> {99999999999}\r\n", MessageDead, "imap_too_large"),
    ("UID SEARCH", f"* 1 FETCH (UID 1 BODY[]<0> {{{'9' * 5_000}}}\r\n", Unreachable, "imap_unreadable"),
    ("UID FETCH", "* 1 FETCH (UID 1 BODY[]<0> {4}\r\nab", Unreachable, "imap_too_slow"),
    ("UID FETCH", b"* " + b"x" * 200_000, MessageDead, "imap_too_large"),
    ("UID FETCH", "{tag} NO I will not\r\n", SenderStopped, "imap_fetch_refused"),
    ("UID SEARCH", b"* SEARCH " + b"1 " * 9_000_000 + b"\r\n", MessageDead, "imap_too_large"),
    ("UID SEARCH", b"\x00\xff\r\n", Unreachable, "imap_connection_lost"),
    ("UID SEARCH", "* BYE gone\r\n", Unreachable, "imap_connection_lost"),
    ("SELECT", "{tag} OK [READ-WRITE] done\r\n", SenderStopped, "imap_no_uids"),
    ("SELECT", "* OK [UIDVALIDITY 99999999999999999999] x\r\n{tag} OK done\r\n", SenderStopped, "imap_no_uids"),
    ("SELECT", "{tag} OK [READ-ONLY] done\r\n", SenderStopped, "imap_read_only"),
    ("AUTHENTICATE", "{tag} NO [UNAVAILABLE] later\r\n", Unreachable, "imap_unavailable"),
    ("AUTHENTICATE", "+ !!!\r\n", Unreachable, "imap_connection_lost"),
    ("CAPABILITY", "* CAPABILITY IMAP2\r\n{tag} OK done\r\n", SenderStopped, "imap_refused"),
]


@pytest.mark.parametrize(("command", "answer", "failure", "wanted"), HOSTILE, ids=lambda one: str(one)[:30])
def test_what_no_good_server_says_ends_in_a_code(
    box: Box, where: Server, command: str, answer: str | bytes, failure: type[ProviderFailure], wanted: str
) -> None:
    box.arrives(b"hello")
    box.quirk[command] = says(answer)
    assert code(where, failure) == wanted


@pytest.mark.parametrize("drips", [False, True])
def test_a_server_that_hangs_costs_little_time(box: Box, where: Server, drips: bool) -> None:
    box.hangs, box.drips = {"UID SEARCH"}, drips
    began = time.monotonic()
    assert code(where, Unreachable, seconds=1.0) == "imap_too_slow"
    assert time.monotonic() - began < 3


def test_odd_answers_are_read(box: Box, where: Server) -> None:
    box.quirk["UID SEARCH"] = says("* SEARCH 3 x 1 -5 3\r\n* SEARCH\r\n{tag} OK done\r\n")
    box.quirk["UID FETCH"] = lambda tag, uid: (
        (
            b"* 5 FETCH (UID 77 BODY[]<0> {5}\r\nother)\r\n* 1 FETCH (BODY[]<0> {3}\r\none UID 1)\r\n"
            if uid.startswith("1")
            else b'* 2 FETCH (UID 3 BODY[]<0> "th\\"ree")\r\n'
        )
        + f"{tag} OK done\r\n".encode()
    )
    assert look(where) == [b"one", b'th"ree']


def test_the_connection_is_tested_with_the_folder_to_move_to(box: Box, where: Server) -> None:
    def said(**more: Any) -> str:
        try:
            Imap(ImapConfig(**{**CONFIG, **more}), where).verify()
        except ProviderFailure as failure:
            return failure.code
        return ""

    assert said() == ""
    assert said(afterwards="move", move_to="Done") == ""
    assert said(afterwards="move", move_to="Elsewhere") == "imap_no_target"
    box.capabilities = "IMAP4rev1 AUTH=PLAIN"
    assert said(afterwards="move", move_to="Done") == "imap_no_move"
    assert all("FETCH" not in command for command in box.said)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("host", {"host": "a b"}),
        ("user", {"user": "a\r\nA1 DELETE INBOX"}),
        ("password", {"password": "a\nb"}),
        ("folder", {"folder": "a\r\nb"}),
        ("move_to", {"afterwards": "move"}),
        ("move_to", {"afterwards": "move", "move_to": "INBOX"}),
        ("tls", {"tls": "none"}),
    ],
)
def test_what_could_say_something_else_is_refused_with_its_field(field: str, values: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        ImapConfig(**{**CONFIG, **values})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_it_can_be_chosen_for_no_channel() -> None:
    providers = Providers.built_in({"imap"})
    assert (list(providers.on_route("email")), [kind.name for kind in providers]) == ([], ["imap"])
