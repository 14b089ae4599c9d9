"""Tells the team what waits for a person: a duty of the keeper, and the one place from which such notices go, by mail and to a webhook.

Pages and metrics read the same rows themselves. Each way of a notice is claimed before it is gone, so a process that dies leaves a claim: a webhook
is called again under the same id, a mail only where the provider keeps or knows its key; else it is uncertain, and stays so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Row
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.providers.provider import Answer, InDoubt, ProviderFailure, RetryLater, SenderStopped, Unreachable
from activities.sending.breakers import Stopped, Turn
from activities.sending.effect import Effects
from activities.sending.handler import CannotPrepare
from activities.sending.ledger import message_id_of
from activities.team import email
from activities.team.handler import TeamHandler, secret_of
from engine.temporal.wakeups import Wakeups
from models import Journey, Member
from workspace import notices, settings
from workspace.members import stand_in

log = logging.getLogger(__name__)

Translate = Callable[[str], str]
MOST_READERS = 50
TRIES = 12
"""Over some eight hours; then the way is given up."""
CALL_SECONDS = 10.0
GRACE = timedelta(seconds=15)
"""How much longer than its call a claim holds."""
PAGES_A_TICK = 20


class Post(Protocol):
    """Calls the webhook once. Raises: ProviderFailure."""

    def __call__(self, url: str, once_key: str, body: bytes, secret: str | None, now: datetime) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Notifier:
    """What telling needs. `translate` gives the gettext function of a locale."""

    effects: Effects
    post: Post
    translate: Callable[[str], Translate]
    page: int = 500
    """So many runs are gathered in one transaction."""

    def now(self) -> datetime:
        """Real time."""
        return self.effects.breakers.now()

    @property
    def team(self) -> TeamHandler | None:
        """Who carries mails to the team."""
        found = self.effects.performers.get("team")
        return found if isinstance(found, TeamHandler) else None


def tell(notifier: Notifier) -> Wakeups:
    """Gathers the runs that got stuck, opens the notices whose time has come, and goes the ways that are due."""
    db, now = notifier.effects.engine.db, notifier.now()
    with db.read() as session:
        at_most_every = settings.load(session, settings.Notices).at_most_every
        journeys = notices.untold(session)
    for journey_id in journeys:
        for _ in range(PAGES_A_TICK):
            with db.write() as session:
                if notices.gather(session, journey_id, now, at_most_every, notifier.page) < notifier.page:
                    break
    with db.read() as session:
        due = notices.due(session, now)
    for notice in due:
        with db.write() as session:
            notices.settle(session, notice, _ways(notifier, session, notice), now)
    with db.read() as session:
        waiting = notices.to_deliver(session, now)
    for delivery in waiting:
        _deliver(notifier, delivery)
    with db.read() as session:
        old = notices.old(session, now)
    if old:
        with db.write() as session:
            notices.forget(session, old)
    return Wakeups()


def _ways(notifier: Notifier, session: Session, notice: Row[Any]) -> list[tuple[str, str]] | None:
    """By which (route, member id) a notice goes; None: there is nothing to tell any more."""
    if not notices.holds(session, notice):
        return None
    notice_settings = settings.load(session, settings.Notices)
    ways = [("webhook", "")] if notice_settings.webhook else []
    by_mail = notifier.team is not None and notifier.effects.account("team") != notice.about  # the account in question carries no mail
    if notice.topic == notices.TEST:
        return [*ways, ("mail", notice.detail["member"])] if by_mail and notice.detail["member"] else ways
    return [*ways, *(("mail", id) for id in _readers(session, notice_settings))] if by_mail and notice_settings.mail else ways


def _readers(session: Session, notice_settings: settings.Notices) -> list[str]:
    statement = (
        select(Member.id)
        .where(col(Member.role).in_(notice_settings.roles), col(Member.active))
        .order_by(col(Member.id))
        .limit(MOST_READERS)
    )
    return list(session.scalars(statement)) or [id for id in (stand_in(session),) if id]


# One way


def _deliver(notifier: Notifier, delivery: Row[Any]) -> None:
    db, now = notifier.effects.engine.db, notifier.now()
    if delivery.route == "mail" and not _may_mail(notifier, delivery, now):
        return
    seconds = CALL_SECONDS if delivery.route == "webhook" or notifier.team is None else notifier.team.timeout_seconds
    with db.write() as session:
        if not notices.claim(session, delivery, now + timedelta(seconds=seconds) + GRACE):
            return
    state, code, after = _tried(notifier, delivery, now)
    if state == "waiting" and delivery.attempts + 1 >= TRIES:
        state = "failed"
    if state != "sent":
        log.warning("a notice (%s) did not reach its %s: %s", delivery.topic, delivery.route, code)
    with db.write() as session:
        notices.end(session, delivery, state, code, notifier.now() + max(after, _pause(delivery.attempts)))


def _pause(attempts: int) -> timedelta:
    return timedelta(seconds=min(30 * 2**attempts, 7_200))


def _may_mail(notifier: Notifier, delivery: Row[Any], now: datetime) -> bool:
    """Whether a mail may be tried now. What a dead process has left is settled here, and a stopped account waited for."""
    db, team = notifier.effects.engine.db, notifier.team
    if team is None:
        return False
    if delivery.state == "claimed" and _is_blind(notifier):
        with db.write() as session:
            notices.give_up(session, delivery, "uncertain", "no_answer")
        return False
    turn = notifier.effects.breakers.turn(notifier.effects.account("team"), team.timeout_seconds)
    if isinstance(turn, Stopped):
        with db.write() as session:
            notices.put_off(session, delivery, now + turn.after)
        return False
    notifier.effects.breakers.gives_back(turn)  # what contacts wait for are the probes
    return turn.held is None


def _tried(notifier: Notifier, delivery: Row[Any], now: datetime) -> tuple[str, str, timedelta]:
    """(state, code, after how long at the earliest it is tried again)"""
    try:
        _mail(notifier, delivery) if delivery.route == "mail" else _call(notifier, delivery, now)
    except CannotPrepare as error:
        return "failed", error.code, timedelta(0)
    except (SenderStopped, Unreachable) as failure:
        turn = Turn(notifier.effects.account("team") if delivery.route == "mail" else None)
        return "waiting", failure.code, notifier.effects.breakers.fails(turn, failure.code, refused=isinstance(failure, SenderStopped))
    except RetryLater as failure:
        return "waiting", failure.code, failure.after
    except InDoubt as failure:
        return "uncertain" if delivery.route == "mail" and _is_blind(notifier) else "waiting", failure.code, timedelta(0)
    except ProviderFailure as failure:
        return "failed", failure.code, timedelta(0)
    return "sent", "", timedelta(0)


def _is_blind(notifier: Notifier) -> bool:
    return notifier.team is not None and notifier.team.provider.delivery_check == "blind"


def _mail(notifier: Notifier, delivery: Row[Any]) -> None:
    team = notifier.team
    assert team is not None  # _may_mail
    once_key = f"notice:{delivery.notice_id}:{delivery.member_id}"
    with notifier.effects.engine.db.read() as session:
        member = session.get(Member, delivery.member_id)
        sender = settings.load(session, settings.Sender).email or team.messaging.mail_from
        if member is None or not member.active:
            raise CannotPrepare("no_recipient")
        subject, text = _words(session, delivery, notifier.translate(member.locale), team.messaging.tracking.public_url)
    if delivery.state == "claimed" and team.provider.delivery_check == "lookup" and team.provider.lookup(once_key) is not None:
        return
    email.by_email(team.provider, once_key[:160], message_id_of(once_key), sender, member.email, subject, text)


def _call(notifier: Notifier, delivery: Row[Any], now: datetime) -> None:
    team = notifier.team
    with notifier.effects.engine.db.read() as session:
        notice_settings = settings.load(session, settings.Notices)
        if not notice_settings.webhook:
            raise CannotPrepare("no_recipient")
        secret = secret_of(session, team.messaging, notice_settings.webhook_secret) if team else None
        body = _body(session, delivery, team.messaging.tracking.public_url if team else "")
    notifier.post(notice_settings.webhook, f"notice_{delivery.notice_id}", json.dumps(body).encode(), secret, now)


# What is said


TYPES = {
    notices.STUCK: "runs.stuck",
    notices.STOPPED: "account.stopped",
    notices.COUPONS: "coupons.low",
    notices.SCORED: "score.reached",
    notices.TEST: "test",
}
"""Topic -> `type` in the webhook's body."""


