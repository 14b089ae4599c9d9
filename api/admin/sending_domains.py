"""The domains that the workspace sends from: what their DNS says, and letting one carry marketing all the same."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from activities.domains.admin import MEANINGS, check_domain
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE
from api.http.json_body import JsonRoute
from api.server import TheServer
from models import SendingDomain
from workspace import sending_domains

router = APIRouter(prefix="/api/v1/sending-domains", tags=["messages"], route_class=JsonRoute)
Domain = Annotated[str, Path(max_length=253, examples=["shop.example.com"])]


class DomainMark(BaseModel):
    """What one check found. `name`, `type` and `value` are the record to enter in the DNS; empty: none is missing."""

    model_config = ConfigDict(extra="ignore")

    what: str = Field(description="spf, dkim, dmarc, alignment, mx, return_path, reverse_dns, bimi.", examples=["dkim"])
    level: str = Field(description="good, hint, warn, bad, unknown.", examples=["bad"])
    code: str = Field(examples=["dkim_none"])
    meaning: str = Field(examples=["The key of the account is not in the DNS."])
    name: str
    type: str
    value: str


class SendingDomainRow(BaseModel):
    """A domain of the workspace's senders, as last checked for the account that carries e-mail."""

    domain: str = Field(examples=["shop.example.com"])
    account: str = Field(description="Empty: no account carries e-mail.")
    checked_at: datetime | None
    verified: bool = Field(description="Whether the account's own DKIM key stands in its DNS.")
    allowed: list[str] = Field(description="Codes of red marks with which an administrator lets it carry marketing.")
    marks: list[DomainMark]


class SendingDomainRows(BaseModel):
    """All of them."""

    items: list[SendingDomainRow]


@router.get("", summary="The domains that are sent from", responses=ADMIN)
def list_sending_domains(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> SendingDomainRows:
    """Those of the workspace's senders, with the last check of each."""
    with server.engine.db.read() as session:
        account = sending_domains.carrier(session)
        known = sending_domains.checks(session, account)
        return SendingDomainRows(items=[_shown(account, one, known.get(one)) for one in sending_domains.listed(session)])


@router.post("/{domain}/check", summary="Check the DNS of a domain", responses=CHANGE)
def check_sending_domain(domain: Domain, server: TheServer, actor: Annotated[Actor, needs("account.try")]) -> SendingDomainRow:
    """Asks the DNS now; takes seconds."""
    row = check_domain(server.accounts, domain, actor.id, server.engine.clock.real_now())
    return _shown(row.account, domain, row)


@router.post("/{domain}/allow", summary="Let a domain with red marks carry marketing", status_code=204, responses=CHANGE)
def allow_sending_domain(domain: Domain, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> None:
    """With the red marks that it has now; another one stops it again. Audited."""
    with server.engine.db.write() as session:
        account = sending_domains.carrier(session)
        sending_domains.allow(session, account, domain, actor.id)


def _shown(account: str, domain: str, row: SendingDomain | None) -> SendingDomainRow:
    marks = [DomainMark(**mark, meaning=MEANINGS[mark["code"]]) for mark in (row.marks if row else [])]
    return SendingDomainRow(
        domain=domain, account=account, checked_at=row.checked_at if row else None, verified=sending_domains.is_verified(row),
        allowed=row.allowed if row else [], marks=marks,
    )  # fmt: skip
