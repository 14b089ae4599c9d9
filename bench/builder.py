"""The builder in a real browser: how fast it opens, drags, takes a change and shows numbers; what a change costs on the wire; what typing loses.

Headless Chromium over a real server process on SQLite. Prints one JSON object; docs/benchmarks.md says what each key means and how
it is measured.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import SequenceMatcher
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import select

from activities.templates import library
from api.auth.login import COOKIE, exchange, mint_link
from bench.crowd import seed
from bench.graphs import MAIL, OTHER_JOURNEY, POOL, journey_document
from bench.line import open_line
from bench.measure import machine, say
from bench.scene import Scene, Workspace, open_scene
from engine.versions import publish
from journeys.errors import Misconfigured
from journeys.templates import gallery
from models import Member
from storage.sql import table
from workspace.members import add_member, put_rotation

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SIZES = (200, 500)
KEYS = "A name that somebody types quickly while the line is slow"
KEY_MS = 35
ONE_WAY_SECONDS = 0.15
STILL_MS = 1_000
"""So long nothing may have changed on the canvas before it counts as done."""
PARTS = ("open", "drag", "edit", "keys", "overlay")


QUICK: Mapping[str, Any] = {"opens": 1, "drags": 1, "edits": 3, "looks": 1, "drag_seconds": 1.0, "runs": 2_000}
"""Arguments of `run` for a figure in under a minute: the same pairs, fewer rounds."""


def run(
    opens: int = 5,
    drags: int = 3,
    edits: int = 10,
    looks: int = 3,
    drag_seconds: float = 2.0,
    runs: int = 100_000,
    trail: int = 1_000_000,
    sizes: Sequence[int] = SIZES,
    parts: Sequence[str] = PARTS,
) -> dict[str, Any]:
    """`opens`, `drags`, `edits` and `looks` (at the numbers) are how often each is measured; `runs` and `trail` how many rows are counted.

    Raises:
        Misconfigured: there is no Playwright or no Chromium.
    """
    found: dict[str, Any] = {"machine": machine(), "nodes": list(sizes)}
    with open_browser() as browser, open_scene() as scene, scene.workspace() as workspace:
        _prepare(workspace, sizes)
        visitor = Visitor(browser, workspace, _log_in(workspace))
        with scene.child("api", workspace.settings):
            visitor.warm_up(sizes[0])
            if "open" in parts:
                found |= _openings(visitor, sizes, opens)
            if "drag" in parts:
                found |= _drags(visitor, sizes[0], drags, drag_seconds)
            if "edit" in parts:
                found |= _edits(visitor, sizes[0], edits)
            if "keys" in parts:
                found |= _typing(visitor, sizes[0])
        if "overlay" in parts:
            found |= _overlay(scene, visitor, sizes[0], looks, runs, trail)
    return found


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise Misconfigured("This benchmark drives a browser: install Playwright with 'pip install playwright'.") from None
    program = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if program is None:
        raise Misconfigured("This benchmark needs Chromium: install it with 'apt-get install chromium' (macOS: 'brew install chromium').")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def key_of(size: int) -> str:
    return f"bench_{size}"


def _prepare(workspace: Workspace, sizes: Sequence[int]) -> None:
    """Journeys of these sizes without a problem, live, and what they name: a mail, a pool, another journey."""
    now, mail = datetime.now(UTC), next(mail for entry in gallery() for mail in entry.mails)
    library.save(workspace.db, MAIL, mail.variants, name="Mail", kind="email", message_class="marketing", actor="bench", now=now)
    with workspace.db.write() as session:
        marketer = add_member(session, "Mara", "mara@example.org", "marketer", now)
        put_rotation(session, POOL, [marketer.id])
        other = {**journey_document(2), "key": OTHER_JOURNEY, "name": "Other"}
        for document in (other, *(_document(size) for size in sizes)):
            journey = publish.create_journey(session, document, "bench", now)
            publish.publish(workspace.engine, session, journey.id, "bench", "", now)


def _document(size: int) -> dict[str, Any]:
    """Grown from a seed that gives short and long walks, so that a crowd can have ten lines of trail a run."""
    return {**journey_document(size, "d"), "key": key_of(size), "name": f"Journey of {size} steps"}


def _log_in(workspace: Workspace) -> str:
    """The cookie of somebody who came by a one-time link."""
    now = datetime.now(UTC)
    with workspace.db.read() as session:
        member_id = session.scalars(select(table(Member).c.id)).one()
    token = mint_link(workspace.db, now, workspace.settings.public_url, member_id).rpartition("/")[2]
    return exchange(workspace.db, workspace.engine.address_keys, token, now)[0]


# --- what is seen in the browser -----------------------------------------------------------------------------------------

PROBE = """(() => {
  const seen = { at: 0, mark: "", count: 0, fresh: false, frames: [] };
  const look = () => {
    const now = performance.now();
    // What was found at the frame before has been painted by now.
    if (seen.fresh) { seen.at = now; seen.fresh = false; }
    if (seen.recording) seen.frames.push(now);
    else {
      const nodes = [...document.querySelectorAll(".react-flow__node")].filter((node) => node.style.visibility !== "hidden");
      const edges = document.querySelectorAll(".react-flow__edge").length;
      const mark = [nodes.length, edges, document.querySelector(".react-flow__viewport")?.style.transform].join();
      if (mark !== seen.mark) { seen.mark = mark; seen.count = nodes.length; seen.fresh = true; }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  seen.until = (event, done) => new Promise((tell) => {
    let begin = 0;
    addEventListener(event, (e) => { begin = e.timeStamp; }, { capture: true, once: true });
    const wait = () => (begin && done() ? requestAnimationFrame(() => tell(performance.now() - begin)) : requestAnimationFrame(wait));
    wait();
  });
  window.pfadwerkSeen = seen;
})();"""
"""Looks at every frame. `at`: when the last change of the canvas had been painted, in ms since the navigation began."""


@dataclass
class Visitor:
    """Somebody who is logged in and has nothing in the cache."""

    browser: Any
    workspace: Workspace
    cookie: str
    base: str = ""

    @contextmanager
    def page(self, base: str = "") -> Iterator[Any]:
        base = base or self.workspace.settings.public_url
        context = self.browser.new_context(base_url=base, viewport={"width": 1400, "height": 860}, locale="en-GB")
        context.add_cookies([{"name": COOKIE, "value": self.cookie, "url": base}])
        context.add_init_script(PROBE)
        try:
            yield context.new_page()
        finally:
            context.close()

    @contextmanager
    def builder(self, size: int, base: str = "") -> Iterator[Any]:
        """The builder with everything drawn; `seen_at` on the page is when that was."""
        with self.page(base) as page:
            page.goto(f"/ui/journeys/{key_of(size)}/edit", wait_until="commit")
            until_still(page)
            yield page

    def warm_up(self, size: int) -> None:
        """Statements are compiled and files read once a process; the browser's first page takes longer than any other."""
        with self.builder(size):
            pass


def until_still(page: Any) -> float:
    """Waits until nothing has changed on the canvas for a while; answers when the last change was painted."""
    return float(_poll(page, f"pfadwerkSeen.count && performance.now() - pfadwerkSeen.at > {STILL_MS} ? pfadwerkSeen.at : 0"))


def _poll(page: Any, expression: str, patience_seconds: float = 60) -> Any:
    """The first true value of an expression. The page's own `wait_for_function` would be stopped by its security policy."""
    deadline = time.monotonic() + patience_seconds
    while not (value := page.evaluate(expression)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the page never came to: {expression[:200]}")
        page.wait_for_timeout(50)
    return value


def _openings(visitor: Visitor, sizes: Sequence[int], times: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for size in sizes:
        took = []
        for _ in range(times):
            with visitor.builder(size) as page:
                took.append(round(page.evaluate("pfadwerkSeen.at"), 1))
        say(f"open {size}: {took}")
        found |= {f"open_{size}_ms": median(took), f"open_{size}_rounds_ms": took}
    return found


# --- dragging --------------------------------------------------------------------------------------------------------------


def _drags(visitor: Visitor, size: int, times: int, seconds: float) -> dict[str, Any]:
    """With every step in view, and as the builder opens; the slower one counts."""
    views = {name: [_drag(visitor, size, seconds, name == "all") for _ in range(times)] for name in ("all", "near")}
    rates = {name: round(median(median(frames) for frames in rounds), 1) for name, rounds in views.items()}
    slow = {name: round(median(sorted(frames)[len(frames) // 20] for frames in rounds), 1) for name, rounds in views.items()}
    say(f"drag: {rates}, the slowest twentieth {slow}")
    return {"drag_fps": min(rates.values()), "drag_fps_by_view": rates, "drag_fps_slow": slow}


def _drag(visitor: Visitor, size: int, seconds: float, everything: bool) -> list[float]:
    """Frames a second, one value a frame, while a step is led round in a circle."""
    with visitor.builder(size) as page:
        if everything:
            _fit(page)
        x, y, id = page.evaluate(NEAREST)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 6, y + 6, steps=3)
        page.evaluate("pfadwerkSeen.frames = []; pfadwerkSeen.recording = true")
        begin = time.perf_counter()
        while (passed := time.perf_counter() - begin) < seconds:
            page.mouse.move(x + 90 * math.sin(4 * passed), y + 90 - 90 * math.cos(4 * passed))
        frames = page.evaluate("pfadwerkSeen.recording = false, pfadwerkSeen.frames")
        moved = page.evaluate("(id) => document.querySelector(`[data-id='${id}']`).getBoundingClientRect().x", id)
        page.mouse.up()
        assert abs(moved - x) < 400, "the step was not dragged"
        return [1_000 / (after - before) for before, after in pairwise(frames)]


def _fit(page: Any) -> None:
    """Brings every step into view: what the builder opened with, what can be read, is there already."""
    page.keyboard.press("f")
    page.wait_for_timeout(100)
    until_still(page)


NEAREST = """() => {
  const pane = document.querySelector(".react-flow__pane").getBoundingClientRect();
  const [x, y] = [pane.x + pane.width / 2, pane.y + pane.height / 2];
  const places = [...document.querySelectorAll(".react-flow__node")].map((node) => {
    const box = node.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2, node.dataset.id];
  });
  return places.sort((a, b) => Math.hypot(a[0] - x, a[1] - y) - Math.hypot(b[0] - x, b[1] - y))[0];
}"""
"""The step in the middle of the canvas: [x, y, id]."""


# --- editing -----------------------------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """The bytes of every message of a page's websocket, uncompressed."""

    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    def watch(self, socket: Any) -> None:
        socket.on("framesent", lambda text: self.sent.append(_size(text)))
        socket.on("framereceived", lambda text: self.received.append(_size(text)))

    def clear(self) -> None:
        self.sent.clear()
        self.received.clear()


def _size(payload: str | bytes) -> int:
    return len(payload.encode() if isinstance(payload, str) else payload)


def _edits(visitor: Visitor, size: int, times: int) -> dict[str, Any]:
    """A step gets another name in its form. Each edit is over when it is stored and everybody has been told."""
    took, wire = list[float](), Wire()
    largest: dict[str, list[int]] = {"sent": [], "received": []}
    with visitor.page() as page:
        page.on("websocket", wire.watch)
        page.goto(f"/ui/journeys/{key_of(size)}/edit", wait_until="commit")
        until_still(page)
        _fit(page)
        id, label = _choose_step(page)
        for number in range(times):
            wire.clear()
            took.append(_edit(page, id, label, f"Renamed {number}"))
            _until_stored(page)
            for way, sizes in largest.items():
                sizes += getattr(wire, way)
    spread = {way: {"median": round(median(sizes)), "max": max(sizes), "count": len(sizes)} for way, sizes in largest.items()}
    say(f"edit: {[round(each, 1) for each in took]} ms, {spread}")
    return {
        "edit_ms": round(median(took), 1),
        "edit_rounds_ms": [round(each, 1) for each in took],
        "edit_bytes": max(each["max"] for each in spread.values()),
        "edit_bytes_by_way": spread,
    }


def _choose_step(page: Any) -> tuple[str, Any]:
    """Opens the form of the step in the middle; answers its id and the field of its name."""
    x, y, id = page.evaluate(NEAREST)
    page.mouse.click(x, y)
    label = page.get_by_label("Name", exact=True)
    label.wait_for()
    return id, label


def _edit(page: Any, id: str, label: Any, text: str) -> float:
    """Milliseconds from the key that ends the edit to the painted card."""
    label.fill(text)
    page.evaluate(f"([id, text]) => {{ window.pfadwerkTook = pfadwerkSeen.until('keydown', () => {CARD} === text); }}", [id, text])
    label.press("Enter")
    return float(page.evaluate("pfadwerkTook"))


CARD = "document.querySelector(`.react-flow__node[data-id='${id}'] .pfb-card-name`)?.textContent"


def _until_stored(page: Any) -> None:
    page.wait_for_timeout(100)
    _poll(
        page,
        "document.querySelector('.pfb-board').dataset.kept === 'true' && /^Saved/.test(document.querySelector('.pfb-status').textContent)",
    )
    page.wait_for_timeout(300)


def _typing(visitor: Visitor, size: int) -> dict[str, Any]:
    """57 keys over a line of 150 ms each way, while the answers to an earlier edit still come in."""
    with open_line([visitor.workspace.settings.port], ONE_WAY_SECONDS) as line, visitor.builder(size, line.url) as page:
        id, label = _choose_step(page)
        label.fill("Before")
        label.press("Enter")
        label.focus()
        page.keyboard.press("Control+a")
        page.keyboard.type(KEYS, delay=KEY_MS)
        typed = label.input_value()
        page.keyboard.press("Enter")
        page.wait_for_timeout(4_000 * ONE_WAY_SECONDS)
        _until_stored(page)
        shown = page.evaluate(f"(id) => {CARD}", id)
    with visitor.workspace.db.read() as session:
        stored = publish.get_journey(session, key_of(size)).draft["nodes"][id].get("name", "")
    worst = max(lost(KEYS, text) for text in (typed, shown, stored))
    say(f"typed {typed!r}, shown {shown!r}, stored {stored!r}")
    return {"lost_keystrokes": worst, "keystrokes": len(KEYS)}


def lost(typed: str, found: str) -> int:
    """Keys of `typed` that are not in `found`, in their order; an addition counts as well."""
    blocks = SequenceMatcher(None, typed, found, autojunk=False).get_matching_blocks()
    return max(len(typed), len(found)) - sum(block.size for block in blocks)


# --- numbers on the canvas ---------------------------------------------------------------------------------------------------


def _overlay(scene: Scene, visitor: Visitor, size: int, times: int, runs: int, trail: int) -> dict[str, Any]:
    """Each time with a new server process and a new page: nothing was asked before."""
    facts = seed(visitor.workspace, key_of(size), runs, trail)
    say(f"seeded: {facts}")
    took = []
    for _ in range(times):
        with scene.child("api", visitor.workspace.settings), visitor.builder(size) as page:
            page.evaluate(f"() => {{ window.pfadwerkTook = pfadwerkSeen.until('click', {COUNTED}); }}")
            page.get_by_role("button", name="Metrics", exact=True).click()
            took.append(round(page.evaluate("pfadwerkTook"), 1))
    say(f"overlay: {took}")
    return {"overlay_ms": median(took), "overlay_rounds_ms": took, "overlay_seed": facts}


COUNTED = "() => [...document.querySelectorAll('.pfb-counts')].some((counts) => /[1-9]/.test(counts.textContent))"


def main() -> None:
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
