"""`group` calls: which company a sender says its contacts belong to. What several calls of a batch say alike of a company is looked up once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from crm.companies import companies, members
from crm.companies.free_mailers import is_free
from crm.companies.names import Said, read, read_domain
from models import Event

DOMAIN_TRAITS = ("domain", "website")
"""Traits that say a company's domain. Source: Segment, spec, group: reserved traits."""
CHOSEN = "chosen_by_hand"
"""Why a call moved nobody: a member of the team has said where the contact belongs."""


@dataclass(frozen=True, slots=True)
class Call:
    """One `group` call. `trusted`: an authenticated sender said so."""

    contact_id: str
    group_id: str
    traits: Mapping[str, Any]
    trusted: bool
    silent: bool = False
    hops: int = 0


@dataclass(slots=True)
class Joined:
    """What a call set off; `refused`: trait, or `company`, -> why it was left out."""

    events: list[Event] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def join(session: Session, calls: Sequence[Call], now: datetime, source: str) -> list[Joined]:
    """Brings contacts, whose rows are locked, to their companies. The events are stored and routed by the caller.

    Companies are taken in the order of their ids' spelling, so that two batches hardly ever wait for each other in a circle: only a company that was merged
    has several ids, and then one of the batches is repeated.
    """
    done = [Joined() for _ in calls]
    said = [_said(call) for call in calls]
    meant: dict[int, str] = {}
    found, last = companies.Upserted(""), ""
    for number in sorted(
        (number for number, one in enumerate(said) if one is not None), key=lambda number: (calls[number].group_id, number)
    ):
        one, call = said[number], calls[number]
        assert one is not None, "the others were left out"
        fields = {name: value for name, value in call.traits.items() if name != "name" and (name != "domain" or one.domain is None)}
        if (said_now := repr((one, fields, call.trusted, call.hops, call.silent))) != last:
            found = companies.upsert_company(session, one, fields, now, source, trusted=call.trusted, hops=call.hops, silent=call.silent)
            last = said_now
        meant[number] = found.company_id
        done[number].refused |= found.refused
    present = members.of(session, {calls[number].contact_id for number in meant})
    for number in sorted(meant):
        call = calls[number]
        here = present.get(call.contact_id)
        if here is not None and (here.company_id == meant[number] and here.source != "domain"):
            continue
        if not call.trusted and here is not None and here.source != "domain":
            if here.company_id != meant[number]:
                done[number].refused["company"] = "needs_server_key"
            continue
        moved = members.put(session, {call.contact_id: meant[number]}, "group", now, silent=call.silent)
        if not moved and here is not None and here.company_id != meant[number]:
            done[number].refused["company"] = CHOSEN
        done[number].events += members.tell(session, moved, now, source=source, hops=call.hops, silent=call.silent)
        present |= members.of(session, [call.contact_id])
    for number, one in enumerate(said):
        if one is None:
            done[number].refused["groupId"] = "placeholder"
    return done


def _said(call: Call) -> Said | None:
    found = read(id=call.group_id, name=call.traits.get("name"))
    if found is None or found.id is None:
        return None
    domain = next(
        (
            one
            for name in DOMAIN_TRAITS
            if isinstance(call.traits.get(name), str) and (one := read_domain(call.traits[name])) and not is_free(one)
        ),
        None,
    )
    return Said(found.id, domain, found.name)
