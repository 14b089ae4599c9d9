from __future__ import annotations

from journeys.channels.channel import Channel


class Postcard(Channel):
    """A card by post. Consent is kept; nothing sends on it yet."""

    name = "postcard"
    label = "Postcard"
    icon = "mail-open"
    wording = "By post"
    noun = "postcards"
