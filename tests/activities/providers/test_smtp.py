"""The SMTP provider: against aiosmtpd, and against a server that breaks off at any line one likes."""

from __future__ import annotations

import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from activities.providers import (
    AddressDead,
    InDoubt,
    MessageDead,
    PolicyRefused,
    Provider,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    Unreachable,
)
from activities.providers.smtp import Smtp, SmtpConfig, SmtpServer, sort
from activities.tracking import Tracking
from tests.activities.providers.conformance import SPOKEN, Arrived, Conformance, outgoing

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
LINES = {RetryLater: "451 4.7.1", AddressDead: "550 5.1.1", SenderStopped: "530 5.7.0", MessageDead: "552 5.3.4"}


class Handler:
    """Keeps what it accepts; `next` is the failure that the next mail meets."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], Any]] = []
        self.next: type[ProviderFailure] | None = None

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.next in (RetryLater, AddressDead, SenderStopped):
            return self._refusal()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.next is MessageDead:
            return self._refusal()
        assert isinstance(envelope.content, bytes)
        assert envelope.mail_from is not None
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        if self.next is InDoubt:
            self.next = None
            assert server.transport is not None
            server.transport.abort()
        return "250 2.0.0 Ok: queued as 4ZQx1F2abc"

    def _refusal(self) -> str:
        assert self.next is not None
        line, self.next = f"{LINES[self.next]} {SPOKEN.encode('ascii', 'ignore').decode()}", None
        return line


class Server(Controller):
    """aiosmtpd on a port that the kernel picks."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def _unix(text: str) -> str:
    """Texts travel with CRLF line ends."""
    return text.replace("\r\n", "\n")


class SmtpWire:
    failures: tuple[type[ProviderFailure], ...] = (*LINES, InDoubt)

    def __init__(self, handler: Handler, controller: Server) -> None:
        self.handler = handler
        self.controller = controller
        self.provider: Provider = Smtp(SmtpServer("127.0.0.1", controller.port, tls="none"), now=lambda: NOW)

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.handler.next = with_

    def arrived(self, once_key: str) -> list[Arrived]:
        name = once_key.replace(":", ".")
        return [
            Arrived(recipients[0], mail["Subject"], _unix(mail.get_body(("plain",)).get_content()))
            for _, recipients, mail in self.handler.mails
            if mail["Message-ID"] == f"<{name}@example.com>" and len(recipients) == 1
        ]

    def go_away(self) -> None:
        if self.controller.server is not None:
            self.controller.stop()


@pytest.fixture
def wire() -> Iterator[SmtpWire]:
    handler = Handler()
    controller = Server(handler, hostname="127.0.0.1", port=0, server_hostname="mx.example.net")
    controller.start()
    wire = SmtpWire(handler, controller)
    yield wire
    wire.provider.close()
    wire.go_away()


class TestConformance(Conformance):
    pass


def test_the_mail_is_whole(wire: SmtpWire) -> None:
    answer = wire.provider.send(outgoing(reply_to="Verkauf <sales@example.com>"))
    sender, _, mail = wire.handler.mails[0]
    assert answer.provider_id == "4ZQx1F2abc"
    assert sender == "shop@example.com"
    assert mail["From"] == "Käfer & Söhne <shop@example.com>"
    assert mail["Reply-To"] == "Verkauf <sales@example.com>"
    assert mail["Date"].datetime == NOW
    assert mail["List-Unsubscribe"] == outgoing().headers["List-Unsubscribe"]
    assert _unix(mail.get_body(("html",)).get_content()) == outgoing().html
    assert mail.get_content_type() == "multipart/alternative"
    assert not mail.defects


def test_bounces_find_their_message(wire: SmtpWire) -> None:
    provider = Smtp(wire.provider._server, return_path=lambda message: f"bounces+{message.message_id[:8]}@example.com")  # type: ignore[attr-defined]
    provider.send(outgoing())
    provider.close()
    assert wire.handler.mails[0][0] == f"bounces+{outgoing().message_id[:8]}@example.com"


def test_an_account_with_an_address_for_returned_mail_gives_each_message_one_of_its_own(wire: SmtpWire) -> None:
    tracking = Tracking({"k": b"k" * 32}, "https://m.example.com")
    server = wire.provider._server  # type: ignore[attr-defined]
    config = SmtpConfig(host=server.host, port=server.port, tls="none", return_address="bounces@m.example.com")
    provider = Smtp.open(config, Surroundings(None, lambda: NOW, return_path=tracking.bounce_address))  # type: ignore[arg-type]
    provider.send(outgoing())
    provider.send(outgoing("test:1", message_id="login", headers={"List-Unsubscribe": "<https://example.com>"}))
    provider.close()
    (sender, _, mail), (bare, _, other) = wire.handler.mails
    assert tracking.read_bounce(sender) == outgoing().message_id
    by_post, by_mail = mail["List-Unsubscribe"].split(", ")
    assert by_post == outgoing().headers["List-Unsubscribe"]
    assert tracking.read_bounce(unquote(by_mail.removeprefix("<mailto:").partition("?")[0])) == outgoing().message_id
    assert (bare, other["List-Unsubscribe"]) == ("bounces@m.example.com", "<https://example.com>")
    assert (Smtp.returns_to(config), len(sender.partition("@")[0]) <= 64) == ("m.example.com", True)


