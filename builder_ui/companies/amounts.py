"""What companies add up to, in words."""

from __future__ import annotations

from collections.abc import Mapping

from babel.numbers import format_currency

from builder_ui.kit.i18n import Translator
from crm.companies.money import UNSAID, major
from models import Company


def money(t: Translator, amount: int, currency: str) -> str:
    """Minor units as people write them; an amount that came without a currency has none."""
    if currency == UNSAID:
        return t.number(round(major(amount, currency), 2))
    return str(format_currency(major(amount, currency), currency, locale=t.language))


def revenue(t: Translator, company: Company) -> str:
    """In the workspace's currency; a dash until it is worked out."""
    return money(t, company.revenue, company.currency) if company.currency else "–"


def others(t: Translator, revenues: Mapping[str, int], currency: str) -> str:
    """What came in other currencies, which `revenue` does not count."""
    return ", ".join(money(t, amount, one) for one, amount in sorted(revenues.items()) if one not in (currency, UNSAID))


def score(t: Translator, company: Company) -> str:
    return t.number(round(company.score / 1000, 1))
