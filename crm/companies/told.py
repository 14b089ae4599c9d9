"""What rules read as `company.…`, those in templates too: one JSON object per company, kept in its row, so that every face reads the same."""

from __future__ import annotations

from typing import Any

from crm.companies.money import major
from journeys.catalogue import COMPANY_FIELDS
from journeys.rules.dates import normalise_deep
from journeys.rules.fields import COMPANY
from models import Company

OWN = frozenset(spec.name.removeprefix(COMPANY) for spec in COMPANY_FIELDS)
"""Names that no attribute can have."""
ROLL_UPS = frozenset({"members", "revenue", "last_activity_at", "score"})


def told(company: Company) -> dict[str, Any]:
    """Name -> value; what is not known is missing. Instants are text, as rules compare them; `revenue` is in whole units of `currency`."""
    found = {
        "id": company.id,
        "name": company.name,
        "domain": company.domain,
        "owner": company.owner,
        "created_at": company.created_at,
        "members": company.members,
        "revenue": major(company.revenue, company.currency),
        "currency": company.currency or None,
        "score": company.score / 1000,
        "last_activity_at": company.last_activity_at,
    }
    plain: dict[str, Any] = normalise_deep({**company.attributes, **{name: value for name, value in found.items() if value is not None}})
    return plain
