"""The audit trail: who did what, in a chain that shows if a line was changed, put in or taken out.

Every line is sealed with an HMAC over its content and the seal before it. The key is derived from the signing keys, which are not in the
database: whoever can write there cannot compute the chain anew. Lines from before there was a key carry a plain digest; the first sealed line
covers them. Lines cut off at the end leave a valid, shorter chain: the end of the chain (`Head`) is therefore logged, and `check` takes a
logged one to compare with. Personal data does not belong in `detail`: ids and names of settings do, so that the trail can outlive an erasure.
What a person typed as a reason stands beside the chain (`AuditNote`) and can go.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Invalid
from models import Audit, AuditNote, Database
from storage.json_values import clean_object, clean_text

log = logging.getLogger("pfadwerk.audit")
"""Written at every log level (`commands.logs`)."""

MAX_DETAIL_BYTES = 16_384
MAX_NOTE = 500
NOTE = "note"
"""Under this name the detail of a line holds the keyed digest of its note."""
FIRST = "0" * 64
"""The seal before the first line."""
LOG_LINES, LOG_SECONDS = 100, 300.0
"""The end of the chain is logged again after so many new lines, or after so long if there is any."""
_LOCK = 7_263_402
_PAGE = 1_000
_INFO = "pfadwerk.audit"

Problem = Literal["", "changed", "not_keyed", "unknown_key", "cut", "other_head"]
"""Why a chain does not hold: a line does not fit; a line after the first sealed one is not sealed; a line is sealed with a key that we do not
have; lines are missing at the end; the line of the logged head has another seal."""

BROKEN: Mapping[str, str] = {
    "changed": "The chain is broken at line {id}.",
    "not_keyed": "The chain is broken at line {id}: it has no seal but follows sealed lines.",
    "unknown_key": "Line {id} is sealed with the key {key}, which this server does not have. Put the key back into PFADWERK_SECRET_KEY.",
    "cut": "The chain is broken at line {id}: lines were cut off from there on.",
    "other_head": "The chain is broken at line {id}: the log has another seal for it.",
}


class Keys:
    """The sealing keys by their id, a fingerprint. The first seals, all check."""

    def __init__(self, signing: Sequence[bytes]) -> None:
        derived = [hmac.new(key, b"pfadwerk:audit", "sha256").digest() for key in signing]
        self.by_id = {hashlib.sha256(key).hexdigest()[:16]: key for key in derived}
        self.current = next(iter(self.by_id))


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a line is made with beside its content."""

    keys: Keys
    real_now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the number of the last line (0: there is none) and its seal. Written `NUMBER:SEAL`."""

    number: int
    seal: str

    def __str__(self) -> str:
        return f"{self.number}:{self.seal}"

    @classmethod
    def read(cls, text: str) -> Head:
        """A head as the log writes it, or the whole line.

        Raises:
            Invalid: it is none.
        """
        found = re.fullmatch(r"(?:.*audit head )?(\d{1,18}):([0-9a-f]{64})", text.strip(), re.ASCII)
        if found is None:
            raise Invalid("A logged head has the form NUMBER:SEAL, a number and 64 hexadecimal digits; copy it from the log.")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found. `broken_at`: the first line that does not hold, None if all do; `keyed_from`: the first sealed line, None if no
    line is; `key_id`: of a line whose key we do not have."""

    head: Head
    broken_at: int | None = None
    problem: Problem = ""
    keyed_from: int | None = None
    key_id: str = ""


