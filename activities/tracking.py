"""Opens and clicks: signed addresses in messages, and what is recorded when somebody, or some machine, fetches them.

An address carries ids under a signature; the target of a link is looked up in our own table, so nobody can make us redirect
elsewhere. Machines fetch pixels and links too: every hit is stored with what we think it was, and only human ones count as opened or
clicked. No network address is ever stored. Routing the events is the caller's part.
"""

from __future__ import annotations

import hmac
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from hashlib import sha256
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy import bindparam, func
from sqlalchemy.orm import Session
from sqlmodel import select

from activities.rendering import UNTRACKED, Marks, link_digest
from activities.rendering.allowed import has_host, scheme
from crm.consent import consent
from models import Event, Hit, Journey, Link, Message, Run
from storage import tally
from storage.events import append_event
from storage.locks import lock_contact
from storage.sql import insert_new, on, table
from workspace import settings

Purpose = Literal["open", "click", "unsubscribe", "preferences", "view", "bounce", "confirm", "contact", "form", "visit"]
Level = Literal["none", "clicks", "full"]
AgentClass = Literal["human", "prefetch", "scanner", "unknown"]

MAC_BYTES = 10
"""80 bits; a forger has to ask us for every guess, and the public doors are limited."""
TOO_SOON = timedelta(seconds=2)
"""Nobody reads a mail within two seconds of its delivery; security gateways do."""
SAME_MOMENT = timedelta(seconds=1)
"""Two different links of one mail within a second: a scanner that fetches them all."""
MAX_HITS = 200
"""Hits stored per message; further ones change nothing."""

SCANNERS = (
    "barracuda", "bitdefender", "bot", "cloudmark", "crawler", "curl/", "fortinet", "go-http-client", "headlesschrome", "ironport", "java/",
    "libwww", "mimecast", "okhttp", "proofpoint", "python-requests", "python-urllib", "aiohttp", "scanner", "sophos", "spider", "symantec",
    "trendmicro", "urlscan", "wget", "zscaler",
)  # fmt: skip
"""Lower-case parts of user agents of programs that follow links by themselves."""
PREFETCHERS = ("googleimageproxy", "ggpht.com", "yahoomailproxy", "edge/12.246", "mozilla/4.0 (compatible; ms-office")
"""Mail services that load images for their readers, whether these look or not. Gmail's proxy prefetches as Edge 12.246."""


