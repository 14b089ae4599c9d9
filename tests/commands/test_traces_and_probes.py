"""Web server and worker as processes of their own: one trace from an event to its message, and the worker's own port."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.client import Client

from activities.templates import library
from commands.process import Program
from commands.servers import free_port, start_temporal
from engine.versions import publish
from models import Database
from settings import Settings
from tests.collector import Seen, collecting
from tests.forkserver import Forked, ForkServer
from worker import build_engine

ROOT = Path(__file__).parents[2]
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PLANTED = ("xanthippe", "soemmering", "+491701234567", "203.0.113.77", "Gingerbread")
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TOKEN = "read-my-numbers"
JOURNEY: dict[str, Any] = {
    "spec": 1,
    "key": "traced",
    "name": "Traced",
    "entry": {"triggers": [{"type": "event", "event": "Asked"}]},
    "settings": {"message_class": "transactional", "hold_at_most": "PT1H"},
    "start": "short",
    "nodes": {
        "short": {"kind": "wait", "duration": "PT1S"},
        "tell": {"kind": "update_contact", "set": {"locale": "en"}},
        "hello": {"kind": "send_email", "template": "traced"},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "short", "to": "tell"},
        {"from": "tell", "to": "hello"},
        {"from": "hello", "outlet": "sent", "to": "end"},
    ],
}


def furnish(home: Path) -> None:
    settings, now = Settings(home=home), datetime.now(UTC)
    db = Database(settings.database_url)
    mjml = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ contact.first_name }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    content = {"default": {"subject": "Hello {{ contact.first_name }}", "mjml": mjml}}
    engine = build_engine(settings, db, [])
    about = {"name": "Traced", "kind": "email", "message_class": "transactional", "actor": "test", "now": now}
    library.save(db, "traced", content, **about)
    with db.write() as session:
        created = publish.create_journey(session, JOURNEY, "test", now)
        publish.publish(engine, session, created.id, "test", "", now)
    db.close()


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    try:
        with NO_PROXY.open(urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def post(port: int, key: str) -> None:
    who = {"email": f"{PLANTED[0]}@example.org", "firstName": PLANTED[0], "lastName": PLANTED[1], "phone": PLANTED[2]}
    calls = [
        ("identify", {"userId": PLANTED[0], "traits": who, "context": {"ip": PLANTED[3]}}),
        ("track", {"userId": PLANTED[0], "event": "Asked", "properties": {"dish": PLANTED[4]}, "context": {"ip": PLANTED[3]}}),
    ]
    for kind, body in calls:
        url = f"http://127.0.0.1:{port}/v1/{kind}?who={PLANTED[0]}"
        headers = {"traceparent": CALLER, "user-agent": PLANTED[0]} if kind == "track" else {}
        request = urllib.request.Request(url, json.dumps({"writeKey": key, **body}).encode(), headers)
        with NO_PROXY.open(request, timeout=30) as answer:
            assert json.load(answer) == {"success": True}


def answers(port: int) -> Callable[[], bool]:
    def ask() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ask


def ways_up(spans: list[Seen], leaf: Seen) -> list[str]:
    """Names of the spans from the root down to `leaf`."""
    by_id = {span.span_id: span for span in spans}
    way = [leaf]
    while way[-1].parent_id:
        way.append(by_id[way[-1].parent_id])
    return [span.name for span in reversed(way)]


def no_gap(spans: list[Seen]) -> bool:
    """Whether each span's parent is there: processes export on their own, so a child may arrive first."""
    there = {span.span_id for span in spans}
    return all(span.parent_id in there for span in spans if span.parent_id)


def history_of(address: str, run_id: str) -> str:
    async def fetch() -> str:
        client = await Client.connect(address, namespace="pfadwerk")
        return (await client.get_workflow_handle(run_id).fetch_history()).to_json()

    return asyncio.run(fetch())


