"""What all steps that send one message have in common, and the step of a channel that asks for a template only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, JsonValue, create_model

from journeys.channels import Channel
from journeys.draws import message_draw
from journeys.nodes.node import Node
from journeys.results import Results
from journeys.types import Key
from journeys.values import Answer, Call, Context, Do, Leave, Outcome, Performed

FURTHER: dict[str, JsonValue] = {"further": True}
"""The form shows these fields below those of the kind itself: what is sent comes first."""


class Send(Node):
    """What all kinds that send one message to the contact have in common; not itself in the palette.

    `purpose` and `message_class` are left out of the call when the author did not set them: the journey's settings hold then. So is `topic`:
    the template's holds then.
    """

    group = "messages"

    purpose: Key | None = Field(
        None,
        title="Consent purpose",
        description="As in the journey's settings unless chosen here.",
        json_schema_extra={"widget": "purpose", "names": "purpose", **FURTHER},
    )
    message_class: Literal["marketing", "transactional"] | None = Field(
        None,
        title="Class",
        description="Marketing needs consent and an unsubscribe link; transactional messages respond to something the contact did.",
        json_schema_extra={**FURTHER},
    )

    topic: Key | None = Field(
        None,
        title="Topic",
        description="As in the template unless chosen here. Who has declined the topic does not get the message.",
        json_schema_extra={"widget": "topic", "names": "topic", **FURTHER},
    )

    hold_out: int | None = Field(
        None,
        title="Control group of the message in per cent",
        description="So many contacts do not get this message, to measure what it achieves: always the same ones, drawn for this step. They go on through “not sent”. Marketing only.",
        ge=1,
        le=90,
        json_schema_extra={**FURTHER},
    )

    def outlets(self) -> tuple[str, ...]:
        return ("sent", "skipped", "failed")

    def fallback(self, outlet: str) -> str | None:
        return None if outlet == "sent" else "sent"

    def results(self) -> Results:
        return {"message_id": "string", "status": "string", "reason": "string"}

    def senders(self) -> Iterable[tuple[str, str]]:
        """(field, key) of whom the message is from and of who gets answers; an empty key is the workspace's usual sender."""
        yield "sender", ""

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Performed):
            raise TypeError(f"expected a message to be Performed, got: {type(outcome).__name__}")
        return Leave(outlet=outcome.outlet, remember=outcome.data)

    def _do(self, ctx: Context, **content: Any) -> Do:
        assert self.effect_channel is not None
        group = {"percent": self.hold_out, "name": message_draw(ctx.run.journey, ctx.node_id)} if self.hold_out else None
        settings = {"purpose": self.purpose, "message_class": self.message_class, "topic": self.topic, "hold_out": group}
        return Do(call=Call(channel=self.effect_channel, input=content | {k: v for k, v in settings.items() if v is not None}))


class SendTemplate(Send):
    """What the kinds have in common that send a template and ask for nothing else; not itself in the palette."""

    template: Key

    def enter(self, ctx: Context) -> Answer:
        return self._do(ctx, template=self.template)

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "template", "template", self.template


def step_of(channel: Channel) -> type[Send]:
    """The kind `send_<channel>` of a channel that brings its words (`Channel.step`) and has no class of its own."""
    step = channel.step
    assert step is not None
    template = Field(title="Template", json_schema_extra={"widget": "template", "channel": channel.name, "names": "template"})
    kind = create_model(f"Send{type(channel).__name__}", __base__=SendTemplate, __doc__=step.help, template=(Key, template))
    kind.kind, kind.label, kind.icon, kind.keywords = f"send_{channel.name}", step.label, channel.icon, step.keywords
    kind.effect_channel, kind.example = channel.name, {"template": "welcome-1-hello"}
    return kind
