"""What is wrong with a template, and what could be better, as the editor shows it; on demand with a look at every link and picture."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from activities.rendering.compile import CLIPPED_BYTES
from activities.templates import library
from activities.templates.preview import Proof, proof
from activities.templates.reach import Reached, reach
from activities.webhooks.address_guard import Guard
from api.auth.access import Actor, needs
from api.http.errors import CHANGE
from api.http.json_body import JsonRoute
from api.server import Server, TheServer
from journeys.errors import Invalid, Issue
from locales import translator

router = APIRouter(prefix="/api/v1/templates", tags=["templates"], route_class=JsonRoute)


class CheckTemplate(BaseModel):
    """Which language, and whether links and pictures are asked of their servers (25 seconds at most)."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"locale": "de", "fetch": True}})

    locale: str | None = Field(None, max_length=35, description="Left out: the first one.")
    fetch: bool = False


class CheckIssue(BaseModel):
    """`severity`: error (it cannot be saved, or not be sent) or warning. `line` and `column` where the place is known."""

    code: str = Field(examples=["short_link"])
    severity: str
    field: str = Field(examples=["variants.de.mjml"])
    message: str
    line: int | None = None
    column: int | None = None


class CheckedTemplate(BaseModel):
    """`bytes`: of the HTML; mail programs cut from about 102,000 on. `asked` of `addresses` were looked at."""

    issues: list[CheckIssue]
    bytes: int
    clipped_at: int = CLIPPED_BYTES
    asked: int
    addresses: int


@router.post("/{key}/check", summary="Check a template", responses=CHANGE)
async def check_template(
    key: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Key of the template.", examples=["welcome-1"])],
    body: CheckTemplate,
    server: TheServer,
    actor: Annotated[Actor, needs("template.change")],
) -> CheckedTemplate:
    """The text as edited last, filled in for somebody made up. One check at a time for each person."""
    async with server.turns.of(actor.id):
        found, reached = await run_in_threadpool(_checked, server, key, body)
    translate = translator(actor.locale)
    issues = [_shown(issue, issue.say(translate)) for issue in (*found.errors, *found.hints, *reached.issues)]
    size = len(found.rendered.html.encode()) if found.rendered else 0
    return CheckedTemplate(issues=issues, bytes=size, asked=reached.asked, addresses=reached.all)


def _checked(server: Server, key: str, body: CheckTemplate) -> tuple[Proof, Reached]:
    engine = server.engine
    with engine.db.read() as session:
        template = library.get(session, key)
        locale = body.locale or next(iter(template.variants), "")
        if locale not in template.variants:
            issue = Issue(code="locale", text="The template needs a text in at least one language.", field="locale")
            raise Invalid("{problem}", [issue], problem=issue)
        about = (template.kind, template.message_class, template.variants, locale, engine.clock.now())
        found = proof(session, server.messaging, *about, key=key)
    if not body.fetch or found.rendered is None:
        return found, Reached([], 0, 0)
    guard = Guard.allowing(server.settings.webhook_allow)
    source = str(template.variants[locale].get("mjml") or "")
    return found, reach(engine.db, guard, server.settings.public_url, locale, found.rendered.html, source)


def _shown(issue: Issue, message: str) -> CheckIssue:
    def number(name: str) -> int | None:
        value: Any = issue.values.get(name)
        return value if isinstance(value, int) else None

    return CheckIssue(
        code=issue.code, severity=issue.severity, field=issue.field or "", message=message, line=number("line"), column=number("column")
    )
