"""The rule tree as JSON: the shape of react-querybuilder, with terms (`journeys.rules.terms`) as its leaves and groups of them.

What an object is follows from its telling key (`combinator` or `rules`: a group; else the key of a term), so a rule written by a person
needs no type names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Discriminator, Field, GetCoreSchemaHandler, Tag, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from journeys.rules.terms import BUILT_IN, TERMS, Term
from journeys.rules.terms.term import CONFIG

MAX_TERMS = 200
MAX_DEPTH = 10
MAX_VALUES = 5_000
"""Of all lists of a rule together, so that it fits into one SQL statement (SQLite takes 32,766 parameters)."""

COMBINATOR, RULES = "combinator", "rules"
"""The telling keys of a group; either is enough."""


class Group(BaseModel):
    """All (`and`) or any (`or`) of `rules`; `not` turns the result round. An empty group is true (turned round: false)."""

    model_config = CONFIG

    combinator: Literal["and", "or"] = "and"
    negated: bool = Field(False, alias="not")
    rules: tuple[Rule, ...] = ()


def is_group(data: Mapping[str, Any]) -> bool:
    """Whether the JSON of a rule is a group."""
    return COMBINATOR in data or RULES in data


def _class_of(data: Any) -> type[Group | Term]:
    if isinstance(data, Group | Term):
        return type(data)
    if not isinstance(data, Mapping):
        return TERMS.of({})
    return Group if is_group(data) else TERMS.of(data)


# --- Reading ---------------------------------------------------------------------------------------------------------


def _union(kinds: tuple[type[Term], ...]) -> Any:
    """Groups and these terms, told apart by their keys."""
    otherwise, *told = kinds
    classes: list[type[Group | Term]] = [Group, *told, otherwise]
    tagged = tuple(Annotated[one, Tag(one.__name__)] for one in classes)
    return Annotated[Union[tagged], Discriminator(lambda data: _class_of(data).__name__)]  # noqa: UP007 - a union of what the list holds


@lru_cache(maxsize=8)
def _reader(kinds: tuple[type[Term], ...]) -> TypeAdapter[Any]:
    return TypeAdapter(_union(kinds))


def _read(data: Any) -> Any:
    """By the terms that are known now."""
    return _reader(TERMS.all).validate_python(_bounded(data))


class _ByTellingKey:
    """How pydantic reads a rule. Its JSON Schema has the terms of the list."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        described = handler.generate_schema(_union(BUILT_IN))
        return core_schema.no_info_plain_validator_function(_read, json_schema_input_schema=described)


Rule = Annotated[Group | Term, _ByTellingKey]


def _bounded(data: Any) -> Any:
    """Refuses over-deep and over-long trees before pydantic recurses into them."""
    if isinstance(data, Mapping):
        terms = values = 0
        level: list[Any] = [data]
        for _ in range(MAX_DEPTH + 1):
            level = [child for node in level if isinstance(node, Mapping) for _, child in _inside(node)]
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


def _inside(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(place, JSON) of every rule that stands in a group or a term."""
    rules = node.get(RULES)
    if isinstance(rules, list | tuple):
        yield from ((f"{RULES}.{index}", child) for index, child in enumerate(rules))
    yield from ((key, node[key]) for key in TERMS.nested if node.get(key) is not None)


def _listed(node: Any) -> int:
    value = node.get("value") if isinstance(node, Mapping) else None
    return len(value) if isinstance(value, list | tuple) else 0


Group.model_rebuild()
for _term in BUILT_IN:
    _term.model_rebuild(_types_namespace={"Group": Group, "Rule": Rule})

_rule: TypeAdapter[Rule] = TypeAdapter(Rule)


def parse_rule(data: Any) -> Rule:
    """The rule that JSON-like `data` describes.

    Raises:
        pydantic.ValidationError: with the place of every mistake; nothing else, whatever `data` is.
    """
    return _rule.validate_python(data)


# --- Keys that mean nothing ------------------------------------------------------------------------------------------


def stray_keys(data: Any, path: str = "") -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(place, key, known keys there) of every key in a rule's JSON that no term has. Reading a rule leaves them out, because stored ones
    and react-querybuilder's carry more than is asked; whoever takes a rule from a person tells them instead."""
    if not isinstance(data, Mapping):
        return
    yield from _strays(data, _class_of(data), path)
    for place, child in _inside(data):
        yield from stray_keys(child, _join(path, place))


def _strays(data: Mapping[str, Any], model: type[BaseModel], path: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    known = tuple(field.alias or name for name, field in model.model_fields.items())
    yield from ((path, str(key), known) for key in data if key not in known and key not in _FOREIGN)
    for name, field in model.model_fields.items():
        part, given = field.annotation, data.get(name)
        if isinstance(part, type) and issubclass(part, BaseModel) and isinstance(given, Mapping):
            yield from _strays(given, part, _join(path, name))


_FOREIGN = frozenset(("id", "path", "disabled", "muted", "valueSource"))
"""What react-querybuilder writes beside our keys."""


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
