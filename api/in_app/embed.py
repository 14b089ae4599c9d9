"""The scripts that customers put on their own pages, under names that stay. Built by `make bundle` like the pages' own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from builder_ui.app.host import STATICS, TYPES

SCRIPTS: Mapping[str, str] = {
    "inbox": "embed-inbox.js",
    "form": "embed-form.js",
    "site": "embed-site.js",
    "push": "embed-push.js",
    "push-worker": "embed-push-worker.js",
}
"""Name in the address `/v1/embed/NAME.js` -> built file."""
KEPT = "public, max-age=600, stale-while-revalidate=86400"


def add(router: APIRouter) -> None:
    """Adds the addresses of the scripts."""
    for name, file in SCRIPTS.items():
        router.add_api_route(f"/v1/embed/{name}.js", _script(file), methods=["GET", "HEAD"], include_in_schema=False)


def _script(file: str) -> Callable[[Request], Awaitable[Response]]:
    script = STATICS[file]

    async def show(request: Request) -> Response:
        headers = {"cache-control": KEPT, "etag": f'"{script.digest}"', "cross-origin-resource-policy": "cross-origin"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(script.content, headers=headers, media_type=TYPES[".js"])

    return show
