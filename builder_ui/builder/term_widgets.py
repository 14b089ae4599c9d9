"""The widgets of a condition, drawn from the shape of its term (`journeys.rules.terms.shape`): one function for each widget, none for a term."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from journeys.catalogue import CONTEXT_FIELDS, FieldSpec
from journeys.rules.aggregate import ENDS
from journeys.rules.terms import TERMS, Term, shape

from builder_ui.builder import durations, several, suggestions, widgets
from builder_ui.builder.draft import at
from builder_ui.builder.widgets import Form, Path, small
from builder_ui.kit.reactpy_compat import Element, datalist, html

Change = Callable[[Path, Any, bool], None]
HOW_OFTEN = "*"
"""Stands in the list of what is asked of events for their number."""
COMPARISON = shape.Comparison("field", "operator", "value")
TIMES = shape.Words("times")
SEVERAL_BOUNDS = "*"
_PERIODS: Sequence[tuple[str, str, tuple[bool, bool, str | None]]] = [
    ("any", "at any time", (False, False, None)),
    ("last", "in the last", (True, False, None)),
    ("since", "since the day", (False, True, None)),
    ("until", "before the day", (False, False, "day")),
    ("ago", "longer ago than", (False, False, "span")),
    ("days", "between two days", (False, True, "day")),
    ("spans", "in the last …, but longer ago than …", (True, False, "span")),
]
"""(name, what it is called, which bounds it has: `within`, `since`, and how `before` is given)."""
ANY = "*"
"""Stands in the list of messages for any of them."""
_NUMBER = (*shape.COMPARE, "between", "in", "notIn", "null", "notNull")
_DATE = ("before", "after", "withinLast", "withinNext", "between", "null", "notNull")
_FITTING: Mapping[str, tuple[str, ...]] = {
    "string": (
        "=",
        "!=",
        "contains",
        "doesNotContain",
        "beginsWith",
        "endsWith",
        "in",
        "notIn",
        "null",
        "notNull",
    ),
    "number": _NUMBER,
    "boolean": ("=", "!=", "null", "notNull"),
    "datetime": _DATE,
    "date": (*_DATE, "="),
    "list": ("contains", "doesNotContain", "null", "notNull"),
}
"""Type of a field -> the operators that are offered for it."""


@dataclass(frozen=True)
class Place:
    """One condition: where it is in its rule, and what is around it.

    `event`: the one whose properties are asked; None: the contact is asked. `where(path, event)` draws a rule on properties; where
    the place is the `deepest`, none may begin any more.
    """

    form: Form
    path: Path
    change: Change
    event: str | None
    where: Callable[[Path, str], Element]
    deepest: bool

    @property
    def term(self) -> Mapping[str, Any]:
        term = self.form.value(self.path)
        return term if isinstance(term, Mapping) else {}

    def inside(self, key: str) -> Path:
        """The path of a field; `key` may lead into an object."""
        return (*self.path, *key.split("."))

    def present(self, key: str, default: Any = None) -> Any:
        """What is stored there, else the default; but what is left open on purpose has none."""
        *outer, last = key.split(".")
        around = at(self.term, tuple(outer))
        return around.get(last, default) if isinstance(around, Mapping) else default


def draw(place: Place, term: type[Term]) -> Element:
    """The widgets of a term: its one row, or rows and widgets below each other."""
    parts = [_row(place, one, number) for number, one in enumerate(term.shape)]
    return parts[0] if len(parts) == 1 else html.div({"className": "pfb-list"}, *parts)


def _row(place: Place, one: shape.Row | shape.Widget, number: int) -> Element:
    if not isinstance(one, tuple):
        return _widget(place, one)
    return html.div(
        {"key": f"row-{number}", "className": "pfb-row"},
        *(_widget(place, widget) for widget in one),
    )


def _widget(place: Place, widget: shape.Widget) -> Element:
    return _WIDGETS[type(widget)](place, widget)


def fresh_on_event() -> dict[str, Any]:
    """The condition that a rule on an event's properties begins with."""
    return next(term.beginning(None) for term in TERMS if term.on_event)


# One function for each widget


def _words(place: Place, widget: shape.Words) -> Element:
    return html.span(place.form.t(widget.text))


