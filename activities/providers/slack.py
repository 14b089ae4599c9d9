"""The provider `slack`: messages to a channel of the team's Slack, or to a member directly, by a bot token of an app of the customer's own.

Slack takes no key that makes a repeat harmless. So each message is written down before it is posted (`ChatPost`) and carries a digest of its once
key as metadata; where the account may read history, one in doubt is looked up there, else it stays uncertain
([decision 052](../../docs/decisions/052-slack-is-asked-by-its-history.md)). All calls go to slack.com through our one HTTP client. What is pressed
is read by `Interactivity`; who may do what, `activities.team.presses` decides. Source: Slack "Web API", "Verifying requests from Slack".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from activities.http_client import HttpAnswer, HttpFailure, ask, client, deadline
from activities.mrkdwn import first_piece, pieces
from activities.providers.callback import Callback, CallbackRefused, CallbackRequest, CallbackUnreadable, Pressed
from activities.providers.provider import (
    AddressDead,
    Advice,
    Answer,
    Button,
    ConfiguredProvider,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    Outgoing,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    Unreachable,
    unanswered,
)
from activities.webhooks.address_guard import Guard
from models import ChatPost
from storage.sql import table
from workspace import task_notices

API: Final = "https://slack.com/api/"
ANSWERS: Final = "hooks.slack.com"
"""The one host that answers to a press are posted to."""
SCOPES: Final = ("chat:write", "im:write", "users:read", "users:read.email")
HISTORY_SCOPES: Final = ("channels:history", "groups:history", "im:history")
TIMEOUT_SECONDS: Final = 10.0
ASKING_SECONDS: Final = 2.0
"""How long an answer about who pressed a button may take: Slack wants ours within three seconds."""
MOST_BYTES: Final = 256_000
MOST_HISTORY_BYTES: Final = 4_000_000
SECTION, TEXT, LABEL, MOST_BUTTONS, MOST_SECTIONS = 3_000, 3_000, 75, 25, 40
"""Characters of a section's text, of what notifications show, of a button; buttons in a row, sections in a message. Source: Slack "Block Kit"."""
KEPT: Final = timedelta(days=30)
FORGOTTEN_AT_ONCE: Final = 100
SETTLES: Final = timedelta(seconds=60)
"""So long after a call began a message that is not in the history has not been posted: six times as long as any call lasts."""
PAGES, PAGE = 5, 200
LATER: Final = timedelta(seconds=15)
LONGEST: Final = timedelta(hours=1)
PEOPLE, PEOPLE_SECONDS = 2_000, 600.0
"""So many people are remembered, for so long."""
EVENT_TYPE: Final = "pfadwerk_message"

TABLE: Mapping[str, type[ProviderFailure]] = {
    "ratelimited": RetryLater, "rate_limited": RetryLater, "message_limit_exceeded": RetryLater, "request_timeout": RetryLater,
    "service_unavailable": Unreachable, "team_added_to_org": Unreachable,
    "fatal_error": InDoubt, "internal_error": InDoubt,
    "channel_not_found": AddressDead, "is_archived": AddressDead, "users_not_found": AddressDead, "user_not_found": AddressDead,
    "user_disabled": AddressDead, "user_not_visible": AddressDead, "cannot_dm_bot": AddressDead,
    "invalid_auth": SenderStopped, "not_authed": SenderStopped, "account_inactive": SenderStopped, "token_revoked": SenderStopped,
    "token_expired": SenderStopped, "missing_scope": SenderStopped, "no_permission": SenderStopped, "not_allowed_token_type": SenderStopped,
    "access_denied": SenderStopped, "accesslimited": SenderStopped, "ekm_access_denied": SenderStopped, "enterprise_is_restricted": SenderStopped,
    "org_login_required": SenderStopped, "team_access_not_granted": SenderStopped, "two_factor_setup_required": SenderStopped,
    "not_in_channel": MessageDead, "restricted_action": MessageDead, "messages_tab_disabled": MessageDead, "msg_too_long": MessageDead,
    "invalid_blocks": MessageDead, "message_not_found": MessageDead, "cant_update_message": MessageDead, "edit_window_closed": MessageDead,
}  # fmt: skip
"""What Slack's codes mean for a message; every other one is this message's own. `fatal_error` and `internal_error` may come after part of it has
happened. Source: Slack "chat.postMessage", "users.lookupByEmail", errors."""


