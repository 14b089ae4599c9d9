"""Names of contacts, members and journeys beside the ids that rows hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from engine.versions.uses import Use
from models import Contact, Journey, Member

MOST_PLACES = 10


def contact_names(session: Session, ids: Iterable[str]) -> dict[str, str]:
    """Contact id -> what people call them; one query."""
    found = session.scalars(select(Contact).where(col(Contact.id).in_(set(ids))))
    return {contact.id: called(contact) for contact in found}


def member_names(session: Session) -> dict[str, str]:
    """Member id -> name."""
    return dict(session.execute(select(Member.id, Member.name)).all())


def meant_for(t: Translator, members: Mapping[str, str], member_id: str | None) -> str:
    """That something was meant for somebody who has left the team, or was never in it; empty: it was not. `members`: id -> name."""
    return t("was for {name}, who has left", name=members.get(member_id, member_id)) if member_id else ""


def places(uses: Iterable[Use]) -> str:
    """Where things are named, to be read in a question: journeys with the steps concerned, the first ten."""
    each = dict.fromkeys(f"{use.journey_name} ({use.node_name})" if use.node_name else use.journey_name for use in uses)
    shown = list(each)[:MOST_PLACES]
    return ", ".join([*shown, "…"] if len(each) > MOST_PLACES else shown)


def journeys_of(session: Session, subjects: Iterable[str]) -> dict[str, tuple[str, str]]:
    """`journey:<id>` -> (key, name), for those of the subjects of an audit line or a job that are a journey; one query."""
    ids = {id for kind, _, id in (subject.partition(":") for subject in subjects) if kind == "journey"}
    found = session.execute(select(Journey.id, Journey.key, Journey.name).where(col(Journey.id).in_(ids)))
    return {f"journey:{id}": (key, name) for id, key, name in found}


def called(contact: Contact) -> str:
    """Full name, else address, else number; empty for somebody of whom only an id is known."""
    full = " ".join(part for part in (contact.first_name, contact.last_name) if part)
    return full or contact.email or contact.phone or ""


def contact_link(t: Translator, id: str, name: str | None) -> Element:
    return html.a({"href": f"/ui/contacts/{id}"}, name or t("Contact {id}", id=id[-6:]))


def actor(t: Translator, names: dict[str, str], by: str) -> str:
    """Who did something, as the audit trail names them (`member:<id>`, `key:<id>`), in words; `names` are members."""
    kind, _, id = by.partition(":")
    if kind == "member":
        return names.get(id) or t("a former member")
    return t("an API key") if kind == "key" else t("the system")
