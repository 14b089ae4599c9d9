"""What is recorded of traces, and what never is; a real collector on this machine takes the spans."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities.requests_session import guarded_session
from activities.sending.failures import come_back
from activities.webhooks.address_guard import Guard
from api.app import create_app
from api.tracking.write_keys import add_key
from engine.log_fields import present
from engine.otlp import OtlpTracing
from engine.tracing import ATTRIBUTES, NOTHING, Callers, NoTracing, is_traceparent
from models import Event, Run
from settings import Settings
from storage.sql import table
from tests.api.conftest import TestClient, Woken
from tests.collector import Collector, Seen, collecting
from tests.engine.conftest import World

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALLERS_TRACE, CALLERS_SPAN = CALLER.split("-")[1:3]
JOURNEY: dict[str, Any] = {
    "spec": 1,
    "key": "traced",
    "name": "Traced",
    "entry": {"triggers": [{"type": "event", "event": "Asked"}], "reentry": {"policy": "after_exit"}},
    "settings": {"message_class": "transactional"},
    "start": "hear",
    "nodes": {
        "hear": {"kind": "wait_for", "branches": [{"name": "yes", "event": "Answered"}], "timeout": "P2D"},
        "mail": {"kind": "send_email", "template": "a"},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "hear", "outlet": "yes", "to": "mail"},
        {"from": "hear", "outlet": "timed_out", "to": "end"},
        {"from": "mail", "outlet": "sent", "to": "end"},
    ],
}


HERE = Guard.allowing(["127.0.0.1"])


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def traced(world: World, collector: Collector, *, ratio: float = 1.0, callers: Callers = "link") -> World:
    world.engine.tracing = OtlpTracing(collector.url, "test", "live", session=guarded_session(HERE), ratio=ratio, callers=callers)
    return world


def flushed(world: World, collector: Collector) -> list[Seen]:
    world.engine.tracing.close()
    return collector.spans


def app_of(world: World, tmp_path: Path) -> FastAPI:
    settings = Settings(home=tmp_path / "home", database_url="sqlite:///unused.db", public_url="http://testserver")
    return create_app(settings, world.engine, waker=Woken())


def send(world: World, tmp_path: Path, path: str, body: Any, **headers: str) -> None:
    """One request of the tracking door; the spans are exported when the app ends."""
    with world.db.write() as session:
        key = add_key(session, "server", "Shop", world.engine.clock.now())[1]
    basic = base64.b64encode(f"{key}:".encode()).decode()
    with TestClient(app_of(world, tmp_path)) as client:
        answer = client.post(f"/v1/{path}", json=body, headers={"authorization": f"Basic {basic}", **headers})
        assert answer.status_code == 200, answer.text
        assert client.get("/health").status_code == 200


def traces_of(world: World, model: Any) -> list[str | None]:
    with world.db.read() as session:
        return list(session.scalars(select(table(model).c.trace).order_by(table(model).c.id)))


@pytest.mark.parametrize("callers", ["ignore", "link", "parent"])
def test_a_callers_trace_counts_as_far_as_it_is_let(sqlite_world: World, collector: Collector, tmp_path: Path, callers: Callers) -> None:
    world = traced(sqlite_world, collector, callers=callers)
    send(world, tmp_path, "track", {"userId": "u1", "event": "Asked"}, traceparent=CALLER)
    [request] = [span for span in collector.spans if span.name == "POST /v1/track"]
    assert {"ignore": (False, ()), "link": (False, (CALLERS_TRACE,)), "parent": (True, ())}[callers] == (
        (request.trace_id, request.parent_id) == (CALLERS_TRACE, CALLERS_SPAN),
        request.links,
    )
    assert request.attributes == {"http.request.method": "POST", "http.route": "/v1/track", "http.response.status_code": 200}
    assert [span.name for span in collector.spans if "health" in span.name] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        CALLER.upper(),
        CALLER + "-1",
        "01" + CALLER[2:],
        CALLER.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        "x" * 9_000,
        CALLER + "\n",
    ],
)
def test_what_is_no_traceparent_counts_for_nothing(text: str) -> None:
    assert not is_traceparent(text)
    assert is_traceparent(CALLER)


@pytest.mark.parametrize("callers", ["ignore", "link"])
def test_a_caller_cannot_have_recorded_what_is_not(sqlite_world: World, collector: Collector, tmp_path: Path, callers: Callers) -> None:
    world = traced(sqlite_world, collector, ratio=0.0, callers=callers)
    world.publish(JOURNEY)
    send(
        world, tmp_path, "batch", {"batch": [{"type": "track", "userId": f"u{n}", "event": "Asked"} for n in range(2)]}, traceparent=CALLER
    )
    assert collector.spans == []
    assert traces_of(world, Run) == [None, None]
    assert set(traces_of(world, Event)) == {None}


def test_each_event_of_a_batch_has_a_trace_of_its_own(sqlite_world: World, collector: Collector, tmp_path: Path) -> None:
    """They are about many people; each trace is linked with the request."""
    world = traced(sqlite_world, collector)
    world.publish(JOURNEY)
    send(world, tmp_path, "batch", {"batch": [{"type": "track", "userId": f"u{n}", "event": "Asked"} for n in range(3)]})
    [request] = [span for span in collector.spans if span.name == "POST /v1/batch"]
    accepted = [span for span in collector.spans if span.name == "accept"]
    assert {span.links for span in accepted} == {(request.trace_id,)}
    runs = {trace.split("-")[1] for trace in traces_of(world, Run) if trace}
    assert len(runs) == 3
    assert runs == {span.trace_id for span in accepted}
    assert request.trace_id not in runs


def test_whether_a_batch_is_recorded_is_decided_once(sqlite_world: World, collector: Collector, tmp_path: Path) -> None:
    world = traced(sqlite_world, collector, ratio=0.0, callers="parent")
    batch = {"batch": [{"type": "track", "userId": f"u{n}", "event": "Asked"} for n in range(2)]}
    send(world, tmp_path, "batch", batch, traceparent=CALLER)
    assert sorted(span.name for span in collector.spans) == ["POST /v1/batch", "accept", "accept", "route", "route"]


def test_whether_a_run_is_recorded_is_not_drawn_once_more(sqlite_world: World, collector: Collector) -> None:
    """Its event was not recorded where it came in, so the run is not either: the ratio counts once. What the clock starts is drawn here."""
    world = traced(sqlite_world, collector)
    world.publish(JOURNEY)
    world.run(world.happens(world.contact(), "Asked", trace=None))
    assert flushed(world, collector) == []


def test_a_line_names_no_trace_that_is_not_recorded(sqlite_world: World, collector: Collector) -> None:
    world = traced(sqlite_world, collector, ratio=0.0)
    with world.engine.tracing.span("effect", root=True):
        assert "trace_id" not in present()


def test_history_that_is_imported_makes_no_traces(sqlite_world: World, collector: Collector, tmp_path: Path) -> None:
    world = traced(sqlite_world, collector)
    send(world, tmp_path, "import", {"batch": [{"type": "track", "userId": "u", "event": "Asked"} for _ in range(2)]})
    assert [span.name for span in collector.spans] == ["POST /v1/import"]


def test_an_event_that_a_run_hears_later_is_linked(world: World, collector: Collector) -> None:
    """Its trace is another; the run's goes on in what it led to, days later."""
    traced(world, collector)
    world.publish(JOURNEY)
    who = world.contact()
    with world.engine.tracing.span("asked", root=True):
        run = world.run(world.happens(who, "Asked", trace=world.engine.tracing.here()))
    world.later(days=1)
    with world.engine.tracing.span("answered", root=True):
        world.happens(who, "Answered", trace=world.engine.tracing.here())
    with world.engine.tracing.span("step", parent=world.row(run).trace):
        world.step(run)
    named = {span.name: span for span in flushed(world, collector)}
    assert named["begin run"].trace_id == named["asked"].trace_id == named["step"].trace_id == named["hear"].trace_id
    assert named["hear"].links == (named["answered"].trace_id,)
    assert named["answered"].trace_id != named["asked"].trace_id


