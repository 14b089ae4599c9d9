"""The provider `slack` against a server that speaks as Slack's does; blocks are read, and calls signed, by Slack's own SDK."""

from __future__ import annotations

import html
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from pydantic import SecretStr, ValidationError
from slack_sdk.models.blocks import ActionsBlock, Block, SectionBlock
from slack_sdk.signature import Clock, SignatureVerifier
from sqlalchemy import select, update
from sqlmodel import SQLModel

from activities import account_setup, http_client
from activities.http_client import HttpAnswer
from activities.mrkdwn import escaped, pieces
from activities.providers import (
    AddressDead,
    InDoubt,
    MessageDead,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Surroundings,
    Unreachable,
)
from activities.providers.callback import CallbackRefused, CallbackRequest, CallbackUnreadable, Pressed
from activities.providers.provider import Button, Conversation
from activities.providers.slack import ASKING_SECONDS, HISTORY_SCOPES, SCOPES, SETTLES, Interactivity, Slack, SlackConfig, blocks, sort
from activities.webhooks.address_guard import Guard
from models import ChatPost, Database
from tests.activities.providers.conformance import SPOKEN, Arrived, Conformance, outgoing
from tests.activities.providers.push_service import PushService, Reply, Taken

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TOKEN, SECRET = "xoxb-1234567890-abcdefghij", "8f742231b10e8888abcd99yyyzzz85a5"
TEAM = "T0001"
ANNA = {"id": "U0ANNA", "team_id": TEAM, "is_email_confirmed": True, "profile": {"email": "anna@example.org"}}
REFUSALS: dict[type[ProviderFailure], Reply] = {
    AddressDead: (200, {}, b'{"ok": false, "error": "channel_not_found"}'),
    RetryLater: (429, {"Retry-After": "45"}, b'{"ok": false, "error": "ratelimited"}'),
    Unreachable: (503, {}, b"<html>person@example.org"),
    MessageDead: (200, {}, json.dumps({"ok": False, "error": SPOKEN, "needed": SPOKEN}).encode()),
    SenderStopped: (200, {}, b'{"ok": false, "error": "invalid_auth"}'),
}


def ok(**said: Any) -> Reply:
    return 200, {}, json.dumps({"ok": True, **said}).encode()


