"""Where segments are used: live and paused journeys that name them; templates, other segments and scoring models whose rules ask for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from activities.templates.segments import asking
from builder_ui.kit.reactpy_compat import Element, html
from crm.segments import segments
from engine.engine import Engine
from engine.versions.uses import uses_of


@dataclass(frozen=True, slots=True)
class Place:
    """`kind`: journey, template, segment or scoring."""

    kind: str
    name: str
    address: str


def places(engine: Engine, session: Session, keys: Collection[str]) -> dict[str, list[Place]]:
    """Segment key -> where it is used, journeys first; each place once."""
    found: dict[str, dict[Place, None]] = {key: {} for key in keys}
    for use in uses_of(engine, session, [("segment", key) for key in keys]):
        name = f"{use.journey_name} ({use.node_name})" if use.node_name else use.journey_name
        found[use.name][Place("journey", name, f"/ui/journeys/{use.journey}")] = None
    asked = asking(session) if keys else {}
    for key in keys:
        for template in asked.get(key, ()):
            found[key][Place("template", template.name, f"/ui/templates/{template.key}")] = None
        for one in segments.used_by(session, key):
            found[key][Place("segment", one.name, f"/ui/segments/{one.key}")] = None
        for model in segments.scored_by(session, key):
            found[key][Place("scoring", model.name, f"/ui/scoring/{model.key}")] = None
    return {key: list(named) for key, named in found.items()}


def links(used: Sequence[Place]) -> Element:
    return html.ul({"className": "used"}, [html.li({"key": str(n)}, html.a({"href": one.address}, one.name)) for n, one in enumerate(used)])
