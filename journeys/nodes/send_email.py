from __future__ import annotations

from pydantic import Field

from journeys.nodes.send import SendTemplate
from journeys.types import Key


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
