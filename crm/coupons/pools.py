"""Pools of coupon codes: set up, filled by import or by chance, counted, exported. Who gets which code is `reservations`'."""

from __future__ import annotations

import csv
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from journeys.errors import Conflict, Invalid, Issue, NotFound, TooLarge, refuse
from journeys.keys import key_of, key_problems, name_problems
from models import Coupon, CouponPool, Database
from storage.json_values import clean_text
from storage.sql import table, upsert
from workspace import audit

coupons = table(Coupon)

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without I, L, O, 0 and 1, which are read as one another."""
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,63}")
"""What stands in addresses, in HTML and in SMS as it is."""
MOST_POOLS = 200
MOST_CODES = 1_000_000
MOST_AT_ONCE = 50_000
MOST_WRONG = 20
GUESSES = 10_000
"""A made code is one of at least so many for each that is handed out: whoever tries codes at the shop hits none for a long while."""
_PAGE = 500
_HEADS = frozenset({"code", "codes", "coupon", "coupons", "voucher", "gutschein", "gutscheincode"})


@dataclass(frozen=True, slots=True)
class Counted:
    """Codes of a pool by state."""

    free: int = 0
    reserved: int = 0
    sent: int = 0

    @property
    def all(self) -> int:
        return self.free + self.reserved + self.sent


@dataclass(frozen=True, slots=True)
class Added:
    """`known`: codes that were there already, in this pool or in another."""

    added: int
    known: int


def get(session: Session, key: str) -> CouponPool:
    """Raises: NotFound."""
    row = session.get(CouponPool, key)
    if row is None:
        raise NotFound("There is no coupon pool “{key}”.", key=key[:64])
    return row


def names(session: Session) -> tuple[str, ...]:
    """The keys of all pools, sorted."""
    return tuple(session.scalars(select(col(CouponPool.key)).order_by(col(CouponPool.key))))


def listed(session: Session) -> list[CouponPool]:
    """All pools, by name."""
    return list(session.scalars(select(CouponPool).order_by(func.lower(col(CouponPool.name)), col(CouponPool.key))))


def put(session: Session, key: str, by: str, now: datetime, **about: Any) -> CouponPool:
    """A new pool, or changes of one: `name`, `per_contact`, `fallback`, `low_at`, `expires_at`; what is left out stays. An empty key is made of the
    name.

    Raises:
        Invalid: lists every problem. Conflict: there are `MOST_POOLS`.
    """
    row = session.get(CouponPool, key) if key else None
    if row is None:
        present = names(session)
        if len(present) >= MOST_POOLS:
            raise Conflict("Expected at most {limit} coupon pools.", limit=MOST_POOLS)
        key = key or key_of(str(about.get("name", "")), set(present), "coupons", "-")
        row = CouponPool(key=key, name="", created_at=now, created_by=by[:120])
    values = {name: " ".join(clean_text(value).split()) if isinstance(value, str) else value for name, value in about.items()}
    for name, value in values.items():
        setattr(row, name, value)
    refuse(_problems(row))
    session.add(row)
    detail = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
    audit.record(session, by, "coupon.pool", f"coupon_pool:{key}", detail)
    session.flush()
    return row


def _problems(row: CouponPool) -> Iterator[Issue]:
    yield from key_problems(row.key)
    yield from name_problems(row.name)
    if len(row.fallback) > 120:
        yield Issue(code="fallback", text="At most {max_length} characters.", values={"max_length": 120}, field="fallback")
    if not 0 <= row.low_at <= MOST_CODES:
        yield Issue(code="low_at", text="Expected a whole number.", field="low_at")
    if not _is_instant(row.expires_at):
        yield Issue(code="expires_at", text="Expected a date.", field="expires_at")


def _is_instant(at: datetime | None) -> bool:
    """Whether it can be kept: the last hours of the year 9999 west of Greenwich are none in UTC."""
    try:
        return at is None or at.astimezone(UTC) is not None
    except OverflowError:
        return False


def read_codes(text: str) -> list[str]:
    """The codes of a pasted list or of a CSV file: one a line, in the first column; a line of names before them is left out.

    Raises:
        Invalid: names the lines that hold no code. TooLarge: more than `MOST_AT_ONCE`.
    """
    lines = [line for line in clean_text(text).lstrip("\ufeff").splitlines() if line.strip()]
    if len(lines) > MOST_AT_ONCE + 1:
        raise TooLarge("Expected at most {limit} codes at once.", limit=MOST_AT_ONCE)
    cells = [_first_cell(line) for line in lines]
    if cells and cells[0].lower() in _HEADS:
        cells[0] = ""
    wrong = [n for n, cell in enumerate(cells, 1) if cell and not CODE.fullmatch(cell)]
    if wrong:
        shown = ", ".join(str(n) for n in wrong[:MOST_WRONG]) + (" …" if len(wrong) > MOST_WRONG else "")
        text = "These lines are no codes: {lines}. A code has 3 to 64 letters, digits, - and _."
        issue = Issue(code="codes", text=text, values={"lines": shown}, field="codes")
        raise Invalid("{problem}", [issue], problem=issue)
    return list(dict.fromkeys(cell for cell in cells if cell))


def _first_cell(line: str) -> str:
    try:
        [row] = csv.reader([line.replace(";", ",").replace("\t", ",")])
    except (csv.Error, ValueError):
        return line
    return row[0].strip() if row else ""


def add_codes(db: Database, key: str, codes: Sequence[str], by: str) -> Added:
    """Puts codes into a pool. Repeated after a crash it adds what is missing.

    Raises: NotFound. TooLarge: the pool would have more than `MOST_CODES`.
    """
    with db.read() as session:
        _room(session, key, len(codes))
    added = 0
    for at in range(0, len(codes), _PAGE):
        with db.write() as session:
            added += _insert(session, key, codes[at : at + _PAGE])
    _note(db, key, added, by, "imported")
    return Added(added, len(codes) - added)


def generate(db: Database, key: str, count: int, by: str, *, prefix: str = "", length: int = 8) -> Added:
    """Makes `count` new codes of chance: `prefix` and `length` characters of `ALPHABET`.

    Raises:
        NotFound. Invalid: too short to be hard to guess, or no prefix. TooLarge: too many.
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise Invalid("Expected 1 to {limit} codes.", limit=MOST_AT_ONCE)
    with db.read() as session:
        there = _room(session, key, count)
    if not CODE.fullmatch(f"{prefix}{'A' * length}" if 4 <= length <= 40 else "") or len(prefix) > 20:
        raise Invalid("Expected a prefix of at most 20 letters, digits, - and _, and 4 to 40 characters behind it.")
    if len(ALPHABET) ** length < GUESSES * (count + there):
        raise Invalid("Codes with {length} characters are too easy to guess for so many: take more characters.", length=length)
    left = count
    while left:
        made = {prefix + "".join(secrets.choice(ALPHABET) for _ in range(length)) for _ in range(min(left, _PAGE))}
        with db.write() as session:
            left -= _insert(session, key, sorted(made))
    _note(db, key, count, by, "generated")
    return Added(count, 0)


