"""The names contacts are known by, in the one spelling that is stored and compared.

Syntax only: nothing here asks DNS or a database, and a bad name is an answer, not an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from journeys.spelling import identifier, one_line

MAX_CHARACTERS = 320
PLACEHOLDERS = frozenset(
    {"", "0", "-1", "anonymous", "guest", "nan", "nil", "none", "null", "undefined", "true", "false", "unknown", "[object object]", "n/a"}
)
"""What broken client code sends as an id; believing one would merge all visitors of a shop into one contact."""

Name = tuple[str, str]
"""(kind, value): kind is `user_id`, `anonymous_id`, `email`, `phone` or `external:<system>`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A name that cannot be used: reason is invalid_email, invalid_phone, placeholder, too_long or unknown_kind."""

    kind: str
    reason: str


def normalise(kind: str, value: str, region: str | None = None) -> str | Refused:
    """The stored spelling of a name, or why there is none. `region` (ISO country) reads national phone numbers."""
    if kind == "email":
        return _email(value) or Refused(kind, "invalid_email")
    if kind == "phone":
        return _phone(value, region) or Refused(kind, "invalid_phone")
    if kind not in ("user_id", "anonymous_id") and not _EXTERNAL.fullmatch(kind):
        return Refused(kind[:64], "unknown_kind")
    text = identifier(value)
    if one_line(text).lower() in PLACEHOLDERS:
        return Refused(kind, "placeholder")
    return text if len(text) <= MAX_CHARACTERS else Refused(kind, "too_long")


def mailbox(value: str) -> str:
    """The one spelling of an e-mail address by which members are stored, looked up and counted; for what is no address, of whatever was typed."""
    found = normalise("email", value[: 4 * MAX_CHARACTERS])
    return found if isinstance(found, str) else identifier(value).lower()[:MAX_CHARACTERS]


def normalise_all(names: Iterable[Name], region: str | None = None) -> tuple[list[Name], list[Refused]]:
    """The usable names, strongest kind first and each once, and the refused ones."""
    usable: dict[Name, None] = {}
    refused: list[Refused] = []
    for kind, value in names:
        found = normalise(kind, str(value), region)
        if isinstance(found, Refused):
            refused.append(found)
        else:
            usable[(kind, found)] = None
    return sorted(usable, key=strength), refused


def strength(name: Name) -> int:
    """Sort key: how surely a name means one person, surest first."""
    return _ORDER.get(name[0], 1)


_ORDER = {"user_id": 0, "email": 2, "phone": 3, "anonymous_id": 4}  # external ids: 1
_EXTERNAL = re.compile(r"external:[a-z0-9_.-]{1,50}")
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9](?:[.+-]?[a-z0-9_])*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:[a-z]{2,24}|xn--[a-z0-9-]{1,59})", re.ASCII
)
"""What nine of ten addresses look like; they skip the full parser, which manages 5,700 addresses a second."""


@lru_cache(maxsize=4_096)
def _email(value: str) -> str | None:
    text = identifier(value).lower()
    if len(text) > MAX_CHARACTERS:
        return None
    local, _, domain = text.rpartition("@")
    if _PLAIN_EMAIL.fullmatch(text):
        return text if len(local) <= 64 and len(domain) <= 253 and all(len(part) <= 63 for part in domain.split(".")) else None
    return _parsed_email(text)


def _parsed_email(text: str) -> str | None:
    from email_validator import EmailNotValidError, validate_email  # only rare addresses need the parser

    try:
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return f"{found.local_part.lower()}@{(found.ascii_domain or found.domain).lower()}"


@lru_cache(maxsize=4_096)
def _phone(value: str, region: str | None) -> str | None:
    import phonenumbers  # its tables cost 60 ms and most processes never see a number

    text = identifier(value)
    if len(text) > 64:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
