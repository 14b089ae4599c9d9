"""Where templates take coupon codes from a pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.coupons import pools
from engine.engine import Engine
from engine.versions.uses import uses_of
from journeys.errors import Conflict
from journeys.placeholders import coupon_pools
from models import Database, Template, TemplateVersion


@dataclass(frozen=True, slots=True)
class Naming:
    """A template that takes codes from a pool."""

    key: str
    name: str


def naming(session: Session) -> dict[str, list[Naming]]:
    """Pool -> the templates and partials that take a code from it, in their draft or in any of their versions, by name."""
    names = dict(session.execute(select(col(Template.key), col(Template.name)).order_by(func.lower(col(Template.name)))).all())
    found: dict[str, set[str]] = {}
    for key, draft in session.execute(select(col(Template.key), col(Template.variants)).where(_may_call(col(Template.variants)))):
        for pool in _called(draft):
            found.setdefault(pool, set()).add(key)
    for key, source in session.execute(
        select(col(TemplateVersion.key), col(TemplateVersion.source)).where(_may_call(col(TemplateVersion.source)))
    ):
        for pool in _called(source):
            found.setdefault(pool, set()).add(key)
    return {pool: [Naming(key, name) for key, name in names.items() if key in keys] for pool, keys in found.items()}


def _may_call(texts: Any) -> Any:
    """The database leaves out the many texts without a code: a page asks this every few seconds, of all versions there ever were."""
    return cast(texts, String).contains("coupon")


def provide(db: Database, variants: Mapping[str, Any], by: str, now: datetime) -> None:
    """Makes the pools that a layout takes codes from, where there are none; they have no codes yet."""
    wanted = _called(variants)
    if not wanted:
        return
    with db.write() as session:
        for key in sorted(wanted - set(pools.names(session))):
            pools.put(session, key, by, now, name=key.replace("-", " ").replace("_", " ").title())


def remove(engine: Engine, session: Session, key: str, by: str) -> None:
    """Deletes a pool. Raises: NotFound. Conflict: a template or a live journey takes codes from it, or somebody has one."""
    if used := uses_of(engine, session, [("coupon_pool", key)]):
        names = dict.fromkeys(one.journey_name for one in used)
        raise Conflict("Live journeys take codes from this pool: {names}.", names=", ".join(list(names)[:5]))
    places = naming(session).get(key, [])
    if places:
        raise Conflict("Templates take codes from this pool: {names}.", names=", ".join(one.name for one in places[:5]))
    pools.remove(session, key, by)


def _called(variants: Any) -> set[str]:
    texts = (text for parts in (variants or {}).values() if isinstance(parts, Mapping) for text in parts.values())
    return {pool for text in texts if isinstance(text, str) for pool in coupon_pools(text)}
