"""Structures of real templates read and lay out as MJML's reference implementation has them, on a phone, on a desk and in Outlook."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from activities.rendering import result
from activities.rendering.conditionals import outlook_view
from tests.activities.rendering.corpus import SOURCES, ours, theirs
from tests.chromium import chromium

HERE = Path(__file__).parent
NEAR = 3
"""Points by which two places may differ."""
LAYOUT = (HERE / "layout.js").read_text()
PICTURE = "<svg xmlns='http://www.w3.org/2000/svg' width='300' height='150'><rect width='300' height='150' fill='#888'/></svg>"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One page for the file; every picture is 300 × 150 and nothing is fetched."""
    with chromium() as browser:
        page = browser.new_page()
        page.route("**/*", _picture)
        yield page


def _picture(route: Route) -> None:
    route.fulfill(body=PICTURE, content_type="image/svg+xml")


@lru_cache(maxsize=100)
def mail(name: str) -> str:
    return ours(name)


def structure(html: str) -> dict[str, Any]:
    """Text, links and pictures as everybody and as Outlook gets them."""
    seen = result.see(html)
    pairs = [(tag, dict(attributes)) for tag, attributes in seen.tags]
    return {
        "text": seen.text,
        "links": [attributes["href"] for tag, attributes in pairs if "href" in attributes],
        "images": [(attributes.get("src"), " ".join(attributes.get("alt", "").split())) for tag, attributes in pairs if tag == "img"],
        "left": [tag for tag, _ in pairs if tag.startswith("mj-")],
    }


@pytest.mark.parametrize("name", SOURCES)
def test_a_mail_says_what_the_reference_says(name: str) -> None:
    for view in (str, outlook_view):
        assert structure(view(mail(name))) == structure(view(theirs(name)))


@pytest.mark.parametrize("name", SOURCES)
def test_a_mail_is_laid_out_as_the_reference(name: str, page: Page) -> None:
    for view, widths in ((str, (375, 1200)), (outlook_view, (1200,))):
        mine, reference = (laid_out(page, view(html), widths) for html in (mail(name), theirs(name)))
        for width in widths:
            for what in ("texts", "images", "boxes"):
                assert differences(mine[width][what], reference[width][what]) == [], (view.__name__, width, what)


def laid_out(page: Page, html: str, widths: tuple[int, ...]) -> dict[int, Any]:
    page.set_viewport_size({"width": widths[0], "height": 800})
    page.set_content(html, wait_until="load")
    found = {}
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        found[width] = page.evaluate(LAYOUT)
    return found


def differences(mine: list[list[Any]], reference: list[list[Any]]) -> list[Any]:
    """Pairs that differ by more than a few points; what only one side has."""
    pairs = [(one, other) for one, other in zip(mine, reference, strict=False) if not alike(one, other)]
    return pairs + mine[len(reference) :] + reference[len(mine) :]


def alike(one: list[Any], other: list[Any]) -> bool:
    return one[:-4] == other[:-4] and all(abs(a - b) <= NEAR for a, b in zip(one[-4:], other[-4:], strict=True))
