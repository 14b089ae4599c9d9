"""Where something came from, by stable ids, and how often it has been around: so that what comes back starts no loop.

A source is `key:ID` (an API key and those it was rotated to), `import:ID`, `journey:RUN`, `provider:NAME` or one plain word of ours (`OURS`); a key from
before there were ids keeps the word that it was called then. People may call a key or a file what they like; the name is looked up where a source is
shown (`names_of`).

A webhook of a journey says how many hops led to it (`HOPS_HEADER`). Who sends the header back with what the webhook set off has it counted on: after
`MAX_HOPS` nothing is started any more.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session
from sqlmodel import col, select

from models import ApiKey, Import

OURS = frozenset({"api", "merge", "preferences", "system", "task", "unmerge"})
"""Sources of events of our own, even where an old key was called so."""
HOPS_HEADER = "Pfadwerk-Hops"
MAX_HOPS = 8
"""What so many journeys' or thresholds' own doings led to starts nothing more."""
MOST_HOPS = 1_000
"""More than any limit; what claims more counts as this."""


def read_hops(text: str) -> int:
    """The header as it comes from outside; 0 for anything that is no number."""
    return min(int(text[:9]), MOST_HOPS) if text.isascii() and text.isdigit() else 0


def names_of(session: Session, sources: Iterable[str]) -> dict[str, str]:
    """Source -> what people call it, for keys and imports that there are; two queries at most."""
    wanted = set(sources) - OURS
    imports = {source.removeprefix("import:"): source for source in wanted if source.startswith("import:")}
    found: dict[str, str] = {}
    if wanted:
        newest = select(ApiKey.source, ApiKey.name).where(col(ApiKey.source).in_(wanted)).order_by(col(ApiKey.id))
        found |= dict(session.execute(newest).all())
    if imports:
        rows = session.execute(select(Import.id, Import.file_name).where(col(Import.id).in_(imports)))
        found |= {imports[id]: name for id, name in rows}
    return found
