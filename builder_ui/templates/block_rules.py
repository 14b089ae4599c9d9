"""The rule by which a block of a mail is shown: the builder's rule editor over the block editor, and what the block editor says of rules.

The rule itself stands in the MJML (`activities.rendering.rules`); here is nothing that keeps one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pydantic import ValidationError

from activities.rendering import jinja, rules
from activities.rendering.faults import Fault
from activities.rendering.tokens import swap
from builder_ui.builder import lookups
from builder_ui.builder.draft import replaced
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.rule_editor import rule_field
from builder_ui.builder.suggestions import offers
from builder_ui.builder.widgets import Form, Path
from builder_ui.kit import components, labels
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html
from crm.rules.askable import askable
from journeys.contact_rules import Askable
from journeys.errors import Issue
from journeys.rules import parse_rule

Writing = Any
"""A template's open editor (`builder_ui.templates.session`), which imports this module."""

PLACE: Path = ("rule",)
MOST_SAID = 100
"""Conditions of one mail."""


@dataclass(slots=True)
class Asked:
    """A rule that is being edited. `moved` counts what drew its fields anew; `issues`: what was wrong when it was to be used."""

    rule: Any
    lookups: Lookups
    askable: Askable
    moved: int = 0
    issues: list[Issue] = field(default_factory=list)

    @property
    def condition(self) -> str:
        """As it stands in a mail."""
        return rules.written(self.rule)

    def edit(self, path: Path, value: Any, redraw: bool) -> None:
        self.rule = replaced({"rule": self.rule}, path, value).get("rule")
        self.moved += redraw
        self.issues = []

    def wrong(self) -> list[Issue]:
        """What keeps it from being used."""
        return [issue for issue in rules.wrong(self.rule, self.askable) if issue.severity == "error"]


def ask(context: PageContext, condition: str) -> Asked:
    """The rule that a condition asks, ready to be edited; a new one where it asks none."""
    with context.engine.db.read() as session:
        return Asked(jinja.rule_in(condition), lookups.load(session, context.t), askable(session))


def said(t: Translator, source: str, answers: Mapping[str, bool]) -> dict[str, dict[str, Any]]:
    """Condition as written -> the sentence of its rule, and whether it holds for whom the mail is shown (None: not known), for each rule of a source."""
    try:
        tokens = swap(source).tokens.values() if rules.RULE in source else ()
    except Fault:
        return {}
    conditions = (token.inner[2:].strip() for token in tokens if token.kind == "block" and token.inner.startswith("if "))
    found = ((condition, jinja.rule_in(condition)) for condition in dict.fromkeys(islice(conditions, MOST_SAID)))
    return {
        condition: {"said": sentence(t, rule), "holds": answers.get(rules.key_of(rules.text_of(rule)))}
        for condition, rule in found
        if rule is not None
    }


def sentence(t: Translator, rule: Any) -> str:
    try:
        return components.plain(labels.rule(t, parse_rule(rule)))
    except ValidationError:
        return t("Not complete yet")


@component
def editor(writing: Writing) -> Element:
    """The rule editor over the page, while a rule is being edited."""
    use_topics(writing, "rule")
    asked: Asked | None = writing.asked
    if asked is None:
        return None
    t = writing.t

    def edit(path: Path, value: Any, redraw: bool) -> None:
        asked.edit(path, value, redraw)
        writing.tell("rule")

    form = Form(t, asked.lookups, "block", {"rule": asked.rule}, edit, asked.moved, writing.editable, in_run=False)
    return html.dialog(
        {"className": "tpl-rule", "aria-labelledby": "tpl-rule-title"},  # the block editor, which asked, makes it modal
        html.h2({"id": "tpl-rule-title"}, t("Who sees this block")),
        html.p(
            {"className": "quiet"},
            t("Contacts for whom this rule holds when the message is sent. Everyone else gets the message without the block."),
        ),
        offers(t, asked.lookups),
        rule_field(form, PLACE, False),
        _problems(t, asked.issues),
        html.div(
            {"className": "tpl-rule-acts"},
            html.button({"type": "button", "className": "button cancel", "onClick": lambda _event: writing.drop_rule()}, t("Cancel")),
            components.button(t("Use the rule"), lambda _event: writing.use_rule(), "check", "main"),
        ),
    )


def _problems(t: Translator, issues: list[Issue]) -> Element:
    if not issues:
        return None
    return html.ul(
        {"className": "tpl-rule-wrong", "role": "alert"}, [html.li({"key": str(n)}, one.say(t.translate)) for n, one in enumerate(issues)]
    )
