"""What was posted to the team's chat, for providers that tell no repeats."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel


class ChatPost(SQLModel, table=True):
    """A message that a call began to post (real time), and its name there: `place` and `stamp`; without a stamp nobody knows whether it is there. Kept
    for a month, and for another one as long as a notice of a task is there; ids only."""

    __tablename__ = "chat_post"

    once_key: str = Field(primary_key=True, max_length=160)
    account: str = Field(max_length=130)
    place: str = Field(max_length=32)
    stamp: str = Field(default="", max_length=32)
    began_at: datetime = Field(index=True)
