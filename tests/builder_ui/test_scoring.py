"""The editor of a scoring model without a browser: what it stores, refuses and tries."""

from __future__ import annotations

from typing import Any

from builder_ui.scoring import words
from builder_ui.scoring.model import differences
from tests.builder_ui.test_accessibility import LEADS, scoring
from tests.builder_ui.test_pages import say


def test_a_model_on_its_pages(log_in: Any, opened: Any, town: Any) -> None:
    address = scoring(town)
    client = log_in("viewer")
    text = say(opened, client, address)
    assert "Is a lead" in text
    assert "lifecycle stage is “lead”" in text
    assert "at most 20 points a day; half of them fade every 30 days" in text
    assert "Save scoring model" not in text, "a viewer looks"
    changes = say(opened, client, f"{address}?view=history")
    assert "Is a lead: 45 → 50 points" in changes
    assert "Grade 1 2 3 4" in say(opened, client, "/ui/scoring")
    scores = say(opened, client, f"/ui/contacts/{town.people['Anna']}?view=scores")
    assert "+50" in scores
    assert "Thresholds reached" in scores
    assert "Warm" in scores
    assert "no scoring model at this address" in say(opened, client, "/ui/scoring/nowhere")


def test_differences_say_what_was_done_to_rules() -> None:
    one, other = LEADS["rules"]
    after = {"rules": [{**one, "points": 1}, {**other, "most": 3}, {**one, "id": "new", "name": "New"}]}
    assert differences(LEADS, after) == [("Is a lead", 45, 1), ("Order Completed", 10, 10), ("New", None, 45)]
    assert differences(after, {"rules": []})[2] == ("New", 45, None)


def test_limits_in_words() -> None:
    say_it: Any = type("T", (), {"__call__": lambda self, text, **values: text.format(**values), "number": lambda self, n: str(n)})()
    assert words.limits(say_it, {"most": 50, "decay": {"kind": "linear", "days": 7}}) == (
        "at most 50 points in all; fading evenly to nothing in 7 days"
    )
    assert words.limits(say_it, {"most": -1}) == ""