class Signer:
    """Short tokens over ids. `keys`: key id -> secret; the first signs, all verify, so keys can be rotated without breaking old mails."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise ValueError("expected at least one signing key")
        self._keys = [(sha256(name.encode()).digest()[:1], key) for name, key in keys.items()]

    def sign(self, purpose: Purpose, payload: bytes) -> str:
        """URL-safe text: one byte that recognises the key, the payload, ten bytes of HMAC-SHA256."""
        tag, key = self._keys[0]
        return urlsafe_b64encode(tag + payload + _mac(key, purpose, payload)).rstrip(b"=").decode()

    def read(self, purpose: Purpose, token: str, size: int) -> bytes | None:
        """The payload of `size` bytes; None for anything that we did not sign for this purpose."""
        raw = _decoded(token, 1 + size + MAC_BYTES)
        if raw is None:
            return None
        tag, payload, mac = raw[:1], raw[1:-MAC_BYTES], raw[-MAC_BYTES:]
        good = any(hmac.compare_digest(mac, _mac(key, purpose, payload)) for known, key in self._keys if known == tag)
        return payload if good else None


def _mac(key: bytes, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(key, b"pfadwerk:" + purpose.encode() + b":" + payload, "sha256")[:MAC_BYTES]


def _decoded(token: str, size: int) -> bytes | None:
    """Exactly `size` bytes in their one spelling, so that a token cannot be varied."""
    try:
        raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (NotBase64, ValueError):
        return None
    return raw if len(raw) == size and urlsafe_b64encode(raw).rstrip(b"=").decode() == token else None


class Tracking:
    """The addresses of one installation's public doors. `public_url` has no slash at its end; message ids are 32 hex digits."""

    def __init__(self, keys: Mapping[str, bytes], public_url: str) -> None:
        self.public_url = public_url.rstrip("/")
        self._signer = Signer(keys)

    def pixel_url(self, message_id: str) -> str:
        return f"{self.public_url}/o/{self._signed('open', message_id)}"

    def click_url(self, message_id: str, digest: str) -> str:
        """`digest` is `link_digest` of the target, which `store_links` must have stored before anybody clicks."""
        return f"{self.public_url}/c/{self._signed('click', message_id + digest)}"

    def unsubscribe_url(self, message_id: str) -> str:
        return f"{self.public_url}/u/{self._signed('unsubscribe', message_id)}"

    def preferences_url(self, message_id: str) -> str:
        return f"{self.public_url}/p/{self._signed('preferences', message_id)}"

    def view_url(self, message_id: str) -> str:
        return f"{self.public_url}/v/{self._signed('view', message_id)}"

    def confirm_url(self, message_id: str, opt_in_id: str) -> str:
        """Where a double opt-in is confirmed."""
        return f"{self.public_url}/confirm/{self._signed('confirm', opt_in_id + message_id)}"

    def read_confirm(self, token: str) -> tuple[str, str] | None:
        """The ids of the double opt-in and of the mail that had the link."""
        payload = self._signer.read("confirm", token, 32)
        return (payload[:16].hex(), payload[16:].hex()) if payload else None

    def urls(self, message_id: str) -> dict[str, str]:
        """The addresses that templates know: unsubscribe_url, preferences_url, view_url."""
        return {
            "unsubscribe_url": self.unsubscribe_url(message_id),
            "preferences_url": self.preferences_url(message_id),
            "view_url": self.view_url(message_id),
        }

    def marks(self, message_id: str, level: Level, domains: frozenset[str] = frozenset()) -> Marks:
        """What `render` puts into the message: nothing, signed links, or signed links and the pixel. `domains`: the workspace's own (`own_domains`)."""
        if level == "none":
            return UNTRACKED
        pixel = self.pixel_url(message_id) if level == "full" else ""
        return Marks(lambda digest: self.click_url(message_id, digest), pixel, domains)

    def bounce_address(self, address: str, message_id: str) -> str:
        """`bounces@example.org` -> `bounces+TOKEN@example.org` (VERP): a mail that comes back then names its message, whatever it says inside.

        The token is 44 characters of base32 in lower case, because mail servers may change the case of a local part.
        """
        local, _, domain = address.partition("@")
        token = urlsafe_b64decode(self._signed("bounce", message_id) + "==")
        return f"{local}+{b32encode(token).decode().rstrip('=').lower()}@{domain}"

    def read(self, purpose: Purpose, token: str) -> str | None:
        """The message id of a token made for `purpose`; None for any other text."""
        payload = self._signer.read(purpose, token, 16)
        return payload.hex() if payload else None

    def read_click(self, token: str) -> tuple[str, str] | None:
        """Message id and link digest."""
        payload = self._signer.read("click", token, 32)
        return (payload[:16].hex(), payload[16:].hex()) if payload else None

    def read_bounce(self, address: str) -> str | None:
        """The message id in an address made by `bounce_address`."""
        token = address.partition("@")[0].rpartition("+")[2].upper()
        try:
            raw = b32decode(token + "=" * (-len(token) % 8))
        except ValueError:
            return None
        return self.read("bounce", urlsafe_b64encode(raw).rstrip(b"=").decode())

    def _signed(self, purpose: Purpose, ids: str) -> str:
        return self._signer.sign(purpose, bytes.fromhex(ids))


def own_domains(session: Session, mail_from: str) -> frozenset[str]:
    """Where the workspace is at home: the hosts of its website and of the addresses it sends from (`mail_from`: the operator's)."""
    site = urlsplit(settings.load(session, settings.Appearance).website).hostname or ""
    further = (one.email for one in settings.load(session, settings.Senders).senders)
    senders = (settings.load(session, settings.Sender).email, parseaddr(mail_from)[1], *further)
    found = {site.removeprefix("www."), *(address.rpartition("@")[2] for address in senders)}
    return frozenset(host.lower() for host in found if host)


