"""Secrets in the headers of webhooks: the value is on the wire and nowhere else."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import inspect, text

from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageSettings
from activities.tracking import Tracking
from activities.webhooks.address_guard import Guard
from activities.webhooks.fake import PretendWebhook
from activities.webhooks.handler import WebhookHandler
from journeys.calls import activity_of
from journeys.errors import Invalid
from workspace import secrets

VALUE = "sk_live_4711"
CALL = activity_of("webhook")


class Receiver(ThreadingHTTPServer):
    """Answers with all that it was told, the headers too; with `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://crm.example:{self.server_port}/contacts"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = dict(self.headers.items())
        self.server.paths.append(self.path)
        self.server.got.append({name.lower(): value for name, value in headers.items()})
        body = json.dumps({"you_sent": headers, headers.get("Authorization", "none"): [1]}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def journey(receiver: Receiver, **fields: Any) -> dict[str, Any]:
    headers = {"Authorization": {"secret": "crm_token", "prefix": "Bearer "}, "X-Source": "pfadwerk"}
    hook = {"kind": "call_webhook", "url": receiver.url, "body": {"a": 1}, "headers": headers}
    return {
        "spec": 1,
        "key": "hook",
        "name": "Hook",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": "a",
        "nodes": {"a": {**hook, **fields}, "end": {"kind": "exit"}},
        "edges": [{"from": "a", "outlet": outlet, "to": "end"} for outlet in ("ok", "failed")],
    }


def started(world: Any, document: Mapping[str, Any], value: str = VALUE, performer: Any = None, **person: Any) -> str:
    messaging = MessageSettings(Tracking({"k": b"k" * 32}, "https://m.example"), world.engine.address_keys, "")
    guard = Guard.allowing(["crm.example"], lambda host, port: ["127.0.0.1"])
    world.effects = Effects(world.engine, {"webhook": performer or WebhookHandler(messaging, guard)}, Breakers(world.db))
    with world.db.write() as session:
        secrets.put(session, world.engine.address_keys, "crm_token", value, "test", world.now)
    world.publish(document)
    run: str = world.run(world.happens(world.contact(**person), "Signed Up"))
    return run


def everything(world: Any) -> str:
    """All that the database holds, as text."""
    with world.db.read() as session:
        names = inspect(session.connection()).get_table_names()
        return json.dumps([[str(row) for row in session.execute(text(f'SELECT * FROM "{name}"'))] for name in names])


def test_the_value_is_in_the_request_and_nowhere_else(world, receiver, caplog) -> None:
    """The receiver's answer holds it twice; what the run keeps of the answer does not."""
    caplog.set_level(logging.DEBUG)
    run = started(world, journey(receiver, secret="crm_token"))
    moved = world.perform(run, activity=CALL)
    assert [(one["authorization"], one["x-source"]) for one in receiver.got] == [(f"Bearer {VALUE}", "pfadwerk")]
    assert moved.instruction["op"] == "end"
    [message] = world.messages(run)
    assert message.answer["data"]["answer"]["you_sent"]["Authorization"] == "Bearer [secret]"
    assert "crm_token" in everything(world)
    assert VALUE not in everything(world) + caplog.text + repr(moved)


@pytest.mark.parametrize("status", [301, 400, 401, 503])
def test_a_failure_tells_nobody(sqlite_world, receiver, caplog, status) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status = status
    run = started(sqlite_world, journey(receiver))
    try:
        raised = repr(sqlite_world.perform(run, activity=CALL))
    except Exception as error:  # noqa: BLE001 - whatever would stand in a history
        raised = f"{error!r} {error.__cause__!r} {error.args}"
    assert len(receiver.got) == 1
    assert VALUE not in everything(sqlite_world) + caplog.text + raised


@pytest.mark.parametrize("value", [f"{VALUE}\r\nX-Admin: yes", f"{VALUE}\n", f"{VALUE}\x00", f"{VALUE}ü"])
def test_a_value_that_no_header_can_hold_is_not_sent(sqlite_world, receiver, caplog, value) -> None:
    caplog.set_level(logging.DEBUG)
    run = started(sqlite_world, journey(receiver), value)
    sqlite_world.perform(run, activity=CALL)
    assert receiver.got == []
    [message] = sqlite_world.messages(run)
    assert (message.status, message.reason) == ("skipped", "secret_no_header")
    assert VALUE not in everything(sqlite_world) + caplog.text


def test_without_the_secret_nobody_is_called(sqlite_world, receiver) -> None:
    run = started(sqlite_world, journey(receiver))
    with sqlite_world.db.write() as session:
        secrets.remove(session, "crm_token", "test")
    sqlite_world.perform(run, activity=CALL)
    assert (receiver.got, [one.reason for one in sqlite_world.messages(run)]) == ([], ["no_secret"])


def test_a_journey_that_names_no_secret_of_the_workspace_is_not_published(sqlite_world, receiver) -> None:
    headers = {"Authorization": {"secret": "crm_tokn", "prefix": "Bearer "}}
    with pytest.raises(Invalid, match="Did you mean “crm_token”") as refused:
        started(sqlite_world, journey(receiver, headers=headers))
    assert [(issue.node_id, issue.field) for issue in refused.value.issues] == [("a", "headers.Authorization.secret")]


def test_staging_unseals_nothing(sqlite_world, receiver) -> None:
    run = started(sqlite_world, journey(receiver), performer=PretendWebhook())
    with sqlite_world.db.write() as session:  # a value that would fail if anybody read it
        stored = session.get(secrets.Secret, "crm_token")
        stored.sealed = "broken"
        session.add(stored)
    assert sqlite_world.perform(run, activity=CALL).instruction["op"] == "end"
    assert receiver.got == []


@pytest.mark.parametrize(
    ("value", "called"), [("..", []), (".", []), ("...", ["/contacts/..."]), ("../x", ["/contacts/..%2Fx"]), ("%2e.", ["/contacts/%252e."])]
)
def test_a_value_does_not_choose_another_path(sqlite_world, receiver, value, called) -> None:
    document = journey(receiver, url=receiver.url + "/{{ contact.first_name }}?all=../x")
    run = started(sqlite_world, document, first_name=value)
    sqlite_world.perform(run, activity=CALL)
    assert [path.partition("?")[0] for path in receiver.paths] == called
    assert [one.reason for one in sqlite_world.messages(run)] == ["" if called else "dots_in_address"]
