"""Which addresses may be reached: a table of cases that asks nothing of Python's own ideas, and every entry of ours taken out once."""

from __future__ import annotations

import ipaddress

import pytest

from activities.webhooks.address_guard import DENIED, Guard, Refused, is_public

OPEN = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0",
    "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "203.0.112.255", "203.0.114.0",
    "223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8",
)  # fmt: skip
SHUT = {
    "loopback": ("127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"),
    "private": ("10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "fc00::1", "fdff::1"),
    "clouds": ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe"),
    "link-local": ("169.254.0.0", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1"),
    "this network": ("0.0.0.0", "0.255.255.255", "::"),
    "shared": ("100.64.0.0", "100.127.255.255"),
    "protocols": ("192.0.0.0", "192.0.0.9", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1", "2620:4f:8000::1"),
    "documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff::1", "3ffe::1", "198.18.0.0", "198.19.255.255", "2001:2::1"),
    "multicast": ("224.0.0.1", "239.255.255.255", "ff02::1", "240.0.0.1", "255.255.255.255"),
    "carries IPv4": (
        "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "::127.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "2a00:1450::5efe:10.0.0.1", "2a00:1450::200:5efe:127.0.0.1",
        "fe80::5efe:8.8.8.8",
    ),
    "no address": ("", "localhost", "1", "0x7f000001", "010.0.0.1", "127.1", "8.8.8.8/32", "[::1]", "1.2.3.4.5", "::ffff:999.1.1.1"),
    "others": ("4000::1", "5f00::1", "100::1", "200::1", "1fff::1"),
}  # fmt: skip


@pytest.mark.parametrize("address", OPEN)
def test_the_open_internet_is_reached(address: str) -> None:
    assert Guard().allows(address)


@pytest.mark.parametrize("address", [address for addresses in SHUT.values() for address in addresses])
def test_what_is_not_the_open_internet_is_refused(address: str) -> None:
    assert not Guard().allows(address)
    with pytest.raises(Refused):
        Guard(resolve=lambda host, port: ["8.8.8.8", address]).pick("hooks.example", 443)


@pytest.mark.parametrize("network", DENIED, ids=str)
def test_every_entry_is_needed(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    """Without it its first and its last address would be reached."""
    others = [one for one in DENIED if one != network]
    for address in (network[0], network[-1]):
        assert not is_public(address)
        assert is_public(address, others)


def test_every_entry_has_a_case() -> None:
    cases = [ipaddress.ip_address(one) for name in SHUT if name != "no address" for one in SHUT[name] if "%" not in one]
    assert [str(network) for network in DENIED if not any(one.version == network.version and one in network for one in cases)] == []


def test_a_person_can_open_a_network_and_only_that() -> None:
    guard = Guard.allowing(["10.0.0.0/8", "fd00:1::/32"])
    assert guard.allows("10.1.2.3")
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("fd00:1::5")
    assert not guard.allows("169.254.169.254")
    assert not guard.allows("fd00:ec2::254")
