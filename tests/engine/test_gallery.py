"""The gallery's journeys through the router: what starts a run is neither its exit nor its goal, and what ends it does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm.catalogue import declare_field, declare_missing, load_catalogue
from crm.consent.consent import Evidence, record_consent
from journeys.templates import TemplateEntry, gallery

STARTS: dict[str, dict[str, Any]] = {
    "Event Registered": {"event_id": "w-1", "starts_at": "2027-03-20T13:00:00Z"},
    "Form Submitted": {"form": "guide"},
    "Order Completed": {"order_id": "o-1", "total": 80},
    "Product Viewed": {"product_id": "p-1"},
    "Trial Started": {"trial_end_date": "2027-03-20T13:00:00Z"},
}
ENDS = {
    "browse_abandonment": ("Product Added", {"cart_id": "c-1"}),
    "event_reminder": ("Event Registration Cancelled", {"event_id": "w-1"}),
    "post_purchase": ("Order Refunded", {"order_id": "o-1"}),
    "replenishment": ("Order Completed", {"order_id": "o-2", "total": 80}),
    "trial_onboarding": ("Order Completed", {"order_id": "o-1", "total": 80}),
}


def with_one_template(entry: TemplateEntry) -> dict[str, Any]:
    """With the one template of the small world, which is for transactional messages."""
    document = json.loads(json.dumps(dict(entry.document)))
    for node in document["nodes"].values():
        if "template" in node:
            node["template"] = "a"
            node.pop("message_class", None)
    document["settings"]["message_class"] = "transactional"
    return document


@pytest.fixture
def contact(world):
    contact = world.contact()
    with world.db.write() as session:
        record_consent(
            session, contact, "email", "marketing", "granted", world.now, source="test", evidence=Evidence.DATED, said_at=world.now
        )
    return contact


@pytest.mark.parametrize("key", sorted(ENDS))
def test_what_starts_a_run_does_not_end_it_and_what_ends_it_does(world, contact, key):
    entry = next(entry for entry in gallery() if entry.key == key)
    with world.db.write() as session:
        declare_missing(session, entry.fields, entry.events, world.now)
    world.publish(with_one_template(entry))
    event = entry.document["entry"]["triggers"][0]["event"]
    run = world.run(world.happens(contact, event, STARTS[event]))
    world.step(run)
    assert world.row(run).ended_at is None
    assert world.row(run).goal_at is None
    world.later(minutes=5)
    world.happens(contact, *ENDS[key])
    world.step(run)
    assert world.row(run).ended_at is not None


def test_what_a_workspace_knows_stays_as_it_is(world):
    """A journey of the gallery declares its fields; one of the same name that is there already keeps its type."""
    birthday = next(entry for entry in gallery() if entry.key == "birthday")
    with world.db.write() as session:
        declare_field(session, "birthday", "datetime", world.now)
        declare_missing(session, birthday.fields, birthday.events, world.now)
        assert load_catalogue(session).fields["birthday"].type == "datetime"
