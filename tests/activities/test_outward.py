"""Notices to the team: several calls under one claim."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from activities.providers.provider import Answer, InDoubt, MessageDead, RetryLater
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


def notify(answers):
    performer = TeamHandler(None, Postman(answers=answers), None)
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
    assert TeamHandler(None, Postman(provider), None).delivery_check == notice