def _choose(place: Place, widget: shape.Choose) -> Element:
    stored, offered = place.present(widget.key, widget.default), [one for one, _ in widget.choices]
    former = [(one, text) for one, text in widget.former if one == stored and one not in offered]
    label = place.form.t(widget.label)
    return widgets.select(
        place.form, place.inside(widget.key), [*widget.choices, *former], stored, label=label
    )


def _write(place: Place, widget: shape.Write) -> Element:
    offered = suggestions.suggested(widget.offered) if widget.offered else ""
    return widgets.text(
        place.form, place.inside(widget.key), offered=offered, label=place.form.t(widget.label)
    )


def _number(place: Place, widget: shape.Number) -> Element:
    bounds = {"type": "integer", "minimum": 0} if widget.whole else {}
    stored, label = place.present(widget.key, widget.default), place.form.t(widget.label)
    return widgets.number(place.form, place.inside(widget.key), stored, bounds, label=label)


def _span(place: Place, widget: shape.Span) -> Element:
    label = place.form.t(widget.label)
    return durations.duration(
        place.form, place.inside(widget.key), place.present(widget.key), label=label
    )


def _tick(place: Place, widget: shape.Tick) -> Element:
    if widget.in_run and not place.form.in_run and not place.present(widget.key):
        return None
    return widgets.checkbox(
        place.form,
        place.inside(widget.key),
        bool(place.present(widget.key)),
        place.form.t(widget.text),
    )


def _pick(place: Place, widget: shape.Pick) -> Element:
    offered, label = place.form.lookups.offered(widget.noun, {}), place.form.t(widget.label)
    if widget.any:
        any_of_them = [(None, place.form.t(widget.any)), *offered]
        stored = place.present(widget.key)
        return widgets.select(
            place.form, place.inside(widget.key), any_of_them, stored, label=label, own=True
        )
    return widgets.picker(
        place.form, place.inside(widget.key), offered, False, value=widget.default, label=label
    )


def _pick_message(place: Place, widget: shape.PickMessage) -> Element:
    form, stored = place.form, place.present(widget.key)
    steps = [
        (id, form.names.get(id, id)) for id, kind in form.kinds.items() if kind.startswith("send_")
    ]

    def chosen(path: Path, value: Any, redraw: bool) -> None:
        place.change(path, None if value == ANY else value, redraw)

    return widgets.select(
        replace(form, edit=chosen),
        place.inside(widget.key),
        [(ANY, form.t(widget.any)), *steps],
        ANY if stored is None else stored,
        label=form.t(widget.label),
        own=True,
    )


def _where(place: Place, widget: shape.Where) -> Element:
    t, path = place.form.t, place.inside(widget.key)

    def begin(_event: Any) -> None:
        place.change(path, {"combinator": "and", "rules": [fresh_on_event()]}, True)

    def end(_event: Any) -> None:
        place.change(path, None, True)

    if isinstance(place.present(widget.key), Mapping):
        return html._(
            html.span({"className": "pfb-legend"}, t("where")),
            place.where(path, str(place.present(widget.event) or "")),
            small(t("Remove “where”"), end, tone="danger") if place.form.editable else None,
        )
    may = place.form.editable and not place.deepest
    return small(t("Only with certain properties"), begin) if may else None


# What several events come to, and when they happened


def _reckoned(place: Place, widget: shape.Reckoned) -> Element:
    """How often, or what a property comes to."""
    form, term, asked = place.form, place.term, place.present(widget.key)
    of = asked.get("of") if isinstance(asked, Mapping) else HOW_OFTEN

    def chosen(_path: Path, value: Any, _redraw: bool) -> None:
        kept = {k: v for k, v in term.items() if k not in (widget.key, widget.count)}
        if value != HOW_OFTEN:
            kept[widget.key] = _compared_anew(asked if isinstance(asked, Mapping) else {}, value)
        place.change(place.path, kept, True)

    choices = [(HOW_OFTEN, "how often"), *widget.choices]
    what = widgets.select(
        replace(form, edit=chosen), place.inside(f"{widget.key}.of"), choices, of,
        label=form.t("What is asked"),
    )  # fmt: skip
    if of == HOW_OFTEN:
        operator, value = f"{widget.count}.operator", f"{widget.count}.value"
        often = shape.Choose(operator, "How often", shape.COUNTS, ">=")
        times = shape.Number(value, "Times", 1, whole=True)
        return _lines([what, _choose(place, often), _number(place, times), _words(place, TIMES)])
    inside = replace(
        place, path=place.inside(widget.key), event=str(place.present(widget.event) or "")
    )
    if of in ENDS:
        return _lines([what], [_comparison(inside, COMPARISON)])
    return _lines([what, *_property(inside, COMPARISON)], _size(inside))


