"""What the version before called otherwise: a client written for it is refused with the name of today.

No alias: whoever reads the answer changes one word, and nothing has two names. Entries go when the version after next comes out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FIELDS = {"names": "identifiers"}
"""Key of a body -> the same key today."""
ADDRESSES = (
    ("PUT", re.compile(r"(/api/v1/journeys/[^/]+)/place"), "labels"),
    ("POST", re.compile(r"(/api/v1/suppressions)/lift"), "unsuppress"),
)
"""Method, address, and its last part today."""


def field(name: str, known: Sequence[str]) -> str | None:
    """What a body's key is called today, if the body knows it; None if it never was one."""
    today = FIELDS.get(name)
    return today if today in known else None


def address(method: str, path: str) -> str | None:
    """Where an address of the version before is today; None if it never was one. Ids in it stay as they were given."""
    for of, pattern, today in ADDRESSES:
        found = pattern.fullmatch(path[:200])
        if found and of == method:
            return f"{found[1]}/{today}"
    return None