def test_what_a_message_led_to_goes_on_in_its_trace(sqlite_world: World, collector: Collector) -> None:
    """The event that tells of the message leads to the message's span, whoever routes it."""
    world = traced(sqlite_world, collector)
    nodes = {name: JOURNEY["nodes"][name] for name in ("mail", "end")}
    world.publish({**JOURNEY, "start": "mail", "nodes": nodes, "edges": JOURNEY["edges"][2:]})
    with world.engine.tracing.span("asked", root=True):
        run = world.run(world.happens(world.contact(), "Asked"))
    with world.engine.tracing.span("effect", parent=world.row(run).trace):
        world.perform(run)
    [message] = [span for span in flushed(world, collector) if span.name == "message"]
    with world.db.read() as session:
        [told] = session.scalars(select(table(Event).c.trace).where(table(Event).c.name == "Message Sent")).all()
    assert told.split("-")[1:3] == [message.trace_id, message.span_id]


class Secretive(Exception):
    """Quotes a person, as errors of databases and providers do."""


def test_an_error_leaves_its_kind_alone(sqlite_world: World, collector: Collector) -> None:
    world = traced(sqlite_world, collector)
    with pytest.raises(Secretive), world.engine.tracing.span("effect", root=True):
        raise Secretive("xanthippe@example.org is no mailbox")
    with pytest.raises(ApplicationError), world.engine.tracing.span("held", root=True):
        raise come_back("held", "quiet_hours", timedelta(hours=1))
    spans = {span.name: span for span in flushed(world, collector)}
    assert (spans["effect"].is_error, spans["effect"].attributes) == (True, {"error.type": "Secretive"})
    assert (spans["held"].is_error, spans["held"].attributes) == (False, {})
    assert b"xanthippe" not in collector.raw


