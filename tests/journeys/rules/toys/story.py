"""Run in a product that has the toy in its lists: what it says of it, as JSON."""

from __future__ import annotations

import json

from crm.rules.terms import SQL
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.nodes import Palette
from journeys.reading import read
from journeys.rules import parse_rule
from journeys.rules.docs import terms_table
from journeys.rules.terms import TERMS
from journeys.schema import journey_schema

PALETTE = Palette.built_in()
DRAFT = {
    "spec": 1,
    "key": "j",
    "name": "J",
    "entry": {"triggers": [{"type": "manual"}]},
    "start": "asked",
    "nodes": {"asked": {"kind": "if_else", "rule": {"rules": [{"domain": ""}]}}},
}

print(
    json.dumps(
        {
            "kinds": TERMS.names(),
            "sql": list(SQL),
            "read": type(parse_rule({"domain": "example.org"})).__module__,
            "schema": list(journey_schema(PALETTE)["$defs"]["DomainTerm"]["properties"]),
            "empty": [one.message for one in check(read(DRAFT), PALETTE, Catalogue.built_in()) if one.field == "rule.rules.0.domain"],
            "page": "| `domain` |" in terms_table(TERMS),
        }
    )
)
