"""Tells members of their tasks in the team chat, with a button for each outcome, and keeps the messages true: a duty of the keeper.

Each notice is claimed before it is told, so a process that dies leaves a claim. Then the chat is asked whether the message is there, where it can
be; where it cannot, the notice stays uncertain and is not repeated. What a message says follows its task, whoever changes it and wherever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from sqlalchemy import Row
from sqlalchemy.orm import Session

from activities.accounts import Carrier
from activities.providers.provider import (
    Button,
    Conversation,
    InDoubt,
    Outgoing,
    Provider,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Unreachable,
)
from activities.rendering.render import one_line
from activities.sending.breakers import AGAIN, Breakers, Turn
from activities.sending.ledger import message_id_of
from crm.sales import tasks
from crm.sales.tasks import OPEN
from engine.temporal.wakeups import Wakeups
from models import Database, Member, Task
from workspace import task_notices as rows

log = logging.getLogger(__name__)

Translate = Callable[[str], str]
TRIES: Final = 12
"""Over some eight hours; then the notice is given up."""
GRACE: Final = timedelta(seconds=15)
"""How much longer than its call a claim holds."""
MOST_TEXT: Final = 1_500
FINISH: Final = "finish"
"""How the value of a button begins that finishes a task: `finish:OUTCOME:TASK`, the outcome by its number."""

ASSIGNED, OVERDUE = "New task: {title}", "Overdue: {title}"
DUE, URGENT = "Due: {when}", "High priority"
FINISHED, CANCELLED = "Finished by {name}: {outcome}", "This task was cancelled."
ELSEWHERE, EVERYBODYS = "{name} has this task now.", "This task is unassigned now."


@dataclass(frozen=True, slots=True)
class Desk:
    """What writing and changing a message needs, in any process. `now` is real time, `translate` the gettext function of a locale."""

    db: Database
    now: Callable[[], datetime]
    translate: Callable[[str], Translate]
    public_url: str


@dataclass(frozen=True, slots=True)
class TaskTeller:
    """What telling needs. `chat` gives whoever carries the team chat now."""

    desk: Desk
    breakers: Breakers
    chat: Callable[[], Carrier]

    @property
    def db(self) -> Database:
        return self.desk.db

    def now(self) -> datetime:
        return self.desk.now()


def tell(teller: TaskTeller) -> Wakeups:
    """Tells what has not been told, and mends what is not so any more."""
    with teller.db.read() as session:
        untold, changed = rows.untold(session, teller.now()), rows.changed(session, teller.now())
    for notice in untold:
        _tell(teller, notice)
    for notice in changed:
        _mend(teller, notice)
    return Wakeups()


def finish_value(task_id: str, outcome: int) -> str:
    return f"{FINISH}:{outcome}:{task_id}"


def read_value(value: str) -> tuple[str, int] | None:
    """The task and the number of its outcome; None: it is no such button's."""
    kind, _, rest = value.partition(":")
    number, _, task_id = rest.partition(":")
    is_number = number.isascii() and number.isdigit() and len(number) < 4
    is_id = 0 < len(task_id) <= 160 and task_id.isprintable()
    return (task_id, int(number)) if kind == FINISH and is_number and is_id else None


# Telling


def _tell(teller: TaskTeller, notice: Row[Any]) -> None:
    """A stopped account is asked by the keeper whether it works (`activities.sending.watch`); no notice is its probe."""
    carrier = teller.chat()
    if not teller.breakers.takes(carrier.account, marketing=False):
        return _put_off(teller, notice, AGAIN)
    return _tried(teller, carrier, notice)


def _tried(teller: TaskTeller, carrier: Carrier, notice: Row[Any]) -> None:
    if notice.state == "claimed" and _is_settled(teller, carrier.provider, notice):
        return None
    with teller.db.write() as session:
        message = _message(session, teller, notice)
        if message is None:
            return rows.withdraw(session, notice)
        until = teller.now() + timedelta(seconds=carrier.provider.timeout_seconds) + GRACE
        if not rows.claim(session, notice, until):
            return None
    state, code, after = _sent(teller, carrier, message)
    if notice.attempts + 1 >= TRIES:  # also one in doubt that nobody can say anything about, since another account carries the chat now
        state = {"waiting": "failed", "claimed": "uncertain"}.get(state, state)
    if state != "sent":
        log.warning("a notice of a task (%s) was not told in the team chat: %s", notice.what, code)
    pause = timedelta(seconds=min(30 * 2**notice.attempts, 7_200))
    with teller.db.write() as session:
        rows.end(session, notice, state, code, teller.now() + (max(after, pause) if state == "waiting" else timedelta(0)))
    return None


def _is_settled(teller: TaskTeller, provider: Provider, notice: Row[Any]) -> bool:
    """What became of a call that a dead process began; False: it certainly was not made, or may be repeated."""
    state = "uncertain" if provider.delivery_check == "blind" else ""
    if provider.delivery_check == "lookup":
        try:
            state = "sent" if provider.lookup(_once_key(notice)) is not None else ""
        except RetryLater as failure:
            if notice.attempts < TRIES:
                _count(teller, notice, failure.after)
                return True
            state = "uncertain"
    if state:
        with teller.db.write() as session:
            rows.settle(session, notice, state, "" if state == "sent" else "no_answer")
    return bool(state)


def _count(teller: TaskTeller, notice: Row[Any], after: timedelta) -> None:
    """It cannot be said now; one try more is gone."""
    with teller.db.write() as session:
        rows.claim(session, notice, teller.now() + after)


