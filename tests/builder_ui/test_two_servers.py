"""Two web server processes behind a balancer that knows nothing of sessions: whoever is served by whom, the truth is in the database."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlmodel import select

from api.tracking.write_keys import add_key
from bench.line import Line, open_line
from engine.versions import publish
from models import Identity, Run
from tests.builder_ui.browsing import eventually
from tests.builder_ui.drawing import choose, form, go_live, offer, saved, step, stored, write

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WRITE_KEY = "pfw_two_servers_0123456789"


class Server:
    """A web server process that can die; its address stays, and whoever asks there meanwhile waits."""

    def __init__(self, site: Any, stack: ExitStack) -> None:
        self._site = site
        self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = self._listening.getsockname()[1]
        self.start()
        stack.callback(self._end)

    def start(self) -> None:
        settings = self._site.settings
        command = [sys.executable, HERE / "web_server.py", settings.home, self._site.town.db.url, settings.public_url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, stdin=self._listening.fileno(), cwd=ROOT, env=environment)

    def answers(self) -> bool:
        return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=60, trust_env=False).status_code < 500

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(20)

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(scope="module")
def servers(site: Any) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        both = [Server(site, stack) for _ in range(2)]
        for server in both:
            assert server.answers()
        yield both


@pytest.fixture(scope="module")
def line(servers: list[Server]) -> Iterator[Line]:
    """The address of both."""
    with open_line([server.port for server in servers]) as line:
        yield line


@pytest.fixture
def people(site: Any, chrome: Browser, line: Line) -> Iterator[list[Page]]:
    """A marketer and an administrator, each in a browser window of their own."""
    contexts = [site.context(chrome, line.url) for _ in range(2)]
    yield [site.log_in(context, role) for context, role in zip(contexts, ("marketer", "admin"), strict=True)]
    for context in contexts:
        context.close()


def edit(page: Page, key: str) -> None:
    page.goto(f"/ui/journeys/{key}/edit")
    expect(page.locator(".react-flow__node").first).to_be_visible()


def test_work_goes_on_at_the_other_server(people: list[Page], line: Line, site: Any) -> None:
    page, other = people
    other.goto("about:blank")  # only one of them has a socket to lose
    edit(page, "survey")
    before = line.sockets[-1]
    choose(page, "voucher")
    write(page, "Name", "Begun here")
    eventually(page, lambda: stored(site.town, "survey").nodes["voucher"].get("name") == "Begun here")
    line.cut()
    # A step drawn in the moment of the break is told to whoever answers then.
    offer(page, "Wait").click()
    expect(step(page, "Wait")).to_be_visible()
    saved(page)
    assert line.sockets[-1] != before
    choose(page, "voucher")
    write(page, "Name", "Ended there")
    expect(step(page, "Ended there")).to_be_visible()
    saved(page)
    document = stored(site.town, "survey")
    assert document.nodes["voucher"]["name"] == "Ended there"
    assert "wait" in document.nodes


def title(page: Page, id: str) -> Locator:
    return page.locator(f'.react-flow__node[data-id="{id}"] .pfb-card-name')


def test_two_people_at_two_servers_see_each_other_and_what_the_other_does(people: list[Page], line: Line, site: Any) -> None:
    mara, alex = people
    edit(mara, "mql_to_sql")
    edit(alex, "mql_to_sql")
    assert len(set(line.sockets[-2:])) == 2
    first, second = (mara.locator(".react-flow__node-step").nth(n).get_attribute("data-id") or "" for n in (0, 1))
    choose(alex, second)
    expect(mara.get_by_role("list", name="Also inside").get_by_role("button", name="Alex Admin, at")).to_be_visible()
    expect(mara.locator(f'.react-flow__node[data-id="{second}"] .pfb-here')).to_have_text("AAAlex Admin")
    choose(mara, first)
    write(mara, "Name", "By Mara")
    saved(mara)
    half = form(mara, first).get_by_label("Name")
    half.press_sequentially(", half")  # begun, and not yet left
    write(alex, "Name", "By Alex")
    saved(alex)
    expect(title(mara, second)).to_have_text("By Alex")
    expect(mara.get_by_text("Alex Admin changed “By Alex”.")).to_be_attached()
    expect(half).to_be_focused()
    expect(half).to_have_value("By Mara, half")
    half.press("Enter")
    saved(mara)
    expect(title(alex, first)).to_have_text("By Mara, half")
    mara.keyboard.press("Escape")
    mara.keyboard.press("Control+z")
    expect(title(mara, first)).to_have_text("By Mara")
    saved(mara)
    nodes = stored(site.town, "mql_to_sql").nodes
    assert (nodes[first]["name"], nodes[second]["name"]) == ("By Mara", "By Alex")
    alex.goto("about:blank")
    expect(mara.get_by_role("list", name="Also inside")).to_have_count(0)


def test_two_who_write_into_one_field_are_asked_and_nothing_goes_before(people: list[Page], line: Line, site: Any) -> None:
    mara, alex = people
    edit(mara, "survey")
    edit(alex, "survey")
    choose(mara, "voucher")
    field = form(mara, "voucher").get_by_label("Name")
    field.press("Control+a")
    field.press_sequentially("By Mara")
    choose(alex, "voucher")
    write(alex, "Name", "By Alex")
    saved(alex)
    expect(title(mara, "voucher")).to_have_text("By Alex")
    expect(field).to_have_value("By Mara")
    field.press("Enter")
    saved(mara)
    assert stored(site.town, "survey").nodes["voucher"]["name"] == "By Alex"
    for page, own, other in ((mara, "By Mara", "By Alex"), (alex, "By Alex", "By Mara")):
        both = page.get_by_role("region", name="Changed by two people at once")
        expect(both).to_contain_text(own)
        expect(both).to_contain_text(other)
    mara.reload()
    chosen = mara.get_by_role("region", name="Changed by two people at once").get_by_role("button", name="Keep mine")
    chosen.focus()
    mara.keyboard.press("Enter")
    expect(title(mara, "voucher")).to_have_text("By Mara")
    saved(mara)
    expect(title(alex, "voucher")).to_have_text("By Mara")
    expect(alex.get_by_role("region", name="Changed by two people at once")).to_have_count(0)
    assert stored(site.town, "survey").nodes["voucher"]["name"] == "By Mara"


GREETING: dict[str, Any] = {
    "spec": 1,
    "key": "greeting",
    "name": "Greeting",
    "entry": {"triggers": [{"type": "event", "event": "Greeted"}]},
    "start": "pause",
    "nodes": {"pause": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "pause", "to": "end"}],
}


def test_what_one_server_publishes_is_live_at_the_other(people: list[Page], line: Line, site: Any) -> None:
    mara, alex = people
    now = site.town.engine.clock.now()
    with site.town.db.write() as session:
        publish.create_journey(session, GREETING, "test", now)
        add_key(session, "server", "test", now, WRITE_KEY)
    alex.goto("/ui/journeys")
    card = alex.get_by_role("article").filter(has=alex.get_by_role("heading", name="Greeting"))
    expect(card.get_by_text("Draft", exact=True)).to_be_visible()
    watching = line.sockets[-1]
    for port in line.servers:  # both have asked for the journeys before there is anything to find
        assert track(port, "early") == 200
    edit(mara, "greeting")
    assert line.sockets[-1] != watching
    go_live(mara, 1)
    expect(card.get_by_text("Live", exact=True)).to_be_visible()
    assert track(line.servers[watching], "late") == 200
    assert runs(site, "early") == 0
    deadline = time.monotonic() + 10
    while not runs(site, "late"):
        assert time.monotonic() < deadline, "the event started no run"


def track(port: int, user: str) -> int:
    body = {"userId": user, "event": "Greeted"}
    return httpx.post(f"http://127.0.0.1:{port}/v1/track", json=body, auth=(WRITE_KEY, ""), timeout=30, trust_env=False).status_code


def runs(site: Any, user: str) -> int:
    with site.town.db.read() as session:
        contact = session.scalars(select(Identity.contact_id).where(Identity.value == user)).first()
        return len(session.scalars(select(Run.id).where(Run.contact_id == contact)).all())


def test_a_server_that_is_killed_takes_nobody_s_work_with_it(people: list[Page], line: Line, servers: list[Server], site: Any) -> None:
    mara, alex = people
    edit(mara, "birthday")
    edit(alex, "birthday")
    died = servers[line.sockets[-2]]
    choose(mara, "voucher")
    write(mara, "Name", "By Mara")
    expect(title(mara, "voucher")).to_have_text("By Mara")  # heard, and not necessarily stored
    died.kill()
    choose(alex, "end")
    write(alex, "Name", "By Alex")
    saved(alex)
    died.start()
    assert died.answers()
    saved(mara)
    expect(title(mara, "end")).to_have_text("By Alex")
    expect(title(alex, "voucher")).to_have_text("By Mara")
    expect(alex.get_by_role("region", name="Changed by two people at once")).to_have_count(0)
    nodes = stored(site.town, "birthday").nodes
    assert (nodes["voucher"]["name"], nodes["end"]["name"]) == ("By Mara", "By Alex")
