"""The rule builder: all or any of several conditions, with groups in groups, and above it the sentence that it comes to.

Edits the JSON of `journeys.rules.model`; inside an event's `where` only its properties can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from builder_ui import parts, words
from builder_ui.builder import forms
from builder_ui.builder.draft import at, replaced
from builder_ui.builder.forms import Form, Path, small
from builder_ui.compat import Element, html
from journeys.catalogue import FieldSpec
from journeys.channels import ASKED
from journeys.rules import parse_rule

KINDS = {
    "field": "Field",
    "event": "Event",
    "message": "Message",
    "consent": "Consent",
    "score": "Score",
    "tag": "Tag",
    "rules": "Group of conditions",
}
FRESH: Mapping[str, dict[str, Any]] = {
    # Nothing is filled in: what is missing is told as a problem.
    "field": {"field": "", "operator": "=", "value": ""},
    "event": {"event": ""},
    "message": {"message": ""},
    "consent": {"consent": ""},
    "score": {"score": "", "operator": ">=", "value": None},
    "tag": {"tag": ""},
    "rules": {"combinator": "or", "rules": []},
}
ANY = "*"
"""Stands in the list of messages for any of them."""
ASKED_OF_LAST = {"opened": "“{name}” was opened", "clicked": "“{name}” was clicked"}
OPERATORS = {
    "=": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
    "contains": "contains",
    "doesNotContain": "does not contain",
    "beginsWith": "begins with",
    "endsWith": "ends with",
    "in": "is one of",
    "notIn": "is none of",
    "between": "is between",
    "null": "is empty",
    "notNull": "is not empty",
    "before": "is before",
    "after": "is after",
    "withinLast": "was within the last",
    "withinNext": "is within the next",
}
_COMPARE = ("=", "!=", "<", "<=", ">", ">=")
_FITTING: Mapping[str, tuple[str, ...]] = {
    "string": ("=", "!=", "contains", "doesNotContain", "beginsWith", "endsWith", "in", "notIn", "null", "notNull"),
    "number": (*_COMPARE, "between", "in", "notIn", "null", "notNull"),
    "boolean": ("=", "!=", "null", "notNull"),
    "datetime": ("before", "after", "withinLast", "withinNext", "between", "null", "notNull"),
    "date": ("before", "after", "withinLast", "withinNext", "=", "between", "null", "notNull"),
    "list": ("contains", "doesNotContain", "null", "notNull"),
}
COUNTS = {">=": "at least", "=": "exactly", "<=": "at most", ">": "more than", "<": "less than", "!=": "not exactly"}
MESSAGES = {"sent": "was sent", "opened": "was opened", "clicked": "was clicked", "bounced": "bounced"}
CONSENTS = ("granted", "withdrawn", "pending", "unknown")
DEEPEST = 4

Change = Callable[[Path, Any, bool], None]


def rule_field(form: Form, path: Path, optional: bool) -> Element:
    """A rule in a form. A single condition is edited as a group of one."""
    speech, rule = form.speech, form.value(path)
    if not isinstance(rule, Mapping):
        return _none_yet(form, path, optional)
    root = dict(rule) if "rules" in rule or "combinator" in rule else {"combinator": "and", "rules": [dict(rule)]}

    def change(inner: Path, value: Any, redraw: bool) -> None:
        form.edit(path, replaced(root, inner, value), redraw)

    scope = _scope(form, path)
    inner_form = _Inner(form, path, root, change)
    drop = (
        small(speech("Remove the rule"), lambda _event: form.edit(path, None, True), tone="danger") if optional and form.editable else None
    )
    return html.div(
        {"className": "pfb-field", "id": form.id(path)},
        html.p({"className": "pfb-sentence", "aria-live": "polite"}, *_sentence(form, rule)),
        _group(inner_form, (), scope, 0),
        drop,
    )


def _none_yet(form: Form, path: Path, optional: bool) -> Element:
    """Where there is no rule: what it may begin with; where there need not be one, only once somebody asks for it."""
    speech = form.speech

    def begin(fresh: Mapping[str, Any]) -> None:
        form.edit(path, {"combinator": "and", "rules": [dict(fresh)]}, True)

    if not form.editable:
        return html.p({"className": "quiet"}, speech("No condition"))
    if _scope(form, path) is not None:
        return small(speech("Add a condition"), lambda _event: begin(FRESH["field"]))
    buttons = html.div({"className": "pfb-row pfb-adding", "id": form.id(path)}, *_adding(form, None, 0, begin))
    if not optional:
        return buttons
    return html.details({"className": "pfb-begin"}, html.summary({"className": "pfb-small"}, speech("Add a condition")), buttons)


def _adding(form: Form, scope: str | None, depth: int, add: Callable[[Mapping[str, Any]], None]) -> list[Element]:
    """The buttons that add a condition; in front what was done with the last message before, ready to be asked."""
    speech, last = form.speech, form.last_message

    def button(text: str, fresh: Mapping[str, Any]) -> Element:
        return small("+ " + text, lambda _event: add(fresh), speech("Add a condition: {kind}", kind=text))

    if scope is not None:
        ready, offered = {}, ["field", "rules"]
    else:
        named = form.names.get(last or "", "")
        ready = {speech(text, name=named): {"message": what, "node": last} for what, text in ASKED_OF_LAST.items()} if last else {}
        offered = list(KINDS)
    if depth >= DEEPEST:
        offered.remove("rules")
    return [
        *(button(text, fresh) for text, fresh in ready.items()),
        *(button(speech(KINDS[name]), {**FRESH[name], **({"node": last} if name == "message" and last else {})}) for name in offered),
    ]


class _Inner:
    """The form of one rule: paths begin at its root."""

    def __init__(self, form: Form, path: Path, root: Any, change: Change) -> None:
        self.outer, self.path, self.root, self.change, self.speech = form, path, root, change, form.speech
        target = f"{form.target}-{'-'.join(map(str, path))}"
        self.form = replace(form, target=target, raw=root, edit=change, definitions={}, issues={}, fresh={(): form.times(path)})


def _sentence(form: Form, rule: Mapping[str, Any]) -> list[Element]:
    try:
        return parts.marked(words.rule(form.speech, parse_rule(rule), form.names))
    except (ValidationError, ValueError, TypeError, KeyError):
        return [form.speech("Not complete yet")]


def _scope(form: Form, path: Path) -> str | None:
    """The event whose properties a `where` asks for; None: the contact is asked."""
    if not path or path[-1] != "where":
        return None
    event = at(form.raw, (*path[:-1], "event"))
    return event if isinstance(event, str) else ""


def _group(inner: _Inner, path: Path, scope: str | None, depth: int) -> Element:
    """All or any of some conditions."""
    speech, group = inner.speech, at(inner.root, path) or {}
    rules = group.get("rules") or []
    form = inner.form

    def add(fresh: Mapping[str, Any]) -> None:
        inner.change((*path, "rules"), [*rules, dict(fresh)], True)

    def remove(place: int) -> Callable[[Any], None]:
        return lambda _event: inner.change((*path, "rules"), [*rules[:place], *rules[place + 1 :]], True)

    adding = _adding(form, scope, depth, add)
    links = [("and", "all of these hold"), ("or", "any of these holds")]
    terms = [
        html.div(
            {"key": f"{place}/{form.state(path)}", "className": "pfb-term"},
            _term(inner, (*path, "rules", place), scope, depth),
            small(speech("Remove"), remove(place), speech("Remove condition {number}", number=place + 1), "danger")
            if form.editable
            else None,
        )
        for place in range(len(rules))
    ]
    return html.div(
        {"className": "pfb-rule", "role": "group", "aria-label": speech("Conditions")},
        html.div(
            {"className": "pfb-row"},
            forms.select(form, (*path, "combinator"), links, group.get("combinator", "and"), label=speech("All or any")),
            forms.checkbox(form, (*path, "not"), bool(group.get("not")), speech("not")),
        ),
        html._(terms),
        html.div({"className": "pfb-row pfb-adding"}, *adding) if form.editable else None,
    )


def _term(inner: _Inner, path: Path, scope: str | None, depth: int) -> Element:
    term = at(inner.root, path)
    term = term if isinstance(term, Mapping) else {}
    if "rules" in term or "combinator" in term:
        return _group(inner, path, scope, depth + 1)
    for name, draw in (("event", _event), ("message", _message), ("consent", _consent), ("score", _score), ("tag", _tag)):
        if name in term:
            return draw(inner, path, term, depth)
    return _field(inner, path, term, scope)


def _field(inner: _Inner, path: Path, term: Mapping[str, Any], scope: str | None) -> Element:
    form, speech = inner.form, inner.speech
    spec = _spec(form, str(term.get("field") or ""), scope)
    fitting = _FITTING.get(spec.type if spec else "any", tuple(OPERATORS))
    operator = str(term.get("operator") or "=")
    choices = [(one, OPERATORS[one]) for one in OPERATORS if one in fitting or one == operator]
    offered, listed = ("pfb-fields", None) if scope is None else forms.properties(form, path, [scope])

    def chosen(one_path: Path, value: Any, _redraw: bool) -> None:
        # Another kind of question needs another kind of answer.
        kept = {**term, "operator": value}
        kept["value"] = _blank(value, term.get("value"))
        inner.change(path, {k: v for k, v in kept.items() if k != "value" or v is not None}, True)

    pick = replace(form, edit=chosen)
    return html.div(
        {"className": "pfb-row"},
        forms.text(form, (*path, "field"), offered=offered, label=speech("Field")),
        listed,
        forms.select(pick, (*path, "operator"), choices, operator, label=speech("Comparison")),
        _value(inner, (*path, "value"), operator, spec),
    )


def _blank(operator: str, value: Any) -> Any:
    """The value to begin with after another operator was chosen: what was there, if it fits."""
    if operator in ("null", "notNull"):
        return None
    if operator == "between":
        return value if isinstance(value, list) and len(value) == 2 else [value if not isinstance(value, list) else None, None]
    if operator in ("in", "notIn"):
        return value if isinstance(value, list) else [value] if value not in (None, "") else []
    if operator in ("withinLast", "withinNext"):
        return value if isinstance(value, str) and value.startswith("P") else "P7D"
    if isinstance(value, list):
        return next((one for one in value if one is not None), "")
    return value


def _value(inner: _Inner, path: Path, operator: str, spec: FieldSpec | None) -> Element:
    form, speech = inner.form, inner.speech
    if operator in ("null", "notNull"):
        return None
    if operator in ("withinLast", "withinNext"):
        return forms.duration(form, path, form.value(path), label=speech("Value"))
    if operator in ("in", "notIn"):
        return forms.words_list(form, path, form.value(path) or ())
    if operator == "between":
        return html._(_plain(form, (*path, 0), spec), html.span(speech("and")), _plain(form, (*path, 1), spec))
    return _plain(form, path, spec)


def _plain(form: Form, path: Path, spec: FieldSpec | None) -> Element:
    label, kind = form.speech("Value"), spec.type if spec else "any"
    if kind == "boolean":
        return forms.select(form, path, [(True, "yes"), (False, "no")], form.value(path), label=label)
    if kind == "number":
        return forms.number(form, path, form.value(path), {}, label=label)
    if kind == "date":
        return forms.text(form, path, kind="date", label=label)
    if kind == "datetime":
        return forms.instant(form, path, label)
    if spec and spec.values:
        names = [(one, form.speech.language_of(str(one)) if spec.name == "locale" else str(one)) for one in spec.values]
        return forms.select(form, path, names, form.value(path), label=label)
    if kind == "string":
        return forms.text(form, path, label=label)
    return forms.scalar(form, path, label=label)


def _spec(form: Form, name: str, scope: str | None) -> FieldSpec | None:
    catalogue = form.knowledge.catalogue
    if scope is None:
        return catalogue.field(name)
    event = catalogue.event(scope)
    return event.property(name) if event else None


def _event(inner: _Inner, path: Path, term: Mapping[str, Any], depth: int) -> Element:
    form, speech = inner.form, inner.speech
    given = term.get("count")
    count: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    where = term.get("where")

    def start(_event: Any) -> None:
        inner.change((*path, "where"), {"combinator": "and", "rules": [dict(FRESH["field"])]}, True)

    body = (
        html._(
            html.span({"className": "pfb-legend"}, speech("where")),
            _group(inner, (*path, "where"), str(term.get("event") or ""), depth + 1),
            small(speech("Remove “where”"), lambda _event: inner.change((*path, "where"), None, True), tone="danger")
            if form.editable
            else None,
        )
        if isinstance(where, Mapping)
        else small(speech("Only with certain properties"), start)
        if form.editable and depth < DEEPEST
        else None
    )
    did = [(True, "did"), (False, "did not do")]
    return html.div(
        {"className": "pfb-list"},
        html.div(
            {"className": "pfb-row"},
            forms.select(form, (*path, "did"), did, term.get("did", True), label=speech("Did or did not")),
            forms.text(form, (*path, "event"), offered="pfb-events", label=speech("Event")),
        ),
        html.div(
            {"className": "pfb-row"},
            forms.select(form, (*path, "count", "operator"), list(COUNTS.items()), count.get("operator", ">="), label=speech("How often")),
            forms.number(form, (*path, "count", "value"), count.get("value", 1), {"type": "integer", "minimum": 0}, label=speech("Times")),
            html.span(speech("times")),
        ),
        html.div(
            {"className": "pfb-row"},
            html.span(speech("within")),
            forms.duration(form, (*path, "within"), term.get("within"), label=speech("Within")),
        ),
        forms.checkbox(form, (*path, "since_entry"), bool(term.get("since_entry")), speech("only since entering the journey")),
        body,
    )


def with_present(offered: Sequence[str], present: str | None) -> list[str]:
    """What a form offers, and what the document says already although nothing offers it any more."""
    return [*offered, *([present] if present and present not in offered else [])]


def _message(inner: _Inner, path: Path, term: Mapping[str, Any], _depth: int) -> Element:
    form, speech = inner.form, inner.speech
    steps = [(ANY, speech("any message")), *((id, form.names.get(id, id)) for id, kind in form.kinds.items() if kind.startswith("send_"))]
    node = ANY if term.get("node") is None else term["node"]

    def chosen(one_path: Path, value: Any, redraw: bool) -> None:
        inner.change(one_path, None if value == ANY else value, redraw)

    did = [(True, "yes"), (False, "no")]
    return html.div(
        {"className": "pfb-list"},
        html.div(
            {"className": "pfb-row"},
            forms.select(replace(form, edit=chosen), (*path, "node"), steps, node, label=speech("Message of the step"), own=True),
            forms.select(
                form,
                (*path, "message"),
                [(one, MESSAGES.get(one, one)) for one in with_present(tuple(MESSAGES), term.get("message"))],
                term.get("message"),
                label=speech("What happened"),
            ),
            forms.select(form, (*path, "did"), did, term.get("did", True), label=speech("Happened or not")),
        ),
        html.div(
            {"className": "pfb-row"},
            html.span(speech("within")),
            forms.duration(form, (*path, "within"), term.get("within"), label=speech("Within")),
        ),
    )


def _consent(inner: _Inner, path: Path, term: Mapping[str, Any], _depth: int) -> Element:
    form, speech = inner.form, inner.speech
    channels = [(one, words.CHANNELS.get(one, "Tracking")) for one in with_present(ASKED, term.get("consent"))]
    states = [(one, words.CONSENT_STATES[one]) for one in CONSENTS]
    return html.div(
        {"className": "pfb-row"},
        html.span(speech("Consent")),
        forms.select(form, (*path, "consent"), channels, term.get("consent"), label=speech("Channel")),
        forms.picker(
            form, (*path, "purpose"), form.knowledge.offered("purpose", {}), False, value="marketing", label=speech("Consent purpose")
        ),
        forms.select(form, (*path, "operator"), [("=", "is"), ("!=", "is not")], term.get("operator", "="), label=speech("Comparison")),
        forms.select(form, (*path, "value"), states, term.get("value", "granted"), label=speech("Value")),
    )


def _score(inner: _Inner, path: Path, term: Mapping[str, Any], _depth: int) -> Element:
    form, speech = inner.form, inner.speech
    operators = [(one, OPERATORS[one]) for one in _COMPARE]
    return html.div(
        {"className": "pfb-row"},
        html.span(speech("Score")),
        forms.picker(form, (*path, "score"), form.knowledge.offered("score_group", {}), False, label=speech("Score")),
        forms.select(form, (*path, "operator"), operators, term.get("operator", ">="), label=speech("Comparison")),
        forms.number(form, (*path, "value"), term.get("value"), {}, label=speech("Value")),
    )


def _tag(inner: _Inner, path: Path, term: Mapping[str, Any], _depth: int) -> Element:
    form, speech = inner.form, inner.speech
    return html.div(
        {"className": "pfb-row"},
        forms.select(
            form,
            (*path, "has"),
            [(True, "has the tag"), (False, "does not have the tag")],
            term.get("has", True),
            label=speech("Has or has not"),
        ),
        forms.text(form, (*path, "tag"), offered="pfb-tags", label=speech("Tag")),
    )
