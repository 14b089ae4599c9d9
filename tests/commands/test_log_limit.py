"""A flood from one place of the code fills no disk, and its size is told."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from commands import log_limit
from commands.logs import configure
from settings import Settings


class Written:
    """A logger over a limited handler, at an instant of its own."""

    def __init__(self, name: str = "pfadwerk.test") -> None:
        self.now = 1_000.0
        self.stream = io.StringIO()
        self.handler = log_limit.LimitedHandler(self.stream, lambda: self.now)
        self.log = logging.Logger(name)
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def flood(log: logging.Logger, count: int) -> None:
    for number in range(count):
        log.warning("a stranger sent %d", number)


def test_so_many_lines_a_minute_from_one_place_and_the_rest_is_counted():
    written = Written()
    flood(written.log, 5_000)
    assert len(written.lines) == log_limit.MOST
    written.log.warning("another place is not silenced")
    assert len(written.lines) == log_limit.MOST + 1
    written.now += log_limit.WINDOW_SECONDS
    flood(written.log, 1)
    assert written.lines[-2:] == ["4940 more lines like the ones before were left out", "a stranger sent 0"]


def test_the_count_of_a_minute_that_is_not_over_is_told_at_the_end():
    written = Written()
    flood(written.log, 100)
    written.handler.close()
    assert written.lines[-1] == "40 more lines like the ones before were left out"


def test_the_place_counts_and_not_the_text():
    """A text that a stranger chooses would make every line a new one."""
    written = Written()
    for number in range(1_000):
        written.log.warning(f"unknown handler {number}")
    assert len(written.lines) == log_limit.MOST


def test_one_line_has_an_end():
    written = Written()
    written.log.warning("%s", "x" * 1_000_000)
    assert len(written.lines[0]) < log_limit.MAX_CHARACTERS + 100
    assert written.lines[0].endswith("… (1000000 characters)")


@pytest.mark.parametrize(("status", "lines"), [(200, 5_000), (303, 5_000), (401, log_limit.MOST_REFUSED), (503, log_limit.MOST_REFUSED)])
def test_the_access_log_is_whole_but_for_a_flood_of_refusals(status: int, lines: int):
    written = Written(log_limit.ACCESS)
    for _ in range(5_000):
        written.log.info("%s %s %d %.1f ms %s", "GET", "/api/v1/journeys", status, 1.0, "id")
    assert len(written.lines) == lines


def test_heads_of_the_audit_trail_are_never_left_out():
    written = Written("pfadwerk.audit")
    flood(written.log, 500)
    assert len(written.lines) == 500


def test_the_processes_write_so_and_heads_at_every_level(tmp_path, monkeypatch):
    stream, root = io.StringIO(), logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()  # those of the test run must not be closed
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        configure(Settings(home=tmp_path, log_level="error"), "worker")
        for number in range(200):
            logging.getLogger("pfadwerk.test").error("again %d", number)
        logging.getLogger("pfadwerk.audit").info("audit head 1:2")
        lines = stream.getvalue().splitlines()
        assert len(lines) == log_limit.MOST + 1
        assert lines[-1].endswith("audit head 1:2")
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
        root.setLevel(level)
