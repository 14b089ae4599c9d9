from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from journeys.errors import Issue
from journeys.nodes.node import Node, unread_places
from journeys.placeholders import fields, fill
from journeys.values import Answer, Call, Context, Do, Leave, Outcome, Performed

Recipient = Annotated[str, Field(pattern=r"^[^@\s]{1,64}(@[^@\s]{1,190})?$", max_length=255)]

OWNER = "owner"
"""Among recipients: whoever owns the contact."""


class NotifyTeam(Node):
    """Notifies your team by e-mail, in the team chat or by a webhook of Slack.

    Subject and text can contain values: `{{ contact.company|default("no company") }}`. The journey continues whether
    or not the message could be delivered; a failure is on the timeline. If none of the recipients is on the team any
    more, an admin is notified.
    """

    kind = "notify_team"
    label = "Notify team"
    group = "messages"
    icon = "megaphone"
    keywords = "alert slack internal message colleague sales inform"
    effect_channel = "team"
    example = {"to": ["owner"], "subject": "New lead", "text": "{{ contact.email }} asked for a call."}

    to: tuple[Recipient, ...] = Field(
        (),
        title="Recipients",
        description="Members or e-mail addresses; `owner` is the contact's owner.",
        max_length=20,
        json_schema_extra={"widget": "recipients", "names": "recipient"},
    )
    slack_webhook: str | None = Field(
        None,
        title="Slack webhook",
        description="Name of the secret that holds the channel's webhook address.",
        max_length=64,
        json_schema_extra={"widget": "secret", "names": "secret"},
    )
    by: Literal["email", "chat", "both"] = Field(
        "email",
        title="Members are told",
        description="In the team chat: as a direct message, by e-mail if they are not there. Other addresses always get an e-mail.",
    )
    chat_channel: str | None = Field(
        None,
        title="Channel in the team chat",
        description="Its ID, such as C024BE91L; in Slack at the bottom of the channel's details. The app must be in the channel.",
        pattern=r"^[CG][A-Z0-9]{7,20}$",
        max_length=21,
    )
    subject: str = Field(
        "",
        title="Subject",
        description="Of the e-mail, and the first line in the team chat.",
        examples=["New lead: {{ contact.company }}"],
        max_length=200,
    )
    text: str = Field(
        title="Text",
        examples=["{{ contact.email }} asked for a call."],
        min_length=1,
        max_length=4_000,
        json_schema_extra={"widget": "text"},
    )

    def enter(self, ctx: Context) -> Answer:
        said: dict[str, Any] = {"text": fill(self.text, ctx.facts), "subject": fill(self.subject, ctx.facts), "to": list(self.to)}
        if self.slack_webhook is not None:
            said["slack_webhook"] = self.slack_webhook
        if self.by != "email":
            said["by"] = self.by
        if self.chat_channel is not None:
            said["chat_channel"] = self.chat_channel
        return Do(call=Call(channel="team", input=said))

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Performed):
            raise TypeError(f"expected a notice to be Performed, got: {type(outcome).__name__}")
        return Leave(outlet="next", note={"result": outcome.outlet})

    def references(self) -> Iterable[tuple[str, str, str]]:
        if self.slack_webhook is not None:
            yield "slack_webhook", "secret", self.slack_webhook
        for place in ("subject", "text"):
            for name in fields(getattr(self, place)):
                yield place, "field", name

    def problems(self, node_id: str) -> Iterable[Issue]:
        yield from unread_places(node_id, {"subject": self.subject, "text": self.text})
        if not self.to and self.slack_webhook is None and self.chat_channel is None:
            yield Issue(code="no_recipient", text="No recipients: choose recipients, a channel or a webhook.", node_id=node_id, field="to")
