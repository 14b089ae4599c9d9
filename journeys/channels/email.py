from __future__ import annotations

from journeys.channels.channel import Channel, Part, TemplateKind


class Email(Channel):
    """An e-mail, written in MJML."""

    name = "email"
    label = "E-mail"
    icon = "mail"
    wording = "By e-mail"
    noun = "e-mail"
    address_field = "email"
    sendable = True
    shared = True
    needs_unsubscribe = True
    template = TemplateKind(
        label="E-mail",
        icon="mail",
        start_label="Blank e-mail",
        start_help="An empty mail in MJML.",
        parts=(
            Part("subject", "Subject", "line", required=True),
            Part("preheader", "Preheader", "line"),
            Part("mjml", "Source (MJML)", "mjml", required=True),
            Part("text", "Text", "text"),
        ),
    )
