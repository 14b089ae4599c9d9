"""Asks the DNS and makes plain texts of what comes back, however hostile: sizes are bounded, loops and broken packets are a problem, not an error.

It judges nothing (`activities.domains.check`). Real time and the network; called outside of transactions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver
import dns.reversename

Kind = Literal["TXT", "MX", "A", "AAAA", "PTR"]
SECONDS = 3.0
"""For one question, all its attempts together."""
MOST_RECORDS = 50
MOST_BYTES = 4_096
"""Of one text; a DKIM key of 4,096 bits needs 800."""
_UNSEEN = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Found:
    """`problem`: no_answer or broken; empty: these are all values there are, maybe none."""

    values: tuple[str, ...] = ()
    problem: str = ""


class Resolver:
    """`servers`: `ADDRESS` or `ADDRESS:PORT` each; without any, those of the machine."""

    def __init__(self, servers: Sequence[str] = (), seconds: float = SECONDS) -> None:
        self._servers = servers
        self._seconds = seconds

    def ask(self, name: str, kind: Kind) -> Found:
        """The records of a name; aliases are followed."""
        try:
            where = dns.reversename.from_address(name) if kind == "PTR" else dns.name.from_text(name)
            answer = self._open().resolve(where, kind, lifetime=self._seconds, search=False, raise_on_no_answer=False)
            if answer.rrset is None:
                return Found()
            return _plain([one for one in answer.rrset if one.rdtype == answer.rdtype])
        except dns.resolver.NXDOMAIN:
            return Found()
        except (dns.exception.Timeout, dns.resolver.NoNameservers, dns.resolver.NoResolverConfiguration, OSError):
            return Found(problem="no_answer")
        except (dns.exception.DNSException, ValueError):
            return Found(problem="broken")

    def _open(self) -> dns.resolver.Resolver:
        """Read anew each time: the machine's servers may change while we run."""
        resolver = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = [_server(one) for one in self._servers]
        return resolver


def _server(text: str) -> dns.nameserver.Do53Nameserver:
    host, colon, port = text.rpartition(":")
    return (
        dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))
        if colon and "]" not in port and ("." in host or "[" in host)
        else dns.nameserver.Do53Nameserver(text.strip("[]"))
    )


def _plain(records: Sequence[dns.rdata.Rdata]) -> Found:
    texts = [_text(one) for one in records[:MOST_RECORDS]]
    return Found(problem="broken") if any(len(one) > MOST_BYTES for one in texts) else Found(tuple(sorted(texts)))


def _text(record: dns.rdata.Rdata) -> str:
    """The strings of a TXT record belong together; what is no visible ASCII becomes a question mark."""
    strings = getattr(record, "strings", None)
    text = b"".join(strings).decode("latin-1") if strings is not None else record.to_text()
    return _UNSEEN.sub("?", text)