class SlackWire:
    """Keeps what is posted, and shows it in the history, as Slack does."""

    failures: tuple[type[ProviderFailure], ...] = (*REFUSALS, InDoubt)

    def __init__(self, db: Database, **config: Any) -> None:
        self.db, self.now = db, NOW
        self.service = PushService(self.answer)
        self.posted: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.users: dict[str, dict[str, Any]] = {ANNA["id"]: ANNA}  # type: ignore[dict-item]
        self.next: Reply | None = None
        self.loses = False
        self.scopes = ",".join((*SCOPES, *HISTORY_SCOPES))
        settings = SlackConfig(bot_token=SecretStr(TOKEN), signing_secret=SecretStr(SECRET), **{"reads_history": True, **config})
        around = Surroundings(db, lambda: self.now, account="slack.main")
        self.provider: Slack = Slack(settings, around, Guard.allowing(["127.0.0.1"]), self.elsewhere)

    def elsewhere(self, url: str) -> str:
        assert url.startswith(("https://slack.com/api/", "https://hooks.slack.com/"))
        return f"http://127.0.0.1:{self.service.port}/{url.rpartition('/')[2]}"

    def answer(self, taken: Taken) -> Reply:
        method = taken.path.removeprefix("/")
        if method == "answer":
            self.calls.append((method, json.loads(taken.body)))
            return 200, {}, b"ok"
        assert taken.headers["Authorization"] == f"Bearer {TOKEN}"
        values = dict(parse_qsl(taken.body.decode(), keep_blank_values=True))
        self.calls.append((method, values))
        return {
            "auth.test": self.tested, "users.lookupByEmail": self.looked_up, "conversations.open": self.opened, "users.info": self.told,
            "chat.postMessage": self.taken, "chat.update": self.updated, "conversations.history": self.history,
        }[method](values)  # fmt: skip

    def tested(self, _values: dict[str, str]) -> Reply:
        status, _, body = ok(team_id=TEAM, bot_id="B1")
        return status, {"X-OAuth-Scopes": self.scopes}, body

    def looked_up(self, values: dict[str, str]) -> Reply:
        found = [one for one in self.users.values() if one["profile"]["email"] == values["email"]]
        return ok(user=found[0]) if found else (200, {}, b'{"ok": false, "error": "users_not_found"}')

    def told(self, values: dict[str, str]) -> Reply:
        found = self.users.get(values["user"])
        return ok(user=found) if found else (200, {}, b'{"ok": false, "error": "user_not_found"}')

    def opened(self, values: dict[str, str]) -> Reply:
        return ok(channel={"id": values["users"].replace("U", "D", 1)})

    def taken(self, values: dict[str, str]) -> Reply:
        if self.next is not None:
            refusal, self.next = self.next, None
            return refusal
        stamp = f"{NOW.timestamp() + len(self.posted) / 1000:.6f}"
        self.posted.append({"ts": stamp, "channel": values["channel"], **values})
        if self.loses:
            self.loses = False
            return 500, {}, b'{"ok": false, "error": "internal_error"}'
        return ok(ts=stamp, channel=values["channel"])

    def updated(self, values: dict[str, str]) -> Reply:
        [one] = [one for one in self.posted if (one["channel"], one["ts"]) == (values["channel"], values["ts"])]
        one.update(values)
        return ok(ts=values["ts"])

    def history(self, values: dict[str, str]) -> Reply:
        assert values["include_all_metadata"] == "true"
        here = [one for one in self.posted if one["channel"] == values["channel"]]
        there = [one for one in here if float(values["oldest"]) <= float(one["ts"]) <= float(values["latest"])]
        return ok(messages=[{"ts": one["ts"], "text": one["text"], "metadata": json.loads(one["metadata"])} for one in reversed(there)])

    def fail(self, with_: type[ProviderFailure]) -> None:
        self.loses = with_ is InDoubt
        self.next = REFUSALS.get(with_)

    def arrived(self, once_key: str) -> list[Arrived]:
        with self.db.read() as session:
            row = session.scalars(select(ChatPost).where(ChatPost.once_key == once_key)).first()
        own = {json.loads(one["metadata"])["event_payload"]["key"]: one for one in self.posted}
        return [self.read(one) for key, one in own.items() if row is not None and key == _key(once_key)]

    def read(self, one: dict[str, Any]) -> Arrived:
        """As a person reads it."""
        heading, *texts = [html.unescape(block["text"]["text"]) for block in json.loads(one["blocks"]) if block["type"] == "section"]
        return Arrived(one["channel"], heading.removeprefix("*").removesuffix("*"), "".join(texts))

    def go_away(self) -> None:
        self.service.close()


def _key(once_key: str) -> str:
    from activities.providers.slack import _digest

    return _digest(once_key)


@pytest.fixture
def wire(sqlite_db: Database) -> Iterator[SlackWire]:
    wire = SlackWire(sqlite_db)
    yield wire
    wire.provider.close()
    wire.service.close()


class TestConformance(Conformance):
    channel = "chat"


def chat(once_key: str = "run1:tell:1", **changes: Any) -> Any:
    return outgoing(once_key, **{"channel": "chat", "recipient": "anna@example.org", **changes})


# Where it goes


def test_a_member_is_found_by_the_address_once_and_written_to_directly(wire: SlackWire) -> None:
    wire.provider.send(chat("a"))
    wire.provider.send(chat("b"))
    assert [one["channel"] for one in wire.posted] == ["D0ANNA", "D0ANNA"]
    assert [method for method, _ in wire.calls] == ["users.lookupByEmail", "conversations.open", "chat.postMessage", "chat.postMessage"]
    with pytest.raises(AddressDead, match="slack_users_not_found"):
        wire.provider.send(chat("c", recipient="nobody@example.org"))