def level(session: Session, contact_id: str, most: Level) -> Level:
    """How much may be tracked about a message to this contact: the least of the operator's `most`, the workspace's setting and consent."""
    workspace = settings.load(session, settings.Tracking)
    state = consent.state(session, contact_id, "tracking", "marketing")
    if state == "withdrawn":
        return "none"
    allowed: Level = "clicks" if workspace.opens_need_consent and state != "granted" else "full"
    return min(most, workspace.level, allowed, key=("none", "clicks", "full").index)


_links = table(Link)
_share_links = (
    _links.update()
    .where(_links.c.digest.in_(bindparam("digests", expanding=True)), _links.c.contact_id != bindparam("whose"))
    .values(contact_id=None)
)


def store_links(session: Session, links: Mapping[str, str], now: datetime, contact_id: str | None = None) -> None:
    """Stores the targets of a message to a contact (digest -> address); known addresses stay. One that a second contact gets is nobody's own."""
    if links:
        rows = [{"digest": digest, "url": url, "contact_id": contact_id, "created_at": now} for digest, url in sorted(links.items())]
        on(session).execute(insert_new(session, Link, ("digest",)), rows)
        on(session).execute(_share_links, {"digests": sorted(links), "whose": contact_id or ""})


def target(session: Session, digest: str) -> Link | None:
    """The stored link of a digest, if it still is what was sent: a web address that the digest is of. The signed token carries the digest, so
    whoever changes the address in the database, or signs for one that no message held, leads nobody anywhere."""
    link = session.scalar(select(Link).where(Link.digest == digest))
    if link is None or link_digest(link.url) != digest or scheme(link.url) not in ("http", "https") or not has_host(link.url):
        return None
    return link


@dataclass(frozen=True, slots=True)
class Fetch:
    """How something was fetched, as far as it tells people from machines. `prefetch`: the client said so itself (Sec-Purpose)."""

    user_agent: str = ""
    method: str = "GET"
    prefetch: bool = False


def record_open(session: Session, message_id: str, fetch: Fetch, now: datetime) -> Event | None:
    """Stores the hit; for the first of its kind in an hour also the event `Message Opened`, which is returned to be routed."""
    message = _lock(session, message_id)
    if message is None or message.test or _is_withdrawn(session, message.contact_id):
        return None
    agent = classify(fetch, _left_at(message), now)
    if not _store_hit(session, message, "open", None, agent, fetch, now):
        return None
    if agent == "human":
        _read_by_human(session, message, now)
    return _event(session, message, "Message Opened", agent, {}, f"{now:%Y%m%d%H}", now)


def record_click(session: Session, message_id: str, link: Link, fetch: Fetch, now: datetime) -> Event | None:
    """As `record_open`, for `Message Clicked` with the link's address; once a minute per link and kind. A human click is a human open too."""
    message = _lock(session, message_id)
    if message is None or message.test or _is_withdrawn(session, message.contact_id):
        return None
    agent = classify(fetch, _left_at(message), now)
    if agent == "human" and _fetches_all(session, message, link, now):
        agent = "scanner"
    if not _store_hit(session, message, "click", link.id, agent, fetch, now):
        return None
    if agent == "human":
        _read_by_human(session, message, now, clicked=True)
    return _event(session, message, "Message Clicked", agent, {"link": link.url[:2_000]}, f"{link.id}:{now:%Y%m%d%H%M}", now)


def _read_by_human(session: Session, message: Message, now: datetime, *, clicked: bool = False) -> None:
    """The first open and the first click count; each message once."""
    first = {"opened": message.opened_at is None, "clicked": clicked and message.clicked_at is None}
    message.opened_at = message.opened_at or now
    if clicked:
        message.clicked_at = message.clicked_at or now
    if message.journey_id is not None and message.version_number is not None:
        tally.append(
            session,
            message.journey_id,
            message.version_number,
            {(message.node, what, "", message.channel, message.template_version or 0): int(is_first) for what, is_first in first.items()},
            now,
        )


