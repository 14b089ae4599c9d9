"""What companies are known by, in the one spelling that is stored and compared. Syntax only; nothing asks DNS."""

from __future__ import annotations

import re
from dataclasses import dataclass

from journeys.errors import Invalid, Issue
from journeys.spelling import identifier, one_line
from storage import identifiers

MOST_NAME, MOST_ID = 200, 320
MOST_DOMAINS = 50
"""Of one company."""
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def read_name(text: str) -> str:
    """A name in one line; longer ones are cut, because a trait is no reason to refuse a call."""
    return one_line(text)[:MOST_NAME].rstrip()


def sorted_by(name: str) -> str:
    """What lists compare."""
    return name.casefold()[:MOST_NAME]


def read_id(text: object) -> str | None:
    """What another system calls a company; None for what is no id."""
    found = identifier(str(text))
    return None if not found or len(found) > MOST_ID or one_line(found).lower() in identifiers.PLACEHOLDERS else found


def read_domain(text: str) -> str | None:
    """`https://www.Müller.example/kontakt`, `info@acme.example` and the like as `acme.example` (IDNA, lower case, without www); None for what is no domain."""
    if len(text) > 1_000:
        return None
    host = _SCHEME.sub("", identifier(text)).split("/")[0].split("?")[0].split("#")[0].rpartition("@")[2].partition(":")[0]
    host = host.rstrip(".").lower()
    host = host.removeprefix("www.") if host.count(".") > 1 else host
    address = identifiers.normalise("email", f"info@{host}")
    if isinstance(address, identifiers.Refused):
        return None
    domain = address.rpartition("@")[2]
    return domain if not domain.rpartition(".")[2].isdigit() and len(domain) <= 253 else None


@dataclass(frozen=True, slots=True)
class Said:
    """Which company somebody means, by any of what it is known by; at least one of them is given. As they are stored.

    Raises:
        Invalid: none of them.
    """

    id: str | None = None
    domain: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not (self.id or self.domain or self.name):
            raise Invalid("Expected an id, a domain or a name of a company.")

    def known_as(self) -> list[tuple[str, str]]:
        """(kind, value), the surest first."""
        found = [("id", self.id), ("domain", self.domain), ("name", sorted_by(self.name))]
        return [(kind, value) for kind, value in found if value]

    def title(self) -> str:
        """What it is called until somebody says how."""
        return self.name or self.domain or (self.id or "")[:MOST_NAME]


def read(id: object = None, domain: object = None, name: object = None) -> Said | None:
    """As somebody wrote it down; what cannot be used is left out, None where nothing is left."""
    found = (
        None if id in (None, "") or isinstance(id, bool | dict | list) else read_id(id),
        read_domain(domain) if isinstance(domain, str) and domain.strip() else None,
        read_name(str(name)) if isinstance(name, str | int) and not isinstance(name, bool) else "",
    )
    return Said(*found) if any(found) else None


def domains_of(texts: list[str], field: str = "domains") -> list[str]:
    """Domains as they are stored, each once, in their order.

    Raises:
        Invalid: one of them is none (with its place), or there are more than `MOST_DOMAINS`.
    """
    found: dict[str, None] = {}
    for place, text in enumerate(texts):
        domain = read_domain(text)
        if domain is None:
            issue = Issue(
                code="company.domain",
                text="“{domain}” is not a domain such as example.com.",
                values={"domain": text[:100]},
                field=f"{field}.{place}",
            )
            raise Invalid("{problem}", [issue], problem=issue)
        found[domain] = None
    if len(found) > MOST_DOMAINS:
        raise Invalid("Expected at most {limit} domains.", limit=MOST_DOMAINS)
    return list(found)
