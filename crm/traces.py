"""Where a person can be found beyond the rows that carry the contact's id: in links, in files that wait, in what somebody typed about a consent.

What is looked for are the person's names and addresses as they stand now. Reads only, but for `forget_links` and `forget_words`.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from sqlalchemy import delete, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.locks import person_of
from models import Body, Consent, Contact, Database, Identity, Link, Message, OutboxItem, Upload, UploadPart

LEAST_CHARACTERS = 3
"""A shorter name stands in too many words to be looked for."""
_CLICK = re.compile(r"/c/([A-Za-z0-9_-]{50,80})")
_ERASED = "–"


@dataclass(frozen=True, slots=True, repr=False)
class Values:
    """`addresses` name one person (e-mail, phone, ids); `names` are what the person is called. Lower case."""

    addresses: frozenset[str]
    names: frozenset[str]

    def are_in(self, text: str) -> bool:
        """Whether one of them stands in a text, a name as a word of its own."""
        low = text.lower()
        words = set(re.findall(r"\w+", low))
        return any(one in low for one in self.addresses) or any(
            name in words or (not name.isalnum() and name in low) for name in self.names
        )


def ids_of(session: Session, contact_id: str) -> list[str]:
    """The person's id and those that were merged into it."""
    person = person_of(session, contact_id)
    return [person, *session.scalars(select(Contact.id).where(Contact.merged_into == person).order_by(col(Contact.id)))]


def values_of(session: Session, ids: Sequence[str]) -> Values:
    """What the person is called and known by, before it is erased."""
    rows = session.scalars(select(Contact).where(col(Contact.id).in_(ids))).all()
    known = session.scalars(select(Identity.value).where(col(Identity.contact_id).in_(ids)))
    addresses = {one for row in rows for one in (row.email, row.phone) if one} | set(known)
    names = {one for row in rows for one in (row.first_name, row.last_name) if one}
    return Values(_low(addresses), _low(names))


def _low(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.strip().lower() for value in values if len(value.strip()) >= LEAST_CHARACTERS)


def uploads_with(db: Database, values: Values) -> list[str]:
    """Ids of the files that hold one of the person's addresses. Reads every file that waits, a part at a time, and locks nothing."""
    wanted = [one.encode(code) for one in values.addresses for code in ("utf-8", "utf-16-le")]
    with db.read() as session:
        uploads = session.scalars(select(Upload.id).order_by(col(Upload.id))).all()
    return [id for id in uploads if wanted and _holds(_parts(db, id), wanted)]


def _parts(db: Database, upload_id: str) -> Iterator[bytes]:
    number = 0
    while True:
        with db.read() as session:
            content = session.scalar(select(UploadPart.content).where(UploadPart.upload_id == upload_id, UploadPart.number == number))
        if content is None:
            return
        yield content
        number += 1


def _holds(parts: Iterable[bytes], wanted: Sequence[bytes]) -> bool:
    """Whether one of the texts stands in the parts, also where it lies over the edge of one."""
    overlap, before = max(map(len, wanted)), b""
    for part in parts:
        low = (before + part).lower()
        if any(one in low for one in wanted):
            return True
        before = low[-overlap:]
    return False


def forget_links(session: Session, ids: Sequence[str], values: Values) -> None:
    """Deletes the links that only this person's messages had; of those that are older than that knowledge, the ones that say who it is."""
    session.execute(delete(Link).where(col(Link.contact_id).in_(ids)))
    digests = sorted(_clicked(session, ids))
    for start in range(0, len(digests), 500):
        old = session.execute(
            select(Link.id, Link.url).where(col(Link.digest).in_(digests[start : start + 500]), col(Link.contact_id).is_(None))
        )
        gone = [id for id, url in old if values.are_in(unquote_plus(url)) or any(one in url for one in ids)]
        session.execute(delete(Link).where(col(Link.id).in_(gone)))


def _clicked(session: Session, ids: Sequence[str]) -> set[str]:
    """Digests of the links in the person's kept messages, out of their click addresses (`activities.tracking`)."""
    ours = select(Message.id).where(col(Message.contact_id).in_(ids))
    kept = session.execute(select(Body.html, Body.text).where(col(Body.contact_id).in_(ids)))
    carried = session.execute(select(OutboxItem.html, OutboxItem.text).where(col(OutboxItem.message_id).in_(ours)))
    tokens = {token for both in (*kept, *carried) for text in both for token in _CLICK.findall(text)}
    return {digest for token in tokens if (digest := _digest(token)) is not None}


def _digest(token: str) -> str | None:
    """One byte for the key, 16 of the message, 16 of the link, then the signature."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except NotBase64:
        return None
    return raw[17:33].hex() if len(raw) >= 33 else None


def forget_words(session: Session, ids: Sequence[str], values: Values) -> None:
    """The consent log stays; what somebody typed as its source or wording goes where it says who it was."""
    said = session.execute(select(Consent.id, Consent.source, Consent.wording).where(col(Consent.contact_id).in_(ids))).all()
    for id, source, wording in said:
        kept = {name: _ERASED for name, text in (("source", source), ("wording", wording)) if values.are_in(text)}
        if kept:
            session.execute(update(Consent).where(col(Consent.id) == id).values(**kept))
