"""The rule tree as JSON: the shape of react-querybuilder, with terms (`journeys.rules.terms`) as its leaves and groups of them.

What an object is follows from its telling key (`combinator` or `rules`: a group; else the key of a term), so a rule written by a person
needs no type names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, GetCoreSchemaHandler, Tag, TypeAdapter
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
    for pattern in TERMS.nested:
        yield from _along(node, pattern.split("."), ())


def _along(node: Any, pattern: list[str], place: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """(place, JSON) of what stands there; `*` is any place of a list."""
    if not pattern:
        if node is not None:
            yield ".".join(place), node
    elif pattern[0] == "*":
        for index, inner in enumerate(node if isinstance(node, list | tuple) else ()):
            yield from _along(inner, pattern[1:], (*place, str(index)))
    elif isinstance(node, Mapping):
        yield from _along(node.get(pattern[0]), pattern[1:], (*place, pattern[0]))


def _listed(node: Any) -> int:
    value = node.get("value") if isinstance(node, Mapping) else None
    return len(value) if isinstance(value, list | tuple) else 0


def _grouped(data: Any) -> Any:
    return {RULES: [data]} if isinstance(data, Mapping) and not is_group(data) else data


Grouped = Annotated[Group, BeforeValidator(_grouped)]
"""A group; one condition alone is read as a group of one."""
_NAMES = {"Group": Group, "Grouped": Grouped, "Rule": Rule}

Group.model_rebuild()
for _term in BUILT_IN:
    for _part in _term.parts:
        _part.model_rebuild(_types_namespace=_NAMES)
    _term.model_rebuild(_types_namespace=_NAMES)

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
        part, given, place = _model_of(field.annotation), data.get(name), _join(path, name)
        if part is not None and isinstance(given, Mapping):
            yield from _strays(given, part, place)
        elif part is not None and isinstance(given, list | tuple):
            yield from (
                found for index, one in enumerate(given) if isinstance(one, Mapping) for found in _strays(one, part, f"{place}.{index}")
            )


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model of an object that is part of a term, one of a list or not; rules are no part, they are walked."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return None if issubclass(one, Group | Term) else one
    return None


_FOREIGN = frozenset(("id", "path", "disabled", "muted", "valueSource"))
"""What react-querybuilder writes beside our keys."""


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
