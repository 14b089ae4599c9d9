"""Where journeys that run name something of the workspace: asked before it is taken away."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from engine.live import Engine
from journeys.errors import Conflict
from journeys.names import names_in

RUNNING = ("live", "paused")


@dataclass(frozen=True, slots=True)
class Use:
    """A step of the version that contacts enter now."""

    journey: str
    journey_name: str
    node: str
    node_name: str
    field: str


def uses_of_member(engine: Engine, session: Session, member_id: str) -> list[Use]:
    """The steps of live and paused journeys that name a member, by journey."""
    return [
        Use(live.key, live.program.journey.name, node_id, node.name or node.label, path)
        for live in engine.index(session).by_id.values()
        if live.state in RUNNING
        for node_id, node in live.program.nodes.items()
        for path, noun, name in dict.fromkeys((*node.references(), *names_in(node)))
        if noun in ("member", "recipient") and name == member_id
    ]


def refuse_used_member(engine: Engine, session: Session, member_id: str) -> None:
    """Raises: Conflict, with where (`used_in`), if a journey that runs names the member."""
    used = uses_of_member(engine, session, member_id)
    if used:
        raise Conflict(
            "Journeys that run name this member. Choose somebody else there, or say that it is meant so (anyway).",
            used_in=[asdict(use) for use in used],
        )