class SlackConfig(ProviderConfig):
    """A Slack app of the customer's own, installed in their Slack."""

    bot_token: SecretStr = Field(
        max_length=300, title="Bot token", description="Begins with xoxb-; in Slack under “OAuth & Permissions” of your app."
    )
    signing_secret: SecretStr = Field(
        SecretStr(""),
        max_length=100,
        title="Signing secret",
        description="In Slack under “Basic Information” of your app; proves that a press on a button comes from Slack. Without it, buttons do nothing.",
    )
    reads_history: bool = Field(
        False,
        title="Look up messages in doubt",
        description="After a crash, look in the channel whether the message is there. Needs the permissions channels:history, groups:history and im:history.",
        json_schema_extra={"destination": False},
    )

    @field_validator("bot_token")
    @classmethod
    def _is_a_bots(cls, token: SecretStr) -> SecretStr:
        if not re.fullmatch(r"xoxb-[A-Za-z0-9-]{10,290}", token.get_secret_value()):
            raise ValueError("Expected a bot token that begins with xoxb-.")
        return token

    @field_validator("signing_secret")
    @classmethod
    def _is_a_key(cls, secret: SecretStr) -> SecretStr:
        if secret.get_secret_value() and not re.fullmatch(r"[A-Za-z0-9]{16,100}", secret.get_secret_value()):
            raise ValueError("Expected letters and digits, at least 16.")
        return secret


class Interactivity(Callback):
    """A press on a button of one of our messages. Source: Slack "Verifying requests from Slack", "block_actions payloads"."""

    signed_with = "signing_secret"
    answer = ("text/plain", "")
    LASTS: ClassVar[timedelta] = timedelta(minutes=5)

    def check(self, request: CallbackRequest) -> None:
        moment = request.headers.get("x-slack-request-timestamp", "")
        if request.received_at is None or not re.fullmatch(r"[0-9]{1,12}", moment):
            raise CallbackRefused
        if abs(request.received_at.timestamp() - int(moment)) > self.LASTS.total_seconds():
            raise CallbackRefused
        key = self.config.signing_secret.get_secret_value().encode()
        expected = "v0=" + hmac.digest(key, b"v0:" + moment.encode() + b":" + request.body, "sha256").hex()
        if not hmac.compare_digest(expected.encode(), request.headers.get("x-slack-signature", "").encode()):
            raise CallbackRefused

    def read(self, request: CallbackRequest) -> Sequence[Pressed]:
        """Buttons that only open a page are told of, too, and mean nothing; so does every other kind of interaction."""
        try:
            fields = parse_qs(request.body.decode("utf-8"), max_num_fields=10)
            said = json.loads(fields["payload"][0])
            if said["type"] != "block_actions":
                return []
            person, answer_at = str(said["user"]["id"]), str(said.get("response_url") or "")
            values = [str(one["value"]) for one in said["actions"] if one.get("value")]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CallbackUnreadable from None
        if not re.fullmatch(r"[UW][A-Z0-9]{2,30}", person):
            raise CallbackUnreadable
        return [Pressed(person, value[:2_000], answer_at if _is_slacks(answer_at) else "") for value in values[:MOST_BUTTONS]]


def _is_slacks(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.netloc) == ("https", ANSWERS) and len(url) < 1_000
    except ValueError:
        return False


