"""Scoring: models of rules that give points, what each rule has given whom, and who has reached which threshold."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, ForeignKey
from sqlmodel import Field, Index, SQLModel

from models.columns import BigId, big_id, json_field


def _of_model() -> Any:
    return Field(sa_column=Column(BigId, ForeignKey("score_model.id"), primary_key=True, autoincrement=False))


class ScoreModel(SQLModel, table=True):
    """A set of rules, thresholds and bounds of grades (`journeys.scoring.Definition`)."""

    __tablename__ = "score_model"

    id: int | None = big_id()
    key: str = Field(unique=True, max_length=48)
    name: str = Field(max_length=120)
    description: str = Field(default="", max_length=500)
    definition: dict[str, Any] = json_field()
    topics: list[Any] = json_field(list)
    """What can change its points besides time, as in `Segment.topics`."""
    gives: list[Any] = json_field(list)
    """The topics of what it changes, `score:fit` or `field:grade`: whoever asks for them waits for it."""
    version: int = 1
    """Grows with the definition and when it is switched; a job belongs to one version."""
    state: str = Field(default="on", max_length=8)
    """on, scoring (not everybody has been scored by this version yet), off (it gives nothing) or emptying (deleted; nothing shows it any more)."""
    announce: bool = False
    """While it is scoring: whether thresholds act and events are told."""
    job: str | None = Field(default=None, max_length=32)
    """The newest job that scores everybody, or takes its points back."""
    created_at: datetime
    created_by: str = Field(default="", max_length=120)
    updated_at: datetime


class ScoreBooked(SQLModel, table=True):
    """What a rule has given a contact so far: the sum of its rows of `score_change`. What it should have given is computed anew each time, and only
    the difference is booked."""

    __tablename__ = "score_booked"
    __table_args__ = (Index("ix_score_booked_model", "model_id", "contact_id"),)

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    model_id: int = _of_model()
    rule: str = Field(primary_key=True, max_length=40)
    score_group: str = Field(primary_key=True, max_length=64)
    points: float


class ScoreReached(SQLModel, table=True):
    """A contact is at or above a threshold, since `since`."""

    __tablename__ = "score_reached"
    __table_args__ = (Index("ix_score_reached_model", "model_id", "contact_id"),)

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    model_id: int = _of_model()
    threshold: str = Field(primary_key=True, max_length=40)
    since: datetime


class ScoreFlip(SQLModel, table=True):
    """The next instant at which time alone may change what a model gives a contact: points fade, or a rule turns."""

    __tablename__ = "score_flip"
    __table_args__ = (Index("ix_score_flip_at", "at", "contact_id"), Index("ix_score_flip_model", "model_id", "contact_id"))

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    model_id: int = _of_model()
    at: datetime


class GradeDay(SQLModel, table=True):
    """How many came to a grade and left it on a day (UTC). All that came less all that left are those who have it."""

    __tablename__ = "grade_day"

    grade: str = Field(primary_key=True, max_length=2)
    day: date = Field(primary_key=True)
    entered: int = 0
    left: int = 0
