"""What providers report before we know the message."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, Index, SQLModel, UniqueConstraint

from models.columns import big_id


class EarlyReport(SQLModel, table=True):
    """A report that overtook the answer to its send; kept for an hour. Ids and codes only. The message is named by `message_id`, ours, or by
    `provider_id`, the provider's; `kind` is that of `activities.providers.callback`."""

    __tablename__ = "early_report"
    __table_args__ = (
        UniqueConstraint("account", "message_id", "provider_id", "kind"),
        Index("ix_early_report_tried", "tried_at"),
    )

    id: int | None = big_id()
    account: str = Field(max_length=130)
    message_id: str = Field(default="", max_length=32)
    provider_id: str = Field(default="", max_length=200)
    kind: str = Field(max_length=16)
    at: datetime | None = None
    code: str = Field(default="", max_length=64)
    received_at: datetime
    tried_at: datetime
