from __future__ import annotations

from journeys.channels.channel import Channel, Part, Route, TemplateKind


class Push(Channel):
    """A notification on the screen of a device or a browser. A contact has as many devices as it has registered; a message goes to all of them."""

    name = "push"
    label = "Push message"
    icon = "bell"
    wording = "By push message"
    noun = "push messages"
    reach_field = "push_devices"
    routes = {
        "push": Route("Push message (browsers)", frozenset({"web"})),
        "push_app": Route("Push message (Android and iOS apps)", frozenset({"android", "ios"})),
    }
    in_files = False
    sendable = True
    template = TemplateKind(
        label="Push message",
        icon="bell",
        start_label="Push message",
        start_help="A notification for browsers and phones.",
        parts=(
            Part("title", "Title", "line", required=True, max_chars=80),
            Part("text", "Text", "text", required=True, max_chars=400),
            Part("url", "Address the message opens", "url", required=True),
            Part("button", "Words on the button", "line", max_chars=30),
            Part("icon", "Icon (address of a square picture)", "picture"),
            Part("picture", "Picture (address)", "picture"),
        ),
        bubble=True,
        notification=True,
        headline="title",
    )
