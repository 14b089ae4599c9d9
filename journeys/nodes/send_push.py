from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from journeys.nodes.send import SendTemplate
from journeys.types import Key, Span
from journeys.values import Answer, Context


class SendPush(SendTemplate):
    """Sends a push message to all of the contact's browsers and phones.

    It counts as sent once at least one device's push service has taken it, and as clicked when somebody opens it. Devices that are gone
    are removed; a contact without a device gets nothing and leaves through *not sent*. It passes the same gate as an e-mail: consent, suppression, quiet hours and frequency caps.
    """

    kind = "send_push"
    label = "Send push message"
    icon = "bell"
    keywords = "notification browser phone mobile app android ios web push alert"
    effect_channel = "push"
    example = {"template": "new-in-app"}

    template: Key = Field(title="Template", json_schema_extra={"widget": "template", "channel": "push", "names": "template"})
    valid_for: Annotated[
        Span,
        Field(
            ge=timedelta(minutes=1),
            le=timedelta(days=28),
            title="Valid for",
            description="A device that is off for longer does not get it. From one minute to 28 days.",
        ),
    ] = timedelta(days=1)
    urgency: Literal["low", "normal", "high"] = Field(
        "normal", title="Urgency", description="Low waits until the device is in use or charging; high wakes it."
    )
    replaces: Key | None = Field(
        None,
        title="Replaces earlier ones",
        description="A message with the same key takes the place of the one before on the screen. Empty: none does.",
    )

    def enter(self, ctx: Context) -> Answer:
        return self._do(
            ctx,
            template=self.template,
            lifetime_seconds=int(self.valid_for.total_seconds()),
            **({"urgency": self.urgency} if self.urgency != "normal" else {}),
            **({"replaces": self.replaces} if self.replaces else {}),
        )