def _compared_anew(asked: Mapping[str, Any], of: Any) -> dict[str, Any]:
    """What is asked after another aggregate was chosen; of numbers a number."""
    operator, value = asked.get("operator", ">="), asked.get("value")
    if of not in ENDS and not isinstance(value, int | float):
        value = None
    fitting = (
        operator
        if of in ENDS or operator in shape.COMPARE or not isinstance(operator, str)
        else ">="
    )
    return {"of": of, "field": asked.get(COMPARISON.field, ""), "operator": fitting, "value": value}


def _property(place: Place, widget: shape.Comparison) -> list[Element]:
    """The name of a property, with suggestions."""
    offered, listed = _fields(place)
    label = place.form.t("Field")
    return [
        widgets.text(place.form, place.inside(widget.field), offered=offered, label=label),
        listed,
    ]


def _size(place: Place) -> list[Element]:
    """A number, how it is compared and with what."""
    operator = shape.Choose("operator", "Comparison", shape.COMPARISONS, ">=")
    return [_choose(place, operator), _number(place, shape.Number("value", "Value"))]


def _lines(*rows: list[Element]) -> Element:
    return html.div(
        {"className": "pfb-list"}, *(html.div({"className": "pfb-row"}, *row) for row in rows)
    )


def _during(place: Place, widget: shape.During) -> Element:
    """At any time, in the last so long, since a day …: which of the bounds there are, and those bounds."""
    form, term = place.form, place.term
    keys = (widget.within, widget.since, widget.before)
    has = (
        place.present(widget.within) is not None,
        place.present(widget.since) is not None,
        _ends(place.present(widget.before) if widget.before else None),
    )
    mode = next((name for name, _, bounds in _PERIODS if bounds == has), SEVERAL_BOUNDS)

    def chosen(_path: Path, value: Any, _redraw: bool) -> None:
        kept = {k: v for k, v in term.items() if k not in keys}
        place.change(place.path, {**kept, **_bounds_anew(term, keys, value)}, True)

    offered = [(name, text) for name, text, (*_, ends) in _PERIODS if widget.before or not ends]
    if mode == SEVERAL_BOUNDS:
        offered.append((SEVERAL_BOUNDS, "within several bounds"))
    when = widgets.select(
        replace(form, edit=chosen), place.inside(widget.within), offered, mode,
        label=form.t("When"),
    )  # fmt: skip
    first, last = _beginnings(place, widget, has), _ending(place, widget, has)
    if first and last:  # a line for each, for on a phone none has room for two dates
        return _lines([when], first, last)
    return html.div({"className": "pfb-row"}, when, *first, *last)


Bounds = tuple[bool, bool, str | None]
"""Whether there is a `within` and a `since`, and how `before` is given: `day`, `span` or not at all."""


def _beginnings(place: Place, widget: shape.During, has: Bounds) -> list[Element]:
    within, since, _ = has
    fields: list[Element] = []
    if within:
        fields.append(_span(place, shape.Span(widget.within, "Within")))
    if since:
        label = place.form.t("First day")
        fields.append(widgets.instant(place.form, place.inside(widget.since), label))
    return fields


def _ending(place: Place, widget: shape.During, has: Bounds) -> list[Element]:
    t, (*begins, ends) = place.form.t, has
    if ends is None:
        return []
    link = html.span(t("but longer ago than" if ends == "span" else "and before"))
    field = (
        _ago(place, widget.before)
        if ends == "span"
        else widgets.instant(place.form, place.inside(widget.before), t("Before this day"))
    )
    return [link, field] if any(begins) else [field]


def _ago(place: Place, key: str) -> Element:
    """A length of time, stored as one that lies back."""

    def back(path: Path, value: Any, redraw: bool) -> None:
        is_span = isinstance(value, str) and value.startswith("P")
        place.change(path, f"-{value}" if is_span else value, redraw)

    form = replace(place.form, edit=back)
    return durations.duration(
        form, place.inside(key), place.present(key), label=form.t("Longer ago than")
    )


def _ends(before: Any) -> str | None:
    if before is None:
        return None
    return "span" if isinstance(before, str) and before.lstrip("+-").startswith("P") else "day"


