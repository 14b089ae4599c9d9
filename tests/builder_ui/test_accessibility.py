"""Every page as people who do not see, or see little, meet it: axe-core finds no serious mistake, on a desk in English, on a phone in German,
light and dark. With `--screens FOLDER` each look is kept as a picture.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlmodel import select

from builder_ui.pages import PAGES
from models import OutboxItem

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
WORST = ("serious", "critical")
LOOKS = {
    "desk": {"locale": "en-GB", "viewport": {"width": 1400, "height": 880}},
    "phone": {"locale": "de-CH", "viewport": {"width": 390, "height": 844}},
}
LANGUAGES = {"desk": "EN", "phone": "DE"}


def mail(town: Any) -> str:
    with town.db.read() as session:
        return str(session.scalars(select(OutboxItem.id).order_by(OutboxItem.id)).first())


EXAMPLES: dict[str, Callable[[Any], str]] = {
    "/ui/journeys/{key}": lambda town: "/ui/journeys/welcome",
    "/ui/journeys/{key}/edit": lambda town: "/ui/journeys/cart_abandonment/edit",
    "/ui/runs/{id}": lambda town: f"/ui/runs/{town.run_of('Anna')}",
    "/ui/outbox/{id}": lambda town: f"/ui/outbox/{mail(town)}",
    "/ui/contacts/{id}": lambda town: f"/ui/contacts/{town.people['Anna']}",
    "/ui/tasks": lambda town: "/ui/tasks?owner=all",
}
"""The path of a page -> an address of it in the town that has something to show. A path with arguments fails without one."""


def address(path: str, town: Any) -> str:
    assert path in EXAMPLES or "{" not in path, f"expected an example of {path} in EXAMPLES, so that the page is looked at"
    return EXAMPLES[path](town) if path in EXAMPLES else path


@pytest.fixture(scope="module", params=LOOKS)
def look(request: pytest.FixtureRequest, site: Any, chrome: Browser) -> Iterator[tuple[str, Page]]:
    """How somebody looks at all the pages, and the browser's window."""
    context = site.context(chrome, **LOOKS[request.param], reduced_motion="reduce")
    with site.served():
        page = context.new_page()
        page.goto(site.link("admin"))
        page.get_by_role("button").click()
        expect(page.locator("#app h1").first).to_be_visible()
        page.get_by_role("button", name=LANGUAGES[request.param], exact=True).click()
        expect(page.locator("html")).to_have_attribute("lang", LANGUAGES[request.param].lower())
        yield request.param, page
        context.close()


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_no_page_keeps_anybody_out(path: str, look: tuple[str, Page], site: Any, pytestconfig: pytest.Config) -> None:
    name, page = look
    page.emulate_media(color_scheme="light")
    page.goto(address(path, site.town))
    expect(page.locator("#app h1").first).to_be_visible()
    expect(page.locator("#app > *").first).to_be_visible()
    if "/edit" in path:
        expect(page.locator(".react-flow__node").first).to_be_in_viewport()
    found = audit(page)
    keep(page, pytestconfig, path, name, "light")
    page.emulate_media(color_scheme="dark")
    found += audit(page, "color-contrast")
    keep(page, pytestconfig, path, name, "dark")
    for line in (line for impact, line in found if impact not in WORST):
        print(line)
    assert [line for impact, line in found if impact in WORST] == []


def audit(page: Page, *rules: str) -> list[tuple[str, str]]:
    """What axe finds: (impact, what is wrong and where). Mails in their frames are their senders' business."""
    page.evaluate(AXE)
    options: dict[str, Any] = {"resultTypes": ["violations"], "iframes": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    result = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        (violation["impact"], f"{violation['impact']}: {violation['id']}: {node['target']} {node['html'][:160]} {_why(node)}")
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


def _why(node: Any) -> str:
    return "; ".join(check["message"] for check in [*node["any"], *node["all"], *node["none"]])[:240]


def keep(page: Page, config: pytest.Config, path: str, look: str, scheme: str) -> None:
    """A picture of the page as it is shown, three quarters of its size, if pictures are wanted."""
    folder = config.getoption("--screens")
    if folder:
        name = path.removeprefix("/ui/").replace("{", "").replace("}", "").replace("/", "-")
        page.wait_for_timeout(400)  # what moves comes to rest
        clip = {"x": 0, "y": 0, **LOOKS[look]["viewport"], "scale": 0.75}
        picture = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "png", "clip": clip})
        (Path(folder) / f"{name}-{look}-{scheme}.png").write_bytes(b64decode(picture["data"]))
