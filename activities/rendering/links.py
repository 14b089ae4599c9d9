"""The name of a link target: what tracking tokens carry instead of an address; and to which hosts our name may lead.

A tracked link is an address of ours that leads on. Where its host came out of an event or a field of the contact, which a browser's key
may write, a stranger could have us sign a way to a site of theirs (CWE-601). Such a link stays as it is, untracked.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlsplit

_WRITTEN = re.compile(r"https?://([a-z0-9.-]+)(?::\d+)?(?=[/\"'?#&)\s<]|$)", re.IGNORECASE)
"""A host that somebody wrote out whole. `https://shop.example{{ x }}` and `https://shop.example@{{ x }}` are none."""


@lru_cache(maxsize=4096)
def link_digest(url: str) -> str:
    """32 hex digits (128 bits of SHA-256); the key under which the target is stored."""
    return sha256(url.encode()).hexdigest()[:32]


@lru_cache(maxsize=256)
def hosts_in(source: str) -> frozenset[str]:
    """The hosts that a template writes out, in lower case."""
    return frozenset(host.lower() for host in _WRITTEN.findall(source))


def is_ours(address: str, hosts: frozenset[str], domains: frozenset[str]) -> bool:
    """Whether it is a web address at one of the hosts, or at or below one of the domains.

    A backslash is a slash to browsers and none to `urlsplit`, so an address with one may lead elsewhere than it reads.
    """
    if not address.startswith(("https://", "http://")) or "\\" in address:
        return False
    host = _host(address)
    return host in hosts or any(host == domain or host.endswith(f".{domain}") for domain in domains)


@lru_cache(maxsize=4096)
def _host(address: str) -> str:
    """In lower case; empty where there is none. Raises: ValueError, for what no address can be."""
    return (urlsplit(address).hostname or "").lower()
