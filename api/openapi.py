"""The description of the interface: texts, tags and what FastAPI does not know by itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.access import act_of
from crm.roles import roles_for

DESCRIPTION = """
Pfadwerk runs customer journeys. **Tracking** takes events in the format of the Segment tracking API, so existing client libraries work
unchanged; every other address belongs to the **admin interface** under `/api/v1`.

* The admin interface takes an admin key (`Authorization: Bearer pfa_…`) or the session of a logged-in member.
* Instants are ISO 8601 in UTC, durations are ISO 8601 (`P3D`, `PT1H`).
* `x-act` names what an operation does, `x-roles` who may; another role is answered 403.
* Every list is paged: `limit` (at most 200) and `cursor`.
* Every error has one shape: `{"error": {"code", "message", "details"}}`.
* What may be edited by two people carries a `revision`; saving an old one answers 409.
"""

TAGS = [
    {"name": "tracking", "description": "Events from shops, apps and servers; answered after they are stored."},
    {"name": "journeys", "description": "Documents, checks, versions, and what is live."},
    {"name": "runs", "description": "Contacts on their way: list, timeline, resume, skip, end, enrol."},
    {"name": "contacts", "description": "People: profile, consents, suppression, timeline, export, erasure."},
    {"name": "imports", "description": "People from files: send, choose how a file is read, preview, dry run, import."},
    {"name": "templates", "description": "Messages: edit, preview, versions, test send."},
    {"name": "messages", "description": "What was sent, to whom, and what became of it."},
    {"name": "tasks", "description": "What people of the team have to do."},
    {"name": "catalogue", "description": "Known contact fields, events and node kinds."},
    {"name": "team", "description": "Members and rotations."},
    {"name": "workspace", "description": "Settings, keys, audit trail, long jobs."},
    {"name": "login", "description": "One-time links and sessions."},
    {"name": "operation", "description": "Health and metrics."},
    {"name": "public", "description": "Pages for recipients: unsubscribe, preferences, tracking."},
]


def install(app: FastAPI) -> None:
    """Adds the write key to the security schemes, and to each operation the act it does and who may; everything else stands at the endpoints."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["writeKey"] = {"type": "http", "scheme": "basic", "description": "The write key as user name, no password."}
            _say_acts(app, schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _say_acts(app: FastAPI, schema: dict[str, Any]) -> None:
    for route in app.routes:
        act = act_of(route)
        if isinstance(route, APIRoute) and route.include_in_schema and act is not None:
            for method in route.methods or ():
                schema["paths"][route.path_format][method.lower()] |= {"x-act": act, "x-roles": roles_for(act)}
