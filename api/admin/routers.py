"""The admin interface: one router a noun, all under `/api/v1`."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from api.admin import (
    accounts,
    catalogue,
    companies,
    contacts,
    coupons,
    duplicates,
    events,
    forms,
    imports,
    inbound_mails,
    journey_metrics,
    journeys,
    mails,
    messages,
    notes,
    notices,
    opt_ins,
    pictures,
    restores,
    runs,
    scoring,
    segments,
    sending_domains,
    sending_plans,
    tasks,
    team,
    template_checks,
    templates,
    workspace,
)


def admin_routers() -> Sequence[APIRouter]:
    """In the order in which the documentation shows them."""
    return [
        module.router
        for module in (
            journeys,
            journey_metrics,
            runs,
            events,
            contacts,
            companies,
            notes,
            mails,
            segments,
            forms,
            scoring,
            duplicates,
            opt_ins,
            imports,
            templates,
            template_checks,
            pictures,
            coupons,
            messages,
            restores,
            accounts,
            inbound_mails,
            sending_domains,
            sending_plans,
            tasks,
            catalogue,
            team,
            notices,
            workspace,
        )
    ]
