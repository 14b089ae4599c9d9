"""The rule tree as JSON: the shape of react-querybuilder, extended by terms on events, messages, consent, scores and tags.

Which kind of term an object is follows from its telling key (`combinator`, `event`, `message`, `consent`, `score`,
`tag`, else `field`), so a rule written by a person needs no type names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, TypeAdapter

from journeys.channels import ConsentSubject
from journeys.spelling import one_line

MAX_TERMS = 200
MAX_DEPTH = 10
MAX_LIST = 1_000
MAX_VALUES = 5_000
"""Of all lists of a rule together, so that it fits into one SQL statement (SQLite takes 32,766 parameters)."""
MAX_TEXT = 2_000
MAX_NUMBER = 2**53 - 1
"""Beyond it, a whole number is no longer the same in JavaScript and as a float; long ids are text."""


def _storable(text: str) -> str:
    """No database stores U+0000 in a text, so nothing can equal it."""
    if "\x00" in text:
        raise ValueError("a text may not hold the character U+0000")
    return text


Name = Annotated[str, AfterValidator(_storable)]
EventName = Annotated[Name, BeforeValidator(lambda name: one_line(name) if isinstance(name, str) else name)]
"""Spelt as events are stored."""
FieldName = Annotated[str, Field(min_length=1, max_length=120, pattern=r'^[^".\\\x00-\x1f]+(\.[^".\\\x00-\x1f]+)*$')]
"""Keys joined by dots (`address.city`); quotes, backslashes and control characters cannot be asked for."""

_within_limits = Field(ge=-MAX_NUMBER, le=MAX_NUMBER)
Scalar = bool | Annotated[int, _within_limits] | Annotated[float, _within_limits] | Annotated[Name, Field(max_length=MAX_TEXT)] | None
Operand = Scalar | Annotated[tuple[Scalar, ...], Field(max_length=MAX_LIST)]

Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "contains", "doesNotContain", "beginsWith", "endsWith", "in", "notIn", "between", "null", "notNull",
    "before", "after", "withinLast", "withinNext",
]  # fmt: skip
"""react-querybuilder's names. `before`/`after` compare instants; `withinLast`/`withinNext` take a duration ("P3D") relative to now.
No operator takes a regular expression."""

Compare = Literal["=", "!=", "<", "<=", ">", ">="]


class Term(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, serialize_by_alias=True, allow_inf_nan=False)


class FieldTerm(Term):
    """A contact field, or `trigger.<path>` of the run's entry event; inside `where` a property of the event."""

    field: FieldName
    operator: Operator
    value: Operand = None
    value_source: Literal["value"] = Field("value", alias="valueSource", exclude=True)
    """react-querybuilder can compare with another field; here that is refused rather than misread."""


class Count(Term):
    operator: Compare = ">="
    value: int = Field(1, ge=0, le=1_000_000)


class EventTerm(Term):
    """The contact did (`did` False: did not) the event as often as `count` says, `within` the time before now, with properties as in `where`.
    `since_entry` counts only from the run's start, `own_run` only events that carry this run's `run_id`; outside a run neither finds any."""

    event: EventName = Field(min_length=1, max_length=200)
    did: bool = True
    count: Count = Count()
    within: timedelta | None = Field(None, gt=timedelta(0), le=timedelta(days=3660))
    since_entry: bool = False
    own_run: bool = False
    where: Group | None = None


class MessageTerm(Term):
    """The contact did something with a message: `node` of this run's journey, or any message of `journey`/`template`.
    Opens by machines do not count. With `node` and no `journey` it is this run's own message."""

    message: Literal["sent", "delivered", "opened", "clicked", "bounced"]
    did: bool = True
    node: Name | None = Field(None, max_length=64)
    journey: Name | None = Field(None, max_length=64)
    template: Name | None = Field(None, max_length=64)
    within: timedelta | None = Field(None, gt=timedelta(0), le=timedelta(days=3660))


class ConsentTerm(Term):
    """Consent for a channel and purpose is `granted`, `withdrawn`, `pending`, or `unknown` (nothing ever said)."""

    consent: ConsentSubject
    purpose: Name = Field("marketing", max_length=64, json_schema_extra={"names": "purpose"})
    operator: Literal["=", "!="] = "="
    value: Literal["granted", "withdrawn", "pending", "unknown"] = "granted"


class ScoreTerm(Term):
    score: Name = Field(min_length=1, max_length=64, json_schema_extra={"names": "score"})
    operator: Compare = ">="
    value: float


