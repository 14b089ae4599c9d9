from __future__ import annotations

import sys
from pathlib import Path

import pytest

from activities.custom.discovery import load_custom
from journeys.custom import ActivityContext, GiveUp
from journeys.errors import Misconfigured

ACTIVITY = '''
from __future__ import annotations
from pydantic import BaseModel
from journeys.custom import activity

class Greeting(BaseModel):
    word: str

@activity(name="{name}", title="Greet", version={version})
def greet(ctx, input: Greeting) -> str:
    """Greets."""
    return "next"
'''
VISIT = ActivityContext(run_id="r", contact_id="c", journey="j", node_id="n", idempotency_key="r:n:1")


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def installed(folder: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package as pip leaves it: code beside a dist-info that names an entry point."""
    info = folder / "greetings-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pfadwerk.activities]\ngreet = {value}\n")
    monkeypatch.syspath_prepend(str(folder))


def test_files_of_a_folder_are_loaded(tmp_path: Path) -> None:
    write(tmp_path, "greet.py", ACTIVITY.format(name="greet", version=1))
    write(tmp_path, "wave.py", ACTIVITY.format(name="wave", version=1))
    write(tmp_path, "_draft.py", "raise RuntimeError")
    found = load_custom([tmp_path])
    assert [custom.name for custom in found] == ["greet", "wave"]
    assert found[0].perform(VISIT, {"word": "hello"}).outlet == "next"


def test_a_folder_shadows_no_module(tmp_path: Path) -> None:
    before = list(sys.path)
    write(tmp_path, "json.py", ACTIVITY.format(name="greet", version=1))
    load_custom([tmp_path])
    import json

    assert sys.path == before
    assert json.dumps({}) == "{}"


SHARED = ACTIVITY.replace("from pydantic", "from .tariff import PRICES\nfrom .parts.lines import LINE\nfrom pydantic").replace(
    'return "next"', 'return {{**PRICES, "line": LINE}}[input.word]'
)


def share(folder: Path, price: str) -> None:
    write(folder, "greet.py", SHARED.format(name="greet", version=1))
    write(folder, "tariff.py", f"PRICES = {{'hello': '{price}'}}")
    write(folder / "parts", "lines.py", "LINE = 'next'")


def test_files_of_a_folder_share_what_is_beside_them(tmp_path: Path) -> None:
    share(tmp_path, "next")
    before = list(sys.path)
    [greet] = load_custom([tmp_path])
    assert greet.perform(VISIT, {"word": "hello"}).outlet == "next"
    assert greet.perform(VISIT, {"word": "line"}).outlet == "next"
    assert sys.path == before
    assert not {"tariff", "parts", "greet"} & set(sys.modules)


def test_two_folders_have_files_of_the_same_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        share(tmp_path / name, "next" if name == "one" else "elsewhere")
    (tmp_path / "two" / "greet.py").write_text(SHARED.format(name="wave", version=1))
    greet, wave = load_custom([tmp_path / "one", tmp_path / "two"])
    assert greet.perform(VISIT, {"word": "hello"}).outlet == "next"
    with pytest.raises(GiveUp, match="bad_answer"):
        wave.perform(VISIT, {"word": "hello"})


def test_a_folder_is_read_afresh(tmp_path: Path) -> None:
    share(tmp_path, "elsewhere")
    load_custom([tmp_path])
    (tmp_path / "tariff.py").write_text("PRICES = {'hello': 'next', 'more': 'than before'}")
    [greet] = load_custom([tmp_path])
    assert greet.perform(VISIT, {"word": "hello"}).outlet == "next"


def test_a_file_that_nobody_beside_it_imports_needs_an_activity(tmp_path: Path) -> None:
    share(tmp_path, "next")
    alone = write(tmp_path, "alone.py", "X = 1")
    with pytest.raises(Misconfigured, match=r"no custom activity in .*alone\.py"):
        load_custom([tmp_path])
    alone.unlink()
    (tmp_path / "tariff.py").write_text("raise RuntimeError('out of order')")
    with pytest.raises(Misconfigured, match="out of order"):
        load_custom([tmp_path])


@pytest.mark.parametrize("name", ["my-step.py", "a.b.py", "2nd.py"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, ACTIVITY.format(name="greet", version=1))
    assert [custom.name for custom in load_custom([tmp_path])] == ["greet"]


def test_installed_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "greetings_for_the_test.py", ACTIVITY.format(name="greet", version=2))
    installed(tmp_path, "greetings_for_the_test", monkeypatch)
    assert [(custom.name, custom.version) for custom in load_custom()] == [("greet", 2)]


def test_an_entry_point_may_name_the_activity_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "greetings_by_name.py", ACTIVITY.format(name="greet", version=1))
    installed(tmp_path, "greetings_by_name:greet", monkeypatch)
    assert [custom.name for custom in load_custom()] == ["greet"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "no custom activity in"),
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
        (ACTIVITY.format(name="Greet It", version=1), "expected name"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, "greet.py", text)
    with pytest.raises(Misconfigured) as refused:
        load_custom([tmp_path])
    assert str(file) in str(refused.value)
    assert said in str(refused.value)


def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "greetings_that_are_not_there", monkeypatch)
    with pytest.raises(Misconfigured, match="greetings_that_are_not_there of the package greetings"):
        load_custom()


def test_the_same_name_twice_names_both_files(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "greet.py", ACTIVITY.format(name="greet", version=1))
    other = write(tmp_path / "other", "greet.py", ACTIVITY.format(name="greet", version=1))
    with pytest.raises(Misconfigured) as refused:
        load_custom([one.parent, other.parent])
    assert str(one) in str(refused.value)
    assert str(other) in str(refused.value)


def test_another_version_may_stand_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "greet1.py", ACTIVITY.format(name="greet", version=1))
    write(tmp_path, "greet2.py", ACTIVITY.format(name="greet", version=2))
    assert [custom.version for custom in load_custom([tmp_path])] == [1, 2]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="does not exist"):
        load_custom([tmp_path / "gone"])
