"""The channels by which messages leave today, and those that a consent may be about.

A consent for a channel that nothing sends on yet is kept when a program or a file states it, because it is the contact's word; but no
page, form or setting offers such a channel.
"""

from __future__ import annotations

SENDABLE = ("email", "sms")
"""Each has a step, a kind of template, an address and a provider."""
ASKED = (*SENDABLE, "tracking")
"""What people are asked about: may we write to you there, and may we measure what you open and click."""
CONSENTS = ("email", "sms", "whatsapp", "push", "in_app", "postcard", "tracking")
"""What a statement may be about."""
