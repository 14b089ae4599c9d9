"""Tokens that tell a site of the workspace's who followed a link of a message: put into the address when the link is followed, good for ten minutes.

They open nothing and read nothing (`activities.contact_tokens` do); a browser that brings one is known as the contact from then on, if its person allowed
that there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from struct import Struct
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from activities.tracking import Signer

LIFE = timedelta(minutes=10)
PARAMETER = "pfw"
_PAYLOAD = Struct("!16sI")


class VisitTokens:
    """`keys` as those of `activities.tracking.Signer`. Instants are real time."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._signer = Signer(keys)

    def make(self, contact_id: str, now: datetime) -> str:
        return self._signer.sign("visit", _PAYLOAD.pack(bytes.fromhex(contact_id), int((now + LIFE).timestamp())))

    def read(self, token: str, now: datetime) -> str | None:
        """The contact of a token of ours that is still good."""
        payload = self._signer.read("visit", token, _PAYLOAD.size)
        if payload is None:
            return None
        contact, second = _PAYLOAD.unpack(payload)
        return contact.hex() if now < datetime.fromtimestamp(second, UTC) else None


def with_token(url: str, token: str) -> str:
    """The address with the token in its query; whatever stood there under that name goes, the rest stays as it is."""
    parts = urlsplit(url)
    has_one = any(name == PARAMETER for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    kept = "&".join(one for one in parts.query.split("&") if one and one.partition("=")[0] != PARAMETER) if has_one else parts.query
    query = f"{kept}&{urlencode({PARAMETER: token})}" if kept else urlencode({PARAMETER: token})
    return urlunsplit(parts._replace(query=query))
