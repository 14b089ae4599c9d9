"""Notices to the team: what it is told of, and each way by which it is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Field, Index, SQLModel

from models.columns import json_field, new_id

GATHERING = "state = 'gathering'"
UNDELIVERED = "state IN ('waiting','claimed')"


class Notice(SQLModel, table=True):
    """One thing that people of the team must know (real time). `state`: gathering (more of the same is added until `due_at`), told, or
    withdrawn: it had settled before anybody was told."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("uq_notice_gathering", "topic", "about", unique=True, sqlite_where=text(GATHERING), postgresql_where=text(GATHERING)),
        Index("ix_notice_about", "topic", "about", "due_at"),
        Index("ix_notice_made", "made_at"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    topic: str = Field(max_length=24)
    """stuck_runs, account_stopped, coupons_low, score_reached or test"""
    about: str = Field(default="", max_length=130)
    """A journey's id, an account as in `stopped_account`, or the threshold of a scoring model (`leads:mql`)."""
    runs: int = 0
    """How many got stuck."""
    detail: dict[str, Any] = json_field()
    """Codes, ids and counts; no personal data."""
    state: str = Field(default="gathering", max_length=12)
    made_at: datetime
    due_at: datetime


class NoticeDelivery(SQLModel, table=True):
    """One way of one notice: `route` is mail (to a member) or webhook. `state`: waiting, claimed (a call is being made), sent, failed, or uncertain: a
    call began, nobody knows how it ended, and it may not be repeated. `next_at`: when it is tried, or how long the claim holds."""

    __tablename__ = "notice_delivery"
    __table_args__ = (Index("ix_notice_delivery_open", "next_at", sqlite_where=text(UNDELIVERED), postgresql_where=text(UNDELIVERED)),)

    notice_id: str = Field(foreign_key="notice.id", primary_key=True, max_length=32)
    route: str = Field(primary_key=True, max_length=8)
    member_id: str = Field(default="", primary_key=True, max_length=32)
    state: str = Field(default="waiting", max_length=12)
    attempts: int = 0
    next_at: datetime
    code: str = Field(default="", max_length=64)
    """What the last try heard."""
