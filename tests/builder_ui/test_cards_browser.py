"""What is written on the cards of the canvas can be read there: every kind of step, in both languages. Real Chromium."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize, expect
from sqlmodel import col, update

from engine.versions import publish
from journeys.errors import Issue
from journeys.nodes import Node, Palette
from models import Member

KEY = "kinds"
WALL = ViewportSize(width=3_400, height=2_600)
"""A window in which all kinds stand beside each other at full size."""
OUTLETS = """() => [...document.querySelectorAll('.react-flow__node')].flatMap((node) =>
  [...node.querySelectorAll('.pfb-outlet')].map((outlet) => [
    `${node.dataset.id}: ${outlet.title}`, outlet.clientWidth, outlet.scrollWidth]))"""


def outlets(node: Node | list[Issue]) -> Iterable[str]:
    assert isinstance(node, Node)
    return node.outlets()


def every_kind() -> dict[str, Any]:
    """A step of each, all of whose outlets lead on: where one does, its name is a button and a little wider."""
    palette = Palette.built_in()
    nodes = {kind.kind: {"kind": kind.kind, **kind.example} for kind in palette}
    edges = [{"from": id, "outlet": name, "to": "exit"} for id, raw in nodes.items() for name in outlets(palette.parse(id, raw))]
    return {"spec": 1, "name": "Kinds", "nodes": nodes, "edges": edges}


@pytest.mark.parametrize("language", ["de", "en"])
def test_no_outlet_is_cut_on_its_card(language: str, site: Any, chrome: Browser) -> None:
    document = every_kind()
    with site.town.db.write() as session:
        session.execute(update(Member).where(col(Member.role) == "admin").values(locale=language))
        publish.create_journey(session, {**document, "key": f"{KEY}-{language}"}, "test", site.town.now)
    context = site.context(chrome, locale=language, viewport=WALL)
    with site.served():
        page = context.new_page()
        page.goto(site.link("admin"))
        page.get_by_role("button").click()
        expect(page.get_by_role("heading", name="Journeys", level=1)).to_be_visible()
        page.goto(f"/ui/journeys/{KEY}-{language}/edit")
        expect(page.locator(".react-flow__node")).to_have_count(len(document["nodes"]) + 1)
        found = page.evaluate(OUTLETS)
        context.close()
    # A single outlet has no name on its card: everybody sees where it leads.
    assert sum(shown > 0 for _, shown, _ in found) > len(document["nodes"])
    assert [name for name, shown, wanted in found if wanted > shown] == []
