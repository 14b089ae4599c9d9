"""Run in a copy of the product that has the toys: says as JSON what every place that walks the registry makes of them."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import SQLModel

from builder_ui.builder import cards, widgets
from builder_ui.builder.form import draw_part
from builder_ui.builder.journey_form import JOURNEY_FORM
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.protocol import ENTRY
from builder_ui.kit import labels
from builder_ui.kit.i18n import translator_for
from crm.people.profile import add_tag, remove_tag
from engine.clock import Clock
from engine.engine import Engine
from engine.enrolment import schedules
from engine.enrolment.routing import routed
from engine.versions.publish import create_journey, publish
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.nodes import Palette
from journeys.reading import read
from journeys.schema import journey_schema
from journeys.triggers import BY_KIND
from journeys.triggers.docs import triggers_page
from models import Contact, Database, Refusal, Run
from workspace import audit

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RULE = {"field": "locale", "operator": "=", "value": "de"}
TAGGED, YEARLY = {"type": "tagged", "tag": "vip"}, {"type": "yearly", "rule": RULE}


class Standing(Clock):
    """A clock that shows what it is told."""

    at = NOW

    def now(self) -> datetime:
        return self.at


def document(*triggers: dict[str, Any]) -> dict[str, Any]:
    again = {"policy": "after_exit"}
    journey = {"spec": 1, "key": "toys", "name": "Toys", "entry": {"triggers": list(triggers), "reentry": again}}
    return {**journey, "start": "end", "nodes": {"end": {"kind": "exit"}}, "edges": []}


def checked(*triggers: dict[str, Any]) -> list[tuple[str | None, str]]:
    found = check(read(document(*triggers)), Palette.built_in(), Catalogue.built_in())
    return [(issue.field, issue.code) for issue in found]


def form(trigger: dict[str, Any]) -> str:
    """What the builder draws of the entry's chapter."""
    [entry] = [schema for name, _, schema in JOURNEY_FORM if name == "entry"]
    drawn = widgets.Form(translator_for("en"), Lookups(Catalogue.built_in()), ENTRY, document(trigger), lambda *_: None, 0)
    return str(draw_part(drawn, entry, ("entry",)))


def world() -> Engine:
    db = Database(f"sqlite:///{tempfile.mkdtemp()}/toys.db")
    SQLModel.metadata.create_all(db.engine)
    audit.bind(db, (b"k" * 32,))
    engine = Engine(db, Standing(), Palette.built_in(), (b"k" * 32,))
    with db.write() as session:
        session.add(Contact(id="ada", created_at=NOW, updated_at=NOW, locale="de"))
        journey = create_journey(session, document(TAGGED, YEARLY), "test", NOW)
        publish(engine, session, journey.id, "test", "", NOW)
    return engine


def lived(engine: Engine) -> dict[str, Any]:
    """The real engine: a tag that is given, one that is not meant, one that is taken away, and the turn of the year."""
    db, ends = engine.db, {}
    for what, change, tag in (("another", add_tag, "new"), ("given", add_tag, "vip"), ("taken", remove_tag, "vip")):
        with db.write() as session:
            routed(engine, session, [change(session, "ada", tag, NOW, "test")], NOW)
        ends[what] = entered(db)
    with db.read() as session:
        live = engine.index(session).by_key["toys"]
        ends["unmet"] = [row.detail for row in session.scalars(select(Refusal).where(Refusal.reason == "condition"))]
        ahead = schedules.coming(session, live, NOW, NOW + timedelta(days=366))
        ends["coming"] = [(one.trigger.type, one.trigger.coming, one.at.isoformat(), one.look(session, "", 10)[0]) for one in ahead]
    Standing.at = datetime(2027, 1, 1, 0, 1, tzinfo=UTC)
    schedules.pull(engine)
    return {**ends, "turned": entered(db)}


def entered(db: Database) -> int:
    with db.read() as session:
        return len(session.scalars(select(Run)).all())


def story() -> dict[str, Any]:
    english, parsed = translator_for("en"), read(document(TAGGED, YEARLY))
    return {
        "schema": sorted({"TaggedTrigger", "YearlyTrigger"} & set(journey_schema(Palette.built_in())["$defs"])),
        "checked": checked(
            {"type": "tagged", "tag": ""},
            {"type": "tagged", "tag": "b", "beside": "plan_b"},
            {"type": "yearly", "rule": {**RULE, "field": "loc"}},
        ),
        "form": {"tagged": form(TAGGED), "loudly": form({**TAGGED, "loudly": True}), "yearly": form(YEARLY)},
        "words": [labels.trigger(english, one) for one in parsed.entry.triggers],
        "card": cards._entry_in_words(english, {"triggers": [TAGGED, {"type": "yearly"}]}),
        "docs": triggers_page(),
        "kinds": list(BY_KIND),
        "lived": lived(world()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(story()))
