from __future__ import annotations

from journeys.channels.channel import Channel


class WhatsApp(Channel):
    """A message in WhatsApp. Consent is kept; nothing sends on it yet."""

    name = "whatsapp"
    label = "WhatsApp"
    icon = "phone"
    wording = "By WhatsApp"
    noun = "WhatsApp"
    address_field = "phone"
