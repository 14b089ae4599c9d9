"""Which network addresses we may speak to: the guard against being led into our own network (SSRF).

A name is resolved once, every address it has is judged, and the connection goes to an address that was judged, so a name that
changes its mind between check and connection gains nothing. Redirects are not followed by those who use this.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from journeys.errors import Misconfigured

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Iterable[str]]

_EMBEDDING = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("2002::/16"))
"""NAT64 and 6to4: IPv6 addresses that lead to an IPv4 address they carry inside."""


class Refused(Exception):
    """The address is not public and not on the list of exceptions."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order. Raises OSError if there are none."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


@dataclass(frozen=True, slots=True)
class Guard:
    """`hosts` and `networks` may be reached although they are private; everything else must be a public address."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IpNetwork, ...] = ()
    resolve: Resolve = resolve

    @classmethod
    def allowing(cls, entries: Iterable[str], resolve: Resolve = resolve) -> Guard:
        """From the setting `webhook_allow`: host names, addresses or networks.

        Raises:
            Misconfigured: an entry that looks like a network and is none.
        """
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[] "), strict=False))
            except ValueError:
                if "/" in entry or not entry.strip():
                    raise Misconfigured(
                        "Expected a host, an address or a network in PFADWERK_WEBHOOK_ALLOW, got “{entry}”.", entry=entry
                    ) from None
                hosts.add(entry.strip().lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks), resolve)

    def pick(self, host: str, port: int) -> str:
        """An address of `host` to connect to.

        Raises:
            Refused: one of its addresses is not allowed; a name with a public and a private one is an attack.
            OSError: the name cannot be resolved.
        """
        addresses = list(self.resolve(host, port))
        if not addresses:
            raise OSError("no address")
        if host.lower().rstrip(".") not in self.hosts and not all(self.allows(address) for address in addresses):
            raise Refused
        return addresses[0]

    def allows(self, address: str) -> bool:
        """Whether an address is public, or on the list."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        inner = _inner(ip)
        return any(inner in network or ip in network for network in self.networks) or _is_public(inner)


def _inner(ip: IpAddress) -> IpAddress:
    """The IPv4 address inside a mapped one; the address itself otherwise."""
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _is_public(ip: IpAddress) -> bool:
    if any(ip in network for network in _EMBEDDING if network.version == ip.version):
        return False
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local or ip.is_private
    )
