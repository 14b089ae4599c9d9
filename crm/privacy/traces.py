"""Where a person can be found beyond the rows that carry the contact's id: in links, in files that wait, in what somebody typed.

What is looked for are the person's names and addresses as they stand now. Reads only, but for `forget_links` and `forget_words`. Files and
what stands elsewhere are looked through later, by the job of `crm.privacy.erasure_rest`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

import phonenumbers
from sqlalchemy import delete, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from models import Body, Consent, Contact, ContactPhone, Identity, Link, Message, OutboxItem
from storage.locks import person_of

LEAST_CHARACTERS = 3
"""A shorter name stands in too many words to be looked for."""
LEAST_DIGITS = 6
"""A shorter telephone number stands in too many others."""
OVERLAP = 4_096
"""Bytes of a part of a file that are looked at again with the next: a line lies over the edge."""
_WORDS = re.compile(r"\w+")
_BETWEEN_DIGITS = b" -/.()" + bytes(range(0x80, 0x100))
"""What people put into a number, dashes and blanks beyond ASCII among it."""
_CLICK = re.compile(r"/c/([A-Za-z0-9_-]{50,80})")
_ERASED = "–"


@dataclass(frozen=True, slots=True, repr=False)
class Values:
    """What a person is known by. `addresses`: e-mail addresses, numbers and ids, each of which names one person; `people`: (first, last) name, which
    together nearly do; `names`: single names, which many have. Lower case, composed (NFC)."""

    addresses: frozenset[str]
    names: frozenset[str]
    people: frozenset[tuple[str, str]] = frozenset()

    def name_one(self, text: str) -> bool:
        """Whether a text names this person and hardly anybody else: an address, or both names as words of one line."""
        return self._names_one(_folded(text))

    def are_in(self, text: str) -> bool:
        """Whether a text that is about this person anyway says who it is: a single name is enough."""
        low = _folded(text)
        words = set(_WORDS.findall(low))
        return self._names_one(low) or any(name in words or (not name.isalnum() and name in low) for name in self.names)

    def _names_one(self, low: str) -> bool:
        if any(one in low and ("@" in one or _stands_alone(one, low)) for one in self.addresses):
            return True
        numbers = self.numbers
        squeezed = low.encode("utf-8", "ignore").translate(None, _BETWEEN_DIGITS) if numbers else b""
        if any(number in squeezed for number in numbers):
            return True
        return any(first in low and last in low and _on_one_line(first, last, low) for first, last in self.people)

    @property
    def numbers(self) -> frozenset[bytes]:
        """The digits of the telephone numbers as they are dialled, `0446681800` and `41446681800` of +41 44 668 18 00."""
        return frozenset(number.encode() for one in self.addresses if one.startswith("+") for number in _dialled(one))

    def write(self) -> str:
        """As text, for a job that goes on later. Personal data: seal it."""
        return json.dumps([sorted(self.addresses), sorted(self.names), sorted(self.people)])

    @classmethod
    def read(cls, text: str) -> Values:
        addresses, names, people = json.loads(text)
        return cls(frozenset(addresses), frozenset(names), frozenset((first, last) for first, last in people))


def _folded(text: str) -> str:
    """Lower case and composed; what an address in a link looks like, too."""
    plain = unquote(text) if "%" in text else text
    return unicodedata.normalize("NFC", plain).lower()


def _stands_alone(value: str, text: str) -> bool:
    """Whether it is no part of a longer word or number."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _on_one_line(first: str, last: str, text: str) -> bool:
    at = text.find(last)
    while at >= 0:
        end = text.find("\n", at)
        line = text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else None]
        if first in line and _stands_alone(first, line) and _stands_alone(last, line):
            return True
        at = text.find(last, at + len(last))
    return False


def _dialled(number: str) -> tuple[str, ...]:
    """Two needles that every usual spelling holds once blanks, points, dashes and brackets are gone. A country without a trunk digit (+1) is
    dialled without one."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    national = phonenumbers.national_significant_number(parsed)
    inside = national if parsed.country_code == 1 else f"0{national}"
    return (f"{parsed.country_code}{national}", inside) if len(national) >= LEAST_DIGITS else ()


def ids_of(session: Session, contact_id: str) -> list[str]:
    """The person's id and those that were merged into it."""
    person = person_of(session, contact_id)
    return [person, *session.scalars(select(Contact.id).where(Contact.merged_into == person).order_by(col(Contact.id)))]


def values_of(session: Session, ids: Sequence[str]) -> Values:
    """What the person is called and known by, before it is erased."""
    rows = session.scalars(select(Contact).where(col(Contact.id).in_(ids))).all()
    known = session.scalars(select(Identity.value).where(col(Identity.contact_id).in_(ids)))
    further = session.scalars(select(ContactPhone.phone).where(col(ContactPhone.contact_id).in_(ids)))
    addresses = {one for row in rows for one in (row.email, row.phone, row.postal_address) if one} | set(known) | set(further) | set(ids)
    names = {one for row in rows for one in (row.first_name, row.last_name) if one}
    people = {(row.first_name, row.last_name) for row in rows if row.first_name and row.last_name}
    pairs = frozenset((_folded(first.strip()), _folded(last.strip())) for first, last in people if min(len(first), len(last)) > 1)
    return Values(_low(addresses), _low(names), pairs)


def _low(values: Iterable[str]) -> frozenset[str]:
    return frozenset(_folded(value.strip()) for value in values if len(value.strip()) >= LEAST_CHARACTERS)


def part_names(values: Values, part: bytes, before: bytes = b"") -> bool:
    """Whether a part of a file names the person; `before` is the end of the part before it (`OVERLAP` bytes), for what lies over the edge."""
    return any(values.name_one(text) for text in _read_as_text(before + part))


def _read_as_text(content: bytes) -> Iterator[str]:
    """What the bytes may mean; a part of a UTF-16 file may begin in the middle of a character."""
    if content.count(0) > len(content) / 10:
        for code in ("utf-16-le", "utf-16-be"):
            yield from (content[start:].decode(code, "ignore") for start in (0, 1))
        return
    try:
        yield content.decode("utf-8")
    except UnicodeDecodeError:  # another encoding, or a character over the edge
        yield content.decode("utf-8", "ignore")
        yield content.decode("cp1252", "ignore")


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
    kept = session.execute(select(Body.html, Body.text, Body.parts).where(col(Body.contact_id).in_(ids)))
    carried = session.execute(select(OutboxItem.html, OutboxItem.text, OutboxItem.parts).where(col(OutboxItem.message_id).in_(ours)))
    tokens = {token for row in (*kept, *carried) for text in row for token in _CLICK.findall(str(text))}
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
