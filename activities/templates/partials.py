"""Partials in the database: which ones a text includes, where one is used, and templates brought up to their newest versions.

A version of a template holds its partials as they were when it was saved. A newer version of a partial changes nothing of it;
bringing it up makes a new version of the template, of the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, String, func
from sqlalchemy import cast as sql_cast
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering import INLINE, Library, Partial, RenderBusy, Renderer, digest
from activities.rendering.jinja import COUPON
from activities.rendering.partials import MAX_DEPTH, mentioned, sources_of
from activities.rendering.rules import RULE
from crm.coupons import pools
from crm.rules.askable import askable
from journeys.contact_rules import Askable
from journeys.errors import Invalid, Issue
from models import Database, Template, TemplateVersion
from storage import freshness
from workspace import audit

AT_ONCE = 100
"""Templates brought up in one act."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A template's newest version holds `version` of a partial, of which there is `newest`."""

    partial: str
    version: int
    newest: int


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A template (or partial) that includes a partial. `version`: the one in its newest version; None: only its draft includes it, or
    it is a partial itself, which always takes the newest."""

    key: str
    name: str
    kind: str
    archived: bool
    version: int | None


@dataclass(slots=True)
class Updated:
    """`done`: template key -> its new version; `failed`: template key -> why it stays as it was; `left`: how many are still to be done."""

    done: dict[str, int] = field(default_factory=dict)
    failed: dict[str, Issue] = field(default_factory=dict)
    left: int = 0


def stayed(found: Updated) -> Invalid:
    """What an act says of which some templates stay as they were: each with what is wrong."""
    issues = [issue.model_copy(update={"field": key}) for key, issue in found.failed.items()]
    return Invalid("Templates updated: {done}. Unchanged: {problems}", issues, done=len(found.done), problems=issues)


def library(session: Session, variants: Mapping[str, Any], own: str = "", fresh: Mapping[str, Partial] | None = None) -> Library:
    """What the texts of `variants` may include, in the newest versions. `own`: the key, if they are those of a partial themselves;
    `fresh`: partials that are not stored yet and go before those that are."""
    fresh = fresh or {}
    wanted = mentioned(_sources(variants))
    if not wanted:
        return Library(own=own, pools=_pools(session, variants), askable=_askable(session, variants))
    known = set(session.scalars(select(Template.key).where(Template.kind == "partial"))) | fresh.keys()
    found: dict[str, Partial] = {}
    for _ in range(MAX_DEPTH + 1):
        missing = (wanted & known) - found.keys()
        if not missing:
            break
        new = [*(fresh[key] for key in missing & fresh.keys()), *_newest(session, sorted(missing - fresh.keys()))]
        found |= {one.key: one for one in new}
        wanted = mentioned(source for one in new for _, source in one.sources)
    sources = [source for one in found.values() for _, source in one.sources]
    return Library(
        tuple(found[key] for key in sorted(found)),
        tuple(sorted(known)),
        own,
        _pools(session, variants, sources),
        _askable(session, variants, sources),
    )


def _pools(session: Session, variants: Mapping[str, Any], included: Iterable[str] = ()) -> tuple[str, ...] | None:
    """The coupon pools there are, where a text may take a code of one."""
    return pools.names(session) if _says(COUPON, variants, included) else None


def _askable(session: Session, variants: Mapping[str, Any], included: Iterable[str] = ()) -> Askable | None:
    """What rules may ask for, where a text asks one."""
    return askable(session) if _says(RULE, variants, included) else None


def _says(word: str, variants: Mapping[str, Any], included: Iterable[str]) -> bool:
    own = (
        (text for parts in variants.values() if isinstance(parts, Mapping) for text in parts.values())
        if isinstance(variants, Mapping)
        else ()
    )
    return any(isinstance(text, str) and word in text for text in (*own, *included))


def _sources(variants: Mapping[str, Any]) -> Iterator[str]:
    for parts in variants.values() if isinstance(variants, Mapping) else ():
        text = parts.get("mjml") if isinstance(parts, Mapping) else None
        if isinstance(text, str):
            yield text


def _newest(session: Session, keys: list[str]) -> Iterator[Partial]:
    newest = _numbers().where(col(TemplateVersion.key).in_(keys)).subquery()
    statement = (
        sql_select(col(TemplateVersion.key), col(TemplateVersion.number), col(TemplateVersion.source), col(Template.archived_at))
        .join(newest, (newest.c.key == col(TemplateVersion.key)) & (newest.c.number == col(TemplateVersion.number)))
        .join(Template, col(Template.key) == col(TemplateVersion.key))
    )
    for key, number, source, archived_at in session.execute(statement) if keys else ():
        yield Partial(key, number, sources_of(source), archived_at is not None)


def _numbers() -> Select[str, int]:
    return sql_select(col(TemplateVersion.key), func.max(col(TemplateVersion.number)).label("number")).group_by(col(TemplateVersion.key))


def offered(session: Session, own: str = "") -> list[tuple[str, str]]:
    """(key, name) of the partials that are not in the archive, by name, without `own`."""
    statement = select(Template.key, Template.name).where(Template.kind == "partial", col(Template.archived_at).is_(None))
    return [(key, name) for key, name in session.execute(statement.order_by(col(Template.name))) if key != own]


def newest(session: Session) -> dict[str, int]:
    """Partial -> the number of its newest version."""
    rows = _numbers().join(Template, col(Template.key) == col(TemplateVersion.key)).where(col(Template.kind) == "partial")
    return dict(session.execute(rows).all())


def behind(session: Session, key: str | None = None) -> dict[str, list[Behind]]:
    """Template key -> the partials of which its newest version holds an older one. Of all templates in use, or of one."""
    current = newest(session)
    found: dict[str, list[Behind]] = {}
    for template, held in _held(session, key) if current else ():
        if template.kind != "partial" and template.archived_at is None:
            old = [Behind(one, number, current[one]) for one, number in sorted(held.items()) if number < current.get(one, 0)]
            if old:
                found[template.key] = old
    return found


def _held(session: Session, key: str | None = None) -> Iterator[tuple[Any, dict[str, int]]]:
    """(key, name, kind, archived_at) of each template with what its newest version holds."""
    numbers = (_numbers() if key is None else _numbers().where(col(TemplateVersion.key) == key)).subquery()
    about = (col(Template.key), col(Template.name), col(Template.kind), col(Template.archived_at), col(TemplateVersion.partials))
    statement = (
        sql_select(*about)
        .join(TemplateVersion, col(TemplateVersion.key) == col(Template.key))
        .join(numbers, (numbers.c.key == col(TemplateVersion.key)) & (numbers.c.number == col(TemplateVersion.number)))
        .order_by(col(Template.name), col(Template.key))
    )
    for row in session.execute(statement):
        yield row, row.partials or {}


def where_used(session: Session, key: str) -> list[Inclusion]:
    """Templates and partials whose newest version or draft includes a partial, by name; also through other partials."""
    return inclusions(session, key).get(key, [])


def inclusions(session: Session, key: str = "") -> dict[str, list[Inclusion]]:
    """Partial -> what includes it, as `where_used`. With a `key` only that partial counts."""
    found: dict[str, dict[str, Inclusion]] = {}
    for row, held in _held(session):
        for partial, number in held.items():
            found.setdefault(partial, {})[row.key] = _inclusion(row, number)
    drafts = select(Template).where(sql_cast(col(Template.variants), String).contains(f"partial:{key}", autoescape=True))
    for row in session.scalars(drafts):
        for partial in mentioned(_sources(row.variants)):
            found.setdefault(partial, {}).setdefault(row.key, _inclusion(row, None))
    return {partial: sorted(each.values(), key=lambda one: (one.name.lower(), one.key)) for partial, each in found.items()}


def _inclusion(row: Any, version: int | None) -> Inclusion:
    return Inclusion(row.key, row.name, row.kind, row.archived_at is not None, None if row.kind == "partial" else version)


def update(
    db: Database,
    *,
    actor: str,
    now: datetime,
    partial: str | None = None,
    template: str | None = None,
    renderer: Renderer = INLINE,
) -> Updated:
    """Brings templates up to the newest versions of their partials, each as a new version of the text it has; a draft stays a draft.

    All that are behind, those that hold an older version of `partial`, or only `template`. At most `AT_ONCE`; call again for the rest.
    Each is compiled and checked as when it is saved: what fails stays as it was. Live journeys keep the versions they have.
    """
    with db.read() as session:
        wanted = [key for key, old in behind(session, template).items() if partial is None or any(one.partial == partial for one in old)]
    result = Updated(left=max(len(wanted) - AT_ONCE, 0))
    for key in wanted[:AT_ONCE]:
        try:
            result.done[key] = _brought_up(db, key, actor, now, renderer)
        except Invalid as error:
            result.failed[key] = error.issues[0] if error.issues else Issue(code=error.code, text=error.text, values=error.values)
        except RenderBusy as busy:
            result.failed[key] = Issue(code=busy.code, text=busy.text)
    return result


def _brought_up(db: Database, key: str, actor: str, now: datetime, renderer: Renderer) -> int:
    with db.read() as session:
        template = session.get_one(Template, key)
        version = session.scalars(_versions(key)).one()
        kind, message_class, source = template.kind, template.message_class, dict(version.source)
        number: int = version.number
        known = library(session, source)
    compiled = renderer.compile_template(source, kind, message_class=message_class, library=known)
    with db.write() as session:
        template = session.get_one(Template, key, with_for_update=True)
        if session.scalars(_versions(key)).one().number != number:
            raise Invalid("Someone else saved this template in the meantime; try again.")
        made: dict[str, Any] = {
            "digest": digest(source, kind, compiled.partials, version.link_parameters),
            "source": source,
            "compiled": compiled.to_json(),
        }
        made |= {"partials": dict(compiled.partials), "link_parameters": version.link_parameters}
        session.add(TemplateVersion(key=key, number=number + 1, created_at=now, **made))
        template.updated_at = now
        session.add(template)
        about = {"version": number + 1, "partials": dict(compiled.partials)}
        audit.record(session, actor, "template.update_partials", f"template:{key}", about)
        freshness.bump(session, "templates")
    return number + 1


def _versions(key: str) -> Any:
    """The newest version of a template."""
    return select(TemplateVersion).where(TemplateVersion.key == key).order_by(col(TemplateVersion.number).desc()).limit(1)
