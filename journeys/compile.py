"""From a document to a program: edges resolved, nodes read, nothing left to look up by name. Pure and quick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from journeys.document import Entry, Exit, Goal, Journey, Settings
from journeys.errors import Invalid
from journeys.graph import build
from journeys.nodes import Node, Palette
from journeys.rules import Rule


@dataclass(frozen=True)
class Program:
    """A journey ready to run. `next` maps (node id, outlet) to a node id and is complete: every outlet leads somewhere."""

    journey: Journey
    nodes: Mapping[str, Node]
    next: Mapping[tuple[str, str], str]
    start: str

    @property
    def key(self) -> str:
        return self.journey.key

    @property
    def settings(self) -> Settings:
        return self.journey.settings

    @property
    def entry(self) -> Entry:
        return self.journey.entry

    @property
    def exit_when(self) -> tuple[Exit, ...]:
        return self.journey.exit_when

    @property
    def goal(self) -> Goal | None:
        return self.journey.goal

    @cached_property
    def behaviours(self) -> frozenset[str]:
        """`kind@behaviour` of every node: what a worker must know to run this program."""
        return frozenset(f"{node.kind}@{node.behaviour}" for node in self.nodes.values())

    def effect_after(self, node_id: str) -> str | None:
        """The channel of the call that is certain to follow once the wait at this node ends by time; None when it takes a decision."""
        outlet = self.nodes[node_id].leaves_wait_through
        return self.nodes[self.next[node_id, outlet]].effect_channel if outlet is not None else None

    def rules(self) -> Iterable[tuple[str | None, str, Rule]]:
        """(node id or None for the document, dotted field path, rule): entry filter, schedules, exits and every node's."""
        yield from document_rules(self.journey)
        for node_id, node in self.nodes.items():
            for path, rule in node.rules():
                yield node_id, path, rule


def document_rules(journey: Journey) -> Iterable[tuple[None, str, Rule]]:
    """The rules on the contact that stand outside the nodes."""
    if journey.entry.filter is not None:
        yield None, "entry.filter", journey.entry.filter
    for i, trigger in enumerate(journey.entry.triggers):
        yield from ((None, f"entry.triggers.{i}.{path}", rule) for path, rule in trigger.rules())
    for i, leaving in enumerate(journey.exit_when):
        if leaving.rule is not None:
            yield None, f"exit_when.{i}.rule", leaving.rule


def compile_journey(journey: Journey, palette: Palette, pinned: Iterable[str] = ()) -> Program:
    """The program of `journey`.

    `pinned` names the `kind@behaviour` of a published version; kinds not named run with their newest behaviour.

    Raises:
        Invalid: the drawing has errors; lists them all.
    """
    graph = build(journey, palette, behaviours_of(pinned))
    errors = [issue for issue in graph.issues if issue.severity == "error"]
    if errors or graph.start is None:
        raise Invalid(
            "The journey “{key}” has {count} problems, the first: {problem}", errors, key=journey.key, count=len(errors), problem=errors[0]
        )
    return Program(journey, graph.nodes, graph.next, graph.start)


def behaviours_of(pinned: Iterable[str]) -> dict[str, int]:
    """Kind -> behaviour, of the `kind@behaviour` that a version is pinned to."""
    return {kind: int(number) for kind, _, number in (behaviour.rpartition("@") for behaviour in pinned)}
