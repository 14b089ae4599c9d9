"""Changes are a file for the value and one that writes it: no other file asks which one a change is, and one from outside works everywhere."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

from crm import changes as of_contacts
from engine import changes as of_runs
from engine.interpreter.overlay import Overlay
from journeys.changes import CHANGES, Change, ChangeScore
from journeys.rules import DictFacts
from tests.axes import Axis, Tree, named, unwanted

HERE = Path(__file__).parent
CHANGE = Axis(
    classes=[one.__name__ for one in CHANGES],
    kinds=[one.kind() for one in CHANGES],
    subject=r"\bchange\b|\[.change.\]",
    built=True,
    home="journeys.changes",
)
IMPORT = "from journeys import changes\nfrom journeys.changes import AddTag, SetFields\n"


def test_every_change_is_written_in_one_place_of_its_own_name() -> None:
    kinds = {one.kind() for one in CHANGES}
    assert of_contacts.APPLY.keys() & of_runs.APPLY.keys() == set(), "a change is written in crm/changes/ or in engine/changes/"
    unwritten, unknown = kinds - {*of_contacts.APPLY, *of_runs.APPLY}, {*of_contacts.APPLY, *of_runs.APPLY} - kinds
    assert unwritten == set(), f"name {unwritten} in `_FILES` of crm/changes/__init__.py, or of engine/changes/__init__.py"
    assert unknown == set(), f"name {unknown} in `CHANGES` of journeys/changes/__init__.py"


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one.kind())
def test_a_change_is_called_like_its_file_and_explains_itself(change: type[Change]) -> None:
    assert change.__module__ == f"journeys.changes.{change.kind()}"
    assert (inspect.getdoc(change) or "").endswith(".")


def test_no_other_file_asks_which_change_it_is() -> None:
    found = named(CHANGE, "journeys/changes/")
    assert found == {}, unwanted(found, "Let the change answer instead, by a method of `Change` that these places call:")


@pytest.mark.parametrize(
    "planted",
    [
        "isinstance(one, SetFields)",
        "isinstance(one, (str, changes.AddTag))",
        "type(one) is changes.AddTag",
        "SetFields | AddTag",
        "{SetFields: write, AddTag: give}",
        "change.change == 'add_tag'",
        "raw['change'] in ('add_tag', 'remove_tag')",
        "{'add_tag': 1, 'remove_tag': 2, 'set_owner': 3}",
        "match one:\n    case SetFields(): pass",
        "match change.change:\n    case 'start_journey' | 'end_journey': pass",
    ],
)
def test_a_file_that_asks_is_found(planted: str) -> None:
    assert CHANGE.namings(ast.parse(IMPORT + planted)) != []


@pytest.mark.parametrize("allowed", ["SetFields(fields={})", "changes.AddTag(tag='vip')", "def write(change: SetFields) -> None: ..."])
def test_a_file_that_makes_or_takes_one_is_none(allowed: str) -> None:
    assert CHANGE.namings(ast.parse(IMPORT + allowed)) == []


def test_a_class_of_the_same_name_from_elsewhere_is_none() -> None:
    assert CHANGE.namings(ast.parse("from journeys.nodes.create_task import CreateTask\nisinstance(one, CreateTask)")) == []


def test_later_steps_see_what_earlier_ones_decided() -> None:
    facts = Overlay(DictFacts({"plan": "free"}, tags=["new"], scores={"fit": 10}))
    decided: list[dict[str, Any]] = [
        {"change": "set_fields", "fields": {"plan": "pro", "city": None}},
        {"change": "add_tag", "tag": "vip"},
        {"change": "remove_tag", "tag": "new"},
        {"change": "change_score", "group": "fit", "points": 5},
        {"change": "set_owner", "owner": "kim", "pool": "sales"},
        {"change": "create_task", "id": "r:n:1", "title": "Call"},
        {"change": "start_journey", "id": "r:n:1", "journey": "welcome"},
        {"change": "end_journey", "journey": "welcome"},
    ]
    by_kind = {one.kind(): one for one in CHANGES}
    assert [each["change"] for each in decided] == list(by_kind), "`decided` has a line for each change, in the order of `CHANGES`"
    facts.apply([by_kind[each["change"]].model_validate(each) for each in decided])
    assert facts.changed == {"plan": "pro", "city": None, "owner": "kim"}
    assert (facts.has_tag("vip"), facts.has_tag("new"), facts.score("fit")) == (True, False, 15)
    facts.apply([ChangeScore(group="fit", points=3, absolute=True)])
    assert facts.score("fit") == 3


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a product says that has two more changes, one of a contact and one of a run: two files and two lines for each."""
    tree = Tree.of(tmp_path_factory.mktemp("product"), "journeys", "crm", "engine")
    for file in sorted((HERE / "toys").glob("*/*.py")):
        tree.write(f"{file.parent.name}/changes/{file.name}", file.read_text("utf-8"))
    for toy, name, room in (("speak", "Speak", "crm"), ("wake_run", "WakeRun", "engine")):
        tree.add("journeys/changes/__init__.py", "CHANGES", name, f"from journeys.changes.{toy} import {name}")
        tree.add(f"{room}/changes/__init__.py", "_FILES", toy, f"from {room}.changes import {toy}")
    return tree.ask(HERE / "toys" / "story.py")


def test_it_is_a_change_like_any_other(told: Any) -> None:
    assert told["kinds"][-2:] == ["speak", "wake_run"]
    assert ("speak" in told["written"]["crm"], "wake_run" in told["written"]["engine"]) == (True, True)
    assert told["again"] == ["Speak", "WakeRun"]


def test_the_simulator_lets_later_steps_see_it(told: Any) -> None:
    outlets = [["wait", "next"], ["greet", "next"], ["asked", "yes"]]
    assert told["simulated"] == {"outlets": outlets, "changes": ["speak", "wake_run"], "ended": "completed"}


def test_the_engine_writes_it_in_the_step_and_routes_its_events(told: Any) -> None:
    lived = told["lived"]
    assert (lived["node"], lived["ended"], lived["locale"], lived["woken"]) == ("french", True, "fr", True)
    assert lived["event"] == [["locale"], 1, True, True]
