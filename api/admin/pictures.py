"""The picture library: pictures that messages show, each in several widths under public addresses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.routing import BaseRoute

from activities.pictures import library
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute, StrictRoute
from api.http.paging import Cursor, Id, Limit, Page, page_of
from api.server import Server, TheServer
from models import Picture

router = APIRouter(prefix="/api/v1/pictures", tags=["templates"], route_class=JsonRoute)
Language = Literal["en", "de"]


class PictureSize(BaseModel):
    """The picture in one width."""

    width: int = Field(examples=[600])
    height: int = Field(examples=[400])
    url: str = Field(examples=["https://mail.example.com/m/019aa1b2c3d4e5f60718293a4b5c6d7e/600.jpg"])


class PictureRow(BaseModel):
    """A picture of the library. `url`, `width` and `height` are those of the size to put into a mail: at most 1,200 pixels wide, if there is one."""

    id: str
    name: str
    alt: dict[str, str] = Field(description="Language -> what it says to readers who do not see it.", examples=[{"en": "A red rucksack"}])
    media_type: str = Field(examples=["image/jpeg"])
    url: str
    width: int
    height: int
    bytes: int = Field(description="Of all sizes together.")
    sizes: list[PictureSize] = Field(description="From small to large.")
    created_at: datetime


class PictureUse(BaseModel):
    """A template or partial that shows it."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str


class Describe(BaseModel):
    """What is left out stays as it is; an empty text goes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"alt": {"en": "A red rucksack", "de": "Ein roter Rucksack"}}})

    name: str | None = Field(None, min_length=1, max_length=120)
    alt: dict[Language, Annotated[str, Field(max_length=library.MOST_ALT)]] | None = None


def rows(session: Session, public_url: str, found: Iterable[Picture]) -> list[PictureRow]:
    """As programs and the block editor get them."""
    pictures = list(found)
    sizes = library.widths(session, [one.id for one in pictures])
    return [_row(one, sizes[one.id], public_url.rstrip("/")) for one in pictures]


def _row(one: Picture, sizes: list[tuple[int, int]], public_url: str) -> PictureRow:
    width, height = library.best(sizes)
    return PictureRow(
        id=one.id, name=one.name, alt=one.alt, media_type=one.media_type, url=public_url + library.path(one, width), width=width, height=height,
        bytes=one.bytes, sizes=[PictureSize(width=w, height=h, url=public_url + library.path(one, w)) for w, h in sizes], created_at=one.created_at,
    )  # fmt: skip


def _shown(server: Server, session: Session, one: Picture) -> PictureRow:
    return rows(session, server.settings.public_url, [one])[0]


@router.get("", summary="List pictures", responses=ADMIN)
def list_pictures(
    server: TheServer,
    actor: Annotated[Actor, needs("template.read")],
    text: Annotated[str, Query(max_length=120, description="Part of the name or of an alternative text.")] = "",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PictureRow]:
    """Newest first."""
    with server.engine.db.read() as session:
        found, following = page_of(library.find(session, text, limit=limit + 1, before=cursor), limit, "id")
        return Page(items=rows(session, server.settings.public_url, found), next=following)


@router.get("/{id}", summary="One picture", responses=ONE)
def one_picture(id: Id, server: TheServer, actor: Annotated[Actor, needs("template.read")]) -> PictureRow:
    """With its addresses."""
    with server.engine.db.read() as session:
        return _shown(server, session, library.get(session, id))


@router.get("/{id}/uses", summary="Where a picture is shown", responses=ONE)
def list_picture_uses(id: Id, server: TheServer, actor: Annotated[Actor, needs("template.read")]) -> list[PictureUse]:
    """Templates and partials whose draft, newest version or a version in use shows it."""
    with server.engine.db.read() as session:
        return [PictureUse.model_validate(one) for one in library.shown_in(session, library.get(session, id).id)]


@router.patch("/{id}", summary="Describe a picture", responses=CHANGE)
def describe_picture(id: Id, body: Describe, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> PictureRow:
    """Its name and its alternative texts. Messages that show it keep the words they have."""
    alt = {str(language): text for language, text in body.alt.items()} if body.alt is not None else None
    with server.engine.db.write() as session:
        return _shown(server, session, library.describe(session, id, actor.id, name=body.name, alt=alt))


@router.delete("/{id}", summary="Delete a picture", status_code=204, responses=CHANGE)
def delete_picture(id: Id, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> None:
    """409 while a template shows it. Messages that were sent show it no more. It can come back for 30 days."""
    with server.engine.db.write() as session:
        library.remove(session, id, actor.id, server.engine.clock.now())


@router.post("/{id}/restore", summary="Bring a picture back", responses=CHANGE)
def restore_picture(id: Id, server: TheServer, actor: Annotated[Actor, needs("template.change")]) -> PictureRow:
    """The opposite of deleting, under the same addresses."""
    with server.engine.db.write() as session:
        return _shown(server, session, library.restore(session, id, actor.id))


uploads = APIRouter(prefix="/api/v1/pictures", tags=["templates"], route_class=StrictRoute)
_BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "GIF89a"}},
    }
}


@uploads.post("", summary="Upload a picture", status_code=201, responses=CHANGE, openapi_extra=_BYTES)
async def upload_picture(
    request: Request,
    server: TheServer,
    actor: Annotated[Actor, needs("template.change")],
    name: Annotated[str, Query(max_length=200, description="The name of the file.")] = "",
) -> PictureRow:
    """The bytes themselves: PNG, JPEG, GIF or WebP, told by their content. The same file once more gives the picture that is there."""
    body = await request.body()
    return await run_in_threadpool(_uploaded, server, body, name, actor.id)


def _uploaded(server: Server, body: bytes, name: str, by: str) -> PictureRow:
    row = library.add(server.engine.db, body, name, by, server.engine.clock.now())
    with server.engine.db.read() as session:
        return _shown(server, session, row)


_routes: list[BaseRoute] = uploads.routes
router.routes.extend(_routes)