def bind(db: Database, signing: Sequence[bytes], real_now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """From now on sessions of this database carry the keys and real time, so that whoever records a line needs only its session."""
    db.info[_INFO] = Sealing(Keys(signing), real_now)


def record(session: Session, actor: str, action: str, subject: str, detail: Mapping[str, object], *, why: str = "") -> Audit:
    """Appends a line, with the real time: what people did is a matter of the world, whatever day it is in the workspace. `actor`: member id or API key name; `action` such as `journey.publish`; `subject` such as `journey:<id>`.

    `why` is what a person typed and may name somebody: it is kept beside the line, at most 500 characters (`AuditNote`).

    Raises:
        TooLarge: the detail is larger than 16 kB of JSON.
    """
    sealing, note = _sealing(session), clean_text(why)[:MAX_NOTE]
    keys, now = sealing.keys, sealing.real_now()
    kept = clean_object({**detail, NOTE: _note_seal(keys.by_id[keys.current], note)} if note else detail, MAX_DETAIL_BYTES)
    _one_at_a_time(session)
    before = _mark_change(session, keys, _last(session), now)
    line = Audit(
        at=now, actor=clean_text(actor)[:120], action=clean_text(action)[:64], subject=clean_text(subject)[:160], detail=kept, digest=""
    )
    line = _append(session, keys, before, line)
    if note:
        session.add(AuditNote(audit_id=line.id or 0, text=note))
        session.flush()
    return line


def details(session: Session, lines: Sequence[Audit]) -> dict[int, dict[str, Any]]:
    """Id -> detail, with the reason that was typed (`why`) in place of its digest; empty if it was erased."""
    ids = [line.id for line in lines if NOTE in line.detail]
    notes = dict(session.execute(select(AuditNote.audit_id, AuditNote.text).where(col(AuditNote.audit_id).in_(ids))).all()) if ids else {}
    return {line.id or 0: _told(line.detail, notes.get(line.id or 0)) for line in lines}


def _told(detail: Mapping[str, Any], note: str | None) -> dict[str, Any]:
    return dict(detail) if note is None else {name: value for name, value in detail.items() if name != NOTE} | {"why": note}


def take_over(session: Session) -> None:
    """Covers lines that carry another key, or none, with a line that says so: at the start, so that nothing stays open until the next act."""
    sealing, last = _sealing(session), _last(session)
    keys = sealing.keys
    if last is None or last.key_id == keys.current:
        return
    if last.key_id and last.key_id not in keys.by_id:
        log.error(
            "the audit trail was sealed with the key %s, which is not among PFADWERK_SECRET_KEY; put it back to check it", last.key_id
        )
    _one_at_a_time(session)
    _mark_change(session, keys, _last(session), sealing.real_now())


def check(session: Session, logged: Head | None = None) -> Check:
    """Computes the whole chain anew, page by page, and compares it with a head that was logged earlier. Logs the head it finds."""
    found = _walk(session, _sealing(session).keys, logged)
    log.info("audit head %s", found.head)
    return found


def head(session: Session) -> Head:
    """The end of the chain now."""
    return _head_of(_last(session))


class Watch:
    """Logs the end of the chain regularly, and cries out when a line that it logged is gone or has another seal."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._logged: Head | None = None
        self._at = 0.0

    def look(self, session: Session) -> None:
        now, found = self._monotonic(), head(session)
        if self._logged is not None and not _stands(session, self._logged):
            log.error("the audit trail was cut or changed: line %d had the seal %s", self._logged.number, self._logged.seal)
            self._logged = None
        if self._is_due(found, now):
            log.info("audit head %s", found)
            self._logged, self._at = found, now

    def _is_due(self, found: Head, now: float) -> bool:
        if self._logged is None:
            return True
        new = found.number - self._logged.number
        return new >= LOG_LINES or (new > 0 and now - self._at >= LOG_SECONDS)


def list_lines(
    session: Session,
    *,
    subject: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[Audit]:
    """Lines newest first, of one subject, actor and action or all; `before` is the id of the last line of the page before."""
    statement = select(Audit).order_by(col(Audit.id).desc()).limit(min(limit, 200))
    for column, value in ((Audit.subject, subject), (Audit.actor, actor), (Audit.action, action)):
        if value is not None:
            statement = statement.where(col(column) == value)
    if before is not None:
        statement = statement.where(col(Audit.id) < before)
    return session.scalars(statement).all()


def actions(session: Session) -> Sequence[str]:
    """Every action that the trail knows, for filters."""
    return session.scalars(select(Audit.action).distinct().order_by(col(Audit.action)).limit(200)).all()


def _sealing(session: Session) -> Sealing:
    sealing = session.info.get(_INFO)
    if not isinstance(sealing, Sealing):
        raise RuntimeError("no key for the audit trail: bind() it to the database where the process starts")
    return sealing


def _last(session: Session) -> Audit | None:
    statement = select(Audit).order_by(col(Audit.id).desc()).limit(1)
    return session.scalar(statement, execution_options={"populate_existing": True})


def _head_of(line: Audit | None) -> Head:
    return Head(line.id or 0, line.digest) if line is not None else Head(0, FIRST)


def _mark_change(session: Session, keys: Keys, last: Audit | None, now: datetime) -> Audit | None:
    """Where the key changes, a line says so; it covers what was before. Returns the last line."""
    if last is None or last.key_id == keys.current:
        return last
    detail = {"from": last.key_id, "to": keys.current, "lines": last.id}
    log.warning("after line %d the audit trail is sealed with the key %s; before: %s", last.id, keys.current, last.key_id or "none")
    return _append(session, keys, last, Audit(at=now, actor="system", action="audit.key", subject="audit", detail=detail, digest=""))


def _append(session: Session, keys: Keys, before: Audit | None, line: Audit) -> Audit:
    """Numbers have no gaps, whatever a rolled back transaction took from a sequence: the number is sealed, too."""
    end = _head_of(before)
    line.id, line.key_id = end.number + 1, keys.current
    line.digest = _seal(keys.by_id[keys.current], end.seal, line)
    session.add(line)
    session.flush()
    return line


def _walk(session: Session, keys: Keys, logged: Head | None) -> Check:
    end, keyed_from = Head(0, FIRST), None
    while page := list(session.scalars(select(Audit).where(col(Audit.id) > end.number).order_by(col(Audit.id)).limit(_PAGE))):
        notes = dict(
            session.execute(
                select(AuditNote.audit_id, AuditNote.text).where(col(AuditNote.audit_id).between(page[0].id, page[-1].id))
            ).all()
        )
        for line in page:
            problem = (
                _problem(keys, end.seal, line, keyed_from is not None)
                or _noted(keys, line, notes.get(line.id or 0, ""))
                or _compared(line, logged)
            )
            if problem:
                unknown = line.key_id if problem == "unknown_key" else ""
                return Check(head(session), line.id, problem, keyed_from, unknown)
            if line.key_id and keyed_from is None:
                keyed_from = line.id
            end = _head_of(line)
    if logged is not None and logged.number > end.number:
        return Check(end, end.number + 1, "cut", keyed_from)
    return Check(end, None, "", keyed_from)


def _problem(keys: Keys, before: str, line: Audit, keyed: bool) -> Problem:
    if not line.key_id:
        if keyed:
            return "not_keyed"
        return "" if hmac.compare_digest(line.digest, _digest(before, line)) else "changed"
    key = keys.by_id.get(line.key_id)
    if key is None:
        return "unknown_key"
    return "" if hmac.compare_digest(line.digest, _seal(key, before, line)) else "changed"


def _noted(keys: Keys, line: Audit, note: str) -> Problem:
    """A note that was erased is as good as one that is there unchanged."""
    if not note:
        return ""
    return "" if hmac.compare_digest(str(line.detail.get(NOTE, "")), _note_seal(keys.by_id[line.key_id], note)) else "changed"


def _note_seal(key: bytes, note: str) -> str:
    return hmac.new(key, b"note:" + note.encode(), "sha256").hexdigest()[:32]


def _compared(line: Audit, logged: Head | None) -> Problem:
    return "other_head" if logged is not None and line.id == logged.number and line.digest != logged.seal else ""


def _stands(session: Session, logged: Head) -> bool:
    if logged.number == 0:
        return True
    return session.scalar(select(Audit.digest).where(Audit.id == logged.number)) == logged.seal


def _seal(key: bytes, before: str, line: Audit) -> str:
    said = [before, line.id, line.key_id, *_content(line)]
    return hmac.new(key, orjson.dumps(said, option=orjson.OPT_SORT_KEYS), "sha256").hexdigest()


def _digest(before: str, line: Audit) -> str:
    """As lines were chained before there was a key."""
    return hashlib.sha256(orjson.dumps([before, *_content(line)], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _content(line: Audit) -> list[Any]:
    return [line.at.isoformat(), line.actor, line.action, line.subject, line.detail]


def _one_at_a_time(session: Session) -> None:
    """Two transactions that append at once would hang two lines on the same seal."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
