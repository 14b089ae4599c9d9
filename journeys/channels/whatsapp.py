from __future__ import annotations

from datetime import timedelta

from journeys.channels.channel import Approved, Channel, Part, TemplateKind


class WhatsApp(Channel):
    """A message in WhatsApp: free text as an answer, at any other time a template that WhatsApp has approved."""

    name = "whatsapp"
    label = "WhatsApp"
    icon = "phone"
    wording = "By WhatsApp"
    noun = "WhatsApp"
    address_field = "phone"
    sendable = True
    reply_window = timedelta(hours=24)
    """Source: Twilio "Key concepts: WhatsApp", customer service window."""
    template = TemplateKind(
        label="WhatsApp",
        icon="phone",
        start_label="WhatsApp",
        start_help="A free text for replies, an approved template for any other time.",
        parts=(
            Part("text", "Text within 24 hours after a reply", "text", max_chars=1_600),
            Part("content_sid", "Content SID", "line", pattern="HX[0-9a-fA-F]{32}", example="HX0123456789abcdef0123456789abcdef"),
            Part("approved_text", "Approved wording", "numbered", max_chars=1_600),
            Part("content_variables", "Values for the placeholders, one per line", "values", max_chars=1_600),
        ),
        bubble=True,
        approved=Approved(
            id="content_sid",
            wording="approved_text",
            values="content_variables",
            title="Approved template",
            help="Sent at any other time. The wording is as WhatsApp approved it, with {{1}}, {{2}} … for the values below.",
        ),
    )
