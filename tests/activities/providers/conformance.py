"""What every provider must do, tried at its wire. A provider's test module subclasses `Conformance` and gives a `wire` fixture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Protocol

import pytest

from activities.providers import Answer, InDoubt, MessageDead, Outgoing, Provider, ProviderFailure
from activities.sending.ledger import message_id_of
from journeys.channels import CHANNELS

SPOKEN = "person@example.org said Müller"
"""What the other side puts into its error texts; none of it may come back to us."""

RECIPIENTS = {
    "sms": "+41791234567",
    "whatsapp": "+41791234567",
    "chat": "C024BE91L",
    "push": "device-token-1",
    "in_app": "c1",
    "postcard": "Ada Lovelace | Bahnhofstrasse 1 | | 8001 | Zurich | | CH",
}
"""Channel -> whom a message is for, where that is no e-mail address."""


APPROVED = {"whatsapp": {"content_sid": "HX" + "c3" * 16, "content_variables": 'Ada\nA-1 "x"'}}
"""Channel -> the parts of a message that is an approved template with two values, for channels that know them."""


@dataclass(frozen=True)
class Arrived:
    """A message as the other side read it, by its own means. `template`: the approved one that it names, with its values."""

    recipient: str
    subject: str
    text: str
    template: tuple[str, Mapping[str, str]] | None = None


class Wire(Protocol):
    """The other side of a provider. `failures`: the failure classes that can be provoked with `fail`."""

    provider: Provider
    failures: tuple[type[ProviderFailure], ...]

    def fail(self, with_: type[ProviderFailure]) -> None:
        """The next message meets this failure, the one after it none."""

    def arrived(self, once_key: str) -> list[Arrived]:
        """What was accepted under the key."""

    def go_away(self) -> None:
        """The other side does not answer any more."""


def outgoing(once_key: str = "run1:welcome:1", **changes: object) -> Outgoing:
    """A message with everything in it that is easily broken on the way."""
    message = {
        "message_id": message_id_of(once_key),
        "channel": "email",
        "recipient": "anna@example.org",
        "sender": "Käfer & Söhne <shop@example.com>",
        "subject": 'Grüße, "Anna" – 20 % für dich ' + "und noch viel mehr " * 6 + "🎉",
        "text": "Hallo Anna,\n.\n..zwei Punkte\nÄÖÜ €\n",
        "html": "<p>Hallo <b>Anna</b></p>\n.\n<p>Ende</p>",
        "headers": {"List-Unsubscribe": "<https://example.com/u/" + "a" * 90 + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
        "metadata": {"run": "run1"},
    }
    if changes.get("channel") == "postcard":  # who prints gets neither recipient nor text otherwise
        message["documents"] = (f"%PDF-1.4\n{changes.get('recipient')}\n{message['text']}".encode(),) * 2
    return Outgoing(once_key=once_key, **{**message, **changes})  # type: ignore[arg-type]


class Conformance:
    channel: ClassVar[str] = "email"
    """The one that nearly all tests use."""
    names_templates: ClassVar[bool] = False
    """Whether the provider has approved templates, which go by its name for them."""

    def message(self, once_key: str = "run1:welcome:1") -> Outgoing:
        return outgoing(once_key, channel=self.channel, recipient=RECIPIENTS.get(self.channel, "anna@example.org"))

    def test_what_it_declares_can_be_relied_on(self, wire: Wire) -> None:
        provider = wire.provider
        assert re.fullmatch(r"[a-z][a-z0-9_]*", provider.name)
        assert provider.channels
        assert provider.delivery_check in ("idempotent", "lookup", "blind")
        assert 0 < provider.timeout_seconds <= 120
        provider.verify()

    def test_a_message_arrives_as_it_was_handed_over(self, wire: Wire) -> None:
        message = self.message()
        answer = wire.provider.send(message)
        assert answer.status == "sent"
        channel = CHANNELS.get(self.channel)
        shows_subject = channel is None or (channel.template is not None and channel.template.part("subject"))
        subject = message.subject if shows_subject else ""
        assert wire.arrived(message.once_key) == [Arrived(message.recipient, subject, message.text)]

    def test_each_channel_carries_a_message(self, wire: Wire) -> None:
        for channel in sorted(wire.provider.channels):
            message = outgoing(f"run1:{channel}:1", channel=channel, recipient=RECIPIENTS.get(channel, "anna@example.org"))
            assert wire.provider.send(message).status == "sent"
            assert [one.recipient for one in wire.arrived(message.once_key)] == [message.recipient]

    def test_each_channel_carries_an_approved_template(self, wire: Wire) -> None:
        """Where one goes by the provider's name for it, the values arrive, and the wording is the provider's; elsewhere the text does."""
        for channel in sorted(wire.provider.channels & APPROVED.keys()):
            message = outgoing(f"run1:{channel}-approved:1", channel=channel, recipient=RECIPIENTS[channel], parts=APPROVED[channel])
            assert wire.provider.send(message).status == "sent"
            [arrived] = wire.arrived(message.once_key)
            assert arrived.recipient == message.recipient
            by_name = ("", ("HX" + "c3" * 16, {"1": "Ada", "2": 'A-1 "x"'}))
            assert (arrived.text, arrived.template) == (by_name if self.names_templates else (message.text, None))

    def test_many_threads_send_at_once(self, wire: Wire) -> None:
        messages = [self.message(f"run{number}:send:1") for number in range(24)]
        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(wire.provider.send, messages))
        assert {answer.status for answer in answers} == {"sent"}
        assert [len(wire.arrived(message.once_key)) for message in messages] == [1] * 24

    def test_each_failure_is_sorted_and_says_nothing_from_outside(self, wire: Wire) -> None:
        for number, failure in enumerate(wire.failures):
            message = self.message(f"run{number}:send:1")
            wire.fail(failure)
            with pytest.raises(failure) as caught:
                wire.provider.send(message)
            assert type(caught.value) is failure
            assert re.fullmatch(r"[a-z_]+[A-Za-z0-9_.:-]*", caught.value.code)
            assert not any(word.lower() in f"{caught.value!r} {caught.value.__cause__}".lower() for word in SPOKEN.split())
            if failure is not InDoubt:
                assert wire.arrived(message.once_key) == []

    def test_after_a_failure_the_next_message_goes_through(self, wire: Wire) -> None:
        for number, failure in enumerate(wire.failures):
            wire.fail(failure)
            with pytest.raises(failure):
                wire.provider.send(self.message(f"bad{number}:send:1"))
            assert wire.provider.send(self.message(f"good{number}:send:1")).status == "sent"
            assert len(wire.arrived(f"good{number}:send:1")) == 1

    def test_doubt_is_settled_as_declared(self, wire: Wire) -> None:
        message = self.message()
        assert wire.provider.lookup(message.once_key) is None
        if InDoubt in wire.failures:
            wire.fail(InDoubt)
            with pytest.raises(InDoubt):
                wire.provider.send(message)
        else:
            wire.provider.send(message)
        if wire.provider.delivery_check == "idempotent":
            assert wire.provider.send(message) == wire.provider.send(message)
        found = wire.provider.lookup(message.once_key)
        assert found is None or found.status == "sent"
        assert isinstance(found, Answer) or wire.provider.delivery_check != "lookup", "`delivery_check` says so"
        assert len(wire.arrived(message.once_key)) == 1

    def test_nothing_but_one_recipient_can_be_smuggled_in(self, wire: Wire) -> None:
        for changes in (
            {"subject": "Hi\r\nBcc: all@example.org"},
            {"recipient": "a@example.org\nb@example.org"},
            {"sender": "x\r\n <a@example.org>"},
            {"reply_to": "a@example.org\0"},
            {"headers": {"X-A": "1\r\n\r\n<script>"}},
            {"headers": {"X-A\r\nBcc": "b@example.org"}},
            {"headers": {"": "x"}},
        ):
            with pytest.raises(MessageDead) as caught:
                outgoing(**changes)
            assert caught.value.code == "bad_header"

    def test_when_the_other_side_is_gone_nothing_is_claimed(self, wire: Wire) -> None:
        wire.go_away()
        with pytest.raises(ProviderFailure) as caught:
            wire.provider.send(self.message())
        assert caught.value.sort in ("retry_later", "in_doubt")
        with pytest.raises(ProviderFailure):
            wire.provider.verify()
