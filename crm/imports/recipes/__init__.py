"""Exports of other programs, by their headers: one JSON file each says what the columns become and what the file means for consent.

A recipe is a proposal: it fills in what nobody has chosen, is named where the file is looked at, and can be switched off. Adding one is adding
a file. Headers are compared as slugs (`crm.imports.cells.slug_of`), so that case, spaces and punctuation do not matter; exports whose headers
are translated list both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from crm.imports.cells import slug_of
from crm.imports.columns import may_be_shared
from crm.imports.reading import Reading


class Recipe(BaseModel):
    """`all_of`: of every list one header must be there; `none_of`: none of these. `columns`: slug of a header -> target (see `crm.imports.columns`),
    empty to leave it out; columns that are not named are guessed. `reading`: what it says about cells and consent. `meaning`: a sentence
    for people about what the file does to consents (message id of the catalogues)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")
    title: str = Field(min_length=1, max_length=80)
    meaning: str
    all_of: tuple[tuple[str, ...], ...] = Field(min_length=1)
    none_of: tuple[str, ...] = ()
    columns: Mapping[str, str]
    reading: Mapping[str, Any] = {}

    def fits(self, header: Iterable[str]) -> bool:
        there = {slug_of(name) for name in header}
        return all(there.intersection(names) for names in self.all_of) and not there.intersection(self.none_of)

    def targets(self, header: Iterable[str]) -> dict[str, str]:
        """Header -> target, for the columns the recipe knows; each target once."""
        found: dict[str, str] = {}
        for name in header:
            target = self._target(slug_of(name))
            if target is not None:
                found[name] = "" if target in found.values() and not may_be_shared(target) else target
        return found

    def _target(self, slug: str) -> str | None:
        """`opted_out_of_email*` stands for every header that begins so."""
        begun = (self.columns[key] for key in self.columns if key.endswith("*") and slug.startswith(key[:-1]))
        return self.columns.get(slug, next(begun, None))

    def fill(self, chosen: Reading) -> Reading:
        """`chosen` with what the recipe says where nobody has chosen."""
        mine = Reading.model_validate({**self.reading, "recipe": self.key})
        return mine.model_copy(update={name: getattr(chosen, name) for name in chosen.model_fields_set if name != "recipe"})


_added: dict[str, Recipe] = {}


def recipes() -> Mapping[str, Recipe]:
    """Every recipe by its key."""
    return {**_built_in(), **_added}


def add(recipe: Recipe) -> None:
    """Makes a recipe from outside known to this process."""
    _added[recipe.key] = recipe


def remove(key: str) -> None:
    """Takes back `add`."""
    _added.pop(key, None)


def find(header: Iterable[str], wanted: str | None = None) -> Recipe | None:
    """The recipe that is `wanted`, or (None) the one that fits with the most signs; an unknown or empty key is no recipe."""
    if wanted is not None:
        return recipes().get(wanted)
    names = list(header)
    fitting = [recipe for recipe in recipes().values() if recipe.fits(names)]
    return max(fitting, key=lambda recipe: len(recipe.all_of), default=None)


@cache
def _built_in() -> Mapping[str, Recipe]:
    found = [
        Recipe.model_validate_json(file.read_text(encoding="utf-8"))
        for file in sorted(files(__name__).iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    ]
    return {recipe.key: recipe for recipe in found}
