"""Pictures in messages, for whoever knows their address. What lies there never changes, so everybody between us and the reader may keep it.

Nothing is counted and no cookie is read or set: that a picture was fetched tells of nobody (opens are `api.public.endpoints.pixel`).
"""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from activities.pictures import library
from api.server import TheServer
from workspace import brand, settings

router = APIRouter(tags=["public pages"], include_in_schema=False)

KEPT = {
    "cache-control": "public, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "x-robots-tag": "noindex",
}
GONE = {"cache-control": "no-store"}
FOR_AN_HOUR = {**KEPT, "cache-control": "public, max-age=3600"}
"""A logo that has another address by now: mails from before show the new one."""
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


@router.api_route("/m/logo/{digest}.{ending}", methods=["GET", "HEAD"])
def logo(
    digest: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], ending: Annotated[str, Path(pattern="^(png|jpg)$")], server: TheServer
) -> Response:
    """The workspace's logo, for mails."""
    with server.engine.db.read() as session:
        current = settings.load(session, settings.Appearance).logo
    if not current:
        return Response(status_code=404, headers=GONE)
    kind, _, content = current.removeprefix("data:").partition(";base64,")
    kept = KEPT if brand.digest_of(current) == digest else FOR_AN_HOUR
    return Response(b64decode(content), media_type=kind, headers=kept)


@router.api_route("/m/{id}/{width}.{ending}", methods=["GET", "HEAD"])
def picture(
    id: Id,
    width: Annotated[int, Path(ge=1, le=100_000)],
    ending: Annotated[str, Path(pattern="^(png|jpg|gif)$")],
    request: Request,
    server: TheServer,
) -> Response:
    """The picture, as PNG, JPEG or GIF."""
    with server.engine.db.read() as session:
        found = library.served(session, id, width, ending)
    if found is None:
        return Response(status_code=404, headers=GONE)
    tag = f'"{id}-{width}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**KEPT, "etag": tag})
    return Response(found[1], media_type=found[0], headers={**KEPT, "etag": tag})
