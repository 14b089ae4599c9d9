"""What tests in a real browser share beside the fixtures of `conftest`: types, and an ear for what a page complains about."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from playwright.sync_api import Page

Serve = Callable[[], AbstractContextManager[None]]
"""Runs the web server as long as the block lasts; stopped and started again it has the same address."""

Enter = Callable[[str], Page]
"""Logs in by a one-time link as the member of a role."""

HARMLESS = ("Transition was aborted", "Transition was skipped")
"""Chromium's word on a page that is left while it still fades in."""


def complaints(page: Page) -> list[str]:
    """What the console and the page report from now on: errors, and what the content security policy stopped."""
    heard: list[str] = []

    def hear(text: str) -> None:
        if not any(harmless in text for harmless in HARMLESS):
            heard.append(text)

    page.on("console", lambda message: hear(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: hear(str(error)))
    return heard


def eventually(page: Page, done: Callable[[], bool], seconds: float = 30) -> None:
    """Looks at what is behind the page until it is so; the page goes on meanwhile."""
    for _ in range(int(seconds * 20)):
        if done():
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it did not come true within {seconds} s")
