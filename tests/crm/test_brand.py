"""The brand as templates read it: every name has a value, colours can be read, a changed logo has another address."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from journeys.errors import Invalid
from workspace import brand, settings
from workspace.colours import contrast

LOGO = "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
OTHER = "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + bytes(21)).decode()


def values(session: Session, now: datetime, **look: Any) -> dict[str, str]:
    settings.put(session, "appearance", look, "test", now)
    return brand.values(session, "https://m.example/")


def test_a_brand_that_is_not_set_up_still_has_every_value(session: Session, now: datetime) -> None:
    found = values(session, now)
    assert found["name"] == found["logo"] == found["imprint"] == ""
    assert (found["color"], found["on_color"], found["heading_font"]) == ("#1f5fbf", "#ffffff", found["font"])
    settings.put(session, "sender", {"name": "Shop"}, "test", now)
    assert brand.values(session, "")["name"] == "Shop"


@pytest.mark.parametrize("colour", ["#ffff00", "#000000", "#ffffff", "#7f7f7f", "#ff6600"])
def test_links_and_buttons_can_be_read_in_any_colour(session: Session, now: datetime, colour: str) -> None:
    found = values(session, now, colour=colour)
    assert contrast(found["link"], "#ffffff") >= 4.5
    assert contrast(found["link_dark"], brand.DARK_PAPER) >= 4.5
    assert contrast(found["on_color"], found["color"]) >= 4.5


def test_a_logo_is_a_picture_at_an_address_of_its_own(session: Session, now: datetime) -> None:
    first = values(session, now, logo=LOGO)["logo"]
    assert first == f"https://m.example/m/logo/{brand.digest_of(LOGO)}.png"
    assert values(session, now, logo=OTHER)["logo"] != first


def test_fonts_are_those_that_mail_programs_have(session: Session, now: datetime) -> None:
    found = values(session, now, font="serif", heading_font="wide", name="Shop")
    assert (found["font"], found["heading_font"]) == ("Georgia, Times New Roman, serif", "Verdana, Geneva, sans-serif")


@pytest.mark.parametrize(
    "look",
    [{"text": "#cccccc"}, {"background": "#444444"}, {"text": "#333333", "background": "#666666"}, {"font": "comic"}, {"text": "red"}],
)
def test_what_cannot_be_read_is_refused(session: Session, now: datetime, look: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        values(session, now, **look)
