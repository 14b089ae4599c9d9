"""Links and pictures asked of a real server on this machine, through the guard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from activities.pictures import library
from activities.templates.reach import HEAVY_BYTES, Reached, reach
from activities.webhooks.address_guard import Guard
from models import Database
from tests.activities.pictures.test_file import photo

OURS = "https://m.shop.ch"


class Site(BaseHTTPRequestHandler):
    """/ok; /gone; /moved leads to /ok, /circle to itself, /astray nowhere; /get knows no HEAD; /page is no picture; /heavy is a large one, whose size only GET tells."""

    asked: list[str] = []

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path
        Site.asked.append(f"{self.command} {path}")
        status = {"/gone": 404, "/moved": 302, "/circle": 302, "/astray": 302}.get(
            path, 405 if path == "/get" and self.command == "HEAD" else 200
        )
        body = b"x" * (HEAVY_BYTES + 50_000) if path == "/heavy" and self.command == "GET" else b"x"
        self.send_response(status)
        self.send_header("content-type", "text/html" if path == "/page" else "image/png")
        if status == 302:
            self.send_header("location", {"/moved": "/ok", "/astray": "http://[x"}.get(path, path))
        if path != "/heavy" or self.command == "GET":
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            try:
                self.wfile.write(body)
            except OSError:
                return  # who asked has read enough

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module", name="site")
def fixture_site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def look(db: Database, html: str, guard: Guard | None = None) -> Reached:
    return reach(db, guard or Guard.allowing(["127.0.0.0/8"]), OURS, "de", f"<body>{html}</body>", html)


def said(found: Reached) -> list[tuple[str, str]]:
    return [(issue.code, str(issue.values["target"]).rpartition("/")[2]) for issue in found.issues]


def test_links_and_pictures_are_asked_for_once_each(sqlite_db: Database, site: str) -> None:
    Site.asked.clear()
    links = "".join(f'<a href="{site}/{name}">x</a>' for name in ("ok", "ok", "gone", "moved", "circle", "get", "astray"))
    pictures = "".join(f'<img src="{site}/{name}">' for name in ("good", "gone", "page", "heavy"))
    found = look(sqlite_db, f'{links}{pictures}<a href="mailto:a@b.ch">m</a>')
    assert said(found) == [
        ("dead", "gone"),
        ("unreachable", "circle"),
        ("unreachable", "astray"),
        ("dead", "gone"),
        ("no_picture", "page"),
        ("heavy_picture", "heavy"),
    ]
    assert (found.asked, found.all) == (10, 10)
    assert Site.asked.count("HEAD /good") == 1
    assert "GET /get" in Site.asked
    assert found.issues[0].values["column"] > 1


def test_nobody_is_led_into_our_own_network(sqlite_db: Database, site: str) -> None:
    Site.asked.clear()
    found = look(sqlite_db, f'<a href="{site}/ok">x</a><a href="http://10.0.0.1/">y</a>', Guard())
    assert [issue.code for issue in found.issues] == ["unreachable", "unreachable"]
    assert "not on the public internet" in str(found.issues[0].message)
    assert Site.asked == []


def test_our_own_pages_are_not_asked_and_our_pictures_looked_up(sqlite_db: Database, now: datetime) -> None:
    picture = library.add(sqlite_db, photo(30, 30), "a.jpg", "test", now)
    here, gone = library.path(picture, 30), f"/m/{'0' * 32}/600.png"
    found = look(sqlite_db, f'<a href="{OURS}/u/token">u</a><img src="{OURS}{here}"><img src="{OURS}{gone}">')
    assert said(found) == [("dead", "600.png")]