class TagTerm(Term):
    tag: Name = Field(min_length=1, max_length=120)
    has: bool = True


class Group(Term):
    """All (`and`) or any (`or`) of `rules`; `not` turns the result round. An empty group is true (turned round: false)."""

    combinator: Literal["and", "or"] = "and"
    negated: bool = Field(False, alias="not")
    rules: tuple[Rule, ...] = ()


def _kind(data: Any) -> str:
    if isinstance(data, Term):
        return type(data).__name__
    if not isinstance(data, Mapping):
        return "FieldTerm"
    for key, name in _TELLING:
        if key in data:
            return name
    return "FieldTerm"


_TELLING = (
    ("combinator", "Group"),
    ("rules", "Group"),
    ("event", "EventTerm"),
    ("message", "MessageTerm"),
    ("consent", "ConsentTerm"),
    ("score", "ScoreTerm"),
    ("tag", "TagTerm"),
)


def _bounded(data: Any) -> Any:
    """Refuses over-deep and over-long trees before pydantic recurses into them."""
    if isinstance(data, Mapping):
        terms = values = 0
        level: list[Any] = [data]
        for _ in range(MAX_DEPTH + 1):
            level = [child for node in level if isinstance(node, Mapping) for child in _children(node)]
            terms += len(level)
            values += sum(_listed(node) for node in level)
            if terms > MAX_TERMS:
                raise ValueError(f"a rule has at most {MAX_TERMS} terms")
            if values > MAX_VALUES:
                raise ValueError(f"the lists of a rule have at most {MAX_VALUES} values together")
            if not level:
                return data
        raise ValueError(f"a rule is nested at most {MAX_DEPTH} deep")
    return data


def _children(node: Mapping[str, Any]) -> list[Any]:
    rules = node.get("rules")
    where = node.get("where")
    return [*(rules if isinstance(rules, list | tuple) else ()), *((where,) if where is not None else ())]


def _listed(node: Any) -> int:
    value = node.get("value") if isinstance(node, Mapping) else None
    return len(value) if isinstance(value, list | tuple) else 0


Rule = Annotated[
    Annotated[Group, Tag("Group")]
    | Annotated[EventTerm, Tag("EventTerm")]
    | Annotated[MessageTerm, Tag("MessageTerm")]
    | Annotated[ConsentTerm, Tag("ConsentTerm")]
    | Annotated[ScoreTerm, Tag("ScoreTerm")]
    | Annotated[TagTerm, Tag("TagTerm")]
    | Annotated[FieldTerm, Tag("FieldTerm")],
    Discriminator(_kind),
    BeforeValidator(_bounded),
]

EventTerm.model_rebuild()
Group.model_rebuild()

_rule: TypeAdapter[Rule] = TypeAdapter(Rule)


def parse_rule(data: Any) -> Rule:
    """The rule that JSON-like `data` describes.

    Raises:
        pydantic.ValidationError: with the place of every mistake; nothing else, whatever `data` is.
    """
    return _rule.validate_python(data)


def stray_keys(data: Any, path: str = "") -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(place, key, known keys there) of every key in a rule's JSON that no term has. Reading a rule leaves them out, because stored ones
    and react-querybuilder's carry more than is asked; whoever takes a rule from a person tells them instead."""
    if not isinstance(data, Mapping):
        return
    known = _keys(_TERMS[_kind(data)])
    for key in data:
        if key not in known and key not in _FOREIGN:
            yield path, str(key), tuple(known)
    if isinstance(data.get("count"), Mapping):
        yield from ((_join(path, "count"), str(key), tuple(Count.model_fields)) for key in data["count"] if key not in Count.model_fields)
    for place, child in _placed(data):
        yield from stray_keys(child, _join(path, place))


_FOREIGN = frozenset(("id", "path", "disabled", "muted", "valueSource"))
"""What react-querybuilder writes beside our keys."""
_TERMS: Mapping[str, type[Term]] = {
    term.__name__: term for term in (Group, EventTerm, MessageTerm, ConsentTerm, ScoreTerm, TagTerm, FieldTerm)
}


def _keys(term: type[Term]) -> list[str]:
    return [field.alias or name for name, field in term.model_fields.items()]


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _placed(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    rules = node.get("rules")
    if isinstance(rules, list | tuple):
        yield from ((f"rules.{index}", child) for index, child in enumerate(rules))
    if "where" in node:
        yield "where", node["where"]
