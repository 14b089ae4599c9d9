"""`pfadwerk audit check`: the chain, anew, with the keys of the settings."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from commands.workspace import engine
from settings import Settings
from workspace import audit


@pytest.fixture
def home(demo):
    with engine(Settings(home=demo)) as live, live.db.write() as session:
        audit.record(session, "cli", "x.y", "s", {})
    return demo


def change(home, statement):
    with engine(Settings(home=home)) as live, live.db.write() as session:
        session.execute(text(statement))


def test_a_whole_trail_is_0_and_says_its_head(run, home):
    ran = run("audit", "check")
    assert ran.code == 0
    assert "Audit trail verified. Sealed from line 1 on." in ran.out
    state = json.loads(run("audit", "check", "--json").out)
    assert state["head"] in ran.out
    assert run("audit", "check", "--head", state["head"]).code == 0


def test_a_broken_one_is_1_and_names_the_line(run, home):
    head = json.loads(run("audit", "check", "--json").out)["head"]
    change(home, "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)")
    assert run("audit", "check").code == 0
    ran = run("audit", "check", "--head", head)
    assert ran.code == 1
    assert "lines were cut off from there on" in ran.out
    change(home, "UPDATE audit SET actor = 'nobody' WHERE id = 1")
    assert "The chain is broken at line 1." in run("audit", "check").out
    assert run("audit", "check", "--head", "7").code == 1


def test_another_key_is_said_plainly(run, home, monkeypatch):
    monkeypatch.setenv("PFADWERK_SECRET_KEY", f"k9:{'x' * 40}")
    ran = run("audit", "check")
    assert ran.code == 1
    assert "which this server does not have. Put the key back into PFADWERK_SECRET_KEY." in ran.out
