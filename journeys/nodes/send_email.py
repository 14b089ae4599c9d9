from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from journeys.nodes.send import SendTemplate
from journeys.types import Key
from journeys.values import Answer, Context


class SendEmail(SendTemplate):
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
    sender: Key | None = Field(
        None,
        title="Sender",
        description="As in the template, else as in the settings, unless chosen here.",
        json_schema_extra={"widget": "sender", "names": "sender"},
    )
    reply_to: Key | None = Field(
        None,
        title="Replies go to",
        description="As in the template, else the sender's own address for replies, unless chosen here.",
        json_schema_extra={"widget": "sender", "names": "sender"},
    )

    def enter(self, ctx: Context) -> Answer:
        chosen = {"sender": self.sender, "reply_to": self.reply_to}
        return self._do(ctx, template=self.template, **{name: key for name, key in chosen.items() if key})

    def senders(self) -> Iterable[tuple[str, str]]:
        yield "sender", self.sender or ""
        if self.reply_to:
            yield "reply_to", self.reply_to
