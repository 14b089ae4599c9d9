"""docs/compliance.md promises nothing that no test shows: every duty names one, and every one that is named exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compliance.md"
LAWS = ("GDPR", "UWG", "DSG", "ePrivacy", "CAN-SPAM", "TCPA", "RFC 8058", "Gmail", "Yahoo")


def duties(page: str) -> Iterator[tuple[str, str]]:
    """(duty, what shows it) of every row of the tables."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if len(cells) == 2 and cells[0] != "duty" and not cells[0].startswith("---"):
            yield cells[0], cells[1]


def missing(shown: str) -> str:
    """Why a test that is named shows nothing; empty if it is there."""
    named = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
    if named is None or not (ROOT / named[1]).is_file():
        return f"no test: {shown}"
    tree = ast.parse((ROOT / named[1]).read_text("utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return "" if named[2] in found else f"not there: {shown}"


def test_every_duty_names_a_test_that_exists() -> None:
    page = PAGE.read_text("utf-8")
    assert len(list(duties(page))) > 20
    assert [(duty, why) for duty, shown in duties(page) if (why := missing(shown))] == []
    assert all(any(law in line for line in page.splitlines() if line.startswith("## ")) for law in LAWS)
    assert "::" not in page.partition("## Not held yet")[2], "what is not held has no test to show it"


@pytest.mark.parametrize("shown", ["", "see above", "`tests/test_nothing.py::test_x`", "`tests/test_compliance.py::test_of_nobody`"])
def test_a_duty_without_its_test_is_found(shown: str) -> None:
    assert [why for _, one in duties(f"| duty | shown by |\n|---|---|\n| be good | {shown} |") if (why := missing(one))]
