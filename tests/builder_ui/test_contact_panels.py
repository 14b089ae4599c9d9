"""The sides of a contact are files in one list: the page walks it and knows none by name, and one from outside works everywhere on it."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from sqlalchemy.orm import Session

from builder_ui.contacts import detail
from builder_ui.contacts.panels import PANELS, Panel
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from models import Contact
from tests.axes import ROOT, sources, unwanted
from tests.builder_ui.test_pages import say

FOLDER = "builder_ui/contacts/panels/"


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> str:
    return f"{contact.first_name} takes it {'with milk' if opened else 'black'}"


def drawn(context: PageContext, contact: Contact, cup: str, acts: Acts) -> Element:
    return html.p(cup)


def warned(context: PageContext, contact: Contact, cup: str, acts: Acts) -> Element:
    return html.p("No more coffee")


COFFEE = Panel("coffee", "Coffee", load, drawn, drawn, warned, count=len, offered=lambda cup: "Ben" not in cup)


@pytest.fixture
def coffee(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel is named in the list."""
    monkeypatch.setattr(detail, "PANELS", (*PANELS, COFFEE))


@pytest.mark.usefixtures("coffee")
def test_a_panel_from_outside_has_its_box_its_tab_and_its_notice(log_in: Any, opened: Any, town: Any) -> None:
    client, address = log_in("viewer"), f"/ui/contacts/{town.people['Anna']}"
    beside = say(opened, client, address)
    assert "No more coffee" in beside
    assert "Coffee Anna takes it black" in beside
    assert "Coffee 19" in beside, "its tab with a number"
    assert "Anna takes it with milk" in say(opened, client, f"{address}?view=coffee")
    assert "Coffee 18" not in say(opened, client, f"/ui/contacts/{town.people['Ben']}"), "no tab where there is nothing to offer"


def test_a_view_that_is_closed_to_somebody_has_no_tab_and_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, log_in: Any, opened: Any, town: Any
) -> None:
    closed = Panel("coffee", "Coffee", load, None, drawn, may_open=lambda context, contact: context.may("contact.erase"))
    monkeypatch.setattr(detail, "PANELS", (*PANELS, closed))
    address = f"/ui/contacts/{town.people['Anna']}?view=coffee"
    assert "with milk" in say(opened, log_in("admin"), address)
    shown = say(opened, log_in("viewer"), address)
    assert "Coffee" not in shown
    assert "Anna takes it" not in shown
    assert "Search timeline" not in shown, "a placeholder, no text"
    assert "Everything" in shown, "the first view instead"


def test_what_its_stamp_says_draws_the_page_again(monkeypatch: pytest.MonkeyPatch, log_in: Any, opened: Any, town: Any) -> None:
    cups = ["one"]
    poured = Panel("coffee", "Coffee", lambda *_: cups[-1], drawn, stamp=lambda session, contact: cups[-1])
    monkeypatch.setattr(detail, "PANELS", (*PANELS, poured))
    with opened(log_in("viewer"), f"/ui/contacts/{town.people['Anna']}") as page:
        assert "Coffee one" in page.text
        cups.append("two")
        page.see()
        assert "Coffee two" in page.text


def test_every_file_of_the_folder_is_in_the_list_once() -> None:
    files = {file.stem for file in (ROOT / FOLDER).glob("*.py")} - {"__init__", "panel"}
    listed = [
        node.value.id
        for node in ast.walk(ast.parse((ROOT / FOLDER / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "PANEL" and isinstance(node.value, ast.Name)
    ]
    assert sorted(listed) == sorted(files)
    assert len({one.key for one in PANELS}) == len(PANELS)


def test_no_other_file_names_a_panel() -> None:
    names = {f"{FOLDER.replace('/', '.')}{file.stem}" for file in (ROOT / FOLDER).glob("*.py")} - {FOLDER.replace("/", ".") + "panel"}
    found = {
        file: [
            f"{node.lineno}: {ast.unparse(node)}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and names & _imported(node)
        ]
        for file, tree in sources(FOLDER).items()
    }
    found = {file: places for file, places in found.items() if places}
    assert found == {}, unwanted(found, "Let the panel answer instead, by a field of `Panel` that the page asks:")


def _imported(node: ast.ImportFrom) -> set[str]:
    return {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
