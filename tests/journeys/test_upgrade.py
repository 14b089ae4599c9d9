from __future__ import annotations

import pytest

from journeys.document import SPEC
from journeys.errors import Invalid
from journeys.upgrade import STEPS, Step, upgrade


def _renamed(document: dict[str, object]) -> dict[str, object]:
    document["name"] = document.pop("title")
    return document


def _with_start(document: dict[str, object]) -> dict[str, object]:
    return document | {"start": "first"}


FAKE: dict[int, Step] = {1: _renamed, 2: _with_start}


def test_steps_lift_a_document_one_version_at_a_time() -> None:
    old = {"spec": 1, "title": "Welcome"}
    assert upgrade(old, FAKE, newest=3) == {"spec": 3, "name": "Welcome", "start": "first"}
    assert upgrade({"spec": 2, "name": "Welcome"}, FAKE, newest=3) == {"spec": 3, "name": "Welcome", "start": "first"}
    assert old == {"spec": 1, "title": "Welcome"}


def test_a_document_of_today_stays_as_it_is() -> None:
    assert upgrade({"spec": SPEC, "key": "j"}) == {"spec": SPEC, "key": "j"}
    assert upgrade({"key": "j"}) == {"key": "j"}


def test_a_newer_document_asks_for_a_newer_installation() -> None:
    with pytest.raises(Invalid, match=f"format version {SPEC + 1}, but this installation reads up to {SPEC}"):
        upgrade({"spec": SPEC + 1})


def test_a_version_without_a_step_is_refused() -> None:
    with pytest.raises(Invalid, match="can no longer be read"):
        upgrade({"spec": 1}, {2: _with_start}, newest=3)


@pytest.mark.parametrize("spec", [0, -1, "1", 1.0, True, None])
def test_a_version_is_a_whole_number(spec: object) -> None:
    with pytest.raises(Invalid, match="whole number"):
        upgrade({"spec": spec})


def test_every_older_version_has_its_step() -> None:
    assert sorted(STEPS) == list(range(1, SPEC))