def record_read(session: Session, message_id: str, most: Level, now: datetime) -> Event | None:
    """Somebody read the message in an inbox of ours: as `record_open` for a person, where opens may be measured (`most`: by the operator)."""
    message = _lock(session, message_id)
    if message is None or message.test or level(session, message.contact_id, most) != "full":
        return None
    if not _store_hit(session, message, "open", None, "human", Fetch(), now):
        return None
    _read_by_human(session, message, now)
    return _event(session, message, "Message Opened", "human", {}, f"{now:%Y%m%d%H}", now)


def classify(fetch: Fetch, delivered_at: datetime | None, now: datetime) -> AgentClass:
    """What fetched: a person's program, a mail service's prefetch, a security gateway, or something that does not say.

    Source: Apple's mail privacy proxy says just `Mozilla/5.0`; the tables above for the others.
    """
    agent = fetch.user_agent.strip().lower()
    if fetch.method != "GET" or any(part in agent for part in SCANNERS):
        return "scanner"
    if fetch.prefetch or agent == "mozilla/5.0" or any(part in agent for part in PREFETCHERS):
        return "prefetch"
    if delivered_at is not None and now - delivered_at < TOO_SOON:
        return "scanner"
    return "human" if agent else "unknown"


def _lock(session: Session, message_id: str) -> Message | None:
    """The message, its contact's row locked first."""
    contact_id = session.scalar(select(Message.contact_id).where(Message.id == message_id))
    if contact_id is None or lock_contact(session, contact_id).erased_at is not None:
        return None
    return session.get(Message, message_id, populate_existing=True)


def _is_withdrawn(session: Session, contact_id: str) -> bool:
    """Whether tracking was forbidden after the message left."""
    return consent.state(session, contact_id, "tracking", "marketing") == "withdrawn"


def _left_at(message: Message) -> datetime | None:
    return message.sent_at or message.claimed_at


def _store_hit(session: Session, message: Message, kind: str, link_id: int | None, agent: str, fetch: Fetch, now: datetime) -> bool:
    stored = session.scalar(select(func.count()).select_from(Hit).where(Hit.message_id == message.id)) or 0
    if stored >= MAX_HITS:
        return False
    agent_text = fetch.user_agent.replace("\0", "")[:300]
    session.add(Hit(message_id=message.id, kind=kind, link_id=link_id, agent_class=agent, user_agent=agent_text, hit_at=now))
    return True


def _fetches_all(session: Session, message: Message, link: Link, now: datetime) -> bool:
    """Whether another link of the same message was fetched a moment ago."""
    hits = table(Hit)
    statement = select(hits.c.id).where(
        hits.c.message_id == message.id, hits.c.kind == "click", hits.c.link_id != link.id, hits.c.hit_at > now - SAME_MOMENT
    )
    return session.execute(statement.limit(1)).first() is not None


def _event(
    session: Session, message: Message, name: str, agent: AgentClass, more: dict[str, str], bucket: str, now: datetime
) -> Event | None:
    """Appends the event; None if the same was said in this span already."""
    machine = agent != "human"
    key = f"{name}:{message.id}:{'m' if machine else 'h'}:{bucket}"
    if session.scalar(select(Event.id).where(Event.source == "system", Event.message_id == key)) is not None:
        return None
    properties = {
        "message_id": message.id,
        "run_id": message.run_id,
        "journey": _journey_key(session, message.journey_id),
        "node": message.node,
        "template": message.template,
        "channel": message.channel,
        "message_class": message.message_class,
        "machine": machine,
        **more,
    }
    return append_event(session, message.contact_id, "system", name, properties, now, message_id=key, hops=_hops(session, message) + 1)


def _journey_key(session: Session, journey_id: str | None) -> str:
    found = session.scalar(select(Journey.key).where(Journey.id == journey_id)) if journey_id else None
    return found or ""


def _hops(session: Session, message: Message) -> int:
    found = session.scalar(select(Run.hops).where(Run.id == message.run_id)) if message.run_id else None
    return found or 0