def test_a_conversation_that_is_gone_is_looked_for_anew(wire: SlackWire) -> None:
    wire.provider.send(chat("a"))
    wire.fail(AddressDead)
    with pytest.raises(AddressDead):
        wire.provider.send(chat("b"))
    wire.provider.send(chat("b"))
    assert [method for method, _ in wire.calls].count("conversations.open") == 2


def test_an_account_that_lacks_permissions_is_not_taken(wire: SlackWire) -> None:
    wire.provider.verify()
    wire.scopes = ",".join(SCOPES)
    with pytest.raises(SenderStopped, match="slack_missing_scope"):
        wire.provider.verify()
    wire.service.replies = [ok(team_id=TEAM, user_id="U0ANNA")]
    with pytest.raises(SenderStopped, match="slack_not_allowed_token_type"):
        wire.provider.verify()


@pytest.mark.parametrize("token", ["", "xoxp-1234567890-abcdefghij", "xoxb-1", "xoxb-123456789012\r\nX: 1"])
def test_what_is_no_bot_token_is_refused_without_a_word_of_it(token: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SlackConfig(bot_token=SecretStr(token))
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("secret", ["short", "8f742231b10e8888\r\nX: 1"])
def test_what_is_no_signing_secret_is_refused_without_a_word_of_it(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SlackConfig(bot_token=SecretStr(TOKEN), signing_secret=SecretStr(secret))
    assert secret not in str(caught.value)


def test_looking_into_the_history_takes_no_secret_anywhere_else() -> None:
    assert account_setup.destination_fields(Slack) == frozenset()


def test_the_guide_makes_an_app_that_may_do_what_is_needed() -> None:
    page = (Path(__file__).parents[3] / "docs" / "slack.md").read_text("utf-8")
    manifest = json.loads(page.partition("```json")[2].partition("```")[0])
    assert manifest["oauth_config"]["scopes"]["bot"] == list(SCOPES)
    assert [manifest["settings"]["interactivity"]["request_url"].rpartition("/")[2]] == list(Slack.callbacks)
    assert all(f"`{scope}`" in page for scope in (*SCOPES, *HISTORY_SCOPES))


# In doubt


def test_what_is_in_doubt_is_never_posted_twice(wire: SlackWire) -> None:
    wire.fail(InDoubt)
    with pytest.raises(InDoubt):
        wire.provider.send(chat())
    with pytest.raises(InDoubt, match="slack_no_answer"):
        wire.provider.send(chat())
    found = wire.provider.lookup(chat().once_key)
    assert found is not None
    assert found == wire.provider.send(chat())
    assert len(wire.posted) == 1


def test_a_message_that_never_arrived_is_not_said_to_be_absent_before_its_call_is_over(wire: SlackWire) -> None:
    """The process died between writing it down and posting it."""
    wire.fail(InDoubt)
    with pytest.raises(InDoubt):
        wire.provider.send(chat())
    wire.posted.clear()
    with pytest.raises(RetryLater, match="slack_not_settled"):
        wire.provider.lookup(chat().once_key)
    wire.now += SETTLES
    assert wire.provider.lookup(chat().once_key) is None
    wire.provider.send(chat())
    assert len(wire.posted) == 1


def test_without_a_look_into_the_history_it_stays_uncertain(sqlite_db: Database) -> None:
    wire = SlackWire(sqlite_db, reads_history=False)
    wire.scopes = ",".join(SCOPES)
    wire.provider.verify()
    assert (Slack.delivery_check, wire.provider.delivery_check) == ("blind", "blind")
    wire.provider.close()
    wire.service.close()


def test_a_history_that_cannot_be_read_says_nothing(wire: SlackWire) -> None:
    wire.fail(InDoubt)
    with pytest.raises(InDoubt):
        wire.provider.send(chat())
    wire.now += SETTLES
    wire.service.replies = [(200, {}, b'{"ok": false, "error": "not_in_channel"}')]
    with pytest.raises(RetryLater, match="slack_not_in_channel"):
        wire.provider.lookup(chat().once_key)
    endless = ok(messages=[], response_metadata={"next_cursor": "more"})
    wire.service.replies = [endless] * 5
    with pytest.raises(RetryLater, match="slack_history_too_long"):
        wire.provider.lookup(chat().once_key)


def test_another_account_knows_nothing_of_it_and_changes_nothing(wire: SlackWire) -> None:
    wire.provider.send(chat())
    with wire.db.write() as session:
        session.execute(update(ChatPost).values(account="slack.other"))
    assert wire.provider.lookup(chat().once_key) is None
    wire.provider.revise(chat(text="changed"))
    assert [method for method, _ in wire.calls if method == "chat.update"] == []


def test_old_posts_are_forgotten(wire: SlackWire) -> None:
    wire.provider.send(chat("old"))
    wire.now += timedelta(days=31)
    wire.provider.send(chat("new"))
    with wire.db.read() as session:
        assert list(session.scalars(select(ChatPost.once_key))) == ["new"]


def test_a_database_that_does_not_answer_leaves_the_message_unsent(wire: SlackWire) -> None:
    with wire.db.write() as session:
        SQLModel.metadata.drop_all(session.connection())
    with pytest.raises(RetryLater, match="slack_database"):
        wire.provider.send(chat())
    assert wire.posted == []


# What it says


HOSTILE = "<!channel> <!here> <@U0ANNA> <https://evil.example|your bank> & @channel #general <!subteam^S1|x> <!date^1^{date}|y>"


def test_no_value_mentions_anybody_or_forges_a_link(wire: SlackWire) -> None:
    wire.provider.send(chat(subject=HOSTILE, text=HOSTILE))
    [one] = wire.posted
    spoken = [one["text"], *(block["text"]["text"] for block in json.loads(one["blocks"]) if "text" in block)]
    assert all("<" not in text and ">" not in text for text in spoken)
    assert [one[name] for name in ("parse", "link_names", "unfurl_links", "unfurl_media")] == ["none", "false", "false", "false"]
    assert all(block["text"]["verbatim"] for block in json.loads(one["blocks"]))
    assert wire.read(one).text == HOSTILE


BUTTONS = (*(Button(f"{n} & <{'x' * 90}>", value="v" * 2_000, is_first=n == 0) for n in range(24)), Button("Open", "https://m.example/ui"))


@pytest.mark.parametrize("message", [chat(), chat(text="<&>" * 5_000, subject="&" * 900, buttons=BUTTONS), chat(text="", subject="")])
def test_blocks_are_what_slacks_own_sdk_takes(message: Any) -> None:
    made = blocks(message)
    assert len(made) <= 50
    for read, written in zip(Block.parse_all(made), made, strict=True):
        assert isinstance(read, SectionBlock | ActionsBlock)
        read.validate_json()
        assert read.to_dict() == written or isinstance(read, ActionsBlock)
        for element in getattr(read, "elements", ()):
            element.validate_json()


def test_a_star_in_the_subject_does_not_end_its_bold_type() -> None:
    assert blocks(chat(subject="2 * 3 *new*"))[0]["text"]["text"] == "*2  3 new*"


def test_pieces_end_in_no_entity_and_lose_nothing() -> None:
    text = "a<b>&" * 700
    found = list(pieces(text, 100))
    assert "".join(found) == escaped(text)
    assert all(len(piece) <= 100 and html.unescape(piece).count("&") == piece.count("&amp;") for piece in found)


def test_a_message_can_be_changed_where_it_stands(wire: SlackWire) -> None:
    assert isinstance(wire.provider, Conversation)
    wire.provider.revise(chat())
    assert wire.calls == []
    wire.provider.send(chat(buttons=(Button("Done", value="finish"),)))
    wire.provider.revise(chat(text="Finished"))
    [one] = wire.posted
    assert wire.read(one).text == "Finished"
    assert "actions" not in one["blocks"]


# Failures


@pytest.mark.parametrize(
    ("reply", "failure", "code"),
    [
        ((429, {"Retry-After": "30"}, b""), RetryLater, "slack_ratelimited"),
        ((200, {"Retry-After": "30"}, b'{"ok": false, "error": "ratelimited"}'), RetryLater, "slack_ratelimited"),
        ((200, {}, b'{"ok": false, "error": "channel_not_found"}'), AddressDead, "slack_channel_not_found"),
        ((200, {}, b'{"ok": false, "error": "not_in_channel"}'), MessageDead, "slack_not_in_channel"),
        ((200, {}, b'{"ok": false, "error": "token_revoked"}'), SenderStopped, "slack_token_revoked"),
        ((200, {}, b'{"ok": false, "error": "fatal_error"}'), InDoubt, "slack_fatal_error"),
        ((200, {}, b'{"ok": false, "error": "something_new"}'), MessageDead, "slack_something_new"),
        ((200, {}, b'{"ok": false, "error": "a\\nb c"}'), MessageDead, "slack_refused"),
        ((200, {}, b"<html>"), InDoubt, "slack_unreadable"),
        ((200, {}, b"[" * 100_000), InDoubt, "slack_unreadable"),
        ((502, {}, b"<html>"), InDoubt, "slack_http_502"),
        ((503, {}, b""), Unreachable, "slack_http_503"),
        ((403, {}, b""), SenderStopped, "slack_http_403"),
        ((302, {}, b""), MessageDead, "slack_http_302"),
    ],
)
def test_the_table_of_errors(reply: Reply, failure: type[ProviderFailure], code: str) -> None:
    status, headers, body = reply
    found = sort(HttpAnswer(status, headers, body))
    assert (type(found), found.code) == (failure, code)
    if isinstance(found, RetryLater) and headers:
        assert found.after == timedelta(seconds=30)


def test_before_anything_is_posted_nothing_is_in_doubt(wire: SlackWire) -> None:
    """Only the post itself can be: looking for whom it is for leaves nothing anywhere."""
    wire.service.replies = [(500, {}, b"")]
    with pytest.raises(Unreachable, match="slack_http_500"):
        wire.provider.send(chat())
    assert wire.provider.send(chat()).status == "sent"


# Who pressed


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, "anna@example.org"),
        ({"team_id": "E1", "enterprise_user": {"teams": [TEAM]}}, "anna@example.org"),
        ({"team_id": "T0002"}, None),
        ({"team_id": "E1", "enterprise_user": {"teams": ["T0002"]}}, None),
        ({"is_stranger": True}, None),
        ({"deleted": True}, None),
        ({"is_bot": True}, None),
        ({"is_app_user": True}, None),
        ({"is_email_confirmed": False}, None),
        ({"id": "U0OTHER"}, None),
        ({"profile": None}, None),
    ],
)
def test_only_people_of_this_very_slack_are_vouched_for(wire: SlackWire, changes: dict[str, Any], found: str | None) -> None:
    """Another organisation gives its people whatever addresses it likes."""
    wire.users[ANNA["id"]] = {**ANNA, **changes}  # type: ignore[index]
    assert wire.provider.person("U0ANNA") == found
    assert wire.provider.person("U0ANNA") == found
    assert [method for method, _ in wire.calls] == ["auth.test", "users.info"]
    assert wire.provider.person("U0NOBODY") is None


