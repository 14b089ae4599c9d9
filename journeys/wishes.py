"""What contacts ask of marketing beside yes and no: a pause, and not too often. Fields of the contact, set on the preference page or by a program.

Pure. What cannot be read asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

PAUSED_UNTIL = "marketing_paused_until"
"""An instant, as ISO 8601."""
AT_MOST = "marketing_at_most"
"""A key of `EVERY`."""
EVERY: Mapping[str, timedelta] = {"week": timedelta(days=7), "month": timedelta(days=30)}
"""One message in any such span."""


def paused_until(value: object) -> datetime | None:
    """The instant that the field says, aware UTC where it names no offset."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def at_most_every(value: object) -> timedelta | None:
    """The span that the field says."""
    return EVERY.get(str(value))
