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

_DENIED_IPV4 = (
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # carrier-grade NAT; metadata of Alibaba Cloud (100.100.100.200)
    "127.0.0.0/8",  # loopback
    "168.63.129.16/32",  # a public address in which Azure answers each virtual machine
    "169.254.0.0/16",  # link-local; metadata of AWS, Azure, Google, DigitalOcean, Hetzner … (169.254.169.254) and of AWS ECS (169.254.170.2)
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # IETF protocols; metadata of Oracle Cloud (192.0.0.192)
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # AMT
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",  # private
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, broadcast
)
_UNICAST_IPV6 = "2000::/3"
"""All that is given out of IPv6. Loopback, link-local, unique local (metadata of AWS, fd00:ec2::254, and Google, fd20:ce::254), multicast, NAT64
(64:ff9b::/96, 64:ff9b:1::/48), segment routing and addresses that map or embed IPv4 at their end lie outside."""
_DENIED_IPV6 = (
    "2001::/23",  # IETF protocols: Teredo (which carries an IPv4 address), benchmarks, ORCHID, AS112
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4: carries an IPv4 address
    "2620:4f:8000::/48",  # AS112
    "3ffe::/16",  # the former 6bone
    "3fff::/20",  # documentation
)
"""Networks that no webhook has a reason to reach. Source: the special-purpose address registries of IANA for IPv4 and IPv6 (RFC 6890 and its
updates), and what the clouds publish of their metadata services. A table of our own: Python's changes from one patch release to the next."""

DENIED: tuple[IpNetwork, ...] = tuple(map(ipaddress.ip_network, (*_DENIED_IPV4, *_DENIED_IPV6)))
UNICAST = ipaddress.IPv6Network(_UNICAST_IPV6)
_MAPPED = 0xFFFF
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The upper half of an interface's name after which an IPv4 address follows. Source: RFC 5214 §6.1."""


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
        return any(inner in network or ip in network for network in self.networks) or (is_public(inner) and _stays_public(ip, inner))


def _inner(ip: IpAddress) -> IpAddress:
    """The IPv4 address inside one that maps it (`::ffff:10.0.0.1`) or tunnels to it (ISATAP); the address itself otherwise."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    number = int(ip)
    if number >> 32 == _MAPPED or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return ip


def is_public(ip: IpAddress, denied: Iterable[IpNetwork] = DENIED) -> bool:
    """Whether it is an address of the open internet, by the table above and nothing else."""
    if isinstance(ip, ipaddress.IPv6Address) and ip not in UNICAST:
        return False
    return not any(ip.version == network.version and ip in network for network in denied)


def _stays_public(ip: IpAddress, inner: IpAddress) -> bool:
    """An IPv6 address that tunnels must itself be public, too; one that only maps IPv4 is that IPv4 address."""
    return ip is inner or int(ip) >> 32 == _MAPPED or is_public(ip)
