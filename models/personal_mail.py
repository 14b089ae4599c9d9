"""E-mails that a member writes to one contact."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Field, Index, SQLModel

from models.columns import new_id

DUE_PERSONAL_MAIL = text("personal_mail.next_at IS NOT NULL")
"""Those that are still to leave. A query finds them by their index only if it says this, word for word."""
ONCE_PERSONAL = "personal:"
"""What the once keys of their messages begin with."""


class PersonalMail(SQLModel, table=True):
    """One e-mail of a member to one contact, on its way: `next_at` is when it is tried, or how long a claim holds; None: it has met its end.

    What it says is its message's body. The once key of the message is `personal:<id>`. `give_up_at`: what has not left by then does not leave any more.
    """

    __tablename__ = "personal_mail"
    __table_args__ = (
        Index("ix_personal_mail_author", "author", "created_at"),
        Index("ix_personal_mail_due", "next_at", sqlite_where=text("next_at IS NOT NULL"), postgresql_where=text("next_at IS NOT NULL")),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    contact_id: str = Field(foreign_key="contact.id", index=True, max_length=32)
    author: str = Field(max_length=120)
    """`member:<id>`"""
    next_at: datetime | None = None
    give_up_at: datetime
    created_at: datetime
