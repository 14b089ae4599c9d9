"""How the demo scores leads: what they look at and ask for, and that they belong to a company."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from commands.demo.documents import Translate
from commands.demo.shop import SOURCE
from crm.scoring import models
from engine.engine import Engine
from engine.jobs.worker import work_through

PRICES, OFFER = "Prices Viewed", "Offer Requested"
"""What leads do on the website. Three looks at prices and an offer make a lead ready for sales (80 points: journey *MQL to SQL*)."""


def add(engine: Engine, translate: Translate, now: datetime) -> None:
    """The model, before there is anybody to be scored."""
    with engine.db.write() as session:
        row = models.create(session, translate("Leads"), definition(translate), SOURCE, now, key="leads")
    assert row.job is not None, "it is on"
    work_through(engine, row.job)


def definition(translate: Translate) -> dict[str, Any]:
    fading = {"kind": "half_life", "days": 30}
    return {
        "rules": [
            {"id": "company", "name": translate("Works for a company"), "group": "fit", "points": 40, "rule": {"field": "company", "operator": "notNull"}},
            {"id": "city", "name": translate("Lives in Switzerland"), "group": "fit", "points": 20, "rule": {"field": "country", "operator": "=", "value": "CH"}},
            {
                "id": "prices",
                "name": translate("Looked at prices"),
                "group": "engagement",
                "points": 10,
                "event": PRICES,
                "most_per": {"points": 30, "per": "day"},
                "decay": fading,
            },
            {"id": "offer", "name": translate("Asked for an offer"), "group": "engagement", "points": 80, "event": OFFER, "decay": fading},
        ],
        "thresholds": [{"id": "ready", "name": translate("Ready for sales"), "group": "engagement", "at_least": 80, "actions": [{"kind": "update_contact", "add_tags": ["mql"]}]}],
        "grading": {"fit": "fit", "engagement": "engagement", "letters": [60, 40, 20], "numbers": [80, 40, 10]},
    }  # fmt: skip
