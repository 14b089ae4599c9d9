"""Pictures for messages, in the database: any web server gives them out, and a backup holds everything."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, SQLModel

from models.columns import json_field, new_id


class Picture(SQLModel, table=True):
    """A picture of the library. Its id is in its public addresses: nobody guesses it (80 random bits), and what lies under it never changes.

    `width` and `height` (pixels) are those of its largest file, `bytes` those of all its files. A deleted one is given out no more; its files
    stay for a while, so that it can come back.
    """

    __tablename__ = "picture"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    name: str = Field(max_length=120)
    alt: dict[str, Any] = json_field()
    """Language -> what the picture says to readers who do not see it."""
    media_type: str = Field(max_length=32)
    width: int
    height: int
    bytes: int
    digest: str = Field(unique=True, max_length=64)
    """SHA-256 of the file as it was sent: the same file once more is the same picture."""
    created_at: datetime
    created_by: str = Field(default="", max_length=120)
    deleted_at: datetime | None = None


class PictureFile(SQLModel, table=True):
    """A picture in one width (pixels)."""

    __tablename__ = "picture_file"

    picture_id: str = Field(foreign_key="picture.id", primary_key=True, max_length=32)
    width: int = Field(primary_key=True)
    height: int
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
