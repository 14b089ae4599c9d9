"""What the lines of a contact's timeline need beside their own rows: names of journeys, steps, members, messages, sources and fields."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.kit import labels
from builder_ui.kit.actor_names import member_names
from builder_ui.kit.context import PageContext
from crm.catalogue import field_titles
from crm.people.timeline import TimelinePage
from models import Journey, Message
from storage import origin


@dataclass(frozen=True, slots=True, repr=False)
class Told:
    page: TimelinePage
    journeys: dict[str, tuple[str, str]]
    """Journey id -> (key, name)."""
    members: dict[str, str]
    steps: dict[tuple[str, str], str]
    """(version id, node id) -> what people call the step."""
    messages: dict[str, str]
    """Message id -> its subject, of the messages that events on this page are about."""
    sources: dict[str, str]
    """Source of an event -> what people call the key or the file it came with."""
    titles: dict[str, str]
    """Field -> its title in this workspace, where it has one."""


def told_of(context: PageContext, session: Session, page: TimelinePage) -> Told:
    return Told(
        page,
        {id: (key, name) for id, key, name in session.execute(select(Journey.id, Journey.key, Journey.name))},
        member_names(session),
        _steps(context, session, page),
        _subjects(session, page),
        origin.names_of(session, {one.data["source"] for one in page.items if one.kind == "event"}),
        field_titles(session),
    )


def _subjects(session: Session, page: TimelinePage) -> dict[str, str]:
    events = [one.data["properties"] for one in page.items if one.kind == "event" and one.data["type"] == "system"]
    ids = {id for properties in events if isinstance(id := properties.get("message_id"), str)}
    return dict(session.execute(select(Message.id, Message.subject).where(col(Message.id).in_(ids))).all()) if ids else {}


def _steps(context: PageContext, session: Session, page: TimelinePage) -> dict[tuple[str, str], str]:
    versions = {one.data["version_id"] for one in page.items if one.kind == "run"}
    programs = {id: context.engine.program(session, id) for id in sorted(versions)}
    return {(id, node_id): name for id, program in programs.items() for node_id, name in labels.names_of(context.t, program.nodes).items()}
