from __future__ import annotations

from journeys.channels.channel import Channel


class InApp(Channel):
    """A message in the customer's own app or site. Consent is kept; nothing sends on it yet."""

    name = "in_app"
    label = "In-app message"
    icon = "layout"
    wording = "In the app"
    noun = "in-app messages"
    in_files = False
