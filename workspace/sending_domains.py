"""The senders of the workspace, the domains they are in, and what a check of those domains said last.

The check itself is `activities.domains`; here its result is kept, and it is said whether a sender may carry messages. Real time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parseaddr
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from journeys.channels import DEFAULT
from journeys.errors import NotFound
from models import SendingDomain
from storage.freshness import bump
from storage.sql import table
from workspace import accounts, settings
from workspace.audit import record

domains = table(SendingDomain)

Standing = Literal["unverified", "red"]
"""`unverified`: the last check did not find the account's own key. `red`: a mark is red that no administrator has allowed."""


def domain_of(address: str) -> str:
    """As the DNS spells it; empty for what is no address."""
    try:
        return address.rpartition("@")[2].strip().lower().encode("idna").decode()
    except UnicodeError:
        return ""


def sender_name(mailbox: str) -> str:
    """By what the domain of a From header is counted and limited, such as `@shop.example`; empty for what has none."""
    domain = domain_of(parseaddr(mailbox)[1])
    return f"@{domain}"[:260] if domain else ""


def listed(session: Session) -> list[str]:
    """The domains that the workspace's senders are in, each once, in order."""
    addresses = [settings.load(session, settings.Sender).email, *(one.email for one in settings.load(session, settings.Senders).senders)]
    return sorted({domain_of(address) for address in addresses} - {""})


def must_be_listed(session: Session, domain: str) -> None:
    """Raises: NotFound: no sender is in it, so nobody asks about it either."""
    if domain not in listed(session):
        raise NotFound("There is no sender in the domain “{domain}”.", domain=domain[:253])


def carrier(session: Session) -> str:
    """The account that carries e-mail now; empty: none does."""
    return accounts.carried(session).get(DEFAULT, "")


def checks(session: Session, account: str) -> dict[str, SendingDomain]:
    """Domain -> its last check for the account."""
    return {row.domain: row for row in session.scalars(select(SendingDomain).where(domains.c.account == account))}


def note(session: Session, account: str, domain: str, marks: Sequence[Mapping[str, str]], by: str, now: datetime) -> SendingDomain:
    """Keeps a check in place of the former one. What was allowed stays so only as long as it is red."""
    row = session.get(SendingDomain, (account, domain)) or SendingDomain(account=account, domain=domain, checked_at=now)
    row.marks, row.checked_at = [dict(mark) for mark in marks], now
    bump(session, accounts.TOPIC)
    row.allowed = sorted(set(row.allowed) & red_codes(row))
    session.add(row)
    record(session, by, "domain.check", f"domain:{domain}", {"account": account, "red": sorted(red_codes(row))})
    session.flush()
    return row


def allow(session: Session, account: str, domain: str, by: str) -> None:
    """Lets the domain carry marketing with the red marks that it has now, and with no others.

    Raises: NotFound: it was never checked for the account.
    """
    row = session.get(SendingDomain, (account, domain))
    if row is None:
        raise NotFound("The domain “{domain}” was not checked yet.", domain=domain[:253])
    row.allowed = sorted(red_codes(row))
    record(session, by, "domain.allow", f"domain:{domain}", {"account": account, "red": row.allowed})
    session.flush()


def red_codes(row: SendingDomain) -> set[str]:
    return {mark["code"] for mark in row.marks if mark["level"] == "bad"}


def is_verified(row: SendingDomain | None) -> bool:
    """Whether the account's own key stood in the domain: whoever can put it there owns it."""
    return row is not None and any(mark["what"] == "dkim" and mark["level"] == "good" for mark in row.marks)


def sent_from(session: Session, account: str) -> frozenset[str]:
    """The domains (`@shop.example`) that the account may send from where it is not the first to carry e-mail: those whose last check found its key."""
    return frozenset(f"@{domain}" for domain, row in checks(session, account).items() if is_verified(row))


def standings(session: Session) -> dict[str, Standing]:
    """Key of a sender (empty: the workspace's usual one) -> what is wrong with it; nothing where no account carries e-mail, since nobody is reached.

    The usual sender needs no proof, because an administrator of the server or workspace chose it; what a check found counts for it as well.
    """
    account = carrier(session)
    if not account:
        return {}
    known = checks(session, account)
    senders = {one.key: known.get(domain_of(one.email)) for one in settings.load(session, settings.Senders).senders}
    found: dict[str, Standing] = {key: "unverified" for key, row in senders.items() if not is_verified(row)}
    senders[""] = known.get(domain_of(settings.load(session, settings.Sender).email))
    reds: dict[str, Standing] = {key: "red" for key, row in senders.items() if row is not None and not red_codes(row) <= set(row.allowed)}
    return {**reds, **found}


def offered(session: Session, *also: str) -> list[tuple[str, str]]:
    """(key, name) of the senders that may be chosen, which are proven, and of those of `also` that are chosen already."""
    standing = standings(session)
    senders = settings.load(session, settings.Senders).senders
    return [(one.key, one.name or one.email) for one in senders if standing.get(one.key) != "unverified" or one.key in also]
