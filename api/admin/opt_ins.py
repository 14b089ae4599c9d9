"""Double opt-ins from the customer's own forms and shops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth.access import Actor, needs
from api.http.errors import CHANGE
from api.http.json_body import JsonRoute
from api.public.doors import happened
from api.public.limits import check_rates
from api.server import TheServer
from crm.consent import double_opt_in
from crm.forms import forms
from journeys.errors import Invalid, NotFound
from locales import SUPPORTED
from workspace import settings

router = APIRouter(prefix="/api/v1", tags=["contacts"], route_class=JsonRoute)


class NewOptIn(BaseModel):
    """Somebody asks for messages. With `form` the purpose and the wording are the form's; else both are needed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"email": "anna@example.org", "form": "footer", "language": "de", "ip": "203.0.113.7"}},
    )

    email: str = Field(min_length=3, max_length=320)
    form: str | None = Field(None, max_length=64, description="The key of a live form with a box for e-mails; its first such box is meant.")
    purpose: str | None = Field(None, max_length=64, pattern=settings.CONSENT_NAME.pattern)
    wording: str | None = Field(None, min_length=1, max_length=4_000, description="What the person agreed to, as it was shown.")
    language: str = Field("", max_length=35, description="Of the person; of the mail and of the page behind it.")
    page: str = Field("", max_length=2_000, description="The address of the page with the form.")
    ip: str = Field(
        "", max_length=64, description="The person's network address; shortened before it is stored, and counted for the limits."
    )
    first_name: str = Field("", max_length=120)
    last_name: str = Field("", max_length=120)
    topics: list[Annotated[str, Field(max_length=64)]] | None = Field(
        None,
        max_length=50,
        description="The topics that were ticked, out of all that are offered now. Left out or empty: none was offered or ticked, so all are meant.",
    )


class Asked(BaseModel):
    """The same for every address, known or not."""

    asked: Literal[True] = True


@router.post("/opt-ins", summary="Ask an address to confirm", status_code=202, responses=CHANGE)
def ask_to_opt_in(new: NewOptIn, server: TheServer, actor: Annotated[Actor, needs("consent.record")]) -> Asked:
    """Records a consent that waits, and mails a link to the address; the consent is given once it is confirmed there.

    Within the limits of *Settings → Double opt-in* (429 where a network or key asks too often); an address that has got too many mails gets
    none, and the answer does not say so."""
    check_rates(server, actor.id, new.ip or actor.id)
    with server.engine.db.read() as session:
        purpose, wording, source, language = _about(session, new, server, actor)
        topics = _chosen(settings.load(session, settings.Topics), new.topics or ())
    fields = {"first_name": new.first_name, "last_name": new.last_name}
    asked = double_opt_in.Request(new.email, purpose, wording, language, source, new.page, new.ip, fields, topics)
    happened(server, lambda session, now: list(double_opt_in.ask(session, asked, now)))
    return Asked()


def _chosen(known: settings.Topics, keys: Sequence[str]) -> dict[str, bool]:
    """Every topic that is offered -> whether it was ticked. Raises: Invalid, for a key that is none of them."""
    offered = [one.key for one in known.asked]
    if unknown := [key for key in keys if key not in offered]:
        raise Invalid("There is no topic “{topic}”: add it under “Topics” in the settings first.", topic=unknown[0])
    return {key: key in keys for key in offered} if keys else {}


def _about(session: Session, new: NewOptIn, server: Any, actor: Actor) -> tuple[str, str, str, str]:
    """(purpose, wording, source, language)"""
    said = new.language.replace("_", "-").split("-")[0].lower()
    language = said if said in SUPPORTED else server.settings.language
    if new.form is not None:
        found = forms.shown(session, new.form)
        boxes = [box for box in found[1].boxes if box.by_mail] if found is not None else []
        if not boxes:
            raise NotFound("There is no sign-up form with this key.")
        return new.purpose or boxes[0].purpose, new.wording or boxes[0].wording.said(language), f"form:{new.form}", language
    if not new.purpose or not new.wording:
        raise Invalid("Name a sign-up form, or a purpose and the wording that was shown.")
    return new.purpose, new.wording, f"api:{actor.id}"[:200], language
