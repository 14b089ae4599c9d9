"""Everything stored about a person as one JSON bundle (GDPR Art. 15 and 20)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col, select

from journeys.errors import NotFound
from models import (
    Body,
    CompanyMember,
    Consent,
    ConsentState,
    Contact,
    ContactPhone,
    Coupon,
    Device,
    Event,
    FormSubmission,
    Hit,
    Identity,
    ImportChange,
    InAppMessage,
    LeadSource,
    Link,
    MailboxConsent,
    Merge,
    Message,
    Note,
    OptIn,
    PersonalMail,
    Refusal,
    Run,
    Score,
    ScoreBooked,
    ScoreChange,
    ScoreReached,
    SegmentMember,
    Tag,
    Task,
    TaskChange,
    Trail,
)
from storage.locks import person_of
from storage.sql import table

PARTS: tuple[tuple[str, type[SQLModel]], ...] = (
    ("names", Identity),
    ("tags", Tag),
    ("scores", Score),
    ("score_changes", ScoreChange),
    ("score_rules", ScoreBooked),
    ("score_thresholds", ScoreReached),
    ("consents", Consent),
    ("consent_states", ConsentState),
    ("mailbox_consents", MailboxConsent),
    ("opt_ins", OptIn),
    ("form_submissions", FormSubmission),
    ("events", Event),
    ("messages", Message),
    ("bodies", Body),
    ("runs", Run),
    ("refusals", Refusal),
    ("tasks", Task),
    ("links", Link),
    ("in_app_messages", InAppMessage),
    ("devices", Device),
    ("phones", ContactPhone),
    ("coupons", Coupon),
    ("segments", SegmentMember),
    ("lead_sources", LeadSource),
    ("companies", CompanyMember),
    ("imports", ImportChange),
    ("notes", Note),
    ("personal_mails", PersonalMail),
)
"""Key in the bundle -> table whose rows name the contact."""
MORE_PARTS: Mapping[str, type[SQLModel]] = {"trail": Trail, "hits": Hit, "task_changes": TaskChange, "merges": Merge}
"""Key in the bundle -> table whose rows belong to rows of those."""


def export(session: Session, contact_id: str) -> dict[str, Any]:
    """{"contact": {…}, and a list of rows for every key of `PARTS`, "trail", "hits", "task_changes", "merges"}; instants are ISO 8601.

    Raises:
        NotFound: no such contact.
    """
    contact_id = person_of(session, contact_id)
    contact = session.get(Contact, contact_id)
    if contact is None:
        raise NotFound("There is no such contact.", contact_id=contact_id)
    bundle: dict[str, Any] = {"contact": contact.model_dump(mode="json")}
    for name, model in PARTS:
        rows = table(model)
        bundle[name] = _rows(session.scalars(select(model).where(rows.c.contact_id == contact_id).order_by(*rows.primary_key)))
    runs, messages, tasks = (select(model.id).where(model.contact_id == contact_id) for model in (Run, Message, Task))
    trail = select(Trail).where(col(Trail.run_id).in_(runs)).order_by(col(Trail.run_id), col(Trail.step), col(Trail.seq))
    bundle["trail"] = _rows(session.scalars(trail))
    bundle["hits"] = _rows(session.scalars(select(Hit).where(col(Hit.message_id).in_(messages)).order_by(col(Hit.id))))
    bundle["task_changes"] = _rows(
        session.scalars(select(TaskChange).where(col(TaskChange.task_id).in_(tasks)).order_by(col(TaskChange.id)))
    )
    bundle["merges"] = _rows(session.scalars(select(Merge).where(col(Merge.winner_id) == contact_id).order_by(col(Merge.id))))
    return bundle


def _rows(rows: Iterable[SQLModel]) -> list[dict[str, Any]]:
    return [row.model_dump(mode="json") for row in rows]