def _put_off(teller: TaskTeller, notice: Row[Any], after: timedelta) -> None:
    with teller.db.write() as session:
        rows.put_off(session, notice, teller.now() + after)


def _sent(teller: TaskTeller, carrier: Carrier, message: Outgoing) -> tuple[str, str, timedelta]:
    """(state, code, after how long at the earliest it is tried again)"""
    turn = Turn(carrier.account)
    try:
        carrier.provider.send(message)
    except (SenderStopped, Unreachable) as failure:
        return "waiting", failure.code, teller.breakers.fails(turn, failure.code, refused=isinstance(failure, SenderStopped))
    except RetryLater as failure:
        return "waiting", failure.code, failure.after
    except InDoubt as failure:  # a claim that has run out is asked about, if anybody can be
        return ("claimed" if carrier.provider.delivery_check != "blind" else "uncertain"), failure.code, timedelta(0)
    except ProviderFailure as failure:
        return "failed", failure.code, timedelta(0)
    teller.breakers.works(turn)
    return "sent", "", timedelta(0)


# Mending


def _mend(teller: TaskTeller, notice: Row[Any]) -> None:
    carrier = teller.chat()
    if not teller.breakers.takes(carrier.account, marketing=False):
        return _put_off(teller, notice, AGAIN)
    return mend(teller.desk, carrier.provider, notice)


def mend(desk: Desk, provider: Provider, notice: Row[Any]) -> None:
    """Lets the message of a notice say what is so now. Repeating it changes nothing."""
    with desk.db.read() as session:
        task, member = session.get(Task, notice.task_id), session.get(Member, notice.member_id)
        message = _written(session, task, member, notice, desk) if task and member and notice.state == "sent" else None
        is_over = task is None or task.state not in OPEN
    try:
        if message is not None and isinstance(provider, Conversation):
            provider.revise(message)
    except (RetryLater, SenderStopped) as failure:
        after = failure.after if isinstance(failure, RetryLater) else timedelta(minutes=15)
        with desk.db.write() as session:
            return rows.put_off(session, notice, desk.now() + max(after, GRACE))
    except ProviderFailure as failure:
        log.warning("the message of a notice of a task was not changed: %s", failure.code)
    with desk.db.write() as session:
        rows.agrees(session, notice, is_over=is_over)
    return None


def mend_task(desk: Desk, provider: Provider, task_id: str) -> None:
    """All messages about one task at once, for whoever has just pressed a button; what fails the keeper mends."""
    with desk.db.read() as session:
        changed = rows.of_task(session, task_id)
    for notice in changed:
        mend(desk, provider, notice)


# What is said


def _once_key(notice: Row[Any]) -> str:
    return f"{rows.ONCE_KEY}{notice.id}"


def _message(session: Session, teller: TaskTeller, notice: Row[Any]) -> Outgoing | None:
    """None: the task is over, or somebody else's, or nobody is there to be told."""
    task, member = session.get(Task, notice.task_id), session.get(Member, notice.member_id)
    if task is None or member is None or not member.active or task.state not in OPEN or task.owner != member.id:
        return None
    return _written(session, task, member, notice, teller.desk)


def _written(session: Session, task: Task, member: Member, notice: Row[Any], desk: Desk) -> Outgoing:
    t, key = desk.translate(member.locale), _once_key(notice)
    subject = t(OVERDUE if notice.what == "overdue" else ASSIGNED).format(title=task.title)
    is_theirs = task.state in OPEN and task.owner == member.id
    lines = _lines(task, member, t) if is_theirs else [_what_became(session, task, t)]
    page = Button(t("Open in Pfadwerk"), f"{desk.public_url}/ui/contacts/{task.contact_id}")
    return Outgoing(
        key,
        message_id_of(key),
        "chat",
        member.email,
        subject=one_line(subject),
        text="\n".join(lines),
        buttons=(*_outcomes(task, t), page) if is_theirs else (page,),
    )


def _lines(task: Task, member: Member, t: Translate) -> list[str]:
    lines = [task.description[:MOST_TEXT]] if task.description else []
    if task.due_at is not None:
        locale = "de" if member.locale.startswith("de") else "en_GB"
        lines.append(t(DUE).format(when=format_datetime(task.due_at, "medium", tzinfo=ZoneInfo(member.timezone), locale=locale)))
    return [*lines, t(URGENT)] if task.priority == "high" else lines


def _outcomes(task: Task, t: Translate) -> list[Button]:
    """As many as there are: one press is an answer, whoever wants to write more opens the task."""
    words = {"done": t("Done")}
    return [
        Button(words.get(outcome, outcome), value=finish_value(task.id, number), is_first=number == 0)
        for number, outcome in enumerate(task.outcomes)
    ]


def _what_became(session: Session, task: Task, t: Translate) -> str:
    if task.state == "finished":
        outcome = {"done": t("Done")}.get(task.outcome or "", task.outcome or "–")
        return t(FINISHED).format(name=_finisher(session, task.id), outcome=outcome)
    if task.state == "cancelled":
        return t(CANCELLED)
    owner = session.get(Member, task.owner) if task.owner else None
    return t(ELSEWHERE).format(name=owner.name) if owner else t(EVERYBODYS)


def _finisher(session: Session, task_id: str) -> str:
    """Whoever finished it, by name; a dash for a program."""
    by = next((one.by for one in reversed(tasks.changes(session, task_id)) if one.what == "finished"), "")
    member = session.get(Member, by.removeprefix("member:"))
    return member.name if member else "–"
