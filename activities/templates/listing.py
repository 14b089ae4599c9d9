"""Templates as a collection: found, copied, thrown away, and where they are used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import String, cast, exists, func, or_
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering import digest
from activities.templates import library, partials
from journeys.errors import Conflict
from models import Journey, Run, Template, TemplateVersion, Version
from storage import freshness
from workspace import audit

MAX_DIFF_LINES = 600
CONTEXT = 2
"""Lines around a change."""
MAX_COMPARED_LINES = 2_000
"""Lines of both texts that differ; what `difflib` takes grows with the third power of them."""


@dataclass(frozen=True, slots=True)
class TemplateFilter:
    """Which templates to list; every filter that is given must fit. `text` is part of the name or the key."""

    text: str = ""
    kind: str = ""
    folder: str = ""
    tag: str = ""
    archived: bool = False


Place = Literal["live", "inside", "draft"]
"""live: who enters now gets it; inside: an older version, which contacts are still in; draft: nobody gets it yet."""


@dataclass(frozen=True, slots=True)
class Use:
    """Where a journey uses a template. A draft has no version, and takes the newest of the template when it is published."""

    journey_key: str
    journey_name: str
    state: str
    version: int | None
    template_version: int | None
    place: Place = "live"


@dataclass(frozen=True, slots=True)
class Change:
    """Lines of one part of one language: (" ", "+" or "-", text), with "…" between pieces."""

    locale: str
    part: str
    lines: tuple[tuple[str, str], ...]


def find(session: Session, filter: TemplateFilter, *, limit: int, offset: int = 0) -> list[Template]:
    """Templates that fit, by name."""
    statement = select(Template).where(col(Template.archived_at).is_not(None) if filter.archived else col(Template.archived_at).is_(None))
    if filter.text:
        named = col(Template.name).icontains(filter.text, autoescape=True)
        statement = statement.where(or_(named, col(Template.key).icontains(filter.text, autoescape=True)))
    for column, value in ((col(Template.kind), filter.kind), (col(Template.folder), filter.folder)):
        if value:
            statement = statement.where(column == value)
    found = session.scalars(statement.order_by(func.lower(col(Template.name)), col(Template.key)))
    fitting = (one for one in found if not filter.tag or filter.tag in one.tags)
    return [one for n, one in enumerate(fitting) if offset <= n < offset + limit]


def labels(session: Session) -> tuple[list[str], list[str]]:
    """(folders, tags) in use, sorted."""
    rows = session.execute(select(Template.folder, Template.tags)).all()
    return sorted({folder for folder, _ in rows if folder}), sorted({tag for _, tags in rows for tag in tags})


def numbers(session: Session) -> dict[str, int]:
    """Key -> newest version."""
    return dict(session.execute(select(TemplateVersion.key, func.max(col(TemplateVersion.number))).group_by(TemplateVersion.key)).all())


def uses(session: Session, key: str | None = None) -> dict[str, list[Use]]:
    """Template key -> the journeys that use it, by name: the version that is entered now, those that contacts are still in, and drafts that name
    a template which what is live does not."""
    found: dict[str, list[Use]] = {}
    for template, use in [*_pinning(session), *_drawing(session)]:
        if key in (None, template):
            found.setdefault(template, []).append(use)
    for of_template in found.values():
        of_template.sort(key=lambda use: (use.journey_name, use.journey_key, -(use.version or 0)))
    return found


def _pinning(session: Session) -> Iterator[tuple[str, Use]]:
    is_live = (col(Version.number) == col(Journey.live_version)) & col(Journey.state).in_(("live", "paused"))
    somebody_inside = exists().where(col(Run.version_id) == col(Version.id), col(Run.ended_at).is_(None))
    statement = (
        sql_select(col(Journey.key), col(Journey.name), col(Journey.state), col(Version.number), col(Version.pins), is_live.label("live"))
        .join(Version, col(Version.journey_id) == col(Journey.id))
        .where(or_(is_live & col(Journey.archived_at).is_(None), somebody_inside))
    )
    for journey, name, state, number, pins, live in session.execute(statement):
        for template, pinned in (pins.get("templates") or {}).items():
            yield template, Use(journey, name, state, number, pinned, "live" if live else "inside")


def _drawing(session: Session) -> Iterator[tuple[str, Use]]:
    live = (col(Version.journey_id) == col(Journey.id)) & (col(Version.number) == col(Journey.live_version))
    statement = (
        sql_select(col(Journey.key), col(Journey.name), col(Journey.state), col(Journey.draft), col(Version.pins))
        .outerjoin(Version, live)
        .where(col(Journey.archived_at).is_(None))
    )
    for journey, name, state, draft, pins in session.execute(statement):
        pinned = (pins or {}).get("templates") or {} if state in ("live", "paused") else {}
        for template in sorted(_named(draft) - set(pinned)):
            yield template, Use(journey, name, state, None, None, "draft")


def duplicate(session: Session, key: str, new_key: str, name: str, actor: str, now: datetime) -> Template:
    """A copy under its own key, with the newest version as its first.

    Raises:
        NotFound: there is no such template. Conflict: the new key is taken. Invalid: it is no key, or the name is none.
    """
    original = library.get(session, key)
    library.check_label(new_key, name, original.message_class)
    if session.get(Template, new_key) is not None:
        raise Conflict("A template with this key already exists.", key=new_key)
    label: dict[str, Any] = {
        "kind": original.kind,
        "message_class": original.message_class,
        "topic": original.topic,
        "sender": original.sender,
        "reply_to": original.reply_to,
        "link_parameters": dict(original.link_parameters),
        "folder": original.folder,
        "tags": list(original.tags),
    }
    copy = Template(key=new_key, name=name.strip(), variants=dict(original.variants), created_at=now, updated_at=now, **label)
    session.add(copy)
    session.flush()
    newest = session.get(TemplateVersion, (key, library.latest(session, key)))
    if newest is not None:
        state: dict[str, Any] = {"digest": newest.digest, "source": newest.source, "compiled": newest.compiled, "partials": newest.partials}
        state["link_parameters"] = newest.link_parameters
        session.add(TemplateVersion(key=new_key, number=1, created_at=now, **state))
    audit.record(session, actor, "template.duplicate", f"template:{new_key}", {"from": key})
    freshness.bump(session, "templates")
    session.flush()
    return copy


def delete(session: Session, key: str, actor: str) -> None:
    """Throws a template away, with its versions.

    Raises:
        NotFound: there is no such template.
        Conflict: a version or a draft of a journey names it (`details["journeys"]` says which), or a template includes it.
    """
    template = library.get(session, key)
    naming = naming_journeys(session, key)
    if naming:
        raise Conflict("Journeys use this template; archive it instead.", journeys=naming)
    including = [one.key for one in partials.where_used(session, key)] if template.kind == "partial" else []
    if including:
        raise Conflict("Templates include this partial; take it out of them first: {templates}.", templates=including)
    for version in session.scalars(select(TemplateVersion).where(TemplateVersion.key == key)):
        session.delete(version)
    session.flush()
    session.delete(template)
    audit.record(session, actor, "template.delete", f"template:{key}", {})
    freshness.bump(session, "templates")


def naming_journeys(session: Session, key: str) -> list[str]:
    """Keys of journeys of which a draft or any version ever published names the template."""
    quoted = f'"{key}"'
    drafts = select(Journey.key, Journey.draft).where(cast(col(Journey.draft), String).contains(quoted, autoescape=True))
    versions = (
        select(Journey.key, Version.pins)
        .join(Version, col(Version.journey_id) == col(Journey.id))
        .where(cast(col(Version.pins), String).contains(quoted, autoescape=True))
    )
    found = {journey for journey, draft in session.execute(drafts) if _names(draft, key)}
    return sorted(found | {journey for journey, pins in session.execute(versions) if key in (pins.get("templates") or {})})


def _names(draft: Mapping[str, Any], key: str) -> bool:
    return key in _named(draft)


def _named(draft: Mapping[str, Any]) -> set[str]:
    """The templates that the steps of a draft name."""
    nodes = draft.get("nodes")
    found = [node.get("template") for node in nodes.values() if isinstance(node, Mapping)] if isinstance(nodes, Mapping) else []
    return {one for one in found if isinstance(one, str) and one}


def is_draft(session: Session, template: Template) -> bool:
    """Whether the text was changed after the newest version."""
    newest = session.get(TemplateVersion, (template.key, library.latest(session, template.key)))
    return newest is None or newest.digest != digest(template.variants, template.kind, newest.partials, newest.link_parameters)


def changes(old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]], parts: Sequence[str]) -> list[Change]:
    """What differs between two texts, part by part, with two lines around each change."""
    found = []
    for locale in [*new, *(one for one in old if one not in new)]:
        for part in parts:
            before, after = ((side.get(locale) or {}).get(part) or "" for side in (old, new))
            if before != after:
                found.append(Change(locale, part, tuple(_lines(before, after))))
    return found


def _lines(before: str, after: str) -> Iterator[tuple[str, str]]:
    for n, line in enumerate(_compared(before.splitlines(), after.splitlines())):
        if n >= MAX_DIFF_LINES:
            yield "…", ""
            return
        yield line


def _compared(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """What lies between the first and the last difference, and two lines around it; too long to be compared, it is shown as replaced."""
    start = max(_common(before, after) - CONTEXT, 0)
    end = max(_common(before[start:][::-1], after[start:][::-1]) - CONTEXT, 0)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    if len(old) + len(new) > MAX_COMPARED_LINES:
        groups: Iterable[Sequence[tuple[str, int, int, int, int]]] = [[("replace", 0, len(old), 0, len(new))]]
    else:
        groups = difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(CONTEXT)
    for group in groups:
        (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
        yield "…", f"-{_range(start + i1, i2 - i1)} +{_range(start + j1, j2 - j1)}"
        for kind, a, b, c, d in group:
            yield from ((" ", line) for line in old[a:b] if kind == "equal")
            yield from (("-", line) for line in old[a:b] if kind != "equal")
            yield from (("+", line) for line in new[c:d] if kind != "equal")


def _range(start: int, length: int) -> str:
    """Lines as unified diffs name them: from 1, without a length of one."""
    first = start + 1 if length else start
    return f"{first}" if length == 1 else f"{first},{length}"


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
