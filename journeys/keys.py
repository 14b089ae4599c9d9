"""Keys and names that people give: what is wrong with them, keys made from names, and names of copies that one can tell apart. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator

from journeys.errors import Issue

MOST = 64
MOST_NAME = 120
KEY = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{MOST - 1}}}")
_SPELT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})


def key_problems(key: str, most: int = MOST) -> Iterator[Issue]:
    """What is wrong with a key of at most `most` characters."""
    if len(key) > most or not KEY.fullmatch(key):
        text = "Expected a key of lower-case letters, digits, - and _, at most {most}."
        yield Issue(code="key", text=text, values={"most": most}, field="key")


def name_problems(name: str) -> Iterator[Issue]:
    """What is wrong with a name of at most `MOST_NAME` characters, spelt as it is stored."""
    if not 0 < len(name) <= MOST_NAME:
        yield Issue(code="name", text="Expected a name of 1 to 120 characters.", field="name")


def key_of(name: str, taken: Collection[str], otherwise: str, between: str = "_") -> str:
    """A free key that reads like the name: `Nach dem Kauf` -> `nach_dem_kauf`. `otherwise`: for names without a letter that keys may have."""
    spelt = unicodedata.normalize("NFKD", name.lower().translate(_SPELT))
    plain = "".join(one for one in spelt if not unicodedata.combining(one))
    return free(re.sub(r"[^a-z0-9]+", between, plain).strip(between)[: MOST - 4].strip(between) or otherwise, taken, between)


def free(wish: str, taken: Collection[str], between: str = "_") -> str:
    """The wish, or the first of `wish_2`, `wish_3` … that nothing has."""
    return wish if wish not in taken else next(key for n in range(2, 100_000) if (key := f"{wish[: MOST - 6]}{between}{n}") not in taken)


def copy_of(name: str, copied: str, taken: Collection[str], most: int = 120) -> str:
    """`Welcome` -> `Welcome (copy)`, then `Welcome (copy 2)`; `copied` is the word for copy."""
    base = re.sub(rf" \({re.escape(copied)}(?: \d+)?\)$", "", name)[: most - len(copied) - 10].rstrip()
    numbered = (f"{base} ({copied})" if n == 1 else f"{base} ({copied} {n})" for n in range(1, 100_000))
    return next(one for one in numbered if one not in taken)
