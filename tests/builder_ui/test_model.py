"""What the canvas does with news of others while its own person works, by its own code in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

SOURCES = Path(__file__).parents[2] / "builder_ui" / "frontend" / "src"
HOST = "http://canvas.test"
BEGIN = """async () => {
  const { Model } = await import("/model.js");
  const view = (...outlets) => ({ label: "Step", name: "", summary: "", outlets: outlets.map((one) => [one, one, false]) });
  const step = (kind, outlets, x, y) => ({ raw: { kind }, view: view(...outlets), x, y });
  globalThis.begun = (laid, apart = 0) => {
    const sent = [];
    const model = new Model((message) => sent.push(message));
    const nodes = { $entry: step("", ["next"], 0, 0), a: step("wait", ["next"], apart, 200), b: step("exit", [], apart, 400) };
    model.load({ nodes, edges: [["$entry", "next", "a"], ["a", "next", "b"]], notes: {}, laid });
    const moved = (x, y) => model.show(model.nodes.map((node) => (node.id === "a" ? { ...node, position: { x, y } } : node)), model.edges);
    const raised = (id, set) => ({ nodes: { [id]: { set } }, gone: [], edges: [], cut: [], notes: {}, torn: [], laid });
    return { model, sent, moved, raised, at: (id) => model.node(id)?.position };
  };
}"""


@pytest.fixture(scope="module")
def sources(chrome: Browser) -> Iterator[Page]:
    """A page that holds nothing but the sources of the canvas."""
    context = chrome.new_context()

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(HOST).strip("/")
        kind = "text/javascript" if name else "text/html"
        route.fulfill(body=(SOURCES / name).read_text() if name else "<!doctype html>", content_type=kind)

    context.route(f"{HOST}/**", answer)
    page = context.new_page()
    page.goto(HOST)
    page.evaluate(BEGIN)
    yield page
    context.close()


@pytest.mark.parametrize("laid", [False, True])
def test_what_is_dragged_while_somebody_saves_stays_and_is_told(sources: Page, laid: bool) -> None:
    found: Any = sources.evaluate(
        """(laid) => {
          const { model, sent, moved, raised, at } = begun(laid);
          model.held = true;
          model.join(raised("b", [[["name"], "By Alex"]]));
          moved(500, 250);
          model.laid = false; // as when a drag ends
          model.acknowledge(); // they wait, and are not seen
          model.settle();
          model.flush();
          const placed = sent.filter(({ type }) => type === "ops").map(({ nodes, laid }) => [nodes.a, laid]);
          return { at: at("a"), name: model.node("b").data.raw.name, placed, order: sent.map(({ type }) => type) };
        }""",
        laid,
    )
    assert found["at"] == {"x": 500, "y": 250}
    assert found["name"] == "By Alex"
    assert found["placed"] == [[{"x": 500, "y": 250}, False]]
    assert found["order"] == ["ops", "seen"]


def test_what_was_dragged_and_is_not_told_yet_outlasts_news(sources: Page) -> None:
    found: Any = sources.evaluate(
        """() => {
          const { model, sent, moved, raised, at } = begun(true);
          moved(500, 250);
          model.laid = false;
          model.tell();
          model.join(raised("b", [[["name"], "By Alex"]]));
          model.flush();
          return { at: at("a"), placed: sent.map(({ nodes, laid }) => [nodes.a, laid]) };
        }"""
    )
    assert found == {"at": {"x": 500, "y": 250}, "placed": [[{"x": 500, "y": 250}, False]]}


def test_the_canvas_is_tidy_again_where_nothing_of_its_own_waits(sources: Page) -> None:
    assert sources.evaluate(
        """() => {
          const { model, raised } = begun(false, 300);
          model.join({ ...raised("b", [[["name"], "By Alex"]]), laid: true });
          return model.laid;
        }"""
    )


def test_what_is_not_told_yet_is_told_before_news_are_carried_out(sources: Page) -> None:
    """Else the server could not know what they overrun: here the step that is changed goes."""
    found: Any = sources.evaluate(
        """() => {
          const { model, sent } = begun(true);
          const named = (node) => (node.id === "b" ? { ...node, data: { ...node.data, raw: { kind: "exit", name: "Mine" } } } : node);
          model.change(model.nodes.map(named), model.edges);
          model.join({ nodes: {}, gone: ["b"], edges: [], cut: [["a", "next"]], notes: {}, torn: [], laid: true });
          model.acknowledge();
          model.flush();
          return { sent: sent.map(({ type, nodes }) => [type, nodes?.b?.raw.name]), left: model.nodes.map((node) => node.id) };
        }"""
    )
    assert found == {"sent": [["ops", "Mine"], ["seen", None]], "left": ["$entry", "a"]}


def test_news_that_wait_for_a_drag_to_end_are_asked_for_anew_where_the_connection_breaks_meanwhile(sources: Page) -> None:
    """The page hands over what it shows, in which they are not, as what it made of the draft before them."""
    found: Any = sources.evaluate(
        """() => {
          const { model, sent, moved, raised } = begun(true);
          const says = (rev, op, ...news) => {
            model.saved = { rev, op, all: true };
            news.forEach((one) => model.join(one));
            model.acknowledge(news.length > 0);
          };
          says(4, 0, raised("b", [[["name"], "Seen"]]));
          model.held = true;
          says(5, 0, raised("b", [[["name"], "By Alex"]]));
          says(6, 0);
          moved(500, 250);
          model.resync("first");
          says(6, 0); // the new server has not heard of it yet
          model.resync("second");
          model.release();
          const told = sent.filter(({ type }) => type === "resync").map(({ rev, nodes }) => [rev, nodes.b.raw.name]);
          says(7, model.number, raised("b", [[["name"], "By Alex"]]));
          model.resync("third");
          return { told, now: sent.filter(({ type }) => type === "resync").map(({ rev, nodes }) => [rev, nodes.b.raw.name]).at(-1) };
        }"""
    )
    assert found == {"told": [[4, "Seen"], [4, "Seen"]], "now": [7, "By Alex"]}
