"""What a test says when texts lack their German."""

from __future__ import annotations

import json
from collections.abc import Iterable


def wanted(texts: Iterable[str]) -> str:
    """The entries to be filled in, as the catalogue has them."""
    entries = (f'msgid {json.dumps(text, ensure_ascii=False)}\nmsgstr ""' for text in sorted(set(texts)))
    return "\n\n".join(["Give these German with the same {places}, in locales/de/LC_MESSAGES/pfadwerk.po:", *entries])
