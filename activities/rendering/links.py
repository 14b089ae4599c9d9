"""The name of a link target: what tracking tokens carry instead of an address; and to which hosts our name may lead.

A tracked link is an address of ours that leads on. Where its host came out of an event or a field of the contact, which a browser's key
may write, a stranger could have us sign a way to a site of theirs (CWE-601). Such a link stays as it is, untracked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, urlencode, urlsplit

_WRITTEN = re.compile(r"https?://([a-z0-9.-]+)(?::\d+)?(?=[/\"'?#&)\s<]|$)", re.IGNORECASE)
"""A host that somebody wrote out whole. `https://shop.example{{ x }}` and `https://shop.example@{{ x }}` are none."""
_OWN = re.compile(r"(?:^|&)utm_[a-z_]+=", re.IGNORECASE)
_SIGNED = re.compile(r"(?:^|&)(?:x-amz-signature|x-goog-signature|signature|sig|hmac)=", re.IGNORECASE)
"""A query that was signed as a whole: with anything more in it, nobody lets one in. Source: AWS Signature Version 4 and CloudFront, Google Cloud Storage
(signed addresses); SAS of Azure; Shopify."""
_IN_TEXT = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_AFTER = ".,;:!?)]}'"
"""Ends a sentence, and belongs to no address there."""
MOST_CHARACTERS = 2_000
"""Of an address as it is sent."""


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


def with_parameters(address: str, parameters: Mapping[str, str], left_alone: frozenset[str]) -> str:
    """A web address with the parameters, before its fragment. It stays as it is if it has campaign parameters of its own or is signed, leads to one of
    the sites in `left_alone` or below it, is no address, or would be too long."""
    if not parameters or not address.startswith(("https://", "http://")) or "\\" in address:
        return address
    try:
        host = _host(address)
    except ValueError:
        return address
    if any(host == site or host.endswith(f".{site}") for site in left_alone):
        return address
    rest, mark, fragment = address.partition("#")
    path, _, query = rest.partition("?")
    if _OWN.search(query) or _SIGNED.search(query):
        return address
    link = "" if query == "" or query.endswith("&") else "&"
    found = f"{path}?{query}{link}{urlencode(parameters, quote_via=quote)}{mark}{fragment}"
    return found if len(found) <= MOST_CHARACTERS else address


def with_parameters_in(text: str, parameters: Mapping[str, str], left_alone: frozenset[str], own: frozenset[str]) -> str:
    """The same for every web address in a plain text, but for those in `own`."""

    def one(found: re.Match[str]) -> str:
        address = _without_end(found.group())
        trailing = found.group()[len(address) :]
        return (address if address in own else with_parameters(address, parameters, left_alone)) + trailing

    return _IN_TEXT.sub(one, text) if parameters else text


def _without_end(address: str) -> str:
    """Without what ends a sentence; a bracket that was opened in the address belongs to it (`/wiki/Tal_(Bern)`)."""
    end = len(address)
    while end and address[end - 1] in _AFTER:
        if address[end - 1] == ")" and address.count("(", 0, end) >= address.count(")", 0, end):
            break
        end -= 1
    return address[:end]


@lru_cache(maxsize=4096)
def _host(address: str) -> str:
    """In lower case; empty where there is none. Raises: ValueError, for what no address can be."""
    return (urlsplit(address).hostname or "").lower()
