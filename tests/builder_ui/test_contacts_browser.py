"""In Chromium: an import from the upload to the file of faulty rows, people chosen by the dozen, and tasks on a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from settings import Settings
from tests.builder_ui.browsing import Enter, complaints


@pytest.fixture
def page(served: None, enter: Enter) -> Page:
    return enter("admin")


FILE = (
    "E-Mail;Vorname;Kundennummer;Einwilligung;Umsatz;Geburtstag\r\n"
    "nora@example.org;Nora;k1;ja;1.234;31.12.1990\r\n"
    "nonsense;Otto;k2;ja;7;1.2.90\r\n"
    "anna@mail.example.org;Anna;k3;nein;;\r\n"
    "paula@example.org;Päula;;vielleicht;;\r\n"
)
PHONE = {"width": 390, "height": 844}


def test_an_import_from_the_file_to_its_faulty_rows(page: Page, town: Any, tmp_path: Path, settings: Settings) -> None:
    heard = complaints(page)
    file = tmp_path / "leute.csv"
    file.write_bytes(FILE.encode("cp1252"))
    page.get_by_role("link", name="Contacts").click()
    page.get_by_role("link", name="Import").click()
    field = page.get_by_label(re.compile("File"))
    field.evaluate("field => { field.dataset.mostBytes = '10'; }")
    field.set_input_files({"name": "big.csv", "mimeType": "text/csv", "buffer": b"email\n" * 10})
    page.get_by_role("button", name="Upload and continue").click()
    assert "The file is too large." in field.evaluate("field => field.validationMessage")
    field.evaluate("(field, most) => { field.dataset.mostBytes = most; }", str(settings.max_import_bytes))
    field.set_input_files(file)
    page.get_by_role("button", name="Upload and continue").click()
    expect(page.get_by_text("4 rows. Check how each column is mapped")).to_be_visible()
    expect(page.get_by_label("Becomes: Vorname")).to_have_value("first_name")
    expect(page.get_by_label("Encoding")).to_have_value("cp1252")
    expect(page.get_by_label("Date order")).to_have_value("dmy")
    expect(page.get_by_label("Decimal sign")).to_have_value("")
    preview = page.get_by_role("table", name="Preview of the first rows")
    expect(preview.get_by_text("This may be thousands or decimals; choose the decimal sign.").first).to_be_visible()
    page.get_by_label("Decimal sign").select_option(label="comma: 1.234,50")
    page.get_by_label("Becomes: Einwilligung").select_option(label="E-mail (marketing): yes or no")
    page.get_by_label("Other target: Kundennummer").fill("external:shop")
    page.get_by_role("button", name="Preview the rows").click()
    expect(preview.get_by_role("row", name=re.compile("1.234 → 1,234"))).to_be_visible()
    page.get_by_label(re.compile("Source of the consents")).fill("Messe Basel")
    page.get_by_role("button", name="Continue with a dry run").click()
    expect(page.get_by_text("This is what would happen. Nothing has been stored yet.")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("row", name=re.compile("3 E-Mail This is not an e-mail address"))).to_be_visible()
    page.get_by_role("button", name="Import 4 rows").click()
    expect(page.get_by_text("The file is imported.")).to_be_visible(timeout=30_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download rows with problems").click()
    assert "nonsense" in download.value.path().read_text("utf-8-sig")
    page.get_by_role("link", name="View contacts").click()
    expect(page.get_by_role("link", name="Nora")).to_be_visible()
    assert heard == []


def test_tasks_on_a_phone(page: Page, town: Any) -> None:
    heard = complaints(page)
    page.set_viewport_size(PHONE)
    page.goto("/ui/tasks?owner=all")
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Call Julia Frei"))
    take = card.get_by_role("button", name="Take")
    box = take.bounding_box()
    assert box is not None
    assert box["height"] >= 44, "a thumb finds it"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "nothing sticks out"
    take.click()
    expect(card.get_by_text("Taken", exact=True)).to_be_visible()
    card.get_by_text("Finish", exact=True).click()
    card.get_by_role("textbox", name="Note").fill("Ruft zurück.")
    done = card.get_by_role("button", name="qualified")
    box = done.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    done.click()
    expect(page.get_by_role("heading", name="Call Julia Frei")).to_have_count(0)
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("Ruft zurück.")).to_be_visible()
    assert heard == []


def test_many_are_chosen_tagged_and_untagged(page: Page, context: BrowserContext, town: Any) -> None:
    heard = complaints(page)
    page.goto("/ui/contacts")
    page.get_by_role("checkbox", name="Choose Anna Meier").check()
    page.get_by_role("checkbox", name="Choose Ben Huber").check()
    bar = page.get_by_role("region", name="With selected")
    expect(bar.get_by_text("2 selected")).to_be_visible()
    bar.get_by_text("Tags", exact=True).click()
    bar.get_by_label("Name of the tag").fill("fair")
    bar.get_by_role("button", name="Add tag").click()
    expect(page.get_by_text("Tag added.")).to_be_visible()
    bar.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Tag removed.")).to_be_visible()
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("In the journey").select_option(label="Welcome")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.get_by_text("In the journey “Welcome”")).to_be_visible()
    page.get_by_role("link", name="Remove filter: In the journey “Welcome”").click()
    expect(page.get_by_text("12 contacts")).to_be_visible()
    assert heard == []
