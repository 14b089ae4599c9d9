"""The workspace's colour on public pages can be read, whatever it is."""

from __future__ import annotations

import pytest

from api.public.brand import colours
from workspace.colours import DARK, LEAST_CONTRAST, LIGHT, contrast, readable


def test_a_contrast_is_that_of_the_standard() -> None:
    """WCAG 2.2, 1.4.3."""
    assert LEAST_CONTRAST == 4.5
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("paper", [LIGHT, DARK])
@pytest.mark.parametrize("colour", ["#ffffff", "#ffff00", "#7f7f7f", "#1f5fbf", "#ff0000", "#000000", "#16181b"])
def test_a_link_can_be_read_on_either_paper(colour: str, paper: str) -> None:
    found = readable(colour, paper)
    assert contrast(found, paper) >= 4.5
    assert found == colour or contrast(colour, paper) < 4.5, "a colour that can be read is left as it is"


@pytest.mark.parametrize(
    ("colour", "ink"), [("#ffff00", "#000000"), ("#1f5fbf", "#ffffff"), ("#000000", "#ffffff"), ("#ffffff", "#000000")]
)
def test_a_button_is_written_on_in_what_can_be_read(colour: str, ink: str) -> None:
    light, dark = (f"--deed: {colour}; --deed-ink: {ink}; --link: {readable(colour, paper)};" for paper in (LIGHT, DARK))
    assert light in colours(colour).partition("@media")[0]
    assert dark in colours(colour).partition("@media")[2]


def test_without_a_colour_there_is_no_style() -> None:
    assert colours("") == ""
