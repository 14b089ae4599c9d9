"""The channels by which contacts are reached. A new channel is one file in this folder and its place in `BUILT_IN`.

A consent for a channel that nothing sends on yet is kept when a program or a file states it, because it is the contact's word; but no
page, form or setting offers such a channel. Whoever needs names of channels takes them from here; nothing else in the tree spells one
([decision 029](../../docs/decisions/029-a-channel-is-one-file.md)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from journeys.channels.channel import Approved, Channel, Part, Route, Step, TemplateKind
from journeys.channels.email import Email
from journeys.channels.in_app import InApp
from journeys.channels.postcard import Postcard
from journeys.channels.push import Push
from journeys.channels.sms import Sms
from journeys.channels.whatsapp import WhatsApp

BUILT_IN: tuple[Channel, ...] = (Email(), Sms(), WhatsApp(), Push(), InApp(), Postcard())
"""In the order in which pages show them."""
CHANNELS: Mapping[str, Channel] = {channel.name: channel for channel in BUILT_IN}
SENDABLE = tuple(channel.name for channel in BUILT_IN if channel.sendable)
"""Each has a step, a kind of template, an address and a provider."""
TO_TEAM = ("team", "chat")
"""No channels of contacts: an account can carry mails to the team, and messages to the team's chat."""
TRACKING = "tracking"
"""No channel, but people consent to it in the same way: may we measure what you open and click?"""
ASKED = (*SENDABLE, TRACKING)
"""What people are asked about: may we write to you there, and may we measure what you open and click."""
TOPIC = "topic"
"""No channel either: a statement under it says whether somebody wants to hear about a topic of the workspace, whose key stands as the purpose."""
CONSENTS = (*CHANNELS, TRACKING, TOPIC)
"""What a statement may be about."""
ADDRESSED: Mapping[str, str] = {channel.name: channel.address_field for channel in BUILT_IN if channel.address_field}
"""Channel -> the contact's field that holds its address. Several people may have the same one; other channels reach a contact."""
ROUTES: Mapping[str, tuple[str, Route | None]] = {
    key: (channel.name, route)
    for channel in BUILT_IN
    if channel.sendable
    for key, route in (channel.routes.items() or [(channel.name, None)])
}
"""What an account can be chosen for -> the channel, and which part of it; None: all of it."""
ON_DEVICES = tuple(name for name in SENDABLE if CHANNELS[name].reach_field)
"""Channels that reach a contact on devices that it has registered."""
DEFAULT = Email.name
"""The channel that is meant where none is named: by documents, requests and rows from when there was no other."""


def reach_of(value: Callable[[str], Any], channel: str) -> str | None:
    """As `address_of`, of somebody whose fields are asked for by name."""
    known = CHANNELS.get(channel)
    if known is not None and known.reach_field and not value(known.reach_field):
        return None
    found = value(known.address_field if known and known.address_field else "id")
    return found if isinstance(found, str) and found else None


def address_of(contact: Any, channel: str) -> str | None:
    """Where `channel` reaches a contact (`Channel.address_of`); one that is no channel of ours, such as a custom activity's, by its id."""
    known = CHANNELS.get(channel)
    address: str | None = known.address_of(contact) if known else contact.id
    return address


if TYPE_CHECKING:
    ChannelName = str
    ConsentSubject = str
    MessageConsent = str
    SendableChannel = str
    AnySendable = str
else:
    ChannelName = Literal[tuple(CHANNELS)]
    """The type of a field that names a channel: an `enum` in JSON Schema."""
    ConsentSubject = Literal[CONSENTS]
    """The type of a field that names what a consent is about."""
    MessageConsent = Literal[(*CHANNELS, TRACKING)]
    """Likewise, without topics: they are no consent, only a wish beside one."""
    SendableChannel = Literal[SENDABLE]
    """The type of a field that names a channel on which messages leave."""
    AnySendable = Literal[("", *SENDABLE)]
    """Likewise; empty: any of them."""

__all__ = [
    "ADDRESSED", "ASKED", "BUILT_IN", "CHANNELS", "CONSENTS", "DEFAULT", "ON_DEVICES", "ROUTES", "SENDABLE", "TOPIC", "TO_TEAM", "TRACKING",
    "AnySendable", "Approved", "Channel", "ChannelName", "ConsentSubject", "MessageConsent", "Part", "Route", "SendableChannel", "Step",
    "TemplateKind", "address_of", "reach_of",
]  # fmt: skip