class Slack(ConfiguredProvider):
    """`elsewhere` leads Slack's addresses to where a test stands."""

    name = "slack"
    label = "Slack (team chat)"
    channels = frozenset({"chat"})
    delivery_check: DeliveryCheck = "blind"
    timeout_seconds = 3 * TIMEOUT_SECONDS
    Config = SlackConfig
    callbacks: ClassVar[Mapping[str, type[Callback]]] = {"interactivity": Interactivity}
    calls_for: ClassVar[str] = "Enter in your app under “Interactivity & Shortcuts” as request URL, so that buttons work:"
    advice: ClassVar[Advice] = (
        (r"slack_(unreachable|service_unavailable|http_50\d)", "Slack does not answer; messages leave as soon as it does."),
        (r"slack_(invalid_auth|not_authed|token_.*)", "Slack refuses the token: copy the bot token from your app and enter it again."),
        (r"slack_(missing_scope|no_permission)", "The app lacks permissions: add the ones from the guide, install it anew and enter the new token."),
        (r"slack_account_inactive", "The app was removed from your Slack: install it again and enter the new token."),
        (r"slack_(ratelimited|rate_limited)", "Slack takes no more messages for a moment; they leave by themselves."),
        (r"slack_database", "The database does not answer."),
    )  # fmt: skip

    def __init__(
        self, config: SlackConfig, around: Surroundings, guard: Guard | None = None, elsewhere: Callable[[str], str] = lambda url: url
    ) -> None:
        self._config, self._around = config, around
        if config.reads_history:
            self.delivery_check = "lookup"
        self._client: httpx.Client = client(guard or Guard(), timeout_seconds=TIMEOUT_SECONDS)
        self._elsewhere = elsewhere
        self._places, self._people = _Remembered(), _Remembered()
        self._team = ""

    @classmethod
    def open(cls, config: SlackConfig, around: Surroundings) -> Self:
        return cls(config, around)

    def close(self) -> None:
        self._client.close()

    def verify(self) -> None:
        """The token is good, a bot's, and may do what is needed."""
        answer = self._asked("auth.test", {})
        said = _checked(answer, posts=False)
        if not said.get("bot_id"):
            raise SenderStopped("slack_not_allowed_token_type")
        granted = {one.strip() for one in answer.headers.get("x-oauth-scopes", "").split(",") if one.strip()}
        wanted = {*SCOPES, *(HISTORY_SCOPES if self._config.reads_history else ())}
        if granted and not wanted <= granted:
            raise SenderStopped("slack_missing_scope")

    def send(self, message: Outgoing) -> Answer:
        """One that was posted already is not posted again, nor is one of which nobody knows. Raises: ProviderFailure."""
        place = self._place(message.recipient)
        with _database():
            posted = self._begin(message.once_key, place)
        if posted is not None:
            if not posted:
                raise InDoubt("slack_no_answer")
            return _posted(place, posted)
        metadata = {"event_type": EVENT_TYPE, "event_payload": {"key": _digest(message.once_key)}}
        try:
            said = self._call("chat.postMessage", {"channel": place, **_written(message), "metadata": json.dumps(metadata)}, posts=True)
        except InDoubt:
            raise
        except ProviderFailure as failure:
            if isinstance(failure, AddressDead):
                self._places.forget(message.recipient)
            with _database():
                self._forget(message.once_key)
            raise
        stamp = said.get("ts")
        if not isinstance(stamp, str) or not re.fullmatch(r"[0-9]{1,12}\.[0-9]{1,9}", stamp):
            raise InDoubt("slack_unreadable")
        self._note(message.once_key, stamp)
        return _posted(place, stamp)

    def lookup(self, once_key: str) -> Answer | None:
        """What is not in the history is not said to be absent before a call can no longer be on its way."""
        with _database(), self._around.db.read() as session:
            row = session.execute(select(posts).where(posts.c.once_key == once_key[:160])).first()
        if row is None or row.account != self._around.account:
            return None
        if row.stamp:
            return _posted(row.place, row.stamp)
        stamp = self._found(row.place, once_key, row.began_at)
        if stamp:
            self._note(once_key, stamp)
            return _posted(row.place, stamp)
        if self._around.now() - row.began_at < SETTLES:
            raise RetryLater("slack_not_settled", SETTLES)
        with _database():
            self._forget(once_key)
        return None

    def revise(self, message: Outgoing) -> None:
        """The message of the same once key now says this, if this account has posted it. Raises: ProviderFailure."""
        with _database(), self._around.db.read() as session:
            row = session.execute(select(posts).where(posts.c.once_key == message.once_key[:160])).first()
        if row is None or not row.stamp or row.account != self._around.account:
            return
        self._call("chat.update", {"channel": row.place, "ts": row.stamp, **_written(message)}, posts=False)

    def person(self, user: str) -> str | None:
        """The e-mail address of a person of this very Slack; None: it is a stranger, a program or somebody who has left. An address that another
        organisation's Slack gives its people proves nothing here.

        Raises: ProviderFailure.
        """
        known = self._people.get(user)
        if known is None:
            known = self._mailbox(user)
            self._people.put(user, known)
        return known or None

    def reply(self, answer_at: str, text: str) -> None:
        """Tells the one person who pressed a button, and nobody else. Raises: ProviderFailure."""
        if not _is_slacks(answer_at):
            raise MessageDead("slack_bad_address")
        body = {"response_type": "ephemeral", "replace_original": False, "text": first_piece(text, TEXT)}
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answer = self._exchange(answer_at, headers, json.dumps(body).encode(), MOST_BYTES)
        if answer.status != 200:
            raise MessageDead(f"slack_http_{answer.status}")

    # Where, and who

    def _place(self, recipient: str) -> str:
        """A channel as it is; the direct conversation with whoever has the e-mail address."""
        if "@" not in recipient:
            return recipient
        known = self._places.get(recipient)
        if known is None:
            user = _id(self._call("users.lookupByEmail", {"email": recipient}).get("user"))
            known = _id(self._call("conversations.open", {"users": user}).get("channel"))
            self._places.put(recipient, known)
        return known

    def _mailbox(self, user: str) -> str:
        """Empty: see `person`."""
        with deadline(ASKING_SECONDS):
            if not self._team:
                self._team = str(self._call("auth.test", {}).get("team_id") or "")
            try:
                found = self._call("users.info", {"user": user}).get("user")
            except AddressDead:
                return ""
        said: Mapping[str, Any] = found if isinstance(found, dict) else {}
        enterprise, profile = said.get("enterprise_user"), said.get("profile")
        teams = [said.get("team_id"), *(enterprise.get("teams") or [] if isinstance(enterprise, dict) else [])]
        is_ours = self._team and self._team in teams and said.get("id") == user
        is_foreign = any(said.get(name) for name in ("deleted", "is_bot", "is_stranger", "is_app_user"))
        if not is_ours or is_foreign or said.get("is_email_confirmed") is False or not isinstance(profile, dict):
            return ""
        return str(profile.get("email") or "")[:320]

    # What was posted

    def _begin(self, once_key: str, place: str) -> str | None:
        """None: it is written down now that a call begins; else what is known of a former one: its stamp, empty if there is none."""
        now = self._around.now()
        row = {"once_key": once_key[:160], "account": self._around.account, "place": place, "stamp": "", "began_at": now}
        with self._around.db.write() as session:
            known: str | None = session.scalar(select(posts.c.stamp).where(posts.c.once_key == once_key[:160]))
            if known is None:
                session.execute(insert(posts).values(row))
                _forget_old(session, now)
            return known

    def _note(self, once_key: str, stamp: str) -> None:
        """The message is there, whether this can be kept or not: then the next one who asks looks it up."""
        try:
            with self._around.db.write() as session:
                session.execute(update(posts).where(posts.c.once_key == once_key[:160]).values(stamp=stamp))
        except DBAPIError:
            return

    def _forget(self, once_key: str) -> None:
        with self._around.db.write() as session:
            session.execute(delete(posts).where(posts.c.once_key == once_key[:160], posts.c.stamp == ""))

    def _found(self, place: str, once_key: str, since: datetime) -> str:
        """The stamp of the message in the channel's history; empty: it is not there. Raises: RetryLater: it cannot be said now."""
        wanted, cursor = _digest(once_key), ""
        oldest = f"{(since - SETTLES).timestamp():.6f}"
        latest = f"{(since + SETTLES + timedelta(seconds=TIMEOUT_SECONDS)).timestamp():.6f}"
        for _ in range(PAGES):
            values = {"channel": place, "oldest": oldest, "latest": latest, "limit": str(PAGE), "include_all_metadata": "true"}
            try:
                said = self._call("conversations.history", {**values, **({"cursor": cursor} if cursor else {})}, most=MOST_HISTORY_BYTES)
            except RetryLater:
                raise
            except ProviderFailure as failure:
                raise RetryLater(failure.code, LONGEST) from None
            messages = said.get("messages")
            for one in messages if isinstance(messages, list) else []:
                if isinstance(one, dict) and _key_of(one) == wanted:
                    return str(one.get("ts", ""))[:32]
            further = said.get("response_metadata")
            cursor = str(further.get("next_cursor") or "") if isinstance(further, dict) else ""
            if not cursor:
                return ""
        raise RetryLater("slack_history_too_long", LONGEST)

    # The wire

    def _call(self, method: str, values: Mapping[str, str], *, posts: bool = False, most: int = MOST_BYTES) -> Mapping[str, Any]:
        """What Slack answers. `posts`: without an answer nobody knows whether a message is there. Raises: ProviderFailure."""
        return _checked(self._asked(method, values, posts=posts, most=most), posts=posts)

    def _asked(self, method: str, values: Mapping[str, str], *, posts: bool = False, most: int = MOST_BYTES) -> HttpAnswer:
        headers = {
            "Authorization": f"Bearer {self._config.bot_token.get_secret_value()}",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        }
        return self._exchange(API + method, headers, urlencode(values).encode(), most, posts=posts)

    def _exchange(self, url: str, headers: Mapping[str, str], body: bytes, most: int, *, posts: bool = False) -> HttpAnswer:
        try:
            return ask(
                self._client, "POST", self._elsewhere(url), headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS, most_bytes=most
            )
        except HttpFailure as failure:
            raise unanswered(failure, "slack", LATER, in_doubt=posts) from None


