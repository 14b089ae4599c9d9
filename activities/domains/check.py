"""Judges what the DNS says about a sending domain: one mark each for SPF, DKIM, DMARC, alignment, MX, return path, reverse DNS and BIMI.

Pure but for the question `ask`. A mark says what to enter where; its words are `builder_ui`'s. Mails leave with a signature for the domain of their From, and
with its address as the return path unless the account has another one; SPF is asked of the domain of the return path, and counts for the sender only
if one of the two domains lies in the other. Sources: RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489
(DMARC), RFC 7505 (null MX), Google "Email sender guidelines" and Yahoo "Sender Best Practices" (what bulk senders must have).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from activities.domains.resolver import Found, Kind
from activities.providers.provider import SigningKey

Ask = Callable[[str, Kind], Found]
Level = Literal["good", "hint", "warn", "bad", "unknown"]
MOST_LOOKUPS = 10
"""Source: RFC 7208 §4.6.4. Receivers give up beyond."""
MOST_TERMS = 100
MOST_PARENTS = 8
"""Source: DMARCbis §4.10, the tree walk."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`what`: spf, dkim, dmarc, alignment, mx, return_path, reverse_dns, bimi. `code` says why. `name`, `type`, `value`: the record to enter; empty: none."""

    what: str
    level: Level
    code: str
    name: str = ""
    type: str = ""
    value: str = ""


def check(domain: str, key: SigningKey | None, server: str, ask: Ask, returns_to: str = "", *, proven: bool | None = None) -> list[Mark]:
    """The marks of a domain (ASCII), in the order in which people see to them.

    `key` is the account's own; None: it signs nothing, and `proven` is what its provider says of the domain, if it says anything. `server` is
    the host that mails leave through; empty: nobody knows. `returns_to`: the domain of the return path; empty: it is the sender's.
    """
    back = returns_to or domain
    spf, dkim, dmarc = _spf(back, server, ask), _dkim(domain, key, ask, proven), _dmarc(domain, ask)
    mx = _mx(domain, ask)
    return_path = _return_path(mx) if back == domain else _other_return_path(back, server, ask)
    aligned = _alignment(spf, dkim, is_own=_is_within(back, domain))
    return [spf, dkim, dmarc, aligned, mx, return_path, _reverse(server, ask), _bimi(domain, dmarc, ask)]


