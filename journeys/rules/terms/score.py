from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from journeys.rules.questions import COMPARE, Question
from journeys.rules.terms.shape import COMPARISONS, Choose, Number, Pick, Words
from journeys.rules.terms.term import Find, Term
from journeys.rules.types import Compare, Name

if TYPE_CHECKING:
    from journeys.rules.sentence import Speaker


class ScoreTerm(Term):
    kind = "score"
    label = "Score"
    asks = "a score group, 0 if it was never scored"
    example = {"score": "fit", "operator": ">=", "value": 50}
    fresh = {"score": "", "operator": ">=", "value": None}
    shape = (
        (
            Words("Score"),
            Pick("score", "Score", "score_group"),
            Choose("operator", "Comparison", COMPARISONS, ">="),
            Number("value", "Value"),
        ),
    )

    score: Name = Field(min_length=1, max_length=64, json_schema_extra={"names": "score"})
    operator: Compare = ">="
    value: float

    def find(self) -> Find:
        group = self.score
        return lambda facts, as_of: facts.score(group)

    def test(self) -> Question:
        compare, bound = COMPARE[self.operator], self.value
        return lambda found, as_of: compare(found, bound)

    def topics(self) -> Iterable[str]:
        return (f"score:{self.score}",)

    def sentence(self, speaker: Speaker) -> str:
        return speaker.fill(_SENTENCES[self.operator], group=f"*{self.score}*", value=speaker.number(self.value))


_SENTENCES = {
    "=": "score {group} is {value}",
    "!=": "score {group} is not {value}",
    "<": "score {group} is less than {value}",
    "<=": "score {group} is at most {value}",
    ">": "score {group} is more than {value}",
    ">=": "score {group} is at least {value}",
}