posts = table(ChatPost)


class _Remembered:
    """What was asked a moment ago, bounded; threads share it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        with self._lock:
            until, value = self._known.get(key, (0.0, ""))
            return value if time.monotonic() < until else None

    def put(self, key: str, value: str) -> None:
        with self._lock:
            self._known[key] = (time.monotonic() + PEOPLE_SECONDS, value)
            self._known.move_to_end(key)
            while len(self._known) > PEOPLE:
                self._known.popitem(last=False)

    def forget(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)


@contextmanager
def _database() -> Iterator[None]:
    """Where the database does not answer before a call, nothing was sent; its error may hold what is stored."""
    try:
        yield
    except DBAPIError:
        raise RetryLater("slack_database") from None


def _forget_old(session: Session, now: datetime) -> None:
    """A message that may have to change, because a person in it is erased say, is found as long as its notice is there."""
    statement = select(posts.c.once_key).where(posts.c.began_at < now - KEPT).order_by(posts.c.began_at).limit(FORGOTTEN_AT_ONCE)
    if not (old := session.scalars(statement).all()):
        return
    kept = task_notices.still_there(session, old)
    session.execute(update(posts).where(posts.c.once_key.in_(kept)).values(began_at=now))
    session.execute(delete(posts).where(posts.c.once_key.in_(set(old) - kept)))


def _posted(place: str, stamp: str) -> Answer:
    return Answer(provider_id=f"{place}:{stamp}")


def _digest(once_key: str) -> str:
    """Other apps in the channel may read it: it tells nothing of ours."""
    return hashlib.sha256(b"pfadwerk:chat:" + once_key.encode()).hexdigest()[:40]


def _key_of(message: Mapping[str, Any]) -> str:
    metadata = message.get("metadata")
    payload = metadata.get("event_payload") if isinstance(metadata, dict) and metadata.get("event_type") == EVENT_TYPE else None
    return str(payload.get("key", "")) if isinstance(payload, dict) else ""


def _written(message: Outgoing) -> dict[str, str]:
    """Text and blocks; nothing of it is parsed for mentions, and no link is looked into."""
    shown = "\n".join(filter(None, (message.subject, message.text)))
    return {
        "text": first_piece(shown, TEXT) or "–",
        "blocks": json.dumps(blocks(message)),
        "parse": "none",
        "link_names": "false",
        "unfurl_links": "false",
        "unfurl_media": "false",
    }


def blocks(message: Outgoing) -> list[dict[str, Any]]:
    """The message as Block Kit: its subject in bold, its text, its buttons in one row."""
    heading = message.subject.replace("*", "").strip()
    texts = [f"*{first_piece(heading, SECTION - 2)}*"] if heading else []
    texts += [piece for piece in pieces(message.text, SECTION) if piece.strip()][:MOST_SECTIONS]
    made: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}} for text in texts or ["–"]
    ]
    if message.buttons:
        made.append({"type": "actions", "elements": [_button(n, one) for n, one in enumerate(message.buttons[:MOST_BUTTONS])]})
    return made


def _button(number: int, button: Button) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "button",
        "action_id": f"button.{number}",
        "text": {"type": "plain_text", "text": button.label[:LABEL] or "–", "emoji": False},
    }
    if button.url:
        return {**made, "url": button.url}
    return {**made, "value": button.value, **({"style": "primary"} if button.is_first else {})}


def _checked(answer: HttpAnswer, *, posts: bool) -> Mapping[str, Any]:
    """What it says, if it says that all is well. Raises: ProviderFailure."""
    said = _object(answer)
    if answer.status == 200 and said.get("ok") is True:
        return said
    failure = sort(answer)
    raise failure if posts or not isinstance(failure, InDoubt) else Unreachable(failure.code, LATER)


def sort(answer: HttpAnswer) -> ProviderFailure:
    """The failure that an answer means."""
    if answer.status == 429:
        return RetryLater("slack_ratelimited", answer.retry_after(LATER))
    code = _object(answer).get("error")
    if not isinstance(code, str) or (answer.status != 200 and code not in TABLE):
        return _without_code(answer)
    kind, name = TABLE.get(code, MessageDead), f"slack_{code}" if re.fullmatch(r"[a-z_]{2,48}", code) else "slack_refused"
    return kind(name, answer.retry_after(LATER)) if issubclass(kind, RetryLater) else kind(name)


def _without_code(answer: HttpAnswer) -> ProviderFailure:
    name = f"slack_http_{answer.status}"
    if answer.status == 200:
        return InDoubt("slack_unreadable")
    if answer.status in (401, 403):
        return SenderStopped(name)
    if answer.status >= 500:
        return Unreachable(name, LATER) if answer.status == 503 else InDoubt(name)
    return MessageDead(name)


def _object(answer: HttpAnswer) -> Mapping[str, Any]:
    """What was answered; nothing where it is no JSON object."""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _id(found: Any) -> str:
    """Raises: Unreachable: this is no answer; nothing was sent."""
    id = found.get("id") if isinstance(found, dict) else None
    if not isinstance(id, str) or not re.fullmatch(r"[A-Z][A-Z0-9]{2,30}", id):
        raise Unreachable("slack_unreadable", LATER)
    return id
