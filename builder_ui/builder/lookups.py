"""What forms offer to choose from: templates, pools, journeys, secrets, members, fields and events. Read when the builder opens, and again once
somebody made another (`stamp`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from activities.rendering.kinds import HTML, PARTIAL
from activities.templates import listing
from crm import catalogue
from crm.people import tags, touches
from crm.segments import segments
from engine.engine import JOURNEYS
from journeys.catalogue import Catalogue
from models import Freshness, Journey, Member, Rotation, Secret, Template
from sqlalchemy import String, cast, literal, union_all
from sqlalchemy.orm import Session
from sqlmodel import col, select
from storage.segment_marks import SEGMENTS
from workspace import listed_names, secrets, sending_domains, settings

from builder_ui.kit.i18n import Translator
from builder_ui.kit.template_frames import address

MAKERS = {
    "template": "/ui/new-template",
    "pool": "/ui/settings/rotations",
    "purpose": "/ui/settings/workspace/purposes",
    "score_group": "/ui/settings/workspace/score_groups",
    "topic": "/ui/settings/workspace/topics",
}
Choice = tuple[str, str]
"""(what is stored, what is shown)"""
Stamp = tuple[tuple[str, str, str], ...]
TOPICS = ("templates", catalogue.TOPIC, settings.TOPIC, JOURNEYS, SEGMENTS)
_offered = union_all(
    select(literal("topic"), col(Freshness.topic), cast(col(Freshness.number), String)).where(
        col(Freshness.topic).in_(TOPICS)
    ),
    select(literal("member"), col(Member.id), col(Member.name)).where(col(Member.active)),
    select(literal("rotation"), col(Rotation.pool), col(Rotation.name)),
    select(literal("secret"), col(Secret.name), literal("")),
)
"""Of what says itself that it changed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a form shows of a chosen thing: `address` of its own page, `picture` for a frame (empty: none), `texts` by language."""

    address: str
    picture: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """The text in the reader's language, else in the first there is."""
        return self.texts.get(language) or next(iter(self.texts.values()), "")


@dataclass(frozen=True, slots=True)
class Lookups:
    """`choices`: widget hint -> choices; `kinds`: template key -> its channel; `looks`: widget hint -> stored value -> how it looks;
    `makers`: widget hint -> the page on which a new one begins."""

    catalogue: Catalogue
    choices: Mapping[str, list[Choice]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    looks: Mapping[str, Mapping[str, Look]] = field(default_factory=dict)
    makers: Mapping[str, str] = field(default_factory=dict)
    stamp: Stamp = field(default=(), compare=False)
    """What `stamp` answered before this was read."""

    def offered(self, widget: str, hints: Mapping[str, Any]) -> list[Choice]:
        """The choices of a field with that widget; templates only of its channel."""
        found = self.choices.get(widget, [])
        channel = hints.get("channel")
        return (
            [one for one in found if self.kinds.get(one[0]) == channel]
            if widget == "template" and channel
            else found
        )


def stamp(session: Session) -> Stamp:
    """Differs once somebody made or changed what is offered: a template, a field, an event, a setting, a member, a rotation, a secret. One short
    question, for pages that ask every other second; a new tag alone shows at the next of these."""
    return tuple(sorted((what, key, name) for what, key, name in session.execute(_offered)))


def load(session: Session, t: Translator) -> Lookups:
    """`t`: how the reader calls purposes and scores."""
    seen = stamp(session)
    sendable = select(Template).where(
        col(Template.archived_at).is_(None), Template.kind != "partial"
    )
    templates = session.scalars(sendable.order_by(col(Template.name))).all()
    pools = session.scalars(select(Rotation).order_by(col(Rotation.name))).all()
    journeys = session.execute(
        select(Journey.key, Journey.name)
        .where(col(Journey.archived_at).is_(None))
        .order_by(Journey.name)
    ).all()
    members = session.execute(
        select(Member.id, Member.name).where(col(Member.active)).order_by(Member.name)
    ).all()
    choices: dict[str, list[Choice]] = {
        "template": [(one.key, one.name) for one in templates],
        "pool": [(one.pool, one.name) for one in pools],
        "journey": [(key, name) for key, name in journeys],
        "secret": [(name, name) for name in secrets.names(session)],
        "user": [(id, name) for id, name in members],
        "purpose": _listed(session, t, "purposes"),
        "score_group": _listed(session, t, "score_groups"),
        "topic": listed_names.topics(session, t.language),
        "segment": segments.offered(session),
        "tag": [(name, name) for name in tags.known(session)],
        "sender": sending_domains.offered(session),
        "cap_class": [
            (name, name) for name in sorted(settings.load(session, settings.FrequencyCaps).offers())
        ],
    }
    choices |= {
        attribute: [(value, "") for value in values]
        for attribute, values in touches.known_values(session).items()
    }
    kinds, looks = (
        {one.key: one.kind for one in templates},
        {"template": _looks(session, templates)},
    )
    return Lookups(catalogue.load_catalogue(session), choices, kinds, looks, MAKERS, seen)


def _listed(session: Session, t: Translator, name: str) -> list[Choice]:
    return [
        (key, t(label)) for key, label in listed_names.labels(session, name, t.language).items()
    ]


def _looks(session: Session, templates: Iterable[Template]) -> dict[str, Look]:
    numbers = listing.numbers(session)
    looks = {}
    for one in templates:
        texts = {
            locale: str(parts.get("subject") or parts.get("text") or "")[:200]
            for locale, parts in one.variants.items()
        }
        picture = (
            address(one.key, r=str(numbers.get(one.key, 0)))
            if one.kind != PARTIAL and one.kind in HTML
            else ""
        )
        looks[one.key] = Look(f"/ui/templates/{one.key}", picture, texts)
    return looks
