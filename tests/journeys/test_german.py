"""Everything a marketer reads in the builder speaks German too, with the same placeholders."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po

from journeys.nodes import BUILT_IN, Node
from journeys.rules.terms import TERMS, Term
from journeys.rules.terms.shape import OPERATORS, widgets
from journeys.templates import AIMS, gallery
from tests.untranslated import wanted

ROOT = Path(__file__).parents[2]
PLACEHOLDER = re.compile(r"(?<!\{)\{\w+\}(?!\})")
PAGES = (
    "check",
    "graph",
    "reading",
    "cron",
    "diff",
    "labels",
    "unfinished",
    "rules/check",
    "rules/operands",
    "rules/period",
    "rules/aggregate",
    "nodes/palette",
)
SENTENCES = {"text", "_SENTENCES", "_NO_NUMBER", "_UNFIT", "_UNKNOWN", "_EXPECTED", "EXPECTED"}
"""Names under which these files keep message ids."""


def test_every_text_of_the_catalogue_is_there_once_with_its_german() -> None:
    """Two changes that were merged line by line leave halves of entries behind, which readers of such files pass over in silence."""
    text = (ROOT / "locales" / "de" / "LC_MESSAGES" / "pfadwerk.po").read_text()
    entries = [re.sub(r"^#.*\n?", "", entry, flags=re.MULTILINE).strip() for entry in re.split(r"\n{2,}", text)]
    whole = re.compile(r'msgid (".*"\n)+(msgid_plural (".*"\n)+)?(msgstr(\[\d\])? ".*"(\n".*")*\n?)+')
    assert [entry for entry in entries if entry and not whole.fullmatch(entry)] == []
    counted = Counter(entry.partition("\nmsgstr")[0] for entry in entries if entry)
    assert [entry for entry, times in counted.items() if times > 1] == []


@pytest.fixture(scope="module")
def german() -> dict[str, str]:
    with (ROOT / "locales" / "de" / "LC_MESSAGES" / "pfadwerk.po").open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file, locale="de") if message.id and message.string}


def missing(german: dict[str, str], texts: Iterator[str | None]) -> list[str]:
    def told(text: str) -> bool:
        return text in german and sorted({*PLACEHOLDER.findall(text)}) == sorted({*PLACEHOLDER.findall(german[text])})

    return [text for text in texts if text and not told(text)]


def of_kind(kind: type[Node]) -> Iterator[str | None]:
    yield kind.label
    yield from kind.help()
    yield kind.keywords
    for ready in kind.ready:
        yield from (ready.label, ready.help, ready.keywords)
    for field in kind.form()["properties"].values():
        yield field.get("title")
        yield field.get("description")
        yield from field.get("examples", ())


def of_term(kind: type[Term]) -> Iterator[str | None]:
    yield kind.label
    yield from kind.ready("w1")
    for widget in widgets(kind.shape):
        yield from (getattr(widget, name, None) for name in ("text", "label", "any", "heading"))
        yield from (text for name in ("choices", "former") for _, text in getattr(widget, name, ()))
    yield from OPERATORS.values()


def of_gallery() -> Iterator[str | None]:
    for aim in AIMS:
        yield aim.title
        yield aim.about
    for entry in gallery():
        yield entry.name
        yield entry.description
        yield from (node.get("name") for node in entry.document["nodes"].values())


def of_file(path: Path) -> Iterator[str | None]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if (value := _said(node)) is not None:
            yield from _texts(value)


def _said(node: ast.AST) -> ast.AST | None:
    """What holds message ids: `text=…` in a call, or a value under one of the names."""
    if isinstance(node, ast.keyword):
        return node.value if node.arg == "text" else None
    named = isinstance(node, ast.Assign | ast.AnnAssign) and _names(node) & SENTENCES
    return node.value if named and isinstance(node, ast.Assign | ast.AnnAssign) else None


def _names(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _texts(value: ast.AST) -> Iterator[str]:
    """Sentences only; keys of tables are single words."""
    for part in ast.walk(value):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.endswith((".", "?")):
            yield part.value


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.kind)
def test_a_kind_explains_itself_in_german(kind: type[Node], german: dict[str, str]) -> None:
    lacking = missing(german, of_kind(kind))
    assert lacking == [], wanted(lacking)


def test_the_gallery_is_told_in_german(german: dict[str, str]) -> None:
    lacking = missing(german, of_gallery())
    assert lacking == [], wanted(lacking)


@pytest.mark.parametrize("kind", TERMS.all, ids=lambda kind: kind.kind)
def test_a_condition_is_edited_in_german(kind: type[Term], german: dict[str, str]) -> None:
    lacking = missing(german, of_term(kind))
    assert lacking == [], wanted(lacking)


@pytest.mark.parametrize(
    "page",
    [
        *PAGES,
        *sorted({f"nodes/{kind.__module__.rpartition('.')[2]}" for kind in BUILT_IN}),
        *(f"rules/terms/{kind.kind}" for kind in TERMS),
    ],
)
def test_problems_are_said_in_german(page: Any, german: dict[str, str]) -> None:
    lacking = missing(german, of_file(ROOT / "journeys" / f"{page}.py"))
    assert lacking == [], wanted(lacking)