def _bounds_anew(term: Mapping[str, Any], keys: tuple[str, str, str], mode: Any) -> dict[str, Any]:
    """The bounds of another period: those that there were where they fit, else sensible ones."""
    within, since, before = keys
    bounds = next((one for name, _, one in _PERIODS if name == mode), None)
    if bounds is None:
        return {key: term[key] for key in keys if key in term}
    there = {key: term.get(key) for key in keys}
    found = {within: there[within] or "P30D"} if bounds[0] else {}
    if bounds[1]:
        found[since] = there[since] or ""
    if bounds[2]:
        fits = _ends(there[before]) == bounds[2]
        found[before] = there[before] if fits else "" if bounds[2] == "day" else "-P30D"
    return found


def _several(place: Place, widget: shape.Several) -> Element:
    """Parts in order, with a button that adds one and buttons that remove one."""
    form, path = place.form, place.inside(widget.key)
    stored = place.present(widget.key)
    parts = list(stored) if isinstance(stored, list | tuple) else []

    def add(_event: Any) -> None:
        place.change((*path, len(parts)), dict(widget.fresh), True)

    def remove(number: int) -> Callable[[Any], None]:
        return lambda _event: place.change(path, [*parts[:number], *parts[number + 1 :]], True)

    items = [
        html.div(
            {"key": f"{number}/{form.state(path)}", "className": "pfb-item"},
            html.div(
                {"className": "pfb-item-head"},
                html.span(heading := form.t(widget.heading, number=number + 1)),
                small(
                    form.t("Remove"),
                    remove(number),
                    form.t("Remove: {part}", part=heading),
                    "danger",
                )
                if form.editable and len(parts) > widget.least
                else None,
            ),
            *_of_part(place, widget, number),
        )
        for number in range(len(parts))
    ]
    more = form.editable and len(parts) < widget.most
    return html.div(
        {"className": "pfb-list"}, *items, small(form.t("Add a step"), add) if more else None
    )


def _of_part(place: Place, widget: shape.Several, number: int) -> list[Element]:
    inside = replace(place, path=(*place.inside(widget.key), number))
    rows = [
        row
        for row in widget.shape
        if number or not {getattr(one, "key", "") for one in _of(row)} & {*widget.not_first}
    ]
    return [_row(inside, row, place_) for place_, row in enumerate(rows)]


def _of(row: shape.Row | shape.Widget) -> shape.Row:
    return row if isinstance(row, tuple) else (row,)


# A field, how it is compared, and with what


def _comparison(place: Place, widget: shape.Comparison) -> Element:
    form, term = place.form, place.term
    spec, operator = (
        _spec(place, str(term.get(widget.field) or "")),
        str(term.get(widget.operator) or "="),
    )

    def chosen(_path: Path, value: Any, _redraw: bool) -> None:
        # Another kind of question needs another kind of answer.
        kept = {**term, widget.operator: value, widget.value: _blank(value, term.get(widget.value))}
        place.change(
            place.path, {k: v for k, v in kept.items() if k != widget.value or v is not None}, True
        )

    return html._(
        *_property(place, widget),
        _operator(replace(form, edit=chosen), place.inside(widget.operator), operator, spec),
        _value(form, place.inside(widget.value), operator, spec),
    )


def _fields(place: Place) -> tuple[str, Element]:
    """(id of the suggestions, their list where it is not on the page already)."""
    if place.event is None:
        return suggestions.suggested("field"), None
    return suggestions.properties(place.form, place.path, [place.event], context=True)


def _among(place: Place, widget: shape.Among) -> Element:
    form, attribute = place.form, place.present(widget.attribute)
    operator = str(place.present(widget.operator, "="))

    def asked(path: Path, value: Any, _redraw: bool) -> None:
        place.change(path, value, True)

    what = widgets.select(
        replace(form, edit=asked),
        place.inside(widget.attribute),
        [(None, widget.any), *widget.choices],
        attribute,
        label=form.t("What is asked"),
    )
    if attribute is None:
        return what

    def chosen(_path: Path, value: Any, _redraw: bool) -> None:
        kept = {
            **place.term,
            widget.operator: value,
            widget.value: _blank(value, place.present(widget.value)),
        }
        place.change(
            place.path, {k: v for k, v in kept.items() if k != widget.value or v is not None}, True
        )

    how = widgets.select(
        replace(form, edit=chosen),
        place.inside(widget.operator),
        [(one, shape.OPERATORS[one]) for one in widget.operators],
        operator,
        label=form.t("Comparison"),
    )
    return html._(what, how, _text_among(place, widget, str(attribute), operator))


