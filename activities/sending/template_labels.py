"""What stands on a template's label and counts where the step that sends it says nothing: its topic, whom it is from and who gets answers.

A label is not pinned: what is changed there counts from the next message on, also in journeys that run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, bindparam, select
from sqlalchemy.orm import Session

from models import Template
from storage.freshness import freshness, is_changing
from storage.sql import on, table

TOPIC = "templates"
"""Whose freshness tells that a label may have changed."""

templates = table(Template)
_label = select(*(templates.c[name] for name in ("topic", "sender", "reply_to", "name"))).where(templates.c.key == bindparam("of"))


class Label(NamedTuple):
    """Empty: nothing was chosen."""

    topic: str = ""
    sender: str = ""
    reply_to: str = ""
    name: str = ""


NOTHING = Label()
_kept: WeakKeyDictionary[Engine, tuple[int, dict[str, Label]]] = WeakKeyDictionary()
"""Database -> the number of its templates that this process has read last, and the labels read since."""


def label_of(session: Session, key: object) -> Label:
    """The label of the template as it is now; `NOTHING` without a key, or where there is no such template."""
    if not key:
        return NOTHING
    if is_changing(session, TOPIC):
        return _read(session, str(key))
    database, number = session.get_bind().engine, freshness(session, TOPIC)
    known = _kept.get(database)
    if known is None or known[0] != number:
        known = _kept[database] = number, {}
    if key not in known[1]:
        known[1][str(key)] = _read(session, str(key))
    return known[1][str(key)]


def topics_of(session: Session, keys: Iterable[str]) -> Mapping[str, str]:
    """Template -> its topic, for those that have one: what the simulator is told."""
    return {key: topic for key in keys if (topic := label_of(session, key).topic)}


def _read(session: Session, key: str) -> Label:
    row = on(session).execute(_label, {"of": key}).first()
    return Label(*row) if row is not None else NOTHING
