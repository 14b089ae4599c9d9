from __future__ import annotations

from journeys.channels.channel import Channel


class Push(Channel):
    """A message on the screen of a device or a browser. Consent is kept; nothing sends on it yet."""

    name = "push"
    label = "Push message"
    icon = "bell"
    wording = "By push message"
    noun = "push messages"
    in_files = False