def test_a_span_says_nothing_that_is_not_on_the_list(sqlite_world: World, collector: Collector) -> None:
    world = traced(sqlite_world, collector)
    with pytest.raises(KeyError), world.engine.tracing.span("effect", root=True, email="ada@example.org"):
        pass
    assert not any(
        word in name for name in ATTRIBUTES.values() for word in ("contact", "email", "phone", "user", "address", "url", "event.name")
    )
    flushed(world, collector)
    assert b"ada@" not in collector.raw


def test_without_a_collector_nothing_is_kept_or_asked(sqlite_world: World, tmp_path: Path) -> None:
    world = sqlite_world
    assert isinstance(world.engine.tracing, NoTracing)
    assert world.engine.tracing.span("step", parent=CALLER) is NOTHING
    world.publish(JOURNEY)
    send(world, tmp_path, "track", {"userId": "u1", "event": "Asked"}, traceparent=CALLER)
    assert traces_of(world, Run) == [None]
    assert set(traces_of(world, Event)) == {None}


def test_a_collector_that_is_away_costs_spans_only(sqlite_world: World, tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        world = sqlite_world
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        world.engine.tracing = OtlpTracing(address, "test", "live", session=guarded_session(HERE), callers="link")
        world.publish(JOURNEY)
        send(world, tmp_path, "track", {"userId": "u1", "event": "Asked"})
    assert [trace is not None for trace in traces_of(world, Run)] == [True]


def test_staging_sends_no_credential_to_a_collector(tmp_path: Path) -> None:
    given: dict[str, Any] = {"home": tmp_path, "otlp_headers": "authorization=Bearer t,x-tenant=shop"}
    assert Settings(**given).collector_headers() == {"authorization": "Bearer t", "x-tenant": "shop"}
    assert Settings(**given, workspace="staging").collector_headers() == {}
