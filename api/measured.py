"""Who may read the numbers: whoever has the token; without one, this machine and nobody through a proxy."""

from __future__ import annotations

import hmac
import ipaddress

from starlette.requests import Request

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
"""What proxies add: a request with one of them came from elsewhere, whatever address it has now."""


def may_measure(token: str, request: Request) -> bool:
    """`token` is that of the settings; "" for none."""
    if token:
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode())
    return _is_here(request.client.host if request.client else "") and not any(name in request.headers for name in FORWARDED)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
