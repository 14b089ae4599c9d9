"""Message catalogues: English sentences are the message ids, `<locale>/LC_MESSAGES/pfadwerk.po` holds the others.

Pure rooms never import this: they take a `translate` function, and the edges (API, pages, CLI, mails) hand one in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from babel.messages.pofile import read_po

SUPPORTED = ("en", "de")
HERE = Path(__file__).parent


@lru_cache(maxsize=32)
def translator(locale: str) -> Callable[[str], str]:
    """The gettext function of the nearest supported language (`de-CH` -> `de`); unknown ones speak English."""
    language = locale.replace("_", "-").split("-")[0].lower()
    messages = _messages(language if language in SUPPORTED else "en")
    return lambda text: messages.get(text) or text


@lru_cache(maxsize=4)
def _messages(language: str) -> dict[str, str]:
    path = HERE / language / "LC_MESSAGES" / "pfadwerk.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id and m.string and not m.fuzzy}
