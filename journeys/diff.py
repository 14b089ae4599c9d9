"""What differs between two documents, as data and as sentences. Positions and notes on the canvas do not count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from journeys.document import Journey

What = Literal["node_added", "node_removed", "node_changed", "edge_added", "edge_removed", "setting_changed"]


class Difference(BaseModel):
    """One thing that differs. `place` is a node id, `node --outlet--> node`, or the dotted path of a setting; `field` a dotted path
    inside the node. `before` and `after` are JSON, None where there was or is nothing."""

    model_config = ConfigDict(frozen=True)

    what: What
    place: str
    field: str | None = None
    before: Any = None
    after: Any = None

    @property
    def node_id(self) -> str | None:
        """The step it is about; of an edge the one where it begins, None for a setting."""
        if self.what.startswith("edge_"):
            return str((self.after or self.before)[0])
        return self.place if self.what.startswith("node_") else None

    def say(self, translate: Callable[[str], str], names: Mapping[str, str] | None = None) -> str:
        """The difference as a sentence in the language of `translate` (a gettext function); `names`: node id -> what people call it."""
        values = {"place": self._called(names or {}), "field": self.field, "before": _shown(self.before), "after": _shown(self.after)}
        return translate(_SENTENCES[self.what]).format(**values)

    def _called(self, names: Mapping[str, str]) -> str:
        if self.what.startswith("edge_"):
            source, outlet, to = self.after or self.before
            return f"{names[source]} → {names[to]} ({outlet})" if source in names and to in names else self.place
        return names.get(self.place, self.place) if self.what.startswith("node_") else self.place


def diff(before: Journey, after: Journey) -> list[Difference]:
    """The differences in a stable order: settings, nodes, edges. Empty when both behave alike (equal digests)."""
    old, new = _settings(before), _settings(after)
    settings = (
        Difference(what="setting_changed", place=path, before=a, after=b) for path, a, b in _changed(old, new) if (a, b) != (None, None)
    )
    return [*settings, *_nodes(before.nodes, after.nodes), *_edges(before, after)]


def _settings(journey: Journey) -> dict[str, Any]:
    return journey.model_dump(mode="json", by_alias=True, exclude={"ui", "nodes", "edges"})


def _nodes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for node_id in sorted(before.keys() | after.keys()):
        old, new = before.get(node_id), after.get(node_id)
        if old is None:
            yield Difference(what="node_added", place=node_id, after=new)
        elif new is None:
            yield Difference(what="node_removed", place=node_id, before=old)
        else:
            for field, a, b in _changed(old, new):
                yield Difference(what="node_changed", place=node_id, field=field, before=a, after=b)


def _edges(before: Journey, after: Journey) -> Iterator[Difference]:
    old, new = _drawn(before), _drawn(after)
    for edge in sorted(old - new):
        yield Difference(what="edge_removed", place=_arrow(edge), before=list(edge))
    for edge in sorted(new - old):
        yield Difference(what="edge_added", place=_arrow(edge), after=list(edge))


def _drawn(journey: Journey) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.outlet, edge.to) for edge in journey.edges}


def _arrow(edge: tuple[str, str, str]) -> str:
    source, outlet, to = edge
    return f"{source} --{outlet}--> {to}"


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any, Any]]:
    """(dotted path, before, after); descends into objects that are there on both sides, takes lists as a whole."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        path = f"{above}.{key}" if above else key
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changed(old, new, path)
        elif old != new or type(old) is not type(new):
            yield path, old, new


def _shown(value: Any) -> str:
    return "—" if value is None else str(value)


_SENTENCES: Mapping[What, str] = {
    "node_added": "The step {place} was added.",
    "node_removed": "The step {place} was removed.",
    "node_changed": "In the step {place}, “{field}” changes from {before} to {after}.",
    "edge_added": "The connection {place} was added.",
    "edge_removed": "The connection {place} was removed.",
    "setting_changed": "{place} changes from {before} to {after}.",
}
