"""Which segments rules in texts ask for, and that they are still there when a template is saved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pydantic import ValidationError
from sqlalchemy.orm import Session

from journeys.errors import Invalid
from journeys.names import names_in_rule
from journeys.rules import parse_rule
from storage import segment_marks

NOUN = "segment"


def asked_by(rules: Iterable[str]) -> Iterator[str]:
    """The keys that rules (JSON text) ask for; one that cannot be read asks for none."""
    for text in rules:
        try:
            named = names_in_rule(parse_rule(json.loads(text)), "")
        except ValidationError:
            continue
        yield from (segment for _, noun, segment in named if noun == NOUN)


def refuse_gone(session: Session, rules: Iterable[str]) -> None:
    """Raises: Invalid if a rule asks for a segment that was deleted since the rules were checked. Until the transaction ends none is."""
    asked = set(asked_by(rules))
    if not asked:
        return
    segment_marks.hold(session)
    for key in sorted(asked.difference(segment_marks.known(session).by_key)):
        raise Invalid("There is no segment “{key}”.", key=key)
