from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from journeys.nodes.node import Node
from journeys.results import Results
from journeys.types import Key
from journeys.values import Answer, Call, Context, Do, Leave, Outcome, Performed


class Send(Node):
    """What all kinds that send one message to the contact have in common; not itself in the palette.

    `purpose` and `message_class` are left out of the call when the author did not set them: the journey's settings hold then.
    """

    group = "messages"

    purpose: Key | None = Field(
        None,
        title="Consent purpose",
        description="As in the journey's settings unless chosen here.",
        json_schema_extra={"widget": "purpose", "names": "purpose"},
    )
    message_class: Literal["marketing", "transactional"] | None = Field(
        None,
        title="Class",
        description="Marketing needs consent and an unsubscribe link; transactional messages respond to something the contact did.",
    )

    def outlets(self) -> tuple[str, ...]:
        return ("sent", "skipped", "failed")

    def fallback(self, outlet: str) -> str | None:
        return None if outlet == "sent" else "sent"

    def results(self) -> Results:
        return {"message_id": "string", "status": "string", "reason": "string"}

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Performed):
            raise TypeError(f"expected a message to be Performed, got: {type(outcome).__name__}")
        return Leave(outlet=outcome.outlet, remember=outcome.data)

    def _do(self, channel: str, **content: Any) -> Do:
        settings = {"purpose": self.purpose, "message_class": self.message_class}
        return Do(call=Call(channel=channel, input=content | {k: v for k, v in settings.items() if v is not None}))


class SendEmail(Send):
    """Sends an e-mail from a template to the contact.

    Before it is sent, the message passes the gate: valid address, consent, suppression, quiet hours and frequency
    caps. A message that has to wait is held; one that may not be sent leaves through *not sent*, with the reason on
    the timeline. If *not sent* and *error* are not connected, the contact continues through *sent*.
    """

    kind = "send_email"
    label = "Send e-mail"
    icon = "mail"
    keywords = "mail newsletter message campaign template"
    effect_channel = "email"
    example = {"template": "welcome-1-hello"}

    template: Key = Field(title="Template", json_schema_extra={"widget": "template", "channel": "email", "names": "template"})

    def enter(self, ctx: Context) -> Answer:
        return self._do("email", template=self.template)

    def references(self) -> Iterable[tuple[str, str, str]]:
        yield "template", "template", self.template
