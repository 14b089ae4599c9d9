from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from journeys.errors import Issue
from journeys.rules.fields import topic_of
from journeys.rules.predicates import Not, Predicate, Text
from journeys.rules.questions import Question, test_of
from journeys.rules.terms.shape import Choose, Write
from journeys.rules.terms.term import Find, Term
from journeys.rules.types import Name

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.sentence import Speaker


class DomainTerm(Term):
    """The contact's e-mail address is, or is not, one of a domain."""

    kind = "domain"
    label = "E-mail"
    asks = "whether the e-mail address is one of a domain"
    example = {"domain": "example.org"}
    fresh = {"domain": ""}
    shape = ((Choose("has", "Comparison", [(True, "is"), (False, "is not")], True), Write("domain", "Value", offered="domain")),)

    domain: Name = Field(min_length=1, max_length=120, json_schema_extra={"names": "purpose"})
    has: bool = True

    def find(self) -> Find:
        return lambda facts, as_of: facts.value("email")

    def test(self) -> Question:
        return test_of(self.asked())

    def asked(self) -> Predicate:
        ends = Text("end", f"@{self.domain}")
        return ends if self.has else Not(ends)

    def topics(self) -> Iterable[str]:
        return (topic_of("email"),)

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        if "@" in self.domain:
            yield checker.issue("rule.domain", "Only the part behind the @.", f"{path}.domain")

    def sentence(self, speaker: Speaker) -> str:
        text = "{field} ends with {value}" if self.has else "{field} is not {value}"
        return speaker.fill(text, field=speaker.translate("E-mail"), value=speaker.value(f"@{self.domain}"))
