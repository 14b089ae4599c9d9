"""The tags that contacts have, for lists of suggestions."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import Tag
from storage.sql import table

_tags = table(Tag).c
MOST = 400


def known(session: Session, most: int = MOST) -> list[str]:
    """The first `most` tags in alphabetical order, each once.

    Goes from one tag to the next in the index, so it costs as many steps as there are tags, not as many as tagged contacts.
    """
    walk = select(func.min(_tags.tag).label("tag")).cte("walk", recursive=True)
    following = select(func.min(_tags.tag)).where(_tags.tag > walk.c.tag).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.tag.is_not(None)))
    return list(session.scalars(select(walk.c.tag).where(walk.c.tag.is_not(None)).limit(most)))
