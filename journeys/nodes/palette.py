"""`Palette`: the kinds of step that an installation knows, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError

from journeys.errors import Issue
from journeys.nodes.built_in import BUILT_IN
from journeys.nodes.node import Node
from journeys.reading import issues_of
from journeys.rules.unfilled import unfilled


@cache
def _form(kind: type[Node]) -> Mapping[str, Any]:
    return kind.form()


class Palette:
    """Kinds by name; of each kind the newest behaviour for new versions, older ones for the runs that began on them."""

    def __init__(self, kinds: Iterable[type[Node]]) -> None:
        """Raises ValueError when two classes claim the same kind and behaviour."""
        self._behaviours: dict[tuple[str, int], type[Node]] = {}
        self._newest: dict[str, type[Node]] = {}
        for kind in kinds:
            self._add(kind)

    def _add(self, kind: type[Node]) -> None:
        name, behaviour = kind.kind, kind.behaviour
        known = self._behaviours.setdefault((name, behaviour), kind)
        if known is not kind:
            raise ValueError(f"{kind.__module__}.{kind.__name__} and {known.__module__}.{known.__name__} are both {name}@{behaviour}")
        if name not in self._newest or self._newest[name].behaviour < behaviour:
            self._newest[name] = kind

    @staticmethod
    @cache
    def built_in() -> Palette:
        """The kinds that come with Pfadwerk, in the order in which the builder shows them."""
        return Palette(BUILT_IN)

    def with_kinds(self, *kinds: type[Node]) -> Palette:
        """A palette with `kinds` as well, such as custom activities."""
        return Palette([*self._behaviours.values(), *kinds])

    def __iter__(self) -> Iterator[type[Node]]:
        return iter(self._newest.values())

    def __contains__(self, kind: str) -> bool:
        return kind in self._newest

    def __getitem__(self, kind: str) -> type[Node]:
        return self._newest[kind]

    @property
    def behaviours(self) -> frozenset[str]:
        """Every `kind@behaviour` that can be run."""
        return frozenset(f"{name}@{behaviour}" for name, behaviour in self._behaviours)

    def parse(self, node_id: str, raw: Mapping[str, Any], pinned: Mapping[str, int] | None = None) -> Node | list[Issue]:
        """The node that `raw` describes, or everything that is wrong with it. `pinned` maps a kind to the behaviour to use."""
        name = raw.get("kind")
        kind = self._kind(name, pinned or {}) if isinstance(name, str) else None
        if kind is None:
            return [self._unknown(node_id, name)]
        fields = {key: value for key, value in raw.items() if key != "kind"}
        try:
            return kind.model_validate(fields)
        except ValidationError as error:
            return [*issues_of(error, fields, node_id, _form(kind)), *unfilled(fields, node_id)]

    def _kind(self, name: str, pinned: Mapping[str, int]) -> type[Node] | None:
        return self._behaviours.get((name, pinned[name])) if name in pinned else self._newest.get(name)

    def _unknown(self, node_id: str, name: Any) -> Issue:
        if not isinstance(name, str):
            return Issue(code="kind_missing", text="A step needs a `kind`.", node_id=node_id, field="kind")
        near = get_close_matches(name, self._newest, n=1)
        text = "There is no kind of step “{name}”. Did you mean “{near}”?" if near else "There is no kind of step “{name}”."
        values = {"name": name[:80], **({"near": near[0]} if near else {})}
        return Issue(code="unknown_kind", text=text, values=values, node_id=node_id, field="kind")
