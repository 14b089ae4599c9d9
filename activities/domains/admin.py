"""What people do with sending domains, for the pages and the interface alike: check one, and see what to enter in its DNS."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict, replace
from datetime import datetime

from activities import account_setup as setup
from activities.account_admin import signing_key
from activities.accounts import Accounts
from activities.domains.check import check
from activities.providers.provider import ProviderFailure
from journeys.channels import DEFAULT
from journeys.errors import Conflict
from models import ProviderAccount, SendingDomain
from workspace import accounts as rows
from workspace import sending_domains


def check_domain(accounts: Accounts, domain: str, by: str, now: datetime) -> SendingDomain:
    """Asks the DNS about a domain of the workspace's senders, for each account that carries e-mail, and its provider where that one knows; keeps
    what they say. Takes seconds.

    Raises: NotFound: no sender is in it; Conflict: no account carries e-mail, or its provider does not answer.
    """
    with accounts.db.read() as session:
        sending_domains.must_be_listed(session, domain)
        line = rows.lines(session).get(DEFAULT, [])
        if not line:
            raise Conflict("No provider account carries e-mail: choose one first, because the DNS depends on it.")
        first, *others = [rows.find(session, one.account) for one in line]
    for other in others:
        with suppress(Conflict):  # a provider that does not answer: what it said last stands
            _check(accounts, other, domain, by, now)
    return _check(accounts, first, domain, by, now)


def _check(accounts: Accounts, row: ProviderAccount, domain: str, by: str, now: datetime) -> SendingDomain:
    proven = _has_proven(accounts, row, domain)
    found = check(
        domain, signing_key(accounts, row), server_of(accounts, row), accounts.resolver.ask, returns_to(accounts, row), proven=proven
    )
    with accounts.db.write() as session:
        return sending_domains.note(session, row.account, domain, [asdict(mark) for mark in found], by, now)


def _has_proven(accounts: Accounts, row: ProviderAccount, domain: str) -> bool | None:
    """What the provider says of the domain; None: nothing, or the account's secrets cannot be read here."""
    kind = accounts.providers.get(row.provider)
    try:
        config = setup.config_of(kind, accounts.keys, row) if kind else None
    except (setup.Unreadable, ValueError):
        return None
    if kind is None or config is None:
        return None
    try:
        with closing(kind.open(config, replace(accounts.around, account=row.account))) as provider:
            return provider.has_proven(domain)
    except ProviderFailure as failure:
        raise Conflict(
            "The provider does not say whether it has verified this domain ({code}). Check again later.", code=failure.code
        ) from None


def server_of(accounts: Accounts, row: ProviderAccount) -> str:
    """The host that the account's mails leave through; empty: nobody knows."""
    kind = accounts.providers.get(row.provider)
    try:
        return kind.server_of(setup.config_of(kind, accounts.keys, row)) if kind else ""
    except (setup.Unreadable, ValueError):
        return ""


def returns_to(accounts: Accounts, row: ProviderAccount) -> str:
    """The domain that the account's undeliverable mails come back to; empty: that of each sender."""
    kind = accounts.providers.get(row.provider)
    try:
        return kind.returns_to(setup.config_of(kind, accounts.keys, row)) if kind else ""
    except (setup.Unreadable, ValueError):
        return ""


MEANINGS: Mapping[str, str] = {
    "good": "In order.",
    "no_answer": "The DNS did not answer. Check again later.",
    "broken": "The DNS answered something that cannot be read. Ask whoever runs the DNS of the domain.",
    "spf_none": "There is no SPF record: receivers cannot tell your servers from others.",
    "spf_several": "There are several SPF records, so none counts. Merge them into one.",
    "spf_all": "The SPF record allows everybody (“+all”). End it with “~all” or “-all”.",
    "spf_nobody": "The SPF record lets nobody send, not even your own servers. Add those that send for you.",
    "spf_lookups": "The SPF record asks for more than 10 other records, so receivers ignore it. Remove includes that you no longer need.",
    "spf_open": "The SPF record does not say what holds for all other servers. End it with “~all” or “-all”.",
    "dkim_elsewhere": "The account has no DKIM key of its own. Create one on its page; otherwise only its mail server knows whether e-mails are signed.",
    "dkim_provider": "The provider has not verified this domain for the account, or does not sign for it. Verify it there, and enter the DKIM records it names.",
    "dkim_none": "The key of the account is not in the DNS.",
    "dkim_other": "There is another key in the DNS under this name: signatures of this account are refused.",
    "dmarc_none": "There is no DMARC record. Gmail and Yahoo demand one of everybody who sends marketing.",
    "dmarc_several": "There are several DMARC records, so none counts. Keep one.",
    "dmarc_policy": "The DMARC record has no valid policy. Set p=none, p=quarantine or p=reject.",
    "dmarc_watches": "DMARC only watches (p=none). Once all your e-mails are aligned, choose p=quarantine.",
    "alignment_none": "Neither SPF nor DKIM holds for the sender's domain, so DMARC fails.",
    "alignment_return": "Undeliverable mail comes back to another domain, so SPF does not count for the sender's: sign the e-mails with DKIM.",
    "alignment_unknown": "It is not known whether SPF or DKIM holds for the sender's domain.",
    "mx_none": "The domain receives no mail: replies and bounces get lost, and some receivers refuse its e-mails.",
    "mx_null": "The domain says that it receives no mail (null MX): replies and bounces get lost.",
    "return_path_lost": "Bounces go to the sender's domain, which receives no mail.",
    "return_path_other": "The domain of the account's address for returned mail takes no mail, so bounces get lost. Enter an MX record that names your mail server.",
    "reverse_unknown": "It is not known from which addresses this provider sends.",
    "reverse_private": "The mail server has a private address: it hands e-mails on to another one, which has to be in order itself.",
    "reverse_nowhere": "The mail server has no address in the DNS.",
    "reverse_none": "The address of the mail server has no name that leads back to it. Ask its provider for a PTR record.",
    "bimi_none": "Optional: a BIMI record shows your logo in some inboxes.",
    "bimi_dmarc": "The BIMI record has no effect until DMARC is at p=quarantine or p=reject.",
}
"""Code of a mark -> what it means and what to do; message ids."""
