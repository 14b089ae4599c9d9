"""How soon a contact can come to a step: never later than it really can."""

from __future__ import annotations

from datetime import timedelta

import pytest

from journeys.compile import compile_journey
from journeys.document import Journey
from journeys.nodes import Palette
from journeys.reach import soonest_visit

NODES = {
    "ask": {"kind": "wait_for", "branches": [{"name": "bought", "event": "Order Completed"}], "timeout": "P3D"},
    "slow": {"kind": "wait", "duration": "P2D"},
    "quick": {"kind": "wait", "duration": "PT1H"},
    "mail": {"kind": "send_email", "template": "a"},
    "morning": {"kind": "wait_until", "until": {"type": "clock", "at": "09:00"}},
    "more": {"kind": "if_else", "rule": {"combinator": "and", "rules": [{"field": "city", "operator": "=", "value": "Bern"}]}},
    "end": {"kind": "exit"},
}
EDGES = [
    ("ask", "bought", "slow"),
    ("ask", "timed_out", "quick"),
    ("slow", "next", "mail"),
    ("quick", "next", "mail"),
    ("mail", "sent", "more"),
    ("more", "yes", "morning"),
    ("more", "no", "end"),
    ("morning", "next", "mail"),
]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("left", "visits", "soonest"),
    [
        ("", 1, 2 * DAY),  # by an event at once, then two days
        ("ask", 1, HOUR),  # whichever outlet it left by
        ("mail", 1, timedelta(minutes=1)),
        ("mail", 3, timedelta(minutes=1) + 40 * HOUR),
        ("morning", 1, timedelta(0)),
        ("morning", 3, 40 * HOUR),
        ("", 3, 2 * DAY + 20 * HOUR),
        ("end", 1, None),
    ],
)
def test_the_least_time_counts_whatever_way_it_goes(left, visits, soonest):
    edges = [{"from": source, "outlet": outlet, "to": to} for source, outlet, to in EDGES]
    trigger = {"type": "event", "event": "Signed Up"}
    document = {"spec": 1, "key": "j", "name": "J", "entry": {"triggers": [trigger]}, "start": "ask", "nodes": NODES, "edges": edges}
    program = compile_journey(Journey.model_validate(document), Palette.built_in())
    assert soonest_visit(program, left, "mail", visits) == soonest
