"""What a key's events were refused for: a ring for each key, without personal values."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, Index, SQLModel, UniqueConstraint

from models.columns import big_id


class IntakeProblem(SQLModel, table=True):
    """`what`: refused (the event was left out), left_out (a field was), kept (a value stayed as it came although the catalogue expects another
    type). `reason` is a code (`workspace.intake.REASONS`); `event` and `field` are names, shortened, never values. The oldest of a key go first."""

    __tablename__ = "intake_problem"
    __table_args__ = (
        UniqueConstraint("key_id", "what", "event", "field", "reason", name="uq_intake_problem"),
        Index("ix_intake_problem_key", "key_id", "last_at"),
    )

    id: int | None = big_id()
    key_id: str = Field(foreign_key="api_key.id", max_length=32)
    what: str = Field(max_length=16)
    event: str = Field(max_length=60)
    field: str = Field(max_length=80)
    reason: str = Field(max_length=32)
    count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    first_at: datetime
    last_at: datetime