def test_who_pressed_is_asked_within_the_time_that_slack_gives(wire: SlackWire) -> None:
    left = list[float]()

    def elsewhere(url: str) -> str:
        left.append(http_client._running.until - time.monotonic())
        return wire.elsewhere(url)

    wire.provider._elsewhere = elsewhere
    wire.provider.person("U0ANNA")
    assert len(left) == 2
    assert max(left) <= ASKING_SECONDS < 3


def test_only_slacks_own_host_is_answered(wire: SlackWire) -> None:
    wire.provider.reply("https://hooks.slack.com/actions/T1/1/answer", "No <!channel>")
    [(_, body)] = wire.calls
    assert body == {"response_type": "ephemeral", "replace_original": False, "text": "No &lt;!channel&gt;"}
    for url in (
        "http://hooks.slack.com/answer",
        "https://hooks.slack.com.evil.example/answer",
        "https://x@hooks.slack.com/answer",
        "https://[/",
        f"https://hooks.slack.com/{'a' * 1_000}",
    ):
        with pytest.raises(MessageDead, match="slack_bad_address"):
            wire.provider.reply(url, "No")


# Callbacks


PAYLOAD: dict[str, Any] = {
    "type": "block_actions", "user": {"id": "U0ANNA", "team_id": TEAM}, "team": {"id": TEAM},
    "response_url": "https://hooks.slack.com/actions/T1/1/answer", "actions": [{"action_id": "button.0", "type": "button", "value": "finish"}],
}  # fmt: skip


