"""The numbers on the canvas: a journey's tally as small values for each card, and the address of the contacts behind each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from storage.tally import AtNode, Counts

from builder_ui.builder.protocol import ENTRY
from builder_ui.kit.i18n import Translator
from builder_ui.kit.labels import REASONS, REFUSALS, coded

FATES = ("sent", "opened", "clicked", "bounced", "failed")
NAMES = {
    "waiting": "waiting here now",
    "entered": "entered so far",
    "placed": "moved here from another version",
    "sent": "sent",
    "opened": "opened",
    "clicked": "clicked",
    "bounced": "bounced",
    "failed": "failed",
    "skipped": "not sent",
    "inside": "in the journey now",
    "ended": "finished",
    "goal": "at the goal",
    "refused": "not enrolled",
}
Figures = dict[str, Any]


def figures(t: Translator, counts: Counts, has_goal: bool = True) -> dict[str, Figures]:
    """Node id, or `$entry` -> what its card shows. Reasons come as [[code, words, how many], …], the most frequent first; a journey without a
    goal has None for it."""
    whole = _whole(t, counts)
    return {
        ENTRY: whole if has_goal else {**whole, "goal": None},
        **{id: _at(t, place) for id, place in counts.nodes.items()},
    }


def _at(t: Translator, place: AtNode) -> Figures:
    fates = {name: count for name in FATES if (count := getattr(place, name))}
    left = {outlet: count for outlet, count in sorted(place.left.items()) if count > 0}
    moved = {"placed": place.placed} if place.placed else {}
    return {
        "waiting": place.waiting,
        "entered": place.entered,
        **moved,
        "left": left,
        **fates,
        "skipped": _reasons(t, REASONS, place.skipped),
    }


def _whole(t: Translator, counts: Counts) -> Figures:
    refused = _reasons(t, {**REASONS, **REFUSALS}, counts.refused)
    return {
        "entered": counts.runs,
        "waiting": counts.inside,
        "ended": counts.ended,
        "goal": counts.goal,
        "refused": refused,
        "left": {},
    }


def _reasons(t: Translator, table: Mapping[str, str], found: Counter[str]) -> list[list[Any]]:
    ranked = sorted((-count, code) for code, count in found.items() if count > 0)
    return [[code, coded(t, table, code).rstrip("."), -count] for count, code in ranked]


def changed(
    before: Mapping[str, Figures], after: Mapping[str, Figures]
) -> dict[str, Figures | None]:
    """What differs, by id; None for what is gone."""
    news: dict[str, Figures | None] = {
        id: one for id, one in after.items() if before.get(id) != one
    }
    return news | {id: None for id in before if id not in after}


def address(key: str, node: str, what: str, outlet: str = "", version: int | None = None) -> str:
    """Where the contacts behind a number are listed."""
    asked = {
        "node": "" if node == ENTRY else node,
        "what": what,
        "outlet": outlet,
        "version": version or "",
    }
    return f"/ui/journeys/{key}/people?{urlencode({name: value for name, value in asked.items() if value})}"
