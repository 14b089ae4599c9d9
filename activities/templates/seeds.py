"""A message to the seed list: one copy to each address of mailbox providers that the team watches, to see where it lands before everybody gets it.

The copies are as the real message: its sender, its subject without a mark, the account that carries e-mail. They pass no gate, and count in no report, no
rate and no limit; their links change nothing. They are marked in the product as every test is, and for mail programs by the header `X-Seed-List`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from activities.providers.provider import Outgoing, Provider
from activities.rendering import CompiledTemplate
from activities.rendering.kinds import needs_unsubscribe
from activities.sending.handler import CannotPrepare
from activities.sending.identity import Identity, identity
from activities.sending.ledger import message_id_of
from activities.sending.messages import MessageSettings
from activities.sending.template_labels import label_of
from activities.templates import library
from journeys.channels import DEFAULT
from journeys.errors import Conflict, Invalid
from models import Database, Message, new_id
from storage.locks import person_of
from workspace import settings
from workspace.audit import record

MARK = "X-Seed-List"
SENDS_PER_HOUR = 10
"""Messages to the seed list, whoever sends them."""


def send_to_seeds(
    db: Database,
    messaging: MessageSettings,
    provider: Provider,
    key: str,
    *,
    by: str,
    now: datetime,
    contact_id: str,
    number: int | None = None,
    said: Mapping[str, Any] | None = None,
    trigger: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    compiled: CompiledTemplate | None = None,
) -> list[Message]:
    """Sends an e-mail template, filled in for a contact, once to each address of the seed list, in its order; what came of each stands in its row.

    `said`: what a step chooses, as in its call (sender, reply_to, message_class). `compiled` is sent instead of a stored version. All copies are written down
    before the first one is sent, and none is sent twice: one whose answer is missing stays as it is.

    Raises:
        NotFound, Invalid: as `library.preview`; or the seed list is empty.
        Conflict: it is no e-mail, or `SENDS_PER_HOUR` were sent within the last hour.
        Conflict: its sender is gone, or is not verified.
    """
    batch = new_id()
    with db.read() as session:
        seeds = settings.load(session, settings.SeedList).seeds
        if not seeds:
            raise Invalid("The seed list is empty: enter addresses under “Seed list” in the settings.")
        _not_too_many(session, now)
        template = library.get(session, key)
        if not needs_unsubscribe(template.kind):
            raise Conflict("Only e-mails go to the seed list.")
        used = None if compiled else number if number is not None else library.latest(session, key)
        compiled = compiled or library.load(session, key, number)
        contact_id = person_of(session, contact_id)
        message_class = str((said or {}).get("message_class") or template.message_class)
        sender = _identity(session, said or {}, key, messaging.mail_from)
        copies = []
        for place, seed in enumerate(seeds):
            once_key = f"seed:{batch}:{place}"
            message_id = message_id_of(once_key)
            rendered = library.preview(
                session, messaging, compiled, now, contact_id=contact_id, message_class=message_class, trigger=trigger, steps=steps, message_id=message_id
            )  # fmt: skip
            copies.append(
                Outgoing(
                    once_key, message_id, DEFAULT, seed.email, sender.mailbox, reply_to=sender.reply_to, subject=rendered.subject,
                    html=rendered.html, text=rendered.text, headers={**rendered.headers, MARK: batch},
                )
            )  # fmt: skip
    _write_down(db, copies, key, used, contact_id, message_class, provider.name, by, now)
    return [library.note_answer(db, copy.message_id, *library.hand_over(provider, copy), now) for copy in copies]


def _identity(session: Session, said: Mapping[str, Any], key: str, fallback: str) -> Identity:
    try:
        return identity(session, said, label_of(session, key), fallback)
    except CannotPrepare:
        raise Conflict("The sender does not exist any more, or is not verified: see “Further senders” and “Sending domains”.") from None


def _write_down(
    db: Database, copies: Sequence[Outgoing], key: str, number: int | None, contact_id: str, message_class: str, provider: str, by: str, now: datetime
) -> None:  # fmt: skip
    with db.write() as session:
        session.add_all(library.kept_body(one, contact_id, one.message_id, now) for one in copies)
        session.flush()
        session.add_all(
            Message(
                id=one.message_id, once_key=one.once_key, contact_id=contact_id, channel=DEFAULT, purpose="test", message_class=message_class,
                template=key, template_version=number, subject=one.subject, status="claimed", provider=provider, planned_at=now, claimed_at=now,
                body_id=one.message_id, test=True,
            )
            for one in copies
        )  # fmt: skip
        record(session, by, "template.seed", f"template:{key}", {"copies": len(copies)})


def _not_too_many(session: Session, now: datetime) -> None:
    # the batch is hex: true in the alphabetical order of any database
    first = col(Message.once_key).between("seed:0", "seed:g") & col(Message.once_key).endswith(":0")
    recent = select(func.count()).select_from(Message).where(first, col(Message.planned_at) > now - timedelta(hours=1))
    if (session.scalar(recent) or 0) >= SENDS_PER_HOUR:
        raise Conflict("That is the maximum number of messages to the seed list per hour; please wait a little.")
