from __future__ import annotations

from journeys.channels.channel import Channel, Part, Step, TemplateKind


class Pigeon(Channel):
    """A toy: a slip of paper on the leg of a pigeon, which flies to whoever's phone number it knows."""

    name = "pigeon"
    label = "Pigeon"
    icon = "flag"
    wording = "By pigeon"
    noun = "carrier pigeons"
    address_field = "phone"
    sendable = True
    needs_unsubscribe = True
    template = TemplateKind(
        label="Pigeon",
        icon="flag",
        start_label="Blank slip",
        start_help="A slip of paper.",
        parts=(
            Part("title", "Headline", "line", required=True, max_chars=40),
            Part("text", "Slip", "text", required=True),
            Part("url", "Address", "url"),
        ),
        bubble=True,
        headline="title",
    )
    step = Step("Send a pigeon", "Sends a slip of paper.\n\nIt passes the gate.", "bird")