def _text_among(place: Place, widget: shape.Among, attribute: str, operator: str) -> Element:
    """The value: one of those that are listed, else a text with those that are known."""
    form, path = place.form, place.inside(widget.value)
    if operator in ("null", "notNull"):
        return None
    if operator in ("in", "notIn"):
        return several.words_list(form, path, place.present(widget.value) or ())
    if attribute in widget.listed and operator in ("=", "!="):
        stored = place.present(widget.value)
        return widgets.select(form, path, widget.listed[attribute], stored, label=form.t("Value"))
    id = f"{form.id(path)}-known"
    known = form.lookups.offered(attribute, {})
    return html._(
        widgets.text(form, path, offered=id, label=form.t("Value")),
        datalist(
            {"id": id}, [html.option({"key": one, "value": one}, name) for one, name in known]
        ),
    )


def _operator(form: Form, path: Path, operator: str, spec: FieldSpec | None) -> Element:
    fitting = _FITTING.get(spec.type if spec else "any", tuple(shape.OPERATORS))
    choices = [
        (one, text) for one, text in shape.OPERATORS.items() if one in fitting or one == operator
    ]
    return widgets.select(form, path, choices, operator, label=form.t("Comparison"))


def _spec(place: Place, name: str) -> FieldSpec | None:
    catalogue = place.form.lookups.catalogue
    if place.event is None:
        return catalogue.field(name)
    if name in CONTEXT_FIELDS:
        return CONTEXT_FIELDS[name]
    event = catalogue.event(place.event)
    return event.property(name) if event else None


def _blank(operator: str, value: Any) -> Any:
    """The value to begin with after another operator was chosen: what was there, if it fits."""
    if operator in ("null", "notNull"):
        return None
    if operator == "between":
        return (
            value
            if isinstance(value, list) and len(value) == 2
            else [value if not isinstance(value, list) else None, None]
        )
    if operator in ("in", "notIn"):
        return value if isinstance(value, list) else [value] if value not in (None, "") else []
    if operator in ("withinLast", "withinNext"):
        return value if isinstance(value, str) and value.startswith("P") else "P7D"
    if isinstance(value, list):
        return next((one for one in value if one is not None), "")
    return value


def _value(form: Form, path: Path, operator: str, spec: FieldSpec | None) -> Element:
    t = form.t
    if operator in ("null", "notNull"):
        return None
    if operator in ("withinLast", "withinNext"):
        return durations.duration(form, path, form.value(path), label=t("Value"))
    if operator in ("in", "notIn"):
        return several.words_list(form, path, form.value(path) or ())
    if operator == "between":
        return html._(
            _plain(form, (*path, 0), spec), html.span(t("and")), _plain(form, (*path, 1), spec)
        )
    return _plain(form, path, spec)


def _plain(form: Form, path: Path, spec: FieldSpec | None) -> Element:
    label, kind = form.t("Value"), spec.type if spec else "any"
    if kind == "boolean":
        return widgets.select(
            form, path, [(True, "yes"), (False, "no")], form.value(path), label=label
        )
    if kind == "number":
        return widgets.number(form, path, form.value(path), {}, label=label)
    if kind == "date":
        return widgets.text(form, path, kind="date", label=label)
    if kind == "datetime":
        return widgets.instant(form, path, label)
    if spec and spec.values:
        names = [
            (one, form.t.language_of(str(one)) if spec.name == "locale" else str(one))
            for one in spec.values
        ]
        return widgets.select(form, path, names, form.value(path), label=label)
    if kind == "string":
        return widgets.text(form, path, label=label)
    return widgets.scalar(form, path, label=label)


_WIDGETS: Mapping[type, Callable[[Place, Any], Element]] = {
    shape.Words: _words,
    shape.Choose: _choose,
    shape.Write: _write,
    shape.Number: _number,
    shape.Span: _span,
    shape.Tick: _tick,
    shape.Pick: _pick,
    shape.PickMessage: _pick_message,
    shape.Where: _where,
    shape.Comparison: _comparison,
    shape.Among: _among,
    shape.Reckoned: _reckoned,
    shape.During: _during,
    shape.Several: _several,
}
