"""Run in a copy of the product that has the toys: says as JSON what every place that walks the registries makes of them."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any

from journeys.changes.speak import Speak
from journeys.changes.wake_run import WakeRun
from pydantic import TypeAdapter
from sqlalchemy import select
from sqlmodel import SQLModel

from crm import changes as of_contacts
from engine import changes as of_runs
from engine.clock import Clock
from engine.engine import Engine
from engine.enrolment.routing import routed
from engine.interpreter.simulate import Script, simulate
from engine.runs.step import step
from engine.versions.publish import create_journey, publish
from journeys.changes import CHANGES
from journeys.compile import compile_journey
from journeys.nodes import Node, Palette
from journeys.reading import read
from journeys.values import Answer, Context, Leave
from models import Contact, Database, Event, Run
from storage.events import append_event
from workspace import audit

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Greet(Node):
    """Makes the contact speak French, and wakes the run."""

    kind = "greet"
    group = "contact"
    label = "Greet"

    def enter(self, ctx: Context) -> Answer:
        return Leave(outlet="next", changes=(Speak(language="fr"), WakeRun()))


PALETTE = Palette.built_in().with_kinds(Greet)
DOCUMENT: dict[str, Any] = {
    "spec": 1,
    "key": "toys",
    "name": "Toys",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "wait",
    "nodes": {
        "wait": {"kind": "wait", "duration": "PT1H"},
        "greet": {"kind": "greet"},
        "asked": {"kind": "if_else", "rule": {"field": "locale", "operator": "=", "value": "fr"}},
        "french": {"kind": "exit", "reason": "completed"},
        "other": {"kind": "exit", "reason": "completed"},
    },
    "edges": [
        {"from": "wait", "to": "greet"},
        {"from": "greet", "to": "asked"},
        {"from": "asked", "outlet": "yes", "to": "french"},
        {"from": "asked", "outlet": "no", "to": "other"},
    ],
}


def simulated() -> dict[str, Any]:
    path = simulate(compile_journey(read(DOCUMENT), PALETTE), Script(contact={"locale": "de"}))
    return {"outlets": path.outlets(), "changes": [change.change for change in path.changes], "ended": path.ended}


def lived() -> dict[str, Any]:
    """The real engine: a run that waits an hour and then greets."""
    db = Database(f"sqlite:///{tempfile.mkdtemp()}/toys.db")
    SQLModel.metadata.create_all(db.engine)
    audit.bind(db, (b"k" * 32,))
    engine = Engine(db, Clock(), PALETTE, (b"k" * 32,))
    with db.write() as session:
        session.add(Contact(id="ada", created_at=NOW, updated_at=NOW, locale="de"))
        publish(engine, session, create_journey(session, DOCUMENT, "test", NOW).id, "test", "", NOW)
        signed_up = append_event(session, "ada", "track", "Signed Up", {}, NOW, source="test")
        [run_id] = routed(engine, session, [signed_up], NOW).starts
    moved = step(engine, run_id, 1, NOW + timedelta(hours=1))
    with db.read() as session:
        run, ada = session.get_one(Run, run_id), session.get_one(Contact, "ada")
        changed = session.scalars(select(Event).where(Event.name == "Contact Changed")).one()
        return {
            "node": run.node,
            "ended": run.ended_at is not None,
            "locale": ada.locale,
            "woken": run_id in moved.wakeups.runs,
            "event": [changed.properties["fields"], changed.hops, changed.source == f"journey:{run_id}", changed.routed],
        }


def story() -> dict[str, Any]:
    leave = TypeAdapter(Leave).validate_json(Leave(outlet="next", changes=(Speak(language="fr"), WakeRun())).model_dump_json())
    return {
        "kinds": [one.kind() for one in CHANGES],
        "written": {"crm": sorted(of_contacts.APPLY), "engine": sorted(of_runs.APPLY)},
        "again": [type(change).__name__ for change in leave.changes],
        "simulated": simulated(),
        "lived": lived(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(story()))
