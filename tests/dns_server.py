"""A small DNS server on a UDP port of this machine, so that the real resolver has somebody to ask. It can answer whatever one likes, too."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset
import pytest

from activities.domains.resolver import Found, _plain
from tests.toy_provider import NAME_SERVERS

Records = Mapping[tuple[str, str], list[str]]
"""(name without the last dot, type) -> records as a zone file writes them."""
Bytes = Callable[[bytes], bytes]


@dataclass
class DnsServer:
    """`records` may be changed while it runs; `raw`: name -> what is sent back for it, made of the question's bytes."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    raw: dict[str, Bytes] = field(default_factory=dict)
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.raw:
            return self.raw[name](wire)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        self._fill(response, name, kind)
        whole = response.to_wire(max_size=65_535)
        return whole if len(whole) <= 60_000 else response.to_wire(max_size=60_000)

    def _fill(self, response: Any, name: str, kind: str) -> None:
        alias = self.records.get((name, "CNAME"))
        for one, type in ((alias, "CNAME"), (self.records.get((name, kind)), kind)):
            if one and not (alias and type == kind):
                response.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", type, one))
        if alias and kind != "CNAME" and len(response.answer) < 40:
            self._fill(response, alias[0].rstrip(".").lower(), kind)
        elif not response.answer and not any(place == name for place, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)


@contextmanager
def serve() -> Iterator[DnsServer]:
    server = DnsServer()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        server.port = wire.getsockname()[1]
        thread = threading.Thread(target=_listen, args=(wire, server), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", server.port))
            thread.join(60)


def _listen(wire: socket.socket, server: DnsServer) -> None:
    """An empty packet ends it."""
    while True:
        question, sender = wire.recvfrom(65_535)
        if not question:
            return
        answer = server.answer(question)
        if answer:
            wire.sendto(answer, sender)


def from_records(records: Records) -> Callable[[str, Any], Found]:
    """What the resolver would make of these records, without asking anybody."""

    def ask(name: str, kind: Any) -> Found:
        where = dns.reversename.from_address(name) if kind == "PTR" else dns.name.from_text(name)
        place = where.to_text(omit_final_dot=True).lower()
        values = records.get((place, kind))
        return _plain(list(dns.rrset.from_text_list(f"{place}.", 60, "IN", kind, values))) if values else Found()

    return ask


@pytest.fixture(name="dns")
def fixture_dns() -> Iterator[DnsServer]:
    """Whom the accounts of the applications under test ask."""
    before = NAME_SERVERS[:]
    with serve() as server:
        NAME_SERVERS[:] = [server.address]
        yield server
        NAME_SERVERS[:] = before


def text(value: str) -> str:
    """A TXT record as a zone file writes it: strings of 255 characters at most."""
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


def good_zone(domain: str, selector: str, key: str) -> dict[tuple[str, str], list[str]]:
    """A domain in which everything is in order."""
    return {
        (domain, "TXT"): [text("v=spf1 a:mail.example.net -all"), text("google-site-verification=x")],
        (f"{selector}._domainkey.{domain}", "TXT"): [text(key)],
        (f"_dmarc.{domain}", "TXT"): [text("v=DMARC1; p=reject; rua=mailto:x@example.net")],
        (domain, "MX"): ["10 mail.example.net."],
        ("mail.example.net", "A"): ["8.8.8.8"],
        ("8.8.8.8.in-addr.arpa", "PTR"): ["mail.example.net."],
        (f"default._bimi.{domain}", "TXT"): [text("v=BIMI1; l=https://example.org/l.svg")],
    }
