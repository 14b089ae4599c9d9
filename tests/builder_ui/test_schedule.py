"""Schedules for people: every Monday at 9, on 12 December at 10; and asterisks that stay where they are."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder_ui.kit import components, labels
from builder_ui.kit.i18n import translator_for
from builder_ui.kit.times import REPEATS, Times, read
from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.cron import OPEN, parse
from journeys.nodes import Palette
from journeys.reading import read as read_document


@pytest.mark.parametrize(
    ("line", "english", "german"),
    [
        ("0 9 * * 1", "every Monday at 09:00", "jeden Montag um 09:00"),
        ("0 10 12 12 *", "every year on 12 December at 10:00", "jedes Jahr am 12. Dezember um 10:00"),
        ("30 8 * * *", "every day at 08:30", "jeden Tag um 08:30"),
        ("0 9 * * 1,2,3,4,5", "Monday to Friday at 09:00", "Montag bis Freitag um 09:00"),
        ("0 7 * * 0,3", "Wednesday, Sunday at 07:00", "Mittwoch, Sonntag um 07:00"),
        ("0 9 1 * *", "on day 1 of each month at 09:00", "am 1. jedes Monats um 09:00"),
        ("*/15 8-18 * * 1-5", "*/15 8-18 * * 1-5", "*/15 8-18 * * 1-5"),
        ("nonsense", "nonsense", "nonsense"),
    ],
)
def test_a_schedule_reads_like_a_sentence(line: str, english: str, german: str) -> None:
    assert labels.schedule(translator_for("en"), line) == english
    assert labels.schedule(translator_for("de"), line) == german


@given(
    st.builds(
        Times,
        st.sampled_from(list(REPEATS)),
        st.times().map(lambda at: time(at.hour, at.minute)),
        st.sets(st.integers(0, 6)).map(lambda days: tuple(sorted(days))),
        st.none() | st.integers(1, 28),
        st.none() | st.integers(1, 12),
    )
)
def test_what_is_chosen_is_read_again_and_cron_understands_it_once_it_is_complete(times: Times) -> None:
    found = read(times.line())
    assert found is not None
    assert (found.repeat, found.at, found.line()) == (times.repeat, times.at, times.line())
    if OPEN not in times.line():
        parse(times.line())


def test_days_that_are_not_chosen_are_a_problem() -> None:
    schedule = {"type": "schedule", "cron": Times("week").line(), "rule": {"tag": "vip"}}
    document = {"spec": 1, "key": "j", "name": "J", "entry": {"triggers": [schedule]}}
    found = check(read_document(document), Palette.built_in(), Catalogue.built_in())
    assert [issue.message for issue in found if issue.field == "entry.triggers.0.cron"] == ["“Days” is not chosen yet."]


def elements(text: str) -> list[Any]:
    return [(one["tagName"], one["children"][0]) if isinstance(one, dict) else one for one in components.marked(text)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("opened *Welcome 1* in time", ["opened ", ("b", "Welcome 1"), " in time"]),
        ("`0 9 * * 1` is Mondays", [("code", "0 9 * * 1"), " is Mondays"]),
        ("On a schedule (0 9 * * 1): has *vip*", ["On a schedule (0 9 * * 1): has ", ("b", "vip")]),
        ("every minute: * * * * *", ["every minute: * * * * *"]),
        ("5 * 3 = 15", ["5 * 3 = 15"]),
        ("*a* and *b*", [("b", "a"), " and ", ("b", "b")]),
        ("", [""]),
    ],
)
def test_only_asterisks_around_a_name_are_marks(text: str, shown: list[Any]) -> None:
    assert elements(text) == shown
    assert components.plain(text) == "".join(one if isinstance(one, str) else one[1] for one in shown)
