"""Pages of a list: `limit` at most 200, and an opaque cursor that says where the next page begins."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, Field

MAX_LIMIT = 200

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(None, description="Send it as `cursor` to get the next page; null on the last one.")


Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next` of the page before.", examples=["019aa1b2c3d4e5f60718293a4b5c6d7e"])
]
Id = Annotated[str, Path(min_length=1, max_length=64, description="Id.", examples=["019aa1b2c3d4e5f60718293a4b5c6d7e"])]
KeyOrId = Annotated[str, Path(min_length=1, max_length=64, description="Key or id of the journey.", examples=["welcome"])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of a version.", examples=[3])]


def page_of(rows: list[T], limit: int, cursor_of: object) -> tuple[list[T], str | None]:
    """Cuts `limit + 1` fetched rows down to a page; `cursor_of` names the attribute whose last value is the next cursor."""
    if len(rows) <= limit:
        return rows, None
    kept = rows[:limit]
    return kept, str(getattr(kept[-1], str(cursor_of)))