def _is_within(one: str, other: str) -> bool:
    """Whether one of the two is the other or lies in it: aligned, unless DMARC says `aspf=s`. Siblings are not known to have one owner."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _spf(domain: str, server: str, ask: Ask) -> Mark:
    found = ask(domain, "TXT")
    wanted = (domain, "TXT", f"v=spf1 a:{server} ~all" if server else "v=spf1 mx ~all")
    if found.problem:
        return Mark("spf", "unknown", found.problem)
    records = _spf_of(found)
    if not records:
        return Mark("spf", "bad", "spf_none", *wanted)
    if len(records) > 1:
        return Mark("spf", "bad", "spf_several")
    terms = _terms(records[0])
    if "all" in terms or "+all" in terms:
        return Mark("spf", "bad", "spf_all")
    if not any(_lets_through(term) for term in terms):
        return Mark("spf", "bad", "spf_nobody", *wanted)
    if sum(1 for _ in _lookups(terms, ask, MOST_LOOKUPS + 1)) > MOST_LOOKUPS:
        return Mark("spf", "bad", "spf_lookups")
    closed = any(term in ("-all", "~all") or term.startswith("redirect=") for term in terms)
    return Mark("spf", "good", "good") if closed else Mark("spf", "warn", "spf_open")


def _spf_of(found: Found) -> list[str]:
    return [value for value in found.values if re.match(r"v=spf1( |$)", value, re.IGNORECASE)]


def _terms(record: str) -> list[str]:
    return record.lower().split()[1 : MOST_TERMS + 1]


def _lets_through(term: str) -> bool:
    """Whether somebody passes by it: a mechanism that does not refuse, or another record in place of this one. Modifiers let nobody through."""
    is_modifier = re.match(r"[a-z][a-z0-9_.-]*=", term) and not term.startswith("redirect=")
    return term[0] not in "-~?" and not is_modifier


def _lookups(terms: Sequence[str], ask: Ask, left: int) -> Iterator[str]:
    """The terms for which a receiver asks the DNS, at most `left`, those of included records too: so a loop ends."""
    for term in terms:
        bare = term.lstrip("+-~?")
        if left <= 0:
            return
        if re.match(r"(a|mx|ptr)([:/]|$)|exists:|include:|redirect=", bare):
            left -= 1
            yield bare
        target = re.fullmatch(r"(?:include:|redirect=)([a-z0-9._-]{1,253})", bare)
        for inner in _lookups(_included(target[1], ask), ask, left) if target and left > 0 else ():
            left -= 1
            yield inner


def _included(name: str, ask: Ask) -> list[str]:
    records = _spf_of(ask(name, "TXT"))
    return _terms(records[0]) if len(records) == 1 else []


def _dkim(domain: str, key: SigningKey | None, ask: Ask, proven: bool | None) -> Mark:
    if key is None:
        return _PROVIDERS_WORD[proven]
    wanted = (f"{key.selector}._domainkey.{domain}", "TXT", key.value)
    found = ask(wanted[0], "TXT")
    if found.problem:
        return Mark("dkim", "unknown", found.problem, *wanted)
    if not found.values:
        return Mark("dkim", "bad", "dkim_none", *wanted)
    ours = _tags(key.value)["p"]
    return (
        Mark("dkim", "good", "good")
        if [_tags(one).get("p") for one in found.values] == [ours]
        else Mark("dkim", "bad", "dkim_other", *wanted)
    )


_PROVIDERS_WORD: Mapping[bool | None, Mark] = {
    None: Mark("dkim", "unknown", "dkim_elsewhere"),
    True: Mark("dkim", "good", "good"),
    False: Mark("dkim", "bad", "dkim_provider"),
}


def _tags(record: str) -> dict[str, str]:
    """Tag -> value, without blanks; of several of a name the first."""
    pairs = (part.partition("=") for part in reversed(record.split(";")))
    return {name.strip().lower(): re.sub(r"\s", "", value) for name, _, value in pairs if name.strip()}


def _dmarc(domain: str, ask: Ask) -> Mark:
    wanted = (f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}")
    for place in _with_parents(domain):
        found = ask(f"_dmarc.{place}", "TXT")
        if found.problem:
            return Mark("dmarc", "unknown", found.problem)
        records = [one for one in found.values if re.match(r"v=DMARC1\s*(;|$)", one)]
        if len(records) > 1:
            return Mark("dmarc", "bad", "dmarc_several")
        if records:
            return _policy(_tags(records[0]), is_own=place == domain)
    return Mark("dmarc", "bad", "dmarc_none", *wanted)


def _with_parents(domain: str) -> list[str]:
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))][:MOST_PARENTS]


def _policy(tags: dict[str, str], *, is_own: bool) -> Mark:
    policy = (tags.get("p") if is_own else tags.get("sp") or tags.get("p")) or ""
    if policy.lower() in ("quarantine", "reject"):
        return Mark("dmarc", "good", "good")
    return Mark("dmarc", "warn", "dmarc_watches") if policy.lower() == "none" else Mark("dmarc", "bad", "dmarc_policy")


def _alignment(spf: Mark, dkim: Mark, *, is_own: bool) -> Mark:
    """One of the two is enough for DMARC; SPF counts only if the return path `is_own`."""
    if not is_own and dkim.level == "bad":
        return Mark("alignment", "bad", "alignment_return")
    if dkim.level == "good" or (is_own and spf.level == "good"):
        return Mark("alignment", "good", "good")
    is_open = "unknown" in (spf.level, dkim.level)
    return Mark("alignment", "unknown", "alignment_unknown") if is_open else Mark("alignment", "bad", "alignment_none")


def _mx(domain: str, ask: Ask) -> Mark:
    found = ask(domain, "MX")
    if found.problem:
        return Mark("mx", "unknown", found.problem)
    hosts = [value.split()[-1] for value in found.values]
    if not hosts:
        return Mark("mx", "bad", "mx_none")
    return Mark("mx", "bad", "mx_null") if hosts == ["."] else Mark("mx", "good", "good")


def _return_path(mx: Mark) -> Mark:
    """Bounces go where replies go."""
    return Mark("return_path", mx.level, "return_path_lost" if mx.level == "bad" else mx.code)


def _other_return_path(domain: str, server: str, ask: Ask) -> Mark:
    """The account's own return path needs a server that takes mail for it."""
    mx = _mx(domain, ask)
    if mx.level != "bad":
        return Mark("return_path", mx.level, mx.code)
    return Mark("return_path", "bad", "return_path_other", domain, "MX", f"10 {server or domain}")


def _reverse(server: str, ask: Ask) -> Mark:
    """Whether each address of the server has a name that leads back to it. The server may hand on to others whose addresses nobody here knows."""
    if not server:
        return Mark("reverse_dns", "unknown", "reverse_unknown")
    addresses = [server] if _is_address(server) else [value for kind in ("A", "AAAA") for value in ask(server, kind).values]
    public = [one for one in addresses if _is_address(one) and ip_address(one).is_global][:4]
    if not public:
        return Mark("reverse_dns", "hint", "reverse_private" if addresses else "reverse_nowhere")
    good = all(_leads_back(one, ask) for one in public)
    return Mark("reverse_dns", "good", "good") if good else Mark("reverse_dns", "warn", "reverse_none")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _leads_back(address: str, ask: Ask) -> bool:
    kind: Kind = "AAAA" if ":" in address else "A"
    return any(address in ask(name, kind).values for name in ask(address, "PTR").values[:4])


def _bimi(domain: str, dmarc: Mark, ask: Ask) -> Mark:
    found = ask(f"default._bimi.{domain}", "TXT")
    if not any(one.lower().startswith("v=bimi1") for one in found.values):
        return Mark("bimi", "hint", "bimi_none", f"default._bimi.{domain}", "TXT", f"v=BIMI1; l=https://{domain}/logo.svg; a=")
    return Mark("bimi", "good", "good") if dmarc.level == "good" else Mark("bimi", "hint", "bimi_dmarc")
