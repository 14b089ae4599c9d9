"""The provider `smtp`: one mail server, spoken to by the standard library's `smtplib` from worker threads.

Blind: SMTP has no way to ask later. So one instant is watched closely: until the last dot of DATA is handed to the kernel a broken
connection means "certainly not sent"; from then on, until the server's answer, "in doubt". Connections are kept and reused.
What comes back later is not read here (`activities.inbound`); the return path names the message that it is about (VERP).
"""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from activities.providers import dkim
from activities.providers.mime import address_of, build
from activities.providers.provider import (
    AddressDead,
    Advice,
    Answer,
    ConfiguredProvider,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    Outgoing,
    PolicyRefused,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    SigningKey,
    Surroundings,
    Unreachable,
)

Stage = Literal["connect", "login", "sender", "recipient", "data", "end"]
IDLE_SECONDS = 30.0
"""A connection unused for longer is closed instead of reused; servers hang up after one to five minutes."""
MAX_IDLE = 8
"""Unused connections kept open."""
MAX_MAILS = 100
"""Mails over one connection; some servers count and then refuse."""

VERP_LOCAL = 19
"""Characters before the token: a local part has 64 at most, and "+" and the token are 45. Source: RFC 5321 §4.5.3.1.1."""
_QUEUED = re.compile(r"\b(?:queued as|id=|ok id=|ok:? queued as)\s*([A-Za-z0-9_.-]{4,64})", re.IGNORECASE)
_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")

_RELAY = re.compile(
    rb"relay(?:ing)? (?:access )?(?:is )?(?:denied|not (?:allowed|permitted))|not (?:allowed|permitted) to relay|unable to relay",
    re.IGNORECASE,
)
"""How servers say that they carry nothing of ours to anybody, whatever code they give it: Postfix "Relay access denied" (554 5.7.1), sendmail
"Relaying denied" (550 5.7.1), Exim "relay not permitted" (550), Exchange "Unable to relay" (550 5.7.54)."""

ANYWHERE, ENVELOPE, CONTENT = "connect login sender recipient data end", "recipient", "recipient data end"
TABLE: tuple[tuple[str, str, type[ProviderFailure], timedelta | None], ...] = (
    # stages, "code enhanced", what it means, and when to try again
    (ANYWHERE, r"421 .*", RetryLater, timedelta(minutes=1)),
    ("login", r"454 .*", RetryLater, timedelta(minutes=5)),
    (ANYWHERE, r"530 .*|535 .*|534 .*|538 .*", SenderStopped, None),
    ("login", r"[45].*", SenderStopped, None),
    (ANYWHERE, r"450 .*", RetryLater, timedelta(minutes=5)),  # greylisting
    (ANYWHERE, r"451 .*", RetryLater, timedelta(minutes=5)),
    (ANYWHERE, r"452 .*", RetryLater, timedelta(minutes=15)),
    (ANYWHERE, r"4.*", RetryLater, timedelta(minutes=10)),
    ("connect", r"5.*", RetryLater, timedelta(minutes=15)),  # the host takes no mail now; no address is to blame
    ("sender", r"552 .*|5\d\d 5\.3\.4", MessageDead, None),
    ("sender", r"5.*", SenderStopped, None),
    (CONTENT, r"5\d\d 5\.1\.(?:[1-6]|10)|5\d\d 5\.2\.1", AddressDead, None),
    (CONTENT, r"5\d\d 5\.7\.(?:3|8|9|1[0-4]|57|60|64)", SenderStopped, None),  # log-in, encryption, rights: it is us who are refused
    (CONTENT, r"5\d\d 5\.7\..*", PolicyRefused, None),
    (CONTENT, r"5\d\d 5\.[23456]\..*", MessageDead, None),  # size, routing: the address may be fine
    (ENVELOPE, r"550 .*|551 .*|553 .*", AddressDead, None),
    (CONTENT, r"5.*", MessageDead, None),
)
"""First match counts. Sources: RFC 5321 §4.2 (codes), RFC 3463 (enhanced codes), RFC 4954 (login),
IANA "SMTP Enhanced Status Codes" (5.7.x), Microsoft "Non-delivery reports in Exchange Online" (5.7.57, 5.7.60, 5.7.64)."""


def sort(stage: Stage, code: int, text: bytes) -> ProviderFailure:
    """The failure that an answer of the server means; its text is not kept, except for the enhanced code."""
    enhanced = _ENHANCED.search(text.decode("ascii", "replace"))
    said = f"{code} {enhanced[1] if enhanced else ''}"
    name = "smtp_" + said.strip().replace(" ", "_")
    if stage in ("recipient", "data") and 500 <= code <= 599 and _RELAY.search(text):
        return SenderStopped(name)
    for stages, pattern, failure, after in TABLE:
        if stage in stages.split() and re.fullmatch(pattern, said):
            return _later(stage, name, after) if after is not None else failure(name)
    return _later(stage, f"smtp_unexpected_{code}", timedelta(minutes=5)) if stage != "end" else InDoubt(f"smtp_unexpected_{code}")


