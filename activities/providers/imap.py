"""The provider `imap`: a mailbox from which mails that came back are read: bounces, complaints, replies.

It carries no channel: nothing is sent through it. Its accounts are set up, tested, stopped and removed like all others; which mail was read last and what
comes of one, `activities.inbound.mailboxes` knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from activities.providers.imap_wire import Folder, ImapServer, must_have, opened
from activities.providers.provider import (
    Advice,
    Answer,
    ConfiguredProvider,
    DeliveryCheck,
    MessageDead,
    Outgoing,
    ProviderConfig,
    Surroundings,
)

TURN_SECONDS: Final = 60.0
"""One connection lasts no longer; what is left is read at the next."""
TEST_SECONDS: Final = 25.0


class ImapConfig(ProviderConfig):
    """A folder of a mailbox and a log-in there. Encryption is not a choice."""

    host: str = Field(
        pattern=r"^[^\s@/\x00-\x1f\x7f]{1,253}$",
        title="Server",
        description="For example imap.example.org.",
        json_schema_extra={"destination": True},
    )
    port: int = Field(993, ge=1, le=65535, title="Port", json_schema_extra={"destination": True})
    tls: Literal["tls", "starttls"] = Field(
        "tls",
        title="Encryption",
        json_schema_extra={"destination": True, "words": {"tls": "TLS (usually port 993)", "starttls": "STARTTLS (usually port 143)"}},
    )
    user: str = Field(min_length=1, max_length=320, pattern=r"^[^\x00-\x1f\x7f]*$", title="User name")
    password: SecretStr = Field(
        min_length=1,
        max_length=1_000,
        title="Password",
        description="Google and Microsoft take an app password only, and Microsoft none from most organisations.",
    )
    folder: str = Field("INBOX", min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", title="Folder")
    afterwards: Literal["seen", "move", "leave"] = Field(
        "seen",
        title="Mails that were read",
        json_schema_extra={"words": {"seen": "mark as read", "move": "move to another folder", "leave": "leave as they are"}},
    )
    move_to: str = Field(
        "",
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        validate_default=True,
        title="Move to folder",
        description="Only if mails that were read are to be moved.",
    )
    minutes: int = Field(2, ge=1, le=1_440, title="Look for new mails every (minutes)")

    @field_validator("password")
    @classmethod
    def _is_one_line(cls, password: SecretStr) -> SecretStr:
        if any(character < " " for character in password.get_secret_value()):
            raise ValueError("Expected no control characters.")
        return password

    @field_validator("move_to")
    @classmethod
    def _is_another(cls, name: str, others: ValidationInfo) -> str:
        if others.data.get("afterwards") == "move" and name in ("", others.data.get("folder")):
            raise ValueError("Enter another folder than the one that is read.")
        return name


class Imap(ConfiguredProvider):
    """`place` names what is read: another one begins anew."""

    name = "imap"
    label = "Mailbox for returned mail and replies (IMAP)"
    channels: frozenset[str] = frozenset()
    delivery_check: DeliveryCheck = "blind"
    collects = True
    reaches_people = False
    timeout_seconds = TEST_SECONDS
    Config = ImapConfig
    advice: ClassVar[Advice] = (
        (r"imap_login_refused", "User name or password was refused: enter them again. Some servers want an app password, or IMAP to be switched on for the mailbox."),
        (r"imap_no_login", "The server takes no password: check the encryption, or ask its administrator."),
        (r"imap_no_folder", "There is no such folder in the mailbox: check its name, including capital letters and the path before it."),
        (r"imap_no_target", "There is no such folder to move mails to: create it in the mailbox first."),
        (r"imap_no_move", "The server cannot move mails: have them marked as read instead."),
        (r"imap_(read_only|mark_refused|move_refused)", "The mailbox may only be read: give the log-in the right to change it, or leave mails as they are."),
        (r"imap_certificate", "The server's certificate does not match its name or has expired: check the server's name, or contact its administrator."),
        (r"imap_address_refused", "The server is inside your own network: the operator of this server must allow it (PFADWERK_WEBHOOK_ALLOW)."),
        (r"imap_not_ascii", "The server takes user name and password in ASCII only (no ä or €)."),
        (r"imap_(unreachable|too_slow|connection_lost|unavailable)", "The server does not answer: check server, port and encryption, and whether a firewall is in the way."),
        (r"imap_.*", "The server answers in a way that is not understood: ask its administrator."),
    )  # fmt: skip

    def __init__(self, config: ImapConfig, server: ImapServer) -> None:
        self._config = config
        self._server = server
        said = (server.host.lower(), str(server.port), server.user, config.folder)
        self.place = hashlib.sha256("\0".join(said).encode()).hexdigest()
        self.every_seconds = config.minutes * 60.0

    @classmethod
    def open(cls, config: ImapConfig, around: Surroundings) -> Self:
        password = config.password.get_secret_value()
        return cls(config, ImapServer(config.host, config.port, config.user, password, config.tls, around.guard))

    @contextmanager
    def reading(self) -> Iterator[Folder]:
        """The folder, open. Raises: ProviderFailure."""
        with opened(self._server, self._config.folder, seconds=TURN_SECONDS, read_only=self._config.afterwards == "leave") as folder:
            yield folder

    @property
    def marks(self) -> bool:
        """Whether mails that were read are to be marked or moved."""
        return self._config.afterwards != "leave"

    def mark(self, folder: Folder, uids: list[int]) -> None:
        """Does with mails that were read what is set; once more is harmless. Raises: ProviderFailure."""
        if self._config.afterwards == "move":
            folder.move(uids, self._config.move_to)
        elif self._config.afterwards == "seen":
            folder.mark_read(uids)

    def verify(self) -> None:
        """Logs in, opens the folder and reads nothing."""
        config = self._config
        with opened(self._server, config.folder, seconds=TEST_SECONDS, read_only=config.afterwards == "leave") as folder:
            if config.afterwards == "move":
                must_have(folder, config.move_to)

    def send(self, message: Outgoing) -> Answer:
        raise MessageDead("imap_sends_nothing")

    def close(self) -> None:
        """Each turn has a connection of its own."""
