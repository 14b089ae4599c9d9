"""`pfadwerk check`: problems with file, step and field, against the workspace or what is built in."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from journeys.templates import KEYS, gallery

GALLERY = Path(__file__).parents[2] / "journeys" / "templates"


def document(**changes: object) -> dict[str, object]:
    return {
        "spec": 1,
        "key": "trial",
        "name": "Trial",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": "hello",
        "nodes": {"hello": {"kind": "send_email", "template": "welcome-1-hello"}, "end": {"kind": "exit"}},
        "edges": [{"from": "hello", "outlet": "sent", "to": "end"}],
        **changes,
    }


@pytest.fixture
def file(tmp_path):
    def write(name: str = "trial.json", **changes: object) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(document(**changes)))
        return path

    return write


def test_the_gallery_has_no_errors_but_for_fields_that_come_with_it(run):
    """In a file nobody says that a birthday is a field; a workspace learns it when it takes the journey."""
    files = sorted(GALLERY.glob("*/journey.json"))
    assert [file.parent.name for file in files] == sorted(KEYS)
    ran = run("check", *files, "--json")
    answer = json.loads(ran.out)
    assert answer["checked_against"] == "built_in"
    found = {one["key"]: {issue["code"] for issue in one["issues"] if issue["severity"] == "error"} for one in answer["files"]}
    assert found == {entry.key: {"unknown_field"} if entry.fields else set() for entry in gallery()}


def test_every_problem_is_told_with_its_place(run, file):
    nodes = {"hello": {"kind": "send_email", "template": "welcome-1-hello"}, "lost": {"kind": "wait", "duration": "later"}}
    path = file(nodes=nodes)
    ran = run("check", path)
    assert ran.code == 1
    assert f"{path}: lost.duration: error: " in ran.out
    assert "Errors:" in ran.out


def test_warnings_alone_are_no_failure(run, file):
    ran = run("check", file(entry={"triggers": [{"type": "event", "event": "Never Heard Of"}]}))
    assert ran.code == 0
    assert "entry.triggers.0.event: warning: " in ran.out


def test_the_workspace_knows_its_templates(run, demo, file):
    assert run("check", file()).code == 0
    nodes = {"hello": {"kind": "send_email", "template": "welcome-1-helo"}, "end": {"kind": "exit"}}
    ran = run("check", file(nodes=nodes))
    assert ran.code == 1
    assert "“welcome-1-hello”?" in ran.out


def test_templates_and_journeys_beside_the_file_count(run, demo, file, tmp_path):
    folder = tmp_path / "templates" / "brand-new"
    folder.mkdir(parents=True)
    (folder / "template.json").write_text(json.dumps({"name": "Brand new"}))
    nodes = {
        "hello": {"kind": "send_email", "template": "brand-new"},
        "then": {"kind": "start_journey", "journey": "second"},
        "end": {"kind": "exit"},
    }
    edges = [{"from": "hello", "outlet": "sent", "to": "then"}, {"from": "then", "to": "end"}]
    first, second = file(nodes=nodes, edges=edges), file("second.json", key="second")
    assert run("check", first).code == 1
    assert run("check", first, second).code == 0


def test_a_partial_beside_the_file_is_no_message(run, demo, file, tmp_path):
    folder = tmp_path / "templates" / "footer"
    folder.mkdir(parents=True)
    (folder / "template.json").write_text(json.dumps({"name": "Footer", "kind": "partial"}))
    ran = run("check", file(nodes={"hello": {"kind": "send_email", "template": "footer"}, "end": {"kind": "exit"}}))
    assert ran.code == 1
    assert "This is a partial" in ran.out


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"spec": 99}', '{"key": 1}', "\x00", "[" * 5_000])
def test_what_is_no_document_is_a_problem_of_the_file(run, tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    ran = run("check", path)
    assert ran.code == 1
    assert ran.out.startswith(f"{path}: ")
    assert ran.err == ""


def test_standard_input(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(document()).encode())))
    ran = run("check", "-", "--json")
    assert json.loads(ran.out)["files"][0]["key"] == "trial"
