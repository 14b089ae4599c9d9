"""Notices to the team: several calls under one claim."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from activities.providers.provider import AddressDead, Answer, InDoubt, MessageDead, RetryLater, Unreachable
from activities.sending.handler import Draft
from activities.team.handler import TeamHandler


class Postman:
    """Answers each call with the next of `answers`."""

    name = "postman"
    timeout_seconds = 5.0

    def __init__(self, delivery_check="blind", answers=()):
        self.delivery_check = delivery_check
        self.answers = list(answers)

    def send(self, message):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _no_chat():
    raise AssertionError("nobody is told in the chat")


def notify(answers):
    performer = TeamHandler(None, Postman(answers=answers), None, _no_chat)
    job = SimpleNamespace(call=SimpleNamespace(input={"text": "Look"}), once_key="run:tell:1", as_of=None)
    to = [f"c{number}@example.org" for number in range(len(answers))]
    return performer.send(job, Draft({"to": to, "slack": None, "sender": "s@example.org"}), "", 1)


@pytest.mark.parametrize(
    ("answers", "failure"),
    [
        ([InDoubt("a"), RetryLater("b")], InDoubt),
        ([RetryLater("b"), InDoubt("a")], InDoubt),
        ([MessageDead("c"), InDoubt("a")], InDoubt),
        ([MessageDead("c"), RetryLater("b")], RetryLater),
        ([MessageDead("c")], MessageDead),
    ],
)
def test_a_notice_that_somebody_may_have_got_is_not_tried_again(answers, failure):
    with pytest.raises(failure):
        notify(answers)


def test_who_got_it_does_not_get_it_again():
    assert notify([Answer(), RetryLater("b")]).raw["data"] == {"told": 1, "not_told": 1}


@pytest.mark.parametrize(("provider", "notice"), [("blind", "blind"), ("lookup", "blind"), ("idempotent", "idempotent")])
def test_nobody_can_be_asked_about_several_calls_at_once(provider, notice):
    assert TeamHandler(None, Postman(provider), None, lambda: ("", Postman("idempotent"))).delivery_check == notice


# The team chat


class Chat(Postman):
    name = "chat"

    def __init__(self, answers=()):
        super().__init__("idempotent", answers)
        self.sent = []

    def send(self, message):
        self.sent.append(message)
        return super().send(message)


def test_an_account_that_takes_nothing_is_called_once_for_all_of_a_notice():
    members = ["b@example.org", "c@example.org", "d@example.org"]
    _, mail, chat, send = tell([Answer()], [Unreachable("slack_unreachable")], to=["a@example.org"], channel=members)
    assert send().raw["data"] == {"told": 1, "not_told": 3}
    assert [one.recipient for one in chat.sent] == ["b@example.org"]
    assert [one.recipient for one in mail.sent] == ["a@example.org"]


def tell(mails, chats, *, to=(), channel=("C024BE91L",), slack=None):
    mail, chat = Chat(mails), Chat(chats)
    handler = TeamHandler(None, mail, _posted, lambda: ("slack.main", chat), account="smtp.main")
    job = SimpleNamespace(call=SimpleNamespace(input={"text": "Look", "subject": "New\nlead"}), once_key="run:tell:1", as_of=None)
    draft = Draft({"to": list(to), "slack": slack, "chat": list(channel), "sender": "s@example.org"})
    return handler, mail, chat, lambda: handler.send(job, draft, "", 1)


def _posted(url, once_key, text, now):
    return Answer()


def test_chat_and_mail_are_told_by_an_account_each_which_hears_how_it_went():
    refused = RetryLater("slack_ratelimited")
    _, mail, chat, send = tell([Answer()], [refused, Answer()], to=["a@example.org"], channel=["C024BE91L", "b@example.org"])
    answer = send()
    assert answer.raw["data"] == {"told": 2, "not_told": 1}
    assert answer.accounts == {"smtp.main": None, "slack.main": refused}
    assert [(one.channel, one.recipient, one.subject, one.once_key) for one in chat.sent] == [
        ("chat", "C024BE91L", "New lead", "run:tell:1:chat:0"),
        ("chat", "b@example.org", "New lead", "run:tell:1:chat:1"),
    ]
    assert [one.recipient for one in mail.sent] == ["a@example.org"]


def test_whom_the_chat_does_not_know_gets_an_email_and_a_channel_does_not():
    _, mail, _, send = tell([Answer()], [AddressDead("slack_users_not_found")], channel=["b@example.org"])
    assert send().raw["data"] == {"told": 1, "not_told": 0}
    assert [(one.recipient, one.once_key) for one in mail.sent] == [("b@example.org", "run:tell:1:chat:0:mail")]
    _, mail, _, send = tell([], [AddressDead("slack_channel_not_found")])
    with pytest.raises(MessageDead) as caught:
        send()
    assert (caught.value.code, caught.value.account, mail.sent) == ("slack_channel_not_found", "slack.main", [])


def test_a_chat_that_cannot_tell_repeats_makes_the_notice_uncertain_after_a_crash():
    handler, _, chat, _ = tell([], [])
    assert handler.delivery_check == "idempotent"
    chat.delivery_check = "lookup"
    assert handler.delivery_check == "blind"