def _body(session: Session, notice: Row[Any], public_url: str) -> dict[str, Any]:
    """`type`, `timestamp` and `data`, as Standard Webhooks advises. Source: https://www.standardwebhooks.com."""
    data: dict[str, Any] = {"url": public_url + _path(session, notice)}
    if notice.topic == notices.STUCK:
        key, name = _journey(session, notice.about)
        places = [{"node": node, "reason": reason, "count": count} for node, reason, count in notice.detail["places"]]
        data |= {"journey": key, "name": name, "count": notice.runs, "places": places}
    elif notice.topic == notices.STOPPED:
        data |= {"account": notice.about, "code": notice.detail["code"], "since": notice.detail["since"]}
    elif notice.topic == notices.COUPONS:
        data |= {"pool": notice.about, "left": notice.detail["left"]}
    elif notice.topic == notices.SCORED:
        model, _, threshold = notice.about.partition(":")
        data |= {"model": model, "threshold": threshold, **notice.detail}
    return {"type": TYPES[notice.topic], "timestamp": notice.due_at.isoformat(), "data": data}


_PAGES = {notices.STOPPED: "/ui/settings/accounts", notices.COUPONS: "/ui/coupons"}


def _path(session: Session, notice: Row[Any]) -> str:
    if notice.topic == notices.STUCK:
        return f"/ui/journeys/{_journey(session, notice.about)[0]}?tab=stuck"
    if notice.topic == notices.SCORED:
        return f"/ui/scoring/{notice.about.partition(':')[0]}"
    return _PAGES.get(notice.topic, "/ui/settings/notices")


