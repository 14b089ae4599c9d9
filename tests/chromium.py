"""Chromium for tests: its headless shell where there is one, which draws the same pages without a browser around them, for two thirds of the CPU
time. What a browser adds (permissions, notifications) needs the whole one. `tests/prepare.sh` installs both.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

WHOLE = ("chromium", "chromium-browser", "google-chrome")
QUICKEST = ("chromium-headless-shell", *WHOLE)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(programs: Sequence[str] = QUICKEST) -> Iterator[Browser]:
    """The first of these that is installed, as long as the block lasts; tests that need it are left out where it cannot be had, never in CI."""
    program = next((found for name in programs if (found := shutil.which(name))), None)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is not installed; CI leaves no test out")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()
