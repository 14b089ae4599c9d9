"""The table of terms on the page about rules, made from the terms themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from journeys.rules.terms import TERMS, Term

BEGIN, END = "<!-- terms: made by `make docs` -->\n", "<!-- /terms -->\n"
HEAD = "| telling key | the term asks | more keys | example |\n|---|---|---|---|\n"
GROUP = '| `combinator` or `rules` | all (`and`) or any (`or`) of `rules` | `not` | `{"combinator": "or", "rules": [...]}` |\n'


def terms_table(kinds: Iterable[type[Term]]) -> str:
    """A row for each kind, and one for groups."""
    return HEAD + "".join(map(_row, kinds)) + GROUP


def with_table(page: str, kinds: Iterable[type[Term]]) -> str:
    """The page with the table between its marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{terms_table(kinds)}\n{END}{after}"


def _row(kind: type[Term]) -> str:
    more = ", ".join(f"`{name}`" for name in keys_of(kind) if name != kind.kind)
    return f"| `{kind.kind}` | {kind.asks} | {more} | `{json.dumps(kind.example)}` |\n"


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of its JSON that a person writes."""
    return [field.alias or name for name, field in model.model_fields.items() if not field.exclude]


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_table(file.read_text("utf-8"), TERMS), "utf-8")