COUNTED = (
    'pfadwerk_messages_total{channel="email",outcome="sent"} 1.0',
    'pfadwerk_effects_total{channel="email",outcome="sent"} 1.0',
    "pfadwerk_temporal_up 1.0",
    "pfadwerk_database_up 1.0",
    "pfadwerk_step_seconds_count",
    "pfadwerk_open_runs{",
    "temporal_workflow_completed",
)


def numbers_with(port: int, lines: Sequence[str]) -> str:
    """A worker's numbers once all these lines are in them: Temporal's own come a moment after what they count."""
    until = time.monotonic() + 60
    while True:
        status, numbers = get(port, "/metrics", authorization=f"Bearer {TOKEN}")
        assert status == 200
        missing = [line for line in lines if line not in numbers]
        if not missing:
            return numbers
        assert time.monotonic() < until, (missing, numbers[:3000])
        time.sleep(0.1)


def test_one_trace_leads_from_the_event_to_its_message(forks: ForkServer, demo: Path, tmp_path: Path) -> None:
    furnish(demo)
    web_port, own_port = free_port(), free_port()
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        temporal = stack.enter_context(start_temporal(tmp_path / "temporal"))
        environment = {
            "PFADWERK_TEMPORAL_ADDRESS": temporal.address,
            "PFADWERK_PORT": str(web_port),
            "PFADWERK_METRICS_PORT": str(own_port),
            "PFADWERK_METRICS_TOKEN": TOKEN,
            "PFADWERK_OTLP_ENDPOINT": collector.url,
            "PFADWERK_OTLP_HEADERS": "x-tenant=shop",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "PYTHONPATH": str(ROOT),
        }
        worker = stack.enter_context(Forked(forks, Program("worker", ["cli", "worker"], environment=environment), tmp_path / "worker.log"))
        web_program = Program("web", ["cli", "api"], environment=environment, is_ready=answers(web_port))
        web = stack.enter_context(Forked(forks, web_program, tmp_path / "web.log"))
        worker.wait_ready(60)
        web.wait_ready(60)
        assert get(own_port, "/health") == (200, '{"status":"ok"}')
        status, told = get(own_port, "/ready")
        assert (status, json.loads(told)["status"]) == (200, "ready"), told
        post(web_port, (demo / "write_key").read_text().strip())
        spans = collector.wait_for(lambda all: {"message", "effect", "POST /v1/track"} <= {span.name for span in all} and no_gap(all))

        [message] = [span for span in spans if span.name == "message"]
        assert message.attributes["pfadwerk.outcome"] == "sent"
        assert ways_up([span for span in collector.spans if span.trace_id == message.trace_id], message)[:4] == [
            "POST /v1/track", "route", "enrol", "begin run",
        ]  # fmt: skip
        assert ways_up(spans, message)[4:] == ["effect", "message"]
        [root] = [span for span in spans if span.name == "POST /v1/track"]
        assert (root.service, root.trace_id, root.links) == ("pfadwerk-api", message.trace_id, (CALLER.split("-")[1],))
        mine = {span.name: span for span in spans if span.trace_id == message.trace_id}
        assert mine["step"].parent_id == mine["effect"].parent_id == mine["begin run"].span_id
        assert {mine[name].service for name in ("effect", "call provider", "message")} == {"pfadwerk-worker"}
        assert mine["call provider"].attributes["pfadwerk.message.id"] == message.attributes["pfadwerk.message.id"]
        run_id = mine["effect"].attributes["pfadwerk.run.id"]
        assert mine["begin run"].attributes["pfadwerk.run.id"] == run_id
        assert [span.name for span in spans if span.is_error] == []
        assert all(headers["x-tenant"] == "shop" for headers in collector.headers)

        history = history_of(temporal.address, run_id)
        assert message.trace_id not in history, "traces stay out of histories"

        assert get(own_port, "/metrics")[0] == 403
        numbers = numbers_with(own_port, COUNTED)
        assert web.stop() == 0, (tmp_path / "web.log").read_text()
        assert worker.stop(30) == 0, (tmp_path / "worker.log").read_text()
        for planted in PLANTED:
            assert planted.encode() not in collector.raw
            assert planted not in numbers
