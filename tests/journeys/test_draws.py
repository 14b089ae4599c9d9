from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.draws import draw, spread
from journeys.nodes import Palette
from journeys.nodes.split import Split
from journeys.rules import DictFacts
from journeys.values import Context, Leave, RunInfo


def arm(split: Split, contact: str, node_id: str = "split", journey: str = "j") -> str:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    context = Context(DictFacts({}), now, RunInfo("run", contact, journey, now), node_id, 1, now, UTC)
    answer = split.enter(context)
    assert isinstance(answer, Leave)
    return answer.outlet


def split_of(**shares: float) -> Split:
    node = Palette.built_in().parse("split", {"kind": "split", "arms": [{"name": n, "percent": p} for n, p in shares.items()]})
    assert isinstance(node, Split)
    return node


@pytest.mark.parametrize("shares", [{"a": 50, "b": 50}, {"a": 10, "b": 90}, {"a": 70, "b": 20, "c": 10}, {"a": 0, "b": 100}])
def test_shares_come_out_as_asked(shares: dict[str, float]) -> None:
    split, contacts = split_of(**shares), 10_000
    counts = Counter(arm(split, f"contact-{n}") for n in range(contacts))
    for name, percent in shares.items():
        # Four standard deviations of a fair draw; the draws are fixed, so this either always holds or never.
        tolerance = 4 * (percent / 100 * (1 - percent / 100) / contacts) ** 0.5
        assert abs(counts[name] / contacts - percent / 100) <= tolerance


def test_two_splits_are_independent() -> None:
    split, contacts = split_of(a=50, b=50), 4_000
    both = Counter((arm(split, f"c{n}", "one"), arm(split, f"c{n}", "two")) for n in range(contacts))
    assert all(abs(count / contacts - 0.25) < 0.03 for count in both.values())
    elsewhere = sum(arm(split, f"c{n}") == arm(split, f"c{n}", journey="k") for n in range(contacts))
    assert abs(elsewhere / contacts - 0.5) < 0.03


@given(st.lists(st.text(max_size=8), max_size=4))
def test_a_draw_is_a_share_and_always_the_same(parts: list[str]) -> None:
    assert 0 <= draw(*parts) < 1
    assert draw(*parts) == draw(*parts)


def test_parts_do_not_run_into_each_other() -> None:
    assert draw("a", "bc") != draw("ab", "c")


def test_a_draw_never_changes_from_release_to_release() -> None:
    assert draw("contact-1", "split") == pytest.approx(0.8092980226974626, abs=0)


def test_a_spread_is_within_its_bounds() -> None:
    assert spread(0, "c") == timedelta(0)
    found = {spread(300, f"c{n}") for n in range(2_000)}
    assert min(found) >= timedelta(0)
    assert timedelta(seconds=290) < max(found) < timedelta(seconds=300)
