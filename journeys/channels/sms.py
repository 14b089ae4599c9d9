from __future__ import annotations

from datetime import time

from journeys.channels.channel import Channel, Part, TemplateKind


class Sms(Channel):
    """A text message to the contact's phone."""

    name = "sms"
    label = "SMS"
    icon = "message-square"
    wording = "By text message"
    noun = "text messages"
    address_field = "phone"
    sendable = True
    shared = True
    quiet_by_law = time(21), time(8)
    """Source: 47 CFR 64.1200(c)(1) (TCPA): between 8 a.m. and 9 p.m. of the called party."""
    template = TemplateKind(
        label="SMS",
        icon="message-square",
        start_label="SMS",
        start_help="A text for phones, with a counter for its parts.",
        parts=(Part("text", "Text", "text", required=True),),
        segments=True,
        bubble=True,
    )