def _room(session: Session, key: str, count: int) -> int:
    """How many codes there are."""
    there = counts(session, get(session, key).key).get(key, Counted()).all
    if there + count > MOST_CODES:
        raise TooLarge("A pool can have at most {limit} codes.", limit=MOST_CODES)
    return there


def _insert(session: Session, key: str, codes: Sequence[str]) -> int:
    rows = [{"pool_key": key, "code": code, "state": "free"} for code in codes]
    statement = upsert(session, Coupon).values(rows).on_conflict_do_nothing().returning(coupons.c.id)
    return len(session.execute(statement).all())


def _note(db: Database, key: str, added: int, by: str, how: str) -> None:
    with db.write() as session:
        audit.record(session, by, "coupon.add", f"coupon_pool:{key}", {"codes": added, "how": how})


def counts(session: Session, key: str | None = None) -> dict[str, Counted]:
    """Pool -> its codes by state."""
    statement = select(coupons.c.pool_key, coupons.c.state, func.count()).group_by(coupons.c.pool_key, coupons.c.state)
    if key is not None:
        statement = statement.where(coupons.c.pool_key == key)
    found: dict[str, dict[str, int]] = {}
    for pool, state, number in session.execute(statement):
        found.setdefault(pool, {})[state] = number
    return {pool: Counted(**states) for pool, states in found.items()}


def exported(session: Session, key: str, after: int = 0, limit: int = _PAGE) -> Sequence[Row[Any]]:
    """(id, code, state, contact_id, message_id, reserved_at) of the next codes of a pool, in the order in which they came."""
    columns = (coupons.c.id, coupons.c.code, coupons.c.state, coupons.c.contact_id, coupons.c.message_id, coupons.c.reserved_at)
    statement = select(*columns).where(coupons.c.pool_key == key, coupons.c.id > after)
    rows: Sequence[Any] = session.execute(statement.order_by(coupons.c.id).limit(limit)).all()
    return rows


def remove(session: Session, key: str, by: str) -> None:
    """Deletes a pool of which nobody has a code yet. Whether a template names it is asked before (`activities.templates.coupons`).

    Raises: NotFound. Conflict: codes were handed out.
    """
    get(session, key)
    given = select(coupons.c.id).where(coupons.c.pool_key == key, coupons.c.state.in_(("reserved", "sent"))).limit(1)
    if session.execute(given).first() is not None:
        raise Conflict("Codes of this pool were handed out: let it expire instead.")
    session.execute(delete(Coupon).where(col(Coupon.pool_key) == key))
    session.execute(delete(CouponPool).where(col(CouponPool.key) == key))
    audit.record(session, by, "coupon.remove", f"coupon_pool:{key}", {})
