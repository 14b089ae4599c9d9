"""Purposes and score groups: how people call them, and which are used without standing in the workspace's list.

What a contact said is stored whatever the purpose is called, and so is a score that a program gives: refusing a withdrawal for its
spelling would be worse than a name too many. Such names wait here until somebody adds them; until then no journey can use them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from journeys.channels import TOPIC
from journeys.errors import NotFound
from models import ConsentState, Score
from storage.sql import table
from workspace import settings

consents, scores = table(ConsentState), table(Score)
MOST_UNLISTED = 100
LABELS: Mapping[str, Mapping[str, str]] = {
    "purposes": {"marketing": "News and offers", "newsletter": "Newsletter", "service": "Help with what you bought"},
    "score_groups": {"engagement": "Engagement", "fit": "Fit"},
}
"""Setting -> key -> what it is called where the workspace wrote nothing of its own; message ids."""


def labels(session: Session, name: str, language: str) -> dict[str, str]:
    """Key -> what people who read `language` call it, in the order of the list; a message id where the workspace wrote nothing.

    Raises:
        NotFound: this setting is no list of names.
    """
    listed = _list(session, name)
    return {one.key: one.label(language) or LABELS[name].get(one.key) or one.key.replace("_", " ") for one in listed.names}


def topics(session: Session, language: str, *also: str) -> list[tuple[str, str]]:
    """(key, name) of the topics that contacts are asked about, in their order; and of those of `also`, archived or gone."""
    listed = settings.load(session, settings.Topics)
    shown = [one for one in listed.topics if not one.archived or one.key in also]
    gone = [(key, key) for key in also if key and listed.find(key) is None]
    return [*((one.key, one.label(language)) for one in shown), *gone]


def unlisted(session: Session, name: str) -> list[str]:
    """Names that consents or scores of contacts use and the list has not, at most `MOST_UNLISTED`; none for settings that list no names.

    Those that no list can hold (blanks around them, control characters) are left out. It jumps from name to name along an index and reads no more rows than there are names.
    """
    find = {"purposes": _purposes, "score_groups": _groups}.get(name)
    if find is None:
        return []
    known, found = _list(session, name).offers(), dict[str, None]()
    for key in find(session):
        if key not in known and key.isprintable() and key == key.strip():
            found[key] = None
        if len(found) == MOST_UNLISTED:
            break
    return sorted(found)


def add(session: Session, name: str, key: str, by: str, now: datetime) -> settings.Setting:
    """Puts a name at the end of the list; one that is there already stays as it is.

    Raises:
        NotFound: this setting is no list of names. Invalid: the list is full, or it is no name.
    """
    listed = _list(session, name)
    value = listed.model_dump(mode="json")
    return listed if key in listed.offers() else settings.put(session, name, {"names": [*value["names"], {"key": key}]}, by, now)


def _list(session: Session, name: str) -> settings.NameList:
    found = settings.get(session, name)
    if not isinstance(found, settings.NameList):
        raise NotFound("Expected a setting out of {names}.", names=list(LABELS))
    return found


def _purposes(session: Session) -> Iterator[str]:
    for channel in _each(session, consents.c.channel):
        if channel != TOPIC:
            yield from _each(session, consents.c.purpose, consents.c.channel == channel)


def _groups(session: Session) -> Iterator[str]:
    return _each(session, scores.c.score_group)


def _each(session: Session, column: ColumnElement[str], *within: ColumnElement[bool]) -> Iterator[str]:
    """The different values, other than empty ones, of a column that an index begins with after what `within` fixes."""
    following = select(column).where(*within).order_by(column).limit(1)
    found: str | None = ""
    while (found := session.scalar(following.where(column > found))) is not None:
        yield found
