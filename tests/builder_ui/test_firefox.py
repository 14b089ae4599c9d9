"""The builder in Firefox: a step is added, seen and stored. Driven over WebDriver BiDi, which Firefox speaks itself.

Source: https://w3c.github.io/webdriver-bidi/
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.builder_ui.drawing import stored

NAMES = ("firefox-esr", "firefox")
PATIENCE_SECONDS = 60


class Unanswered(AssertionError):
    """Firefox could not do what it was asked."""


class Window:
    """One window of Firefox."""

    def __init__(self, line: ClientConnection) -> None:
        self.line, self.numbers = line, count(1)
        self.ask("session.new", capabilities={})
        self.context = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **params: Any) -> Any:
        """One command and its answer."""
        number = next(self.numbers)
        self.line.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.line.recv(timeout=PATIENCE_SECONDS))
            if answer.get("id") == number:
                if answer["type"] != "success":
                    raise Unanswered(answer)
                return answer["result"]

    def goto(self, url: str) -> None:
        self.ask("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """In a realm of its own, which the page's security policy does not bind."""
        target = {"context": self.context, "sandbox": "test"}
        result = self.ask("script.evaluate", expression=expression, target=target, awaitPromise=True)
        if result["type"] != "success":
            raise Unanswered(result)
        return result["result"].get("value")

    def holds(self, expression: str) -> bool:
        """Whether it is so now; a page that is being left for another, or is still empty, has no answer."""
        try:
            return bool(self.evaluate(expression))
        except Unanswered:
            return False

    def until(self, expression: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.holds(expression):
            assert time.monotonic() < deadline, f"the page never came to: {expression}\n{self.evaluate('document.body.innerText')}"
            time.sleep(0.1)

    def click(self, selector: str, text: str = "") -> None:
        """With the mouse, in the middle of the first element that has the text."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})].find((one) => one.textContent.includes({json.dumps(text)}))"
        self.until(f"!!{found}")
        x, y = json.loads(
            self.evaluate(
                f"(() => {{ const box = {found}.getBoundingClientRect(); return JSON.stringify([box.x + box.width / 2, box.y + box.height / 2]); }})()"
            )
        )
        move = {"type": "pointerMove", "x": int(x), "y": int(y)}
        pressed = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.ask("input.performActions", context=self.context, actions=[{"type": "pointer", "id": "mouse", "actions": pressed}])


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    """Firefox; the test is left out where it cannot be had, never in CI."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Firefox is not installed; CI leaves no test out")
        pytest.skip("Firefox is not installed")
    profile = tmp_path_factory.mktemp("firefox")
    (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in QUIET.items()))
    command = [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with connect(_address(process, profile), max_size=None, proxy=None, open_timeout=PATIENCE_SECONDS) as line:
                yield Window(line)
        finally:
            process.terminate()
            process.wait(20)


QUIET = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
"""Nothing but our own server is asked for anything."""


def _address(process: subprocess.Popen[bytes], profile: Path) -> str:
    """Firefox writes down where it listens."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, (profile / "log").read_text()
        try:
            return f"ws://127.0.0.1:{json.loads((profile / 'WebDriverBiDiServer.json').read_text())['ws_port']}/session"
        except (OSError, ValueError):
            assert time.monotonic() < deadline, (profile / "log").read_text()
            time.sleep(0.1)


def test_a_step_is_added_in_firefox(firefox: Window, site: Any) -> None:
    with site.served():
        firefox.ask("browsingContext.setViewport", context=firefox.context, viewport={"width": 1400, "height": 860})
        firefox.goto(site.settings.public_url + site.link("marketer"))
        firefox.click("button")
        firefox.until("document.querySelector('#app h1')?.textContent === 'Journeys'")
        firefox.goto(f"{site.settings.public_url}/ui/journeys/survey/edit")
        firefox.until("document.querySelectorAll('.react-flow__node').length >= 3")
        firefox.click(".pfb-offer", "Wait")
        firefox.until("!!document.querySelector(`.react-flow__node[data-id='wait']`)")
        firefox.until("document.querySelector('.pfb-board').dataset.kept === 'true'")
        assert "wait" in stored(site.town, "survey").nodes
        firefox.until("document.querySelector('.pfb-panel h2').textContent.includes('Wait')")
        firefox.goto("about:blank")
