"""A press on a button of a message in the team chat: who pressed it, whether they may, and what it does. So far it finishes a task.

The provider vouches for the call and for the e-mail address of whoever pressed (`Conversation.person`); which member that is, and what a member may
do, is asked here, each time. Pressed twice, or by a call that comes again, it does nothing more: a task is finished once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from activities.providers.callback import Pressed
from activities.providers.provider import Conversation, ProviderFailure
from activities.team.task_notices import read_value
from crm.sales import tasks
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from journeys.errors import Conflict, Invalid, NotFound
from models import Event, Member
from workspace import second_factor
from workspace.audit import record
from workspace.members import find_member
from workspace.roles import may

Routed = Callable[[Session, Sequence[Event], datetime], Wakeups]
ACT: Final = "task.work"

NOBODY = "Your account in the team chat belongs to no member of this workspace: your e-mail address must be the same in both."
NOT_ALLOWED = "Your role does not allow you to finish tasks."
OWING = "Set up an authenticator app first: open your account in the settings."
GONE = "There is no such task any more."
OVER = "This task was finished or cancelled already."
LATER = "That did not work just now. Please try again in a minute, or finish the task in Pfadwerk."


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it. `refusal`: a message id for whoever pressed, empty if all went well; `locale`: of the member, empty if it is none."""

    refusal: str = ""
    locale: str = ""
    task_id: str = ""
    wakeups: Wakeups = field(default_factory=Wakeups)


def take(engine: Engine, routed: Routed, account: str, provider: Conversation, pressed: Pressed) -> Heard | None:
    """Does what the button says, in one transaction; None: it is none of ours."""
    meant = read_value(pressed.value)
    if meant is None:
        return None
    try:
        address = provider.person(pressed.user)
    except ProviderFailure:
        return Heard(LATER)
    if not address:
        return Heard(NOBODY)
    with engine.db.write() as session:
        return _finish(session, engine, routed, account, address, *meant)


def _finish(session: Session, engine: Engine, routed: Routed, account: str, address: str, task_id: str, number: int) -> Heard:
    member = find_member(session, address)
    refusal = _refusal(session, member)
    if refusal or member is None:
        return Heard(refusal, member.locale if member and member.active else "")
    by, now = f"member:{member.id}", engine.clock.now()
    try:
        outcomes = tasks.get(session, task_id).outcomes
        event = tasks.finish(session, task_id, outcomes[number] if number < len(outcomes) else "", by, now)
    except (NotFound, Invalid):
        return Heard(GONE, member.locale)
    except Conflict:
        return Heard(OVER, member.locale, task_id)
    if tasks.get(session, task_id).finished_at != now:  # the same press again
        return Heard("", member.locale, task_id)
    record(session, by, "task.finish", f"task:{task_id}", {"account": account})
    return Heard("", member.locale, task_id, routed(session, [event], now))


def _refusal(session: Session, member: Member | None) -> str:
    """Why they may not; empty if they may: as over the pages and the interface."""
    if member is None or not member.active:
        return NOBODY
    if not may(member.role, ACT):
        return NOT_ALLOWED
    return OWING if second_factor.is_owed(session, member) else ""
