"""The user's guide: every name in bold is on the screens in that language, every link leads somewhere, every page is there in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from locales.texts import texts

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
LANGUAGES = ("en", "de")
PAGES = sorted((language, page) for language in LANGUAGES for page in (GUIDE / language).glob("*.md"))
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
pages = pytest.mark.parametrize(("language", "page"), PAGES, ids=[f"{language}/{page.name}" for language, page in PAGES])


def names(text: str) -> Iterator[str]:
    """The names in bold, one for each part of a path (`Settings → Users`)."""
    for bold in re.findall(r"\*\*(.+?)\*\*", FENCE.sub("", text)):
        yield from bold.split(" → ")


@cache
def german() -> Mapping[str, str]:
    """What the English pages say -> what the German ones say."""
    return texts()


def unknown(language: str, text: str) -> list[str]:
    """The names that no page says in that language."""
    said = set(german() if language == "en" else german().values())
    return [name for name in names(text) if name not in said]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path) -> list[str]:
    """The links of a page that lead to no file or no heading."""
    found = []
    for link in re.findall(r"\]\(([^)]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pages
def test_every_name_in_bold_is_on_the_screens(language: str, page: Path) -> None:
    assert unknown(language, page.read_text("utf-8")) == []


@pages
def test_every_link_leads_somewhere(language: str, page: Path) -> None:
    assert dead(page) == []


@pages
def test_the_first_page_leads_to_every_other(language: str, page: Path) -> None:
    assert page.name == "README.md" or f"({page.name})" in (GUIDE / language / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted({page.name for _, page in PAGES}))
def test_every_page_names_the_same_in_both_languages(name: str) -> None:
    """So that a page which is changed in one language is changed in the other."""
    english, translated = (set(names((GUIDE / one / name).read_text("utf-8"))) for one in LANGUAGES)
    assert {german()[said] for said in english} == translated


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n\n**Settings → Uzers**, [here](#one-thing), [there](#two), [away](other.md), [itself](page.md#one-thing)\n", "utf-8"
    )
    assert unknown("en", page.read_text("utf-8")) == ["Uzers"]
    assert unknown("de", "**Einstellungen → Benutzer**, **Settings**") == ["Settings"]
    assert dead(page) == ["#two", "other.md"]


def test_the_readme_leads_to_the_guide_in_both_languages() -> None:
    readme = (GUIDE.parents[1] / "README.md").read_text("utf-8")
    assert [language for language in LANGUAGES if f"(docs/guide/{language}/README.md)" not in readme] == []