@pytest.mark.parametrize("address", ["b" * 20 + "@m.example.com", "bounces", "a+b@m.example.com", "a@b@m.example.com", "a@localhost"])
def test_an_address_for_returned_mail_leaves_room_for_the_token(address: str) -> None:
    with pytest.raises(ValueError, match="return_address"):
        SmtpConfig(host="mail.example.com", return_address=address)


def test_a_connection_is_reused(wire: SmtpWire) -> None:
    for number in range(3):
        wire.provider.send(outgoing(f"run{number}:a:1"))
    assert len(wire.provider._idle) == 1  # type: ignore[attr-defined]
    assert wire.provider._idle[0].mails == 3  # type: ignore[attr-defined]


def test_an_address_with_letters_outside_ascii_is_refused_before_the_wire(wire: SmtpWire) -> None:
    with pytest.raises(MessageDead) as caught:
        wire.provider.send(outgoing(recipient="jörg@example.org"))
    assert caught.value.code == "bad_address"
    wire.provider.send(outgoing(recipient="joerg@bücher.example"))
    assert wire.handler.mails[0][1] == ["joerg@xn--bcher-kva.example"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the server's, about itself
def test_login(unused_port_handler: Handler) -> None:
    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    controller = Server(
        unused_port_handler, hostname="127.0.0.1", port=0, authenticator=authenticate, auth_require_tls=False, auth_required=True
    )
    controller.start()
    port = controller.port
    try:
        good = Smtp(SmtpServer("127.0.0.1", port, "user", "right", tls="none"))
        good.send(outgoing())
        good.close()
        for server in (SmtpServer("127.0.0.1", port, "user", "wrong", tls="none"), SmtpServer("127.0.0.1", port, tls="none")):
            with pytest.raises(SenderStopped):
                Smtp(server).send(outgoing())
        with pytest.raises(SenderStopped) as caught:
            Smtp(SmtpServer("127.0.0.1", port, "user", "right", tls="starttls")).verify()
        assert caught.value.code == "smtp_no_login_or_starttls"
        for user, password in (("user", "pässwort"), ("jörg", "right")):
            with pytest.raises(SenderStopped, match="smtp_address_or_login_not_ascii"):
                Smtp(SmtpServer("127.0.0.1", port, user, password, tls="none")).send(outgoing())
    finally:
        controller.stop()
    assert len(unused_port_handler.mails) == 1


@pytest.mark.parametrize("host", ["smtp..example.org", ".example.org", "x" * 64 + ".example.org"])
@pytest.mark.parametrize("tls", ["none", "tls"])
def test_a_name_that_is_none_stops_the_account(host: str, tls: Any) -> None:
    with pytest.raises(SenderStopped, match="smtp_address_or_login_not_ascii"):
        Smtp(SmtpServer(host, tls=tls)).verify()


@pytest.fixture
def unused_port_handler() -> Handler:
    return Handler()


def certificate(folder: Path) -> Path:
    """A key and its self-signed certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.now(UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "server.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


def test_encryption_is_kept_to(unused_port_handler: Handler, tmp_path: Path) -> None:
    file = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    controller = Server(unused_port_handler, hostname="127.0.0.1", port=0, tls_context=context, require_starttls=True)
    controller.start()
    try:
        with pytest.raises(SenderStopped) as caught:
            Smtp(SmtpServer("127.0.0.1", controller.port, tls="starttls")).send(outgoing())
        assert caught.value.code == "smtp_certificate"
        with pytest.raises(SenderStopped):
            Smtp(SmtpServer("127.0.0.1", controller.port, tls="none")).send(outgoing())
        trusting = ssl.create_default_context(cafile=str(file))
        provider = Smtp(SmtpServer("127.0.0.1", controller.port, tls="starttls", context=trusting))
        provider.send(outgoing())
        provider.close()
    finally:
        controller.stop()
    assert len(unused_port_handler.mails) == 1


# --- a server that breaks off -------------------------------------------------------------------------------------


class Breaking(threading.Thread):
    """Speaks SMTP line by line and hangs up, or falls silent, when it has reached the stage `at`."""

    def __init__(self, at: str, *, silent: bool = False) -> None:
        super().__init__(daemon=True)
        self.at = at
        self.silent = silent
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.complete = 0
        self.released = threading.Event()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        if self._breaks("greeting"):
            return
        connection.sendall(b"220 mx\r\n")
        for line in lines:
            verb = line.split(b" ")[0].split(b":")[0].strip().upper().decode()
            if self._breaks(verb):
                return
            if verb != "DATA":
                connection.sendall(b"250 fine\r\n")
                continue
            connection.sendall(b"354 go on\r\n")
            if self.at == "body":
                connection.recv(10)
                self._breaks("body")
                return
            while lines.readline() not in (b".\r\n", b""):
                pass
            self.complete += 1
            if self._breaks("dot"):
                return
            connection.sendall(b"250 queued\r\n")

    def _breaks(self, stage: str) -> bool:
        if stage == self.at and self.silent:
            self.released.wait(5)
        return stage == self.at

    def stop(self) -> None:
        self.released.set()
        self.listener.close()


@pytest.mark.parametrize("silent", [False, True], ids=["hangs_up", "falls_silent"])
@pytest.mark.parametrize("at", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "body", "dot"])
def test_before_the_last_dot_it_is_certain_after_it_nobody_knows(at: str, silent: bool) -> None:
    server = Breaking(at, silent=silent)
    server.start()
    provider = Smtp(SmtpServer("127.0.0.1", server.port, tls="none", timeout_seconds=0.4))
    large = outgoing(text="x" * 30_000_000) if at == "body" else outgoing()  # more than the kernel's buffers hold
    try:
        with pytest.raises(InDoubt if at == "dot" else RetryLater):
            provider.send(large)
    finally:
        server.stop()
        provider.close()
    assert server.complete == (1 if at == "dot" else 0)


def test_a_connection_that_died_while_idle_is_replaced() -> None:
    server = Breaking("never")
    server.start()
    provider = Smtp(SmtpServer("127.0.0.1", server.port, tls="none", timeout_seconds=2))
    provider.send(outgoing("a:a:1"))
    assert provider._idle[0].connection.sock is not None
    provider._idle[0].connection.sock.shutdown(socket.SHUT_RDWR)
    provider.send(outgoing("a:a:2"))
    provider.close()
    server.stop()
    assert server.complete == 2


@pytest.mark.parametrize(
    ("stage", "said", "failure"),
    [
        ("connect", "421 too busy", Unreachable),
        ("connect", "554 no service", Unreachable),
        ("login", "535 5.7.8 wrong", SenderStopped),
        ("login", "454 4.7.0 later", Unreachable),
        ("sender", "530 5.7.0 login first", SenderStopped),
        ("sender", "550 5.7.1 not yours", SenderStopped),
        ("sender", "552 5.3.4 too large", MessageDead),
        ("recipient", "450 4.2.0 greylisted", RetryLater),
        ("recipient", "452 4.2.2 full", RetryLater),
        ("recipient", "550 no such user", AddressDead),
        ("recipient", "550 5.1.1 no such user", AddressDead),
        ("recipient", "550 5.2.1 disabled", AddressDead),
        ("recipient", "551 not here", AddressDead),
        ("recipient", "553 5.1.3 syntax", AddressDead),
        ("recipient", "550 5.7.1 blocked", PolicyRefused),
        ("recipient", "550 5.7.1 Relaying denied", SenderStopped),
        ("recipient", "554 5.7.1 <a@example.org>: Relay access denied", SenderStopped),
        ("recipient", "550 relay not permitted", SenderStopped),
        ("recipient", "550 5.7.8 log in first", SenderStopped),
        ("recipient", "550 5.7.60 client may not send as this sender", SenderStopped),
        ("recipient", "550 5.7.26 neither SPF nor DKIM", PolicyRefused),
        ("data", "554 5.7.1 not you", PolicyRefused),
        ("recipient", "552 5.2.2 full", MessageDead),
        ("end", "451 4.3.0 later", RetryLater),
        ("end", "421 closing", RetryLater),
        ("end", "550 5.1.1 after all", AddressDead),
        ("end", "550 looks like spam", MessageDead),
        ("end", "552 too large", MessageDead),
        ("end", "554 5.7.1 spam", PolicyRefused),
        ("end", "-1 garbage", InDoubt),
        ("data", "-1 garbage", RetryLater),
    ],
)
def test_the_table(stage: Any, said: str, failure: type[ProviderFailure]) -> None:
    code, _, text = said.partition(" ")
    assert type(sort(stage, int(code), text.encode())) is failure
