"""What differs between two versions, in people's words: titles of fields instead of paths, `12 hours` instead of `PT12H`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from builder_ui.kit import components, labels
from builder_ui.kit.i18n import Translator
from journeys.diff import Difference, diff
from journeys.document import Journey
from journeys.nodes import Node, Palette
from journeys.reading import read


@dataclass(frozen=True, slots=True)
class Change:
    """A difference and its sentence. Several of one field are told once, with the whole field."""

    difference: Difference
    text: str


def changes(t: Translator, palette: Palette, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The differences between two documents, in the order of `journeys.diff`."""
    return list(_told(_Both(t, palette, read(before), read(after))))


@dataclass(frozen=True, slots=True)
class _Both:
    t: Translator
    palette: Palette
    before: Journey
    after: Journey

    def names(self) -> dict[str, str]:
        """Node id -> what people call the step; the later name counts."""
        return labels.names_in(self.t, self.palette, {**self.before.nodes, **self.after.nodes})

    def node(self, id: str, raw: Any) -> Node | None:
        found = self.palette.parse(id, raw)
        return found if isinstance(found, Node) else None


def _told(both: _Both) -> Iterator[Change]:
    names, said = both.names(), set[str]()
    for one in diff(both.before, both.after):
        text = _sentence(both, one, names)
        if text not in said:
            said.add(text)
            yield Change(one, components.plain(text))


def _sentence(both: _Both, one: Difference, names: Mapping[str, str]) -> str:
    t = both.t
    if one.what == "setting_changed" and one.place == "start":
        first, now = (names.get(str(id), "–") for id in (one.before, one.after))
        return t("The first step changed from {before} to {after}.", before=first, after=now)
    if one.what == "node_changed":
        one = _field(both, one, names)
    elif one.what == "setting_changed":
        one = _setting(both, one)
    elif one.what.startswith("edge_"):
        one = one.model_copy(update={"before": _way(t, one.before), "after": _way(t, one.after)})
    return one.say(t.translate, names)


def _field(both: _Both, one: Difference, names: Mapping[str, str]) -> Difference:
    """A step's field by its title, both values as its form would tell them; a field that its kind does not know stays as it is."""
    name = (one.field or "").split(".")[0]
    old, new = (both.node(one.place, journey.nodes[one.place]) for journey in (both.before, both.after))
    if old is None or type(old) is not type(new) or name not in type(old).model_fields:
        return one
    values = {side: _value(both.t, getattr(node, name), names) for side, node in (("before", old), ("after", new))}
    return one.model_copy(update={"field": both.t(type(old).model_fields[name].title or name), **values})


def _value(t: Translator, value: Any, names: Mapping[str, str]) -> str | None:
    return None if value in (None, "", (), {}) else labels.value_in_words(t, value, names)


def _setting(both: _Both, one: Difference) -> Difference:
    """Who enters, who leaves early and the goal are told whole; other settings by their path."""
    tell = _PARTS.get(one.place.split(".")[0])
    if tell is None:
        return one
    title, sentences = tell
    values = {side: " · ".join(sentences(both.t, journey)) or None for side, journey in (("before", both.before), ("after", both.after))}
    return one.model_copy(update={"place": both.t(title), **values})


def _way(t: Translator, edge: list[str] | None) -> list[str] | None:
    """An edge with its way out in words."""
    return edge and [edge[0], labels.coded(t, labels.OUTLETS, edge[1]), edge[2]]


_PARTS: Mapping[str, tuple[str, Callable[[Translator, Journey], list[str]]]] = {
    "entry": ("Who enters", lambda t, journey: labels.entry(t, journey.entry)),
    "exit_when": ("Who exits early", lambda t, journey: [labels.way_out(t, one) for one in journey.exit_when]),
    "goal": ("Goal", lambda t, journey: [labels.goal(t, journey.goal)] if journey.goal else []),
}
"""Part of the document -> its title, and what to say of it."""