class _Then(Clock):  # type: ignore[misc]
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> float:
        return self.at.timestamp()


def pressing(payload: Any = PAYLOAD, *, at: datetime = NOW, received: datetime | None = NOW, secret: str = SECRET, **changes: Any) -> Any:
    body = changes.pop("body", urlencode({"payload": payload if isinstance(payload, str) else json.dumps(payload)}).encode())
    stamp = str(int(at.timestamp()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature, **changes}
    return CallbackRequest("POST", "https://m.example/callbacks/slack.main/interactivity", headers, body, received)


def reader(secret: str = SECRET) -> Interactivity:
    return Interactivity(SlackConfig(bot_token=SecretStr(TOKEN), signing_secret=SecretStr(secret)))


def test_a_press_that_slack_signed_is_read() -> None:
    call = pressing()
    reader().verify(call)
    assert reader().read(call) == [Pressed("U0ANNA", "finish", "https://hooks.slack.com/actions/T1/1/answer")]
    assert SignatureVerifier(SECRET, _Then(NOW)).is_valid_request(call.body, dict(call.headers))


@pytest.mark.parametrize(
    "call",
    [
        pressing(secret="another-secret-1234"),
        pressing(at=NOW - timedelta(minutes=5, seconds=1)),
        pressing(at=NOW + timedelta(minutes=5, seconds=1)),
        pressing(received=None),
        pressing(**{"x-slack-signature": "v0="}),
        pressing(**{"x-slack-signature": "é"}),
        pressing(**{"x-slack-signature": ""}),
        pressing(**{"x-slack-request-timestamp": "١٧٧٢٤٤٣٨٠٠"}),
        pressing(**{"x-slack-request-timestamp": "-1"}),
        pressing(**{"x-slack-request-timestamp": str(int(NOW.timestamp()) + 1)}),
        CallbackRequest("POST", "https://m.example", dict(pressing().headers), pressing().body + b"&x=1", NOW),
        CallbackRequest("POST", "https://m.example", {}, pressing().body, NOW),
    ],
)  # fmt: skip
def test_any_other_call_is_refused(call: CallbackRequest) -> None:
    with pytest.raises(CallbackRefused):
        reader().verify(call)


def test_without_a_signing_secret_nobody_is_believed() -> None:
    with pytest.raises(CallbackRefused):
        reader("").verify(pressing(secret="x"))


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        {**PAYLOAD, "user": None},
        {**PAYLOAD, "user": {"id": "U1\nX"}},
        {**PAYLOAD, "actions": 7},
        {"type": "block_actions"},
    ],
)
def test_what_cannot_be_read_is_said_to_be_so(payload: Any) -> None:
    with pytest.raises(CallbackUnreadable):
        reader().read(pressing(payload))


def test_other_interactions_and_buttons_that_open_a_page_mean_nothing() -> None:
    assert reader().read(pressing({**PAYLOAD, "type": "view_submission"})) == []
    assert reader().read(pressing({**PAYLOAD, "actions": [{"action_id": "button.1", "type": "button"}]})) == []
    [press] = reader().read(pressing({**PAYLOAD, "response_url": "https://evil.example/x"}))
    assert press.answer_at == ""
