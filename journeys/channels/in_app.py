from __future__ import annotations

from journeys.channels.channel import Channel, Part, TemplateKind


class InApp(Channel):
    """A message in the inbox that contacts have on the customer's own site or in their app."""

    name = "in_app"
    label = "In-app message"
    icon = "layout"
    wording = "In the app"
    noun = "in-app messages"
    in_files = False
    sendable = True
    template = TemplateKind(
        label="In-app message",
        icon="layout",
        start_label="In-app message",
        start_help="A message for the inbox on your website or in your app.",
        parts=(
            Part("title", "Title", "line", required=True, max_chars=120),
            Part("text", "Text", "text", required=True, max_chars=2_000),
            Part("url", "Address the message opens", "url"),
            Part("button", "Words on the button", "line", max_chars=40),
        ),
        bubble=True,
        headline="title",
    )
