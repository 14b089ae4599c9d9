"""The DKIM signature: what arrived at a mail server is given to dkimpy, which knows nothing of ours but the record in the DNS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dkim as dkimpy
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from activities.account_setup import read
from activities.providers import dkim
from activities.providers.mime import build
from activities.providers.provider import Outgoing, Surroundings
from activities.providers.smtp import Smtp, SmtpConfig
from journeys.errors import Invalid
from tests.activities.providers.conformance import outgoing
from tests.activities.providers.test_smtp import Server

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PEM = dkim.new_key()
RECORDS = {b"pfadwerk1._domainkey.example.com.": dkim.public_value(PEM).encode()}


def dns(name: bytes, timeout: float = 5) -> bytes | None:
    return RECORDS.get(name)


def verified(mail: bytes) -> bool:
    """dkimpy raises for a signature that it cannot read."""
    try:
        return bool(dkimpy.verify(mail, dnsfunc=dns))
    except dkimpy.DKIMException:
        return False


class Raw:
    """Keeps the bytes as they came."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        return "250 2.0.0 Ok"


@pytest.fixture
def raw() -> Iterator[tuple[Raw, Server]]:
    handler = Raw()
    server = Server(handler, hostname="127.0.0.1", port=0)
    server.start()
    yield handler, server
    server.stop()


@pytest.fixture
def sent(raw: tuple[Raw, Server]) -> Callable[..., bytes]:
    """What the server got of one message through an account that has a key, or none."""
    handler, server = raw

    def send(message: Outgoing, key: str = PEM) -> bytes:
        config = SmtpConfig(host="127.0.0.1", port=server.port, tls="none", dkim_selector="pfadwerk1", dkim_key=SecretStr(key))
        provider = Smtp.open(config, Surroundings(None, lambda: NOW))  # type: ignore[arg-type]
        provider.send(message)
        provider.close()
        return handler.mails[-1]

    return send


def test_what_arrives_is_verified(sent: Callable[..., bytes]) -> None:
    """Umlauts, lines of dots, a long subject that is folded, and both List-Unsubscribe headers."""
    mail = sent(outgoing())
    assert verified(mail)
    [tags] = re.findall(rb"(?s)^DKIM-Signature: (.*?)\r\n(?!\s)", mail)
    assert b"d=example.com;" in tags
    [named] = re.findall(rb" h=([^;]+);", tags)
    assert named.count(b"From") == 2
    for header in (b"To", b"Subject", b"Date", b"Message-ID", b"List-Unsubscribe", b"List-Unsubscribe-Post"):
        assert header in named.split(b":")


def test_an_account_without_a_key_signs_nothing(sent: Callable[..., bytes]) -> None:
    assert b"dkim-signature" not in sent(outgoing(), key="").lower()


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"From: ", b"From: Somebody <else@example.net>\r\nFrom: "),
        (b"To: anna@", b"To: berta@"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click", b"List-Unsubscribe-Post: List-Unsubscribe=Two-Clicks"),
        (b"https://example.com/u/a", b"https://example.net/u/a"),
        (b"\r\nDate: ", b"\r\nDate: \r\n "),
        (b"\r\nSubject: ", b"\r\nSubject: Sale "),
        (b"\r\nMessage-ID: <", b"\r\nMessage-ID: <x"),
    ],
)
def test_what_is_changed_on_the_way_is_noticed(sent: Callable[..., bytes], there: bytes, instead: bytes) -> None:
    mail = sent(outgoing())
    changed = mail.replace(there, instead, 1)
    assert changed != mail
    assert verified(changed) is instead.endswith(b": \r\n "), "folding alone changes nothing"


def test_a_reply_to_that_was_not_there_cannot_be_added(sent: Callable[..., bytes]) -> None:
    mail = sent(outgoing())
    assert not verified(mail.replace(b"\r\nTo: ", b"\r\nReply-To: x@example.net\r\nTo: ", 1))


lines = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=("Cs", "Cc")), max_size=120)


@settings(max_examples=60, deadline=None)
@given(subject=lines, text=st.lists(lines, max_size=6).map("\n".join), name=lines)
def test_whatever_is_written_is_verified(subject: str, text: str, name: str) -> None:
    plain = re.sub(r'[<>"\\]', "", name).strip()
    message = Outgoing("r:n:1", "m", "email", "anna@example.org", f"{plain} <shop@example.com>", "", subject, "", text or "x")
    assert verified(dkim.signer("pfadwerk1", PEM).sign(build(message, NOW), "example.com", NOW))


@pytest.mark.parametrize("body", [b"", b"\r\n\r\n", b"a \t b  \r\n\r\n\r\n", b"no end", b"  lead\r\n.\r\n"])
def test_bodies_with_blanks_and_empty_lines_are_verified(body: bytes) -> None:
    mail = b"From: shop@example.com\r\nTo: anna@example.org\r\nSubject: \ta\r\n  b \r\n\r\n" + body
    assert verified(dkim.signer("pfadwerk1", PEM).sign(mail, "example.com", NOW))


def test_a_new_key_has_a_new_selector_and_one_that_is_none_is_refused() -> None:
    first = Smtp.with_new_key(SmtpConfig(host="h"))
    second = Smtp.with_new_key(first)
    assert (first.dkim_selector, second.dkim_selector) == ("pfadwerk1", "pfadwerk2")
    assert first.dkim_key != second.dkim_key
    assert Smtp.signs_with(SmtpConfig(host="h")) is None


def pem(key: Any, password: bytes = b"") -> str:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode())


@pytest.mark.parametrize(
    ("key", "selector", "why"),
    [
        ("-----BEGIN PRIVATE KEY-----", "s", dkim.UNFIT),
        (PEM.replace("BEGIN", "BEGÏN"), "s", dkim.UNFIT),
        (pem(serialization.load_pem_private_key(PEM.encode(), None), b"secret"), "s", dkim.UNFIT),
        (pem(rsa.generate_private_key(65_537, 1_024)), "s", dkim.UNFIT),
        (pem(ed25519.Ed25519PrivateKey.generate()), "s", dkim.UNFIT),
        (PEM, "", "A DKIM key needs a selector."),
    ],
    ids=["cut off", "not ASCII", "encrypted", "short", "not RSA", "without a selector"],
)
def test_a_key_that_cannot_sign_is_refused_with_its_field(key: str, selector: str, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(Smtp, {"host": "h", "dkim_selector": selector, "dkim_key": key})
    assert [(issue.field, issue.text) for issue in refused.value.issues] == [("dkim_key", why)]
    read(Smtp, {"host": "h", "dkim_selector": "s", "dkim_key": PEM})
