from __future__ import annotations

from pydantic import Field

from journeys.nodes.send import SendTemplate
from journeys.types import Key


class SendWhatsApp(SendTemplate):
    """Sends a WhatsApp message from a template to the contact.

    Within 24 hours after the contact's last WhatsApp message the free text of the template is sent, at any other time its
    approved template. A contact who has not written in the last 24 hours gets nothing from a template without an approved
    one, and leaves through *not sent*. It passes the same gate as an e-mail: valid number, consent, suppression, quiet
    hours and frequency caps.
    """

    kind = "send_whatsapp"
    label = "Send WhatsApp"
    icon = "phone"
    keywords = "whats app message chat phone reply template"
    effect_channel = "whatsapp"
    example = {"template": "order-on-its-way"}

    template: Key = Field(title="Template", json_schema_extra={"widget": "template", "channel": "whatsapp", "names": "template"})
