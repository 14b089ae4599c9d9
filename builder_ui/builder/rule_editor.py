"""The rule builder: all or any of several conditions, with groups in groups, and above it the sentence that it comes to.

Edits the JSON of `journeys.rules.model`; inside an event's `where` only its properties can be asked for. What a condition looks like
follows from the shape of its term (`term_widgets`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from journeys.rules import parse_rule
from journeys.rules.model import is_group
from journeys.rules.terms import TERMS
from pydantic import ValidationError

from builder_ui.builder import widgets
from builder_ui.builder.draft import at, replaced
from builder_ui.builder.term_widgets import Change, Place, draw, fresh_on_event
from builder_ui.builder.widgets import Form, Path, small
from builder_ui.kit import components, labels
from builder_ui.kit.reactpy_compat import Element, html

GROUP = "Group of conditions"
NEW_GROUP: Mapping[str, Any] = {"combinator": "or", "rules": []}
DEEPEST = 4


def rule_field(form: Form, path: Path, optional: bool) -> Element:
    """A rule in a form. A single condition is edited as a group of one."""
    t, rule = form.t, form.value(path)
    if not isinstance(rule, Mapping):
        return _none_yet(form, path, optional)
    grouped = is_group(rule)
    root = dict(rule) if grouped else {"combinator": "and", "rules": [dict(rule)]}

    def change(inner: Path, value: Any, redraw: bool) -> None:
        """Only what is meant: what was typed an instant before may not be in `rule` yet."""
        if grouped:
            form.edit((*path, *inner), value, redraw)
        else:
            form.edit(path, replaced(root, inner, value), redraw)

    scope = _scope(form, path)
    inner_form = _Inner(form, path, root, change)
    drop = (
        small(t("Remove all conditions"), lambda _event: form.edit(path, None, True), tone="danger")
        if optional and form.editable
        else None
    )
    return html.div(
        {"className": "pfb-field", "id": form.id(path)},
        html.p({"className": "pfb-sentence", "aria-live": "polite"}, *_sentence(form, rule)),
        _group(inner_form, (), scope, 0),
        drop,
    )


def _none_yet(form: Form, path: Path, optional: bool) -> Element:
    """Where there is no rule: what it may begin with; where there need not be one, only once somebody asks for it."""
    t = form.t

    def begin(fresh: Mapping[str, Any]) -> None:
        form.edit(path, {"combinator": "and", "rules": [dict(fresh)]}, True)

    if not form.editable:
        return html.p({"className": "quiet"}, t("No condition"))
    if _scope(form, path) is not None:
        return small(t("Add a condition"), lambda _event: begin(fresh_on_event()))
    buttons = html.div(
        {"className": "pfb-row pfb-adding", "id": form.id(path)}, *_adding(form, None, 0, begin)
    )
    if not optional:
        return buttons
    return html.details(
        {"className": "pfb-begin"},
        html.summary({"className": "pfb-small"}, t("Add a condition")),
        buttons,
    )


def _adding(
    form: Form, scope: str | None, depth: int, add: Callable[[Mapping[str, Any]], None]
) -> list[Element]:
    """The buttons that add a condition; in front what was done with the last message before, ready to be asked."""
    t = form.t

    def button(text: str, fresh: Mapping[str, Any]) -> Element:
        return small(
            "+ " + text, lambda _event: add(fresh), t("Add a condition: {kind}", kind=text)
        )

    offered = {
        t(term.label): term.beginning(form.last_message)
        for term in TERMS
        if scope is None or term.on_event
    }
    groups = {t(GROUP): NEW_GROUP} if depth < DEEPEST else {}
    ready = {} if scope is not None else _ready(form)
    return [
        button(text, fresh) for text, fresh in (*ready.items(), *offered.items(), *groups.items())
    ]


def _ready(form: Form) -> dict[str, Mapping[str, Any]]:
    """What may be asked about the last message, by what its button says."""
    if not form.last_message:
        return {}
    name = form.names.get(form.last_message, "")
    return {
        form.t(text, name=name): asked
        for term in TERMS
        for text, asked in term.ready(form.last_message).items()
    }


class _Inner:
    """The form of one rule: paths begin at its root."""

    def __init__(self, form: Form, path: Path, root: Any, change: Change) -> None:
        self.outer, self.path, self.root, self.change, self.t = form, path, root, change, form.t
        target = f"{form.target}-{'-'.join(map(str, path))}"
        self.form = replace(
            form,
            target=target,
            raw=root,
            edit=change,
            definitions={},
            issues={},
            fresh={(): form.times(path)},
        )


def _sentence(form: Form, rule: Mapping[str, Any]) -> list[Element]:
    try:
        return components.marked(labels.rule(form.t, parse_rule(rule), form.names))
    except (ValidationError, ValueError, TypeError, KeyError):
        return [form.t("Not complete yet")]


def _scope(form: Form, path: Path) -> str | None:
    """The event whose properties a `where` asks for; None: the contact is asked."""
    if not path or path[-1] != "where":
        return None
    event = at(form.raw, (*path[:-1], "event"))
    return event if isinstance(event, str) else ""


def _group(inner: _Inner, path: Path, scope: str | None, depth: int) -> Element:
    """All or any of some conditions."""
    t, group = inner.t, at(inner.root, path) or {}
    rules = group.get("rules") or []
    form = inner.form

    def add(fresh: Mapping[str, Any]) -> None:
        inner.change((*path, "rules", len(rules)), dict(fresh), True)

    def remove(place: int) -> Callable[[Any], None]:
        return lambda _event: inner.change(
            (*path, "rules"), [*rules[:place], *rules[place + 1 :]], True
        )

    adding = _adding(form, scope, depth, add)
    links = [("and", "all of these hold"), ("or", "any of these holds")]
    terms = [
        html.div(
            {"key": f"{place}/{form.state(path)}", "className": "pfb-term"},
            _term(inner, (*path, "rules", place), scope, depth),
            small(
                t("Remove"),
                remove(place),
                t("Remove condition {number}", number=place + 1),
                "danger",
            )
            if form.editable
            else None,
        )
        for place in range(len(rules))
    ]
    return html.div(
        {"className": "pfb-rule", "role": "group", "aria-label": t("Conditions")},
        html.div(
            {"className": "pfb-row"},
            widgets.select(
                form,
                (*path, "combinator"),
                links,
                group.get("combinator", "and"),
                label=t("All or any"),
            ),
            widgets.checkbox(form, (*path, "not"), bool(group.get("not")), t("not")),
        ),
        html._(terms),
        html.div({"className": "pfb-row pfb-adding"}, *adding) if form.editable else None,
    )


def _term(inner: _Inner, path: Path, scope: str | None, depth: int) -> Element:
    term = at(inner.root, path)
    term = term if isinstance(term, Mapping) else {}
    if is_group(term):
        return _group(inner, path, scope, depth + 1)

    def where(within: Path, event: str) -> Element:
        return _group(inner, within, event, depth + 1)

    place = Place(inner.form, path, inner.change, scope, where, depth >= DEEPEST)
    return draw(place, TERMS.of(term))
