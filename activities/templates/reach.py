"""Whether the links and pictures of a mail are there: asked of their servers on demand, through the address guard, within a limit of time and number.

The mail is one for somebody made up, so no address of a person goes out. Our own pages are not asked; our own pictures are looked up.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urljoin

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from activities.http_client import HttpAnswer, HttpFailure, exchange
from activities.pictures.library import PATH
from activities.rendering.reputation import Address, addresses, hint, placed
from activities.webhooks.address_guard import Guard
from journeys.errors import Issue
from models import Database, Picture, PictureFile

MOST = 40
"""Addresses of one mail that are asked."""
SECONDS, ALL_SECONDS = 6.0, 25.0
AT_ONCE = 4
HOPS = 3
HEAVY_BYTES = 500_000
"""A picture above this takes seconds on a phone."""
_MOST_BYTES = HEAVY_BYTES + 1
_NO_HEAD = frozenset({400, 403, 404, 405, 406, 429, 500, 501, 503})
"""Servers that know HEAD badly answer so; GET decides."""
_OWN = re.compile(rf"{PATH}/([0-9a-f]{{32}})/(\d{{1,6}})\.")
_SAID = {
    "bad_address": "it is no address",
    "address_refused": "it is not on the public internet",
    "unknown_host": "there is no such host",
    "certificate": "its certificate is not valid",
    "bad_request": "it is no address",
    "timeout": "no answer in time",
    "connection_lost": "no connection",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """`issues`: what is wrong; `asked` of `all` addresses were looked at."""

    issues: list[Issue]
    asked: int
    all: int


def reach(db: Database, guard: Guard, public_url: str, locale: str, html: str, source: str) -> Reached:
    """Asks for each address once. `html`: the mail as somebody made up would get it; `source`: its MJML, for the places."""
    found = [
        one
        for one in dict.fromkeys(Address(one.kind, one.target) for one in addresses(html))
        if one.target.startswith(("http://", "https://"))
    ]
    own = [one for one in found if public_url and one.target.startswith(f"{public_url}/")]
    foreign = [one for one in found if one not in own]
    until = time.monotonic() + ALL_SECONDS
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda one: _asked(guard, one, until), foreign[:MOST]))
    with db.read() as session:
        ours = [_looked_up(session, one) for one in own if one.kind == "img"]
    issues = [placed(issue, locale, source) for issue in (*answers, *ours) if issue is not None]
    late = sum(issue.code == "not_asked" for issue in issues)
    issues = [issue for issue in issues if issue.code != "not_asked"]
    return Reached(issues, min(len(foreign), MOST) - late + len(own), len(found))


def _asked(guard: Guard, one: Address, until: float) -> Issue | None:
    target = one.target[:200]
    left = until - time.monotonic()
    if left <= 0:
        return hint("not_asked", "{target}", target=target)
    try:
        answer = _answer(guard, one, min(SECONDS, left))
    except HttpFailure as failure:
        text = "This picture cannot be fetched, {why}: {target}." if one.kind == "img" else "This link cannot be reached, {why}: {target}."
        return hint("unreachable", text, target=target, why=Issue(code=failure.code, text=_SAID[failure.code]))
    if answer.status >= 400:
        text = (
            "This picture is not there (the server answers {status}): {target}."
            if one.kind == "img"
            else "This link is dead (the server answers {status}): {target}."
        )
        return hint("dead", text, target=target, status=answer.status)
    return _picture(answer, target) if one.kind == "img" else None


def _answer(guard: Guard, one: Address, seconds: float) -> HttpAnswer:
    """HEAD, or GET where a server does not know HEAD; a picture whose size is not told is read up to the limit. Raises: HttpFailure."""
    url, until = one.target, time.monotonic() + seconds
    method = "HEAD"
    for _ in range(2 * HOPS + 2):
        most = _MOST_BYTES if method == "GET" and one.kind == "img" else 1
        left = max(0.1, until - time.monotonic())
        answer = exchange(guard, method, url, headers={"Accept": "*/*"}, timeout_seconds=left, most_bytes=most)
        if answer.status in (301, 302, 303, 307, 308) and answer.headers.get("location"):
            url = _led_to(url, answer.headers["location"])
        elif method == "HEAD" and (answer.status in _NO_HEAD or (one.kind == "img" and "content-length" not in answer.headers)):
            method = "GET"
        else:
            return answer
    raise HttpFailure("timeout")


def _led_to(url: str, location: str) -> str:
    """Raises: HttpFailure, where a server leads to what is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise HttpFailure("bad_address") from None


def _picture(answer: HttpAnswer, target: str) -> Issue | None:
    if not answer.headers.get("content-type", "image/").lower().startswith("image/"):
        return hint("no_picture", "There is no picture at this address: {target}.", target=target)
    said = answer.headers.get("content-length", "")
    return _heavy(max(int(said) if said.isascii() and said.isdecimal() and len(said) < 12 else 0, len(answer.body)), target)


def _heavy(size: int, target: str) -> Issue | None:
    if size <= HEAVY_BYTES:
        return None
    return hint("heavy_picture", "This picture has {size} kB, which takes seconds on a phone: {target}.", size=size // 1000, target=target)


def _looked_up(session: Session, one: Address) -> Issue | None:
    named = _OWN.search(one.target)
    if named is None:
        return None
    size = select(func.length(col(PictureFile.content))).join(Picture, col(Picture.id) == col(PictureFile.picture_id))
    here = size.where(col(PictureFile.picture_id) == named[1], col(PictureFile.width) == int(named[2]), col(Picture.deleted_at).is_(None))
    found = session.scalar(here)
    if found is None:
        return hint("dead", "This picture is not in the library any more: {target}.", target=one.target[:200])
    return _heavy(found, one.target[:200])