def _later(stage: Stage, name: str, after: timedelta) -> RetryLater:
    """Before a sender is named no message can be to blame."""
    return Unreachable(name, after) if stage in ("connect", "login") else RetryLater(name, after)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how. `tls`: `starttls` refuses to go on without encryption; `none` is for a server on this machine."""

    host: str
    port: int = 587
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    timeout_seconds: float = 10.0
    """For one answer."""
    local_name: str | None = None
    """What we say in EHLO; None is this machine's name."""
    context: ssl.SSLContext | None = None
    """None: the system's certificates."""
    signer: dkim.Signer | None = None
    """Signs what leaves, for the domain of its sender; None: the server does, or nobody."""


@dataclass(slots=True)
class _Open:
    connection: smtplib.SMTP
    used_at: float
    mails: int = 0


class SmtpConfig(ProviderConfig):
    """A mail server and a log-in there."""

    host: str = Field(
        pattern=r"^[^\s@/\x00-\x1f]{1,253}$",
        title="Server",
        description="For example smtp.example.org.",
        json_schema_extra={"destination": True},
    )
    port: int = Field(587, ge=1, le=65535, title="Port", json_schema_extra={"destination": True})
    tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        title="Encryption",
        json_schema_extra={
            "destination": True,
            "words": {"starttls": "STARTTLS (usually port 587)", "tls": "TLS (usually port 465)", "none": "none"},
        },
    )
    user: str = Field("", max_length=320, title="User name", description="Leave empty if the server asks for no log-in.")
    password: SecretStr = Field(SecretStr(""), max_length=1_000, title="Password")
    timeout_seconds: float = Field(10.0, ge=1, le=60, title="Seconds to wait for an answer")
    return_address: str = Field(
        "",
        pattern=rf"^([A-Za-z0-9][A-Za-z0-9._-]{{0,{VERP_LOCAL - 1}}}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)?$",
        max_length=272,
        title="Address for returned mail",
        description="For example bounces@example.org: undeliverable mail comes back to bounces+TOKEN@example.org, and each message is known by its token. Leave empty to have it come back to the sender.",
    )
    dkim_selector: str = Field("", pattern=r"^[a-z0-9]{0,63}$", title="DKIM selector", json_schema_extra={"made": True})
    dkim_key: SecretStr = Field(SecretStr(""), max_length=4_000, title="DKIM key", json_schema_extra={"made": True})

    @field_validator("dkim_key")
    @classmethod
    def _is_key(cls, key: SecretStr, others: ValidationInfo) -> SecretStr:
        """A selector that is wrong itself has an error of its own."""
        if key.get_secret_value():
            dkim.signer("", key.get_secret_value())
            if others.data.get("dkim_selector") == "":
                raise ValueError("A DKIM key needs a selector.")
        return key


