from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings

from journeys.compile import compile_journey
from journeys.document import Journey
from journeys.errors import Invalid
from journeys.nodes import Node, Palette
from journeys.nodes.wait import Wait
from journeys.reading import read
from tests.journeys.graphs import documents


def document(**nodes: Any) -> Journey:
    """A chain of the nodes in order, with an exit at its end."""
    ids = [*nodes, "end"]
    edges = []
    for source, to in pairwise(ids):
        parsed = Palette.built_in().parse(source, nodes[source])
        outlets = parsed.outlets() if isinstance(parsed, Node) else ("next",)
        edges += [{"from": source, "outlet": outlet, "to": to} for outlet in outlets]
    return Journey.model_validate({"key": "j", "name": "J", "start": ids[0], "nodes": {**nodes, "end": {"kind": "exit"}}, "edges": edges})


WAIT = {"kind": "wait", "duration": "PT1H"}
MAIL = {"kind": "send_email", "template": "mail"}
ASK = {"kind": "if_else", "rule": {"tag": "vip"}}


def test_a_program_names_the_behaviours_it_needs() -> None:
    program = compile_journey(document(a=WAIT, b=MAIL), Palette.built_in())
    assert program.behaviours == {"wait@1", "send_email@1", "exit@1"}


def test_the_call_after_a_plain_wait_is_foretold() -> None:
    program = compile_journey(document(a=WAIT, b=MAIL, c=WAIT, d=ASK, e=MAIL), Palette.built_in())
    assert {node_id: program.effect_after(node_id) for node_id in program.nodes} == {
        "a": "email",
        "b": None,
        "c": None,
        "d": None,
        "e": None,
        "end": None,
    }


def test_the_rules_of_nodes_and_document_are_listed() -> None:
    journey = document(a=ASK).model_copy(
        update={"entry": Journey.model_validate({"key": "x", "name": "X", "entry": {"filter": {"tag": "new"}}}).entry}
    )
    program = compile_journey(journey, Palette.built_in())
    assert [(node_id, path) for node_id, path, _ in program.rules()] == [(None, "entry.filter"), ("a", "rule")]


def test_a_draft_with_errors_is_refused_with_all_of_them() -> None:
    with pytest.raises(Invalid, match="2 problems") as refused:
        compile_journey(document(a={"kind": "wiat"}, b={**WAIT, "duration": "x"}), Palette.built_in())
    assert [(issue.node_id, issue.code) for issue in refused.value.issues] == [("a", "unknown_kind"), ("b", "time_delta_parsing")]


class LongWait(Wait):
    """The same kind with another behaviour."""

    behaviour: ClassVar[int] = 2


def test_a_published_version_keeps_its_behaviours() -> None:
    palette = Palette.built_in().with_kinds(LongWait)
    new = compile_journey(document(a=WAIT), palette)
    old = compile_journey(document(a=WAIT), palette, pinned={"wait@1", "exit@1"})
    assert (type(new.nodes["a"]), type(old.nodes["a"])) == (LongWait, Wait)
    assert "wait@2" in new.behaviours
    assert "wait@1" in old.behaviours


def test_a_behaviour_that_this_installation_lacks_is_refused() -> None:
    with pytest.raises(Invalid):
        compile_journey(document(a=WAIT), Palette.built_in(), pinned={"wait@9"})


def test_two_classes_cannot_be_one_behaviour() -> None:
    class Impostor(Wait):
        """Claims to be the wait."""

    with pytest.raises(ValueError, match="are both wait@1"):
        Palette.built_in().with_kinds(Impostor)


@settings(max_examples=40, deadline=None)
@given(documents(cycles=True))
def test_every_outlet_of_a_program_leads_to_a_node(raw: dict[str, Any]) -> None:
    program = compile_journey(read(raw), Palette.built_in())
    for node_id, node in program.nodes.items():
        assert all(program.next[node_id, outlet] in program.nodes for outlet in node.outlets())