def _journey(session: Session, id: str) -> tuple[str, str]:
    """Key and name."""
    journey = session.get(Journey, id)
    return (journey.key, journey.name) if journey else ("", "")


ONE_STUCK = "A run is stuck in “{journey}”"
MANY_STUCK = "{count} runs are stuck in “{journey}”"
STUCK_TEXT = (
    "Each waits at its step until someone decides: try again once the cause is fixed, skip the step, or end the run.\n\n{places}\n\n{url}"
)
STOPPED_SUBJECT = "{account} is not accepting messages ({code})"
STOPPED_TEXT = (
    "The provider account {account} has not accepted messages since {since} UTC; its answer was {code}. "
    "Messages are waiting and are sent automatically once the account works again. What to do:\n\n{url}"
)
UNREAD_SUBJECT = "The mailbox of {account} cannot be read ({code})"
UNREAD_TEXT = (
    "The mailbox of the account {account} has not been readable since {since} UTC; the server's answer was {code}. "
    "Bounces, complaints and replies wait there and are read once it works again. What to do:\n\n{url}"
)
COUPONS_SUBJECT = "The coupon pool “{pool}” is running low (codes left: {left})"
COUPONS_TEXT = (
    "Once no code is left, messages that show one are skipped, unless the pool has a text to show instead. Add codes here:\n\n{url}"
)
ONE_SCORED = "A contact has reached “{threshold}”"
MANY_SCORED = "{count} contacts have reached “{threshold}”"
SCORED_TEXT = "Their score has risen to this threshold of your scoring. Who they are is shown here:\n\n{url}"
TEST_SUBJECT = "Notices from Pfadwerk work"
TEST_TEXT = (
    "This is a test that someone on your team asked for. You will get a mail like this when something needs your attention.\n\n{url}"
)


def _words(session: Session, notice: Row[Any], translate: Translate, public_url: str) -> tuple[str, str]:
    """Subject and text of the mail."""
    url = public_url + _path(session, notice)
    if notice.topic == notices.STUCK:
        name = _journey(session, notice.about)[1]
        subject = translate(ONE_STUCK if notice.runs == 1 else MANY_STUCK).format(count=notice.runs, journey=name)
        return subject, translate(STUCK_TEXT).format(places="\n".join(_places(notice)), url=url)
    if notice.topic == notices.STOPPED:
        since = datetime.fromisoformat(notice.detail["since"])
        given = {"account": notice.about, "code": notice.detail["code"], "since": f"{since:%Y-%m-%d %H:%M}", "url": url}
        subject, text = (UNREAD_SUBJECT, UNREAD_TEXT) if notice.detail.get("is_mailbox") else (STOPPED_SUBJECT, STOPPED_TEXT)
        return translate(subject).format(**given), translate(text).format(**given)
    if notice.topic == notices.COUPONS:
        subject = translate(COUPONS_SUBJECT).format(pool=notice.about, left=notice.detail["left"])
        return subject, translate(COUPONS_TEXT).format(url=url)
    if notice.topic == notices.SCORED:
        count = notice.detail["count"]
        subject = translate(ONE_SCORED if count == 1 else MANY_SCORED).format(count=count, threshold=notice.detail["name"])
        return subject, translate(SCORED_TEXT).format(url=url)
    return translate(TEST_SUBJECT), translate(TEST_TEXT).format(url=url)


def _places(notice: Row[Any]) -> Iterator[str]:
    for node, reason, count in notice.detail["places"]:
        yield f"{count} × {node or '–'}: {reason}"
