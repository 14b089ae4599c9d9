"""What a look ahead says of more people than are judged, and what it still offers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from builder_ui.contacts import bulk_actions
from builder_ui.kit import consequences
from engine.interpreter.forecast import Forecast
from tests.builder_ui.test_builder import context_of


def test_a_sample_without_anybody_who_may_enter_leaves_the_choice(town: Any) -> None:
    """Among five thousand there may be some; of everybody judged it is known that there are none."""
    context = context_of(town, "marketer", "welcome")
    some = Forecast(population=5_000, judged=500, refused=Counter(filter=500))
    told = bulk_actions.foretell(context, "welcome", lambda *_: some)
    assert told.lines == ("About 0 of 5,000 would enter “Welcome”.",)
    assert told.journey
    everybody = Forecast(population=500, judged=500, refused=Counter(filter=500))
    assert not bulk_actions.foretell(context, "welcome", lambda *_: everybody).journey


def test_an_account_that_accepts_nothing_is_named_where_something_would_leave(town: Any) -> None:
    t = context_of(town, "marketer", "welcome").t
    account = "The account smtp.default does not accept messages at the moment: what would go through it leaves when it does."
    for due, said in ((3, True), (0, False)):
        lines = consequences.entering(t, {}, Forecast(population=3, judged=3, begins=3, due_now=due, stopped=["smtp.default"]))
        assert (account in [line.text for line in lines]) is said


def test_what_nobody_counted_to_the_end_is_not_multiplied(town: Any) -> None:
    context = context_of(town, "marketer", "welcome")
    found = Forecast(population=10_001, at_least=True, judged=500, begins=430, refused=Counter(filter=70))
    told = bulk_actions.foretell(context, "welcome", lambda *_: found)
    assert told.lines == ("430 of 500 contacts checked would enter “Welcome”. More than 10,000 match.",)
    first, second, *_ = consequences.entering(context.t, {}, found)
    assert first.text == "Checked 500 of more than 10,000 contacts, chosen at random."
    assert second.text.startswith("70 of 500 ×: ")
