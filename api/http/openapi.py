"""The description of the interface: texts, tags and what FastAPI does not know by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.auth.access import act_of
from api.http.shapes import describe
from api.tracking.schema import SCHEMAS
from workspace.roles import roles_for

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
    {"name": "companies", "description": "What contacts belong to, and what its members add up to."},
    {"name": "segments", "description": "People by a rule, always right, and lists kept by hand."},
    {"name": "forms", "description": "What people fill in on pages, and what came in."},
    {"name": "imports", "description": "People from files: send, choose how a file is read, preview, dry run, import."},
    {"name": "templates", "description": "Messages: edit, preview, versions, test send."},
    {"name": "messages", "description": "What was sent, to whom, and what became of it."},
    {"name": "in-app messages", "description": "For the pages of your site: the inbox of a person who is logged in there."},
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
    _name_operations(app)

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
            schema["components"]["schemas"] |= SCHEMAS
            describe(schema)
            schemes["writeKey"] = {"type": "http", "scheme": "basic", "description": "The write key as user name, no password."}
            _say_acts(app, schema)
            _say_errors(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


NAMES: Final[Mapping[str, str]] = {
    "GET /api/v1/journeys/schema": "get_journey_schema",
    "GET /api/v1/journeys/{journey_id}": "get_journey",
    "POST /api/v1/journeys/{journey_id}/pause": "pause_journey",
    "POST /api/v1/journeys/{journey_id}/resume": "resume_journey",
    "POST /api/v1/journeys/{journey_id}/stop": "stop_journey",
    "POST /api/v1/journeys/{journey_id}/archive": "archive_journey",
    "POST /api/v1/journeys/{journey_id}/unarchive": "unarchive_journey",
    "PUT /api/v1/journeys/{journey_id}/labels": "label_journey",
    "POST /api/v1/journeys/{journey_id}/rollback": "roll_back_journey",
    "GET /api/v1/journeys/{journey_id}/versions": "list_journey_versions",
    "GET /api/v1/journeys/{journey_id}/versions/{number}": "get_journey_version",
    "GET /api/v1/journeys/{journey_id}/diff": "compare_journey_versions",
    "GET /api/v1/migrations/{migration_id}": "get_migration",
    "POST /api/v1/migrations/{migration_id}/rollback": "roll_back_migration",
    "GET /api/v1/runs/{run_id}": "get_run",
    "POST /api/v1/journeys/{journey_id}/stuck/resume": "resume_stuck_runs",
    "POST /api/v1/journeys/{journey_id}/enrol": "enrol_contact",
    "POST /api/v1/journeys/{journey_id}/enrol/preview": "preview_enrolment",
    "POST /api/v1/journeys/{journey_id}/enrol/bulk": "enrol_many",
    "POST /api/v1/contacts/tags/bulk": "tag_many",
    "POST /api/v1/contacts/{contact_id}/consents": "record_consent",
    "POST /api/v1/suppressions/lookup": "look_up_suppression",
    "POST /api/v1/suppressions": "suppress_address",
    "POST /api/v1/suppressions/unsuppress": "unsuppress",
    "GET /api/v1/imports/{id}": "get_import",
    "DELETE /api/v1/imports/{id}": "discard_import",
    "GET /api/v1/imports/{id}/preview": "preview_import",
    "PUT /api/v1/imports/{id}/choices": "choose_for_import",
    "POST /api/v1/imports/{id}/check": "check_import",
    "POST /api/v1/imports/{id}/run": "run_import",
    "POST /api/v1/imports/{id}/undo/check": "check_import_undo",
    "POST /api/v1/imports/{id}/undo": "undo_import",
    "GET /api/v1/imports/{id}/undo": "get_import_undo",
    "GET /api/v1/imports/{id}/problems.csv": "get_import_problems",
    "PUT /api/v1/imports/uploads/{id}/parts/{number}": "add_upload_part",
    "GET /api/v1/templates/{key}": "get_template",
    "GET /api/v1/templates/{key}/uses": "list_template_uses",
    "GET /api/v1/templates/{key}/versions": "list_template_versions",
    "GET /api/v1/templates/{key}/versions/{number}": "get_template_version",
    "POST /api/v1/templates/{key}/corrections": "correct_template",
    "POST /api/v1/templates/{key}/test-send": "send_template_test",
    "GET /api/v1/messages/{message_id}": "get_message",
    "GET /api/v1/accounts/stopped": "list_stopped_accounts",
    "GET /api/v1/tasks/{task_id}": "get_task",
    "POST /api/v1/catalogue/sentence": "say_rule",
    "GET /api/v1/gallery/{key}": "get_gallery_journey",
    "GET /api/v1/me": "get_me",
    "POST /api/v1/members/{member_id}/login-link": "make_login_link",
    "POST /api/v1/members/{member_id}/password-link": "make_password_link",
    "POST /api/v1/notices/test": "send_test_notice",
    "GET /api/v1/settings": "list_settings",
    "GET /api/v1/settings/{name}": "get_setting",
    "GET /api/v1/settings/{name}/unlisted": "list_unlisted_names",
    "GET /api/v1/keys/{key_id}/problems": "list_key_problems",
    "GET /api/v1/jobs/{job_id}": "get_job",
    "POST /api/v1/restores/{restore_id}/assume": "decide_restore",
    "GET /login": "show_login",
    "GET /login/code": "show_login_code",
    "GET /prove": "show_proof",
    "GET /login/{token}": "show_login_link",
    "GET /password": "show_password_reminder",
    "POST /password": "send_password_reminder",
    "GET /password/{token}": "show_new_password",
    "POST /password/{token}": "set_new_password",
}
"""Operation -> its id, where the function's own name says too little or is there twice."""


def _name_operations(app: FastAPI) -> None:
    """Ids that read like names, which client generators make functions of. They are a promise: a test holds the list of them."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema and route.operation_id is None:
            method = next(iter(route.methods or ()))
            route.operation_id = NAMES.get(f"{method} {route.path_format}", route.name)


def _say_errors(schema: dict[str, Any]) -> None:
    """FastAPI declares a declared error in the type of a page's good answer; errors are JSON, and what else is answered there is a page."""
    for methods in schema["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                content = answer.get("content", {})
                page, data = content.get("text/html", {}), content.get("application/json")
                if data is not None and "schema" not in data:
                    data["schema"], page["schema"] = page["schema"], {"type": "string"}


def _say_acts(app: FastAPI, schema: dict[str, Any]) -> None:
    for route in app.routes:
        act = act_of(route)
        if isinstance(route, APIRoute) and route.include_in_schema and act is not None:
            for method in route.methods or ():
                schema["paths"][route.path_format][method.lower()] |= {"x-act": act, "x-roles": roles_for(act)}
