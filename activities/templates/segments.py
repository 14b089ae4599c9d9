"""Where templates ask whether a contact is in a segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateSyntaxError
from sqlalchemy import String, cast, func, select, tuple_
from sqlalchemy.orm import Session
from sqlmodel import col

from activities.rendering.jinja import rules_of
from activities.templates import listing
from activities.templates.rule_segments import NOUN, asked_by
from journeys.errors import Conflict
from models import Template, TemplateVersion


@dataclass(frozen=True, slots=True)
class Asking:
    """A template whose rules ask for a segment."""

    key: str
    name: str


def asking(session: Session) -> dict[str, list[Asking]]:
    """Segment key -> the templates and partials that ask for it, by name: in their draft, in their newest version, or in one that a journey uses.

    What is archived counts only where a journey uses it.
    """
    found: dict[str, set[str]] = {}
    for key, draft in session.execute(_may_ask(select(col(Template.key), col(Template.variants)).where(_present), Template.variants)):
        _note(found, key, _drafted(draft))
    for key, compiled in session.execute(_may_ask(_versions(session), TemplateVersion.compiled)):
        _note(found, key, (text for variant in compiled.values() for text in variant.get("rules", {}).values()))
    if not found:
        return {}
    names = session.execute(select(col(Template.key), col(Template.name)).order_by(func.lower(col(Template.name)), col(Template.key))).all()
    return {segment: [Asking(key, name) for key, name in names if key in keys] for segment, keys in found.items()}


def refuse_asked(session: Session, key: str) -> None:
    """Raises: Conflict, with the list (`templates`), if a template asks for the segment."""
    if places := asking(session).get(key):
        raise Conflict(
            "Templates ask for this segment: {names}.", names=[one.name for one in places], templates=[one.key for one in places]
        )


_present = col(Template.archived_at).is_(None)


def _versions(session: Session) -> Any:
    """The newest of each template, and those that journeys use: of an older one nobody gets a message any more."""
    rows = select(col(TemplateVersion.key), col(TemplateVersion.compiled))
    newest = select(col(TemplateVersion.key), func.max(col(TemplateVersion.number))).join(
        Template, col(Template.key) == col(TemplateVersion.key)
    )
    version = tuple_(col(TemplateVersion.key), col(TemplateVersion.number))
    is_used = version.in_(
        [(key, use.template_version) for key, uses in listing.uses(session).items() for use in uses if use.template_version is not None]
    )
    return rows.where(version.in_(newest.where(_present).group_by(col(TemplateVersion.key))) | is_used)


def _may_ask(statement: Any, texts: Any) -> Any:
    """The database leaves out the many texts that ask for none: a page asks this every few seconds."""
    return statement.where(cast(col(texts), String).contains(NOUN))


def _drafted(variants: Mapping[str, Any]) -> Iterator[str]:
    """The rules of a draft; of a part that cannot be read, none: it is not saved before it can be."""
    for parts in variants.values():
        for text in parts.values() if isinstance(parts, Mapping) else ():
            try:
                yield from rules_of([text] if isinstance(text, str) and NOUN in text else ()).values()
            except (TemplateSyntaxError, RecursionError):
                continue


def _note(found: dict[str, set[str]], template: str, rules: Iterable[str]) -> None:
    for segment in asked_by(rules):
        found.setdefault(segment, set()).add(template)
