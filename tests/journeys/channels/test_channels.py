"""What every channel must say of itself, and how the lists follow from it."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import get_args

import pytest

from builder_ui.kit.components import ICONS
from journeys.channels import (
    ADDRESSED,
    ASKED,
    BUILT_IN,
    CHANNELS,
    CONSENTS,
    DEFAULT,
    ON_DEVICES,
    SENDABLE,
    TOPIC,
    TRACKING,
    Channel,
    ConsentSubject,
    MessageConsent,
)
from journeys.rules.fields import CONTACT_COLUMNS


@pytest.mark.parametrize("channel", BUILT_IN, ids=lambda channel: channel.name)
def test_a_channel_says_all_that_is_asked_of_it(channel: Channel) -> None:
    assert re.fullmatch(r"[a-z][a-z_]{1,30}", channel.name)
    assert all((channel.label, channel.wording, channel.noun, channel.__doc__))
    assert channel.icon in ICONS, f"the icons are {', '.join(ICONS)}"
    assert channel.address_field in {None, *CONTACT_COLUMNS}
    if channel.sendable:
        assert channel.template is not None
        assert channel.template.beginning
        assert channel.template.required or channel.template.approved
        assert (channel.template.approved is None) == (channel.reply_window is None), "one goes where the other may not"


def test_the_lists_follow_from_the_channels() -> None:
    assert len(CHANNELS) == len(BUILT_IN)
    assert TRACKING not in CHANNELS
    assert (*CHANNELS, TRACKING, TOPIC) == CONSENTS == get_args(ConsentSubject)
    assert (*CHANNELS, TRACKING) == get_args(MessageConsent)
    assert (*SENDABLE, TRACKING) == ASKED
    assert set(ADDRESSED) == {name for name, channel in CHANNELS.items() if channel.address_field}
    assert DEFAULT in SENDABLE


def test_a_channel_reaches_a_contact_by_its_field_or_its_id() -> None:
    address = "Ada | Weg 1 | | 3000 | Bern | | CH"
    contact = SimpleNamespace(id="c1", email="ada@example.org", phone="+41441234567", push_devices="web", postal_address=address)
    reached = {name: channel.address_of(contact) for name, channel in CHANNELS.items()}
    assert reached == {name: getattr(contact, ADDRESSED.get(name, "id")) for name in CHANNELS}
    contact.push_devices = None
    assert [name for name, channel in CHANNELS.items() if channel.address_of(contact) is None] == list(ON_DEVICES)
