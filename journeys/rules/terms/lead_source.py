from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from journeys.errors import Issue
from journeys.rules import dates, operands
from journeys.rules.facts import Facts
from journeys.rules.predicates import NEVER, Missing, Not, OneOf, Predicate, Text
from journeys.rules.questions import Question, test_of
from journeys.rules.terms.field import SENTENCES
from journeys.rules.terms.shape import Among, Choose, Span, Words
from journeys.rules.terms.term import Find, Flip, Term
from journeys.rules.types import MAX_LIST, MAX_TEXT, Name, Within
from journeys.topics import LEAD_SOURCE

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.sentence import Speaker

Attribute = Literal["kind", "source_id", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "referrer", "landing_page"]
ATTRIBUTES: Mapping[str, str] = {
    "kind": "Source kind",
    "utm_source": "UTM source",
    "utm_medium": "UTM medium",
    "utm_campaign": "UTM campaign",
    "utm_term": "UTM term",
    "utm_content": "UTM content",
    "referrer": "Referrer",
    "landing_page": "Landing page",
    "source_id": "Form, import or key",
}
KINDS: Mapping[str, str] = {
    "campaign": "Campaign link",
    "referrer": "Link on another site",
    "form": "Form",
    "import": "File import",
    "api": "Program (API)",
    "staff": "Added by a member",
    "direct": "Direct",
}
OPERATORS = ("=", "!=", "contains", "doesNotContain", "beginsWith", "endsWith", "in", "notIn", "null", "notNull")


class LeadSourceTerm(Term):
    """How the contact came: what its `first` or `last` touch says in one `attribute` (a text; missing where it says nothing), and whether that touch
    lies `within` the time before now. Without an attribute any touch will do."""

    kind = "lead_source"
    label = "Lead source"
    asks = "how the contact came, by its `first` or `last` touch: one `attribute` of it, and when it was"
    example = {"lead_source": "first", "attribute": "utm_source", "operator": "=", "value": "newsletter"}
    fresh = {"lead_source": "", "attribute": "utm_source", "operator": "=", "value": ""}
    shape = (
        (
            Choose("lead_source", "Which touch", [("first", "First touch"), ("last", "Last touch")]),
            Among("attribute", "operator", "value", list(ATTRIBUTES.items()), OPERATORS, "any source", {"kind": list(KINDS.items())}),
        ),
        (Words("within"), Span("within", "Within")),
    )

    lead_source: Literal["first", "last"]
    attribute: Attribute | None = None
    operator: Literal["=", "!=", "contains", "doesNotContain", "beginsWith", "endsWith", "in", "notIn", "null", "notNull"] = "="
    value: (
        Annotated[Name, Field(max_length=MAX_TEXT)]
        | Annotated[tuple[Annotated[Name, Field(max_length=MAX_TEXT)], ...], Field(max_length=MAX_LIST)]
        | None
    ) = None
    within: Within | None = None

    def find(self) -> Find:
        which = self.lead_source
        return lambda facts, as_of: facts.touch(which)

    def test(self) -> Question:
        name, within = self.attribute, self.within
        fits: Question = test_of(self.asked()) if name is not None else lambda value, as_of: True

        def answer(touch: Mapping[str, Any] | None, as_of: datetime) -> bool:
            if touch is None:
                return within is None and name is not None and fits(None, as_of)
            if within is not None and not as_of - within < touch["at"] <= as_of:
                return False
            return fits(touch[name] if name is not None else None, as_of)

        return answer

    def asked(self) -> Predicate:
        """What is asked of the attribute."""
        made: Predicate = _PREDICATES[self.operator](self.value)
        return made

    def shown(self, found: Mapping[str, Any] | None) -> Any:
        if found is None:
            return None
        return {"value": found[self.attribute] if self.attribute else found["kind"], "at": dates.text_of(found["at"])}

    def topics(self) -> Iterable[str]:
        return (LEAD_SOURCE,)

    def flip(self) -> Flip | None:
        within, which = self.within, self.lead_source
        if within is None:
            return None

        def leaves_the_window(facts: Facts, as_of: datetime) -> datetime | None:
            touch = facts.touch(which)
            return None if touch is None else touch["at"] + within

        return leaves_the_window

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        if self.attribute is None:
            return
        if operands.wants_value(self.operator, self.value):
            yield operands.VALUE.empty(checker.node_id, f"{path}.value")
        elif self.asked() in (NEVER, Not(NEVER)) or operands.unfit(self.operator, self.value):
            text = operands.EXPECTED[self.operator]
            yield checker.issue("rule.operand", text, f"{path}.value", operator=self.operator, value=operands.shown(self.value))

    def sentence(self, speaker: Speaker) -> str:
        if self.attribute is None:
            title = speaker.translate(_TOUCHES[self.lead_source])
            if self.within is None:
                return speaker.fill(SENTENCES["notNull"], field=title)
            return speaker.fill(SENTENCES["withinLast"], field=title, when=speaker.past(self.within).strip())
        field = speaker.fill(_OF_TOUCH[self.lead_source], attribute=speaker.translate(ATTRIBUTES[self.attribute]))
        said = speaker.fill(SENTENCES[self.operator], field=field, value=speaker.value(self._words(speaker)))
        return said if self.within is None else speaker.fill("{sentence} (touch{when})", sentence=said, when=speaker.past(self.within))

    def _words(self, speaker: Speaker) -> Any:
        """Kinds by their names; what was typed as it is."""
        if self.attribute != "kind":
            return self.value
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        named = tuple(speaker.translate(KINDS[one]) if isinstance(one, str) and one in KINDS else one for one in values)
        return named if isinstance(self.value, tuple) else named[0]


def _one_of(value: Any) -> Predicate:
    values = value if isinstance(value, tuple) else (value,)
    return OneOf(texts=tuple(one for one in values if isinstance(one, str)))


def _text(where: Literal["inside", "start", "end"], value: Any) -> Predicate:
    return Text(where, value) if isinstance(value, str) else NEVER


_PREDICATES: Mapping[str, Any] = {
    "=": lambda value: _one_of(value) if isinstance(value, str) else NEVER,
    "!=": lambda value: Not(_one_of(value) if isinstance(value, str) else NEVER),
    "contains": lambda value: _text("inside", value),
    "doesNotContain": lambda value: Not(_text("inside", value)),
    "beginsWith": lambda value: _text("start", value),
    "endsWith": lambda value: _text("end", value),
    "in": _one_of,
    "notIn": lambda value: Not(_one_of(value)),
    "null": lambda _: Missing(),
    "notNull": lambda _: Not(Missing()),
}
_TOUCHES = {"first": "First touch", "last": "Last touch"}
_OF_TOUCH = {"first": "{attribute} of the first touch", "last": "{attribute} of the last touch"}
