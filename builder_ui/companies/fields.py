"""The form of a company: what it is called and known by, who owns it, and its further fields. Used for a new one and for changing one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import short
from builder_ui.kit.reactpy_compat import Element, html
from crm.companies.companies import OWNER
from journeys.errors import Invalid
from models import Company
from storage.json_values import clean_text

MOST = 40
"""Fields that have a box of their own; others are changed by their name."""
PLACES = {"name": "Name", "external_id": "Id in another system", "domains": "Domains", OWNER: "Owner"}
_FIELD = "field:"


def form(
    context: PageContext, company: Company | None, known: Mapping[str, Sequence[str]], members: Mapping[str, str], acts: Acts
) -> Element:
    """`known`: what it is known by (`names_of`)."""
    t = context.t
    present = company.attributes if company else {}
    shown = [(name, value) for name, value in sorted(present.items()) if isinstance(value, str | int | float)][:MOST]
    owner = company.owner or "" if company else ""
    return html._(
        html.div(
            {"className": "fields"},
            components.kept(acts, "name", t("Name"), 200, company.name if company else "", required=True),
            components.kept(
                acts, "domains", t("Domains, separated by commas"), 4_000, _listed(known, "domain", company), placeholder="example.com"
            ),
            components.kept(acts, "external_id", t("Id in another system"), 320, _listed(known, "id", None)),
            components.kept_choice(
                acts, OWNER, t("Owner"), {"": "–", **members, **({owner: owner} if owner not in ("", *members) else {})}, owner
            ),
        ),
        html.h2(t("Further fields")),
        html.div(
            {"className": "fields"},
            [components.kept(acts, f"{_FIELD}{name}", name, 1_000, _typed(value)) for name, value in shown],
            components.kept(acts, "other.name", t("Another field"), 100, placeholder="industry"),
            components.kept(acts, "other.value", t("its value (leave empty to remove it)"), 1_000),
        ),
    )


def _listed(known: Mapping[str, Sequence[str]], kind: str, company: Company | None) -> str:
    """The main one first."""
    found = list(known.get(kind, ()))
    if company is not None and company.domain in found:
        found = [company.domain, *(one for one in found if one != company.domain)]
    return ", ".join(found)


def _typed(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def read(acts: Acts, company: Company | None) -> dict[str, Any]:
    """What was typed, as `companies.create` and `companies.change` take it: `fields`, and `domains` and `external_id` where they were touched."""
    drafts = {name: clean_text(text).strip() for name, text in acts.drafts.items()}
    present = company.attributes if company else {}
    fields: dict[str, Any] = {name: drafts[name] or None for name in ("name", OWNER) if name in drafts}
    fields |= {
        name.removeprefix(_FIELD): _as_before(text, present.get(name.removeprefix(_FIELD)))
        for name, text in drafts.items()
        if name.startswith(_FIELD)
    }
    if drafts.get("other.name"):
        fields[drafts["other.name"]] = _as_before(drafts.get("other.value", ""), present.get(drafts["other.name"]))
    found: dict[str, Any] = {"fields": fields}
    if "domains" in drafts:
        found["domains"] = [one.strip() for one in drafts["domains"].replace(";", ",").replace("\n", ",").split(",") if one.strip()]
    if "external_id" in drafts:
        found["external_id"] = drafts["external_id"]
    return found


def _as_before(text: str, before: Any) -> Any:
    """Numbers stay numbers and yes or no stays that, where what is typed is one; empty clears."""
    if text == "":
        return None
    if isinstance(before, bool) or before is None:
        return {"true": True, "false": False}.get(text.lower(), _number(text) if before is None else text)
    return _number(text) if isinstance(before, int | float) else text


def _number(text: str) -> Any:
    """A number that is written as one, and not an order number with zeros in front."""
    try:
        number = float(text)
    except ValueError:
        return text
    plain = str(int(number)) if number.is_integer() and abs(number) < 2**53 else str(number)
    return (int(plain) if plain.lstrip("-").isdecimal() else number) if plain == text else text


def in_words(context: PageContext, error: Invalid) -> Invalid:
    """The refusal with what is wrong where, in the visitor's language."""
    t = context.t
    places = [f"{t(PLACES.get(_place(issue.field), short(issue.field or '')))}: {issue.say(t.translate)}" for issue in error.issues]
    return Invalid("{problems}", problems=" ".join(places)) if places else error


def _place(field: str | None) -> str:
    return (field or "").partition(".")[0]
