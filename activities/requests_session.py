"""The HTTP client for libraries that speak through `requests`: a session that has no way out but ours."""

from __future__ import annotations

import io
import ssl
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from activities.http_client import Code, HttpAnswer, HttpFailure, exchange
from activities.webhooks.address_guard import Guard

MOST_BYTES = 64_000
PATIENCE_SECONDS = 10.0
_FAILURES: Mapping[Code, type[requests.RequestException]] = {
    "certificate": requests.exceptions.SSLError,
    "timeout": requests.exceptions.Timeout,
    "bad_address": requests.exceptions.InvalidURL,
    "address_refused": requests.exceptions.InvalidURL,
    "bad_request": requests.exceptions.InvalidHeader,
}
"""What else there is no answer for is a lost connection."""


def guarded_session(guard: Guard) -> requests.Session:
    """A session that reaches what `guard` allows; it reads no proxy, password or certificate from the environment."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(guard))
    return session


class _Adapter(BaseAdapter):
    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        try:
            return _response(request, self._answer(request, timeout, _context(verify, cert)))
        except HttpFailure as failure:
            raise _FAILURES.get(failure.code, requests.exceptions.ConnectionError)(failure.code, request=request) from None

    def _answer(self, request: requests.PreparedRequest, timeout: Any, context: ssl.SSLContext | None) -> HttpAnswer:
        body = request.body or b""
        return exchange(
            self._guard,
            request.method or "GET",
            request.url or "",
            headers={name: _text(value) for name, value in request.headers.items() if name.lower() != "content-length"},
            body=body if isinstance(body, bytes) else str(body).encode(),
            timeout_seconds=timeout if isinstance(timeout, int | float) else PATIENCE_SECONDS,
            most_bytes=MOST_BYTES,
            context=context,
        )

    def close(self) -> None:
        """There is nothing to close: every request has its own connection."""


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _context(verify: bool | str, cert: Any) -> ssl.SSLContext | None:
    """Of a library that names files with certificates; None: the system's."""
    if verify is True and cert is None:
        return None
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if cert is not None:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context


def _response(request: requests.PreparedRequest, answer: HttpAnswer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.raw = io.BytesIO(answer.body)
    response.url, response.request = request.url or "", request
    return response
