"""A background job as the API answers it. Who queues them is `crm.jobs`, who works on them `engine.jobs`."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, field_validator

from journeys.errors import Sentence


class JobRow(BaseModel):
    """Background jobs and how far it got. `state`: running, done, failed or cancelled; `total` null: not known beforehand."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: str
    subject: str
    state: str
    done: int
    total: int | None
    counts: dict[str, int] = Field(examples=[{"entered": 412, "already_entered": 3}])
    error: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @field_validator("error", mode="before")
    @classmethod
    def _in_english(cls, written: str) -> str:
        """The interface speaks English; the row holds the sentence and its values apart."""
        return str(Sentence.read(written)) if written else ""
