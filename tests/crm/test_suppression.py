from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent import suppression
from journeys.errors import Invalid
from models import Audit, Suppression
from workspace import audit

OLD, NEW = b"old" * 16, b"new" * 16


def test_every_spelling_of_an_address_is_stopped(session: Session, now: datetime) -> None:
    suppression.suppress(session, [NEW], "email", "Anna@Example.org", "hard_bounce", now, source="smtp")
    assert suppression.is_suppressed(session, [NEW], "email", " anna@example.ORG") == "hard_bounce"
    assert suppression.is_suppressed(session, [NEW], "sms", "anna@example.org") is None
    assert suppression.is_suppressed(session, [NEW], "email", "bert@example.org") is None
    suppression.suppress(session, [NEW], "sms", "+41 44 668 18 00", "manual", now)
    assert suppression.is_suppressed(session, [NEW], "sms", "+41446681800") == "manual"


def test_the_address_itself_is_not_stored(session: Session, now: datetime) -> None:
    suppression.suppress(session, [NEW], "email", "anna@example.org", "complaint", now)
    row = session.scalars(select(Suppression)).one()
    assert "anna" not in repr(row)
    assert row.address_hash != suppression.hashed(OLD, "email", "anna@example.org")


def test_a_new_key_lets_nobody_back_in(session: Session, now: datetime) -> None:
    suppression.suppress(session, [OLD], "email", "anna@example.org", "complaint", now)
    assert suppression.is_suppressed(session, [NEW, OLD], "email", "anna@example.org") == "complaint"
    suppression.suppress(session, [NEW, OLD], "email", "anna@example.org", "manual", now)
    assert len(session.scalars(select(Suppression)).all()) == 1


def test_the_first_reason_stays(session: Session, now: datetime) -> None:
    suppression.suppress(session, [NEW], "email", "anna@example.org", "complaint", now)
    suppression.suppress(session, [NEW], "email", "anna@example.org", "manual", now)
    assert suppression.is_suppressed(session, [NEW], "email", "anna@example.org") == "complaint"


def test_lifting_is_audited_without_the_address(session: Session, now: datetime) -> None:
    suppression.suppress(session, [NEW], "email", "anna@example.org", "hard_bounce", now)
    assert suppression.lift(session, [NEW], "email", "anna@example.org", "m1", "mailbox repaired")
    assert not suppression.lift(session, [NEW], "email", "anna@example.org", "m1", "")
    assert suppression.is_suppressed(session, [NEW], "email", "anna@example.org") is None
    line = session.scalars(select(Audit)).one()
    said = {"channel": "email", "reason": "hard_bounce", "why": "mailbox repaired"}
    assert (line.action, audit.details(session, [line])) == ("suppression.lift", {line.id: said})
    assert "repaired" not in repr(line)
    assert "anna" not in repr(line)


def test_nonsense_is_refused(session: Session, now: datetime) -> None:
    for keys, address, reason in (([NEW], "a@example.org", "because"), ([NEW], "  ", "manual"), ([], "a@example.org", "manual")):
        with pytest.raises(Invalid):
            suppression.suppress(session, keys, "email", address, reason, now)