class Smtp(ConfiguredProvider):
    """`return_path` gives the envelope sender of a message (`bounces+TOKEN@example.org`); None is the sender's own address."""

    name = "smtp"
    label = "E-mail server (SMTP)"
    channels = frozenset({"email", "team"})
    delivery_check: DeliveryCheck = "blind"
    own_key = True
    Config = SmtpConfig
    advice: ClassVar[Advice] = (
        (r"smtp_unreachable", "The server does not answer: check server and port, and whether a firewall is in the way."),
        (
            r"smtp_certificate",
            "The server's certificate does not match its name or has expired: check the server's name, or contact its administrator.",
        ),
        (r"smtp_no_login_or_starttls", "The server does not offer the log-in or the encryption that is set: check encryption and port."),
        (
            r"smtp_address_or_login_not_ascii",
            "The server's name is not valid, or user name or password has a character outside ASCII (such as ä or €), which log-ins do not take.",
        ),
        (r"smtp_53\d.*", "User name or password was refused: enter them again."),
        (r"smtp_5.*", "The server refuses the sender or the account: ask its provider why, and check the sender address in the settings."),
    )

    def __init__(
        self,
        server: SmtpServer,
        *,
        return_path: Callable[[Outgoing], str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._return_path = return_path
        self._now = now
        self._monotonic = monotonic
        self._idle: list[_Open] = []
        self._lock = threading.Lock()
        self.timeout_seconds = 2 * server.timeout_seconds  # once for everything up to the last dot, once for the answer to it

    @classmethod
    def open(cls, config: SmtpConfig, around: Surroundings) -> Self:
        password, key = config.password.get_secret_value(), config.dkim_key.get_secret_value()
        signer = dkim.signer(config.dkim_selector, key) if key else None
        server = SmtpServer(config.host, config.port, config.user, password, config.tls, config.timeout_seconds, signer=signer)
        return cls(server, return_path=_return_path(config.return_address, around.return_path))

    @classmethod
    def server_of(cls, config: SmtpConfig) -> str:
        return config.host

    @classmethod
    def returns_to(cls, config: SmtpConfig) -> str:
        return config.return_address.rpartition("@")[2].lower()

    @classmethod
    def signs_with(cls, config: SmtpConfig) -> SigningKey | None:
        key = config.dkim_key.get_secret_value()
        return SigningKey(config.dkim_selector, dkim.public_value(key)) if key else None

    @classmethod
    def with_new_key(cls, config: SmtpConfig) -> SmtpConfig:
        """The selector counts up: what is on its way still is verified with the record of the former one."""
        number = int(re.sub(r"\D", "", config.dkim_selector) or "0") + 1
        return config.model_copy(update={"dkim_selector": f"pfadwerk{number}", "dkim_key": SecretStr(dkim.new_key())})

    def send(self, message: Outgoing) -> Answer:
        recipient = address_of(message.recipient)
        sender = self._return_path(message) if self._return_path else address_of(message.sender)
        message = _unsubscribed_by_mail(message, sender) if self._return_path else message
        data = _dotted(self._signed(build(message, self._now()), message))
        patience = _Patience(self._server.timeout_seconds, self._monotonic)
        opened = self._take(patience)
        try:
            answer = _deliver(opened.connection, sender, recipient, data, patience)
        except ProviderFailure as failure:
            self._after(opened, failure)
            raise
        self._give_back(opened)
        return answer

    def _signed(self, mail: bytes, message: Outgoing) -> bytes:
        if self._server.signer is None:
            return mail
        return self._server.signer.sign(mail, address_of(message.sender).rpartition("@")[2], self._now())

    def lookup(self, once_key: str) -> Answer | None:
        """A mail server cannot be asked; the ledger never does, because `delivery_check` is `blind`."""
        return None

    def verify(self) -> None:
        self._give_back(self._connect(_Patience(self._server.timeout_seconds, self._monotonic)))

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for opened in idle:
            _quit(opened.connection)

    def _take(self, patience: _Patience) -> _Open:
        """A connection that answers: an idle one that passes RSET, else a new one."""
        while (opened := self._pop()) is not None:
            if self._monotonic() - opened.used_at < IDLE_SECONDS and _ready(opened.connection, patience):
                return opened
            opened.connection.close()
        return self._connect(patience)

    def _pop(self) -> _Open | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, opened: _Open) -> None:
        opened.used_at = self._monotonic()
        opened.mails += 1
        with self._lock:
            keep = len(self._idle) < MAX_IDLE and opened.mails < MAX_MAILS
            if keep:
                self._idle.append(opened)
        if not keep:
            _quit(opened.connection)

    def _after(self, opened: _Open, failure: ProviderFailure) -> None:
        """An answer in full leaves the connection usable; everything else closes it."""
        spoken = re.match(r"smtp_[45]\d\d", failure.code) and not failure.code.startswith("smtp_421")
        if spoken and not isinstance(failure, SenderStopped):
            self._give_back(opened)
        else:
            opened.connection.close()

    def _connect(self, patience: _Patience) -> _Open:
        try:
            return _Open(_dial(self._server, patience), self._monotonic())
        except smtplib.SMTPAuthenticationError as error:
            raise sort("login", error.smtp_code, _bytes(error.smtp_error)) from None
        except smtplib.SMTPResponseException as error:
            raise sort("connect", error.smtp_code, _bytes(error.smtp_error)) from None
        except ssl.SSLCertVerificationError:
            raise SenderStopped("smtp_certificate") from None
        except UnicodeError:  # smtplib writes log-ins in ASCII; a host with an empty label is no IDNA
            raise SenderStopped("smtp_address_or_login_not_ascii") from None
        except smtplib.SMTPNotSupportedError:
            raise SenderStopped("smtp_no_login_or_starttls") from None
        except (OSError, smtplib.SMTPException):
            raise Unreachable("smtp_unreachable", timedelta(seconds=30)) from None


def _return_path(address: str, sign: Callable[[str, str], str] | None) -> Callable[[Outgoing], str] | None:
    """Messages of the ledger get an address of their own; single mails, which no ledger keeps, the bare one."""
    if not address:
        return None

    def of(message: Outgoing) -> str:
        is_kept = sign is not None and re.fullmatch(r"[0-9a-f]{32}", message.message_id)
        return sign(address, message.message_id) if sign is not None and is_kept else address

    return of


def _unsubscribed_by_mail(message: Outgoing, return_path: str) -> Outgoing:
    """Where there is an address to unsubscribe at, the mail's own address is another one. Source: RFC 2369 §3.2."""
    one_click = message.headers.get("List-Unsubscribe")
    if not one_click or "+" not in return_path:
        return message
    address = f"<mailto:{return_path.replace('+', '%2B')}?subject=unsubscribe>"
    return replace(message, headers={**message.headers, "List-Unsubscribe": f"{one_click}, {address}"})


class _Patience:
    """What is left of the time for everything up to the last dot; a server that answers drop by drop cannot stretch it."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self.seconds = seconds
        self._monotonic = monotonic
        self._until = monotonic() + seconds

    def limit(self, connection: smtplib.SMTP) -> None:
        """The next answer may take what is left. Raises TimeoutError when nothing is."""
        left = self._until - self._monotonic()
        if left <= 0:
            raise TimeoutError
        if connection.sock is not None:
            connection.sock.settimeout(left)


def _dial(server: SmtpServer, patience: _Patience) -> smtplib.SMTP:
    context = server.context or ssl.create_default_context()
    if server.tls == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, local_hostname=server.local_name, timeout=server.timeout_seconds, context=context
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, local_hostname=server.local_name, timeout=server.timeout_seconds)
    try:
        _hello(connection, patience)
        if server.tls == "starttls":
            connection.starttls(context=context)
            _hello(connection, patience)
        if server.user:
            patience.limit(connection)
            _login(connection, server)
    except BaseException:
        connection.close()
        raise
    return connection


def _login(connection: smtplib.SMTP, server: SmtpServer) -> None:
    try:
        connection.login(server.user, server.password)
    except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected, smtplib.SMTPNotSupportedError):
        raise
    except smtplib.SMTPException:  # none of the server's methods is one of ours
        raise SenderStopped("smtp_no_login_or_starttls") from None


def _hello(connection: smtplib.SMTP, patience: _Patience) -> None:
    patience.limit(connection)
    code, text = connection.ehlo()
    if not 200 <= code <= 299:
        code, text = connection.helo()
    if not 200 <= code <= 299:
        raise smtplib.SMTPHeloError(code, text)


def _deliver(connection: smtplib.SMTP, sender: str, recipient: str, data: bytes, patience: _Patience) -> Answer:
    """One mail over an open connection.

    Up to and including the hand-over of the last dot an error means that the server cannot have the whole message: `sendall` raises
    only if the kernel did not take every byte. After it, only the server's answer ends the doubt.
    """
    steps: tuple[tuple[Stage, Callable[[], tuple[int, bytes]], tuple[int, ...]], ...] = (
        ("sender", lambda: connection.mail(sender), (250,)),
        ("recipient", lambda: connection.rcpt(recipient), (250, 251)),
        ("data", lambda: connection.docmd("DATA"), (354,)),
    )
    try:
        for stage, ask, expected in steps:
            patience.limit(connection)
            code, text = ask()
            if code not in expected:
                raise sort(stage, code, text)
        patience.limit(connection)
        connection.send(data)
    except (OSError, smtplib.SMTPException):
        raise RetryLater("smtp_connection_lost", timedelta(seconds=30)) from None
    try:
        if connection.sock is not None:
            connection.sock.settimeout(patience.seconds)
        code, text = connection.getreply()
    except (OSError, smtplib.SMTPException):
        raise InDoubt("smtp_no_answer") from None
    if 200 <= code <= 299:
        return Answer(provider_id=_queue_id(text), raw={"code": code})
    raise sort("end", code, text)


def _ready(connection: smtplib.SMTP, patience: _Patience) -> bool:
    """Whether a kept connection still answers; also clears what a former mail left."""
    try:
        patience.limit(connection)
        return connection.rset()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def _quit(connection: smtplib.SMTP) -> None:
    try:
        connection.quit()
    except (OSError, smtplib.SMTPException):
        connection.close()


def _dotted(data: bytes) -> bytes:
    """The mail as DATA wants it: lines that begin with a dot get another, and the last line is a dot alone. RFC 5321 §4.5.2."""
    return re.sub(rb"(?m)^\.", b"..", data) + b".\r\n"


def _queue_id(text: bytes) -> str:
    found = _QUEUED.search(text.decode("ascii", "replace"))
    return found[1] if found else ""


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")
