"""Rules in templates: refused with place and reason, answered by name while a message is filled in, nothing where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from activities.rendering import CompiledTemplate, Library, Partial, RenderFailed, answered, compile_template, render, render_text, rules
from activities.rendering.jinja import HTML, rule_in
from journeys.catalogue import Catalogue
from journeys.contact_rules import Askable
from journeys.errors import Invalid, Issue
from journeys.rules import DictFacts

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
VIP = {"combinator": "and", "rules": [{"field": "lifecycle_stage", "operator": "=", "value": "customer"}, {"tag": "vip"}]}
CATALOGUE = Library(askable=Askable(Catalogue.built_in(), (("segment", frozenset({"regulars"})),)))


def mail(condition: str, inside: str = "<mj-text>only some</mj-text>") -> dict[str, dict[str, str]]:
    body = f"{{% if {condition} %}}\n{inside}\n{{% endif %}}\n<mj-text>all</mj-text>"
    return {
        "default": {"subject": "S", "mjml": f"<mjml><mj-body><mj-section><mj-column>\n{body}</mj-column></mj-section></mj-body></mjml>"}
    }


def shown(template: CompiledTemplate, facts: DictFacts) -> tuple[bool, bool]:
    """Whether HTML and plain text show the block."""
    values = {"unsubscribe_url": "https://e.org/u", **answered(template, ["en"], facts, NOW)}
    made = render(template, ["en"], values)
    return "only some" in made.html, "only some" in made.text


def test_a_block_is_there_for_whom_its_rule_holds() -> None:
    template = compile_template(mail(rules.written(VIP)), "email", library=CATALOGUE)
    assert shown(template, DictFacts({"lifecycle_stage": "customer"}, ["vip"])) == (True, True)
    assert shown(template, DictFacts({"lifecycle_stage": "customer"})) == (False, False)
    again = CompiledTemplate.from_json("email", template.to_json())
    assert shown(again, DictFacts({"lifecycle_stage": "customer"}, ["vip"])) == (True, True)


def test_a_rule_may_be_one_of_several_conditions_and_stand_in_any_part() -> None:
    text = f"{{{{ 'A' if {rules.written(VIP)} else 'B' }}}}{{% if not {rules.written({'tag': 'x'})} and contact.plan %}}C{{% endif %}}"
    template = compile_template({"default": {"text": text}}, "sms", library=CATALOGUE)
    values = {"contact": {"plan": "pro"}, **answered(template, ["en"], DictFacts({}, ["x"]), NOW)}
    assert render(template, ["en"], values).text == "B"
    assert len(template.variants["default"].rules) == 2


def issues(condition: str, library: Library = CATALOGUE) -> list[Issue]:
    with pytest.raises(Invalid) as caught:
        compile_template(mail(condition), "email", library=library)
    return list(caught.value.issues)


@pytest.mark.parametrize(
    ("condition", "code", "said"),
    [
        ('rule({"field": "lifecycle_stge", "operator": "=", "value": "x"})', "rule.unknown_field", "Did you mean “lifecycle_stage”?"),
        ('rule({"rules": [{"tag": "x"}, {"field": "email"}]})', "missing", "at “rules.1.operator”"),
        ('rule({"rules": []})', "rule.empty", "no condition here yet"),
        ('rule({"field": "email", "operator": "=", "valu": "x"})', "rule_key", "knows no “valu”"),
        ('rule({"field": "trigger.plan", "operator": "=", "value": "x"})', "rule.needs_run", "{% if trigger.… %}"),
        ('rule({"field": "steps.a.b", "operator": "=", "value": "x"})', "rule.needs_run", "{% if trigger.… %}"),
        ('rule({"message": "clicked", "node": "one"})', "rule.needs_run", "{% if trigger.… %}"),
        ('rule({"segment": "regular"})', "unknown_segment", "Did you mean “regulars”?"),
        ("rule", "rule_written", "with the whole rule"),
        ('rule("vip")', "rule_written", "with the whole rule"),
        ('rule({"tag": contact.plan})', "rule_written", "with the whole rule"),
        ('rule({"tag": "x"}, 1)', "rule_written", "with the whole rule"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_its_place(condition: str, code: str, said: str) -> None:
    found = next(one for one in issues(condition) if one.code == code)
    assert said in found.message
    assert (found.values["line"], found.values["column"], found.field) == (2, 1, "variants.default.mjml")


def test_an_event_nobody_has_seen_yet_is_a_warning() -> None:
    template = compile_template(mail('rule({"event": "Ordr Completed"})'), "email", library=CATALOGUE)
    [found] = [one for one in template.warnings if one.code.startswith("rule.")]
    assert "Did you mean “Order Completed”?" in found.message


def test_rules_are_bounded() -> None:
    many = " or ".join(rules.written({"tag": f"t{n}"}) for n in range(rules.MAX_RULES + 1))
    assert [one.code for one in issues(many)] == ["too_many"]
    deep: Any = {"tag": "x"}
    for _ in range(20):
        deep = {"rules": [deep]}
    assert "nested at most" in issues(rules.written(deep))[0].message


def test_a_partial_brings_its_rules_along() -> None:
    inside = mail(rules.written(VIP))["default"]["mjml"].split("<mj-column>")[1].split("</mj-column>")[0]
    piece = Partial("hint", 3, (("default", inside),))
    library = Library((piece,), ("hint",), askable=Askable(Catalogue.built_in()))
    template = compile_template(mail("contact.plan", '<mj-include path="partial:hint" />'), "email", library=library)
    assert list(template.variants["default"].rules.values()) == [rules.text_of(VIP)]
    broken = Library(
        (Partial("hint", 3, (("default", inside.replace("lifecycle_stage", "stagee")),)),),
        ("hint",),
        askable=Askable(Catalogue.built_in()),
    )
    with pytest.raises(Invalid, match=r"In the partial “hint”, included in line 3: In the rule at “rules.0.field”: There is no field"):
        compile_template(mail("contact.plan", '<mj-include path="partial:hint" />'), "email", library=broken)


def test_a_template_without_rules_asks_nothing_and_one_that_nobody_answered_is_not_sent() -> None:
    class Nobody(DictFacts):
        def value(self, name: str) -> Any:
            raise AssertionError("asked")

    plain = compile_template(mail("contact.plan"), "email")
    assert answered(plain, ["en"], Nobody({}), NOW) == {}
    asking = compile_template(mail(rules.written(VIP)), "email")
    for values in ({}, {"rules": {}}):
        with pytest.raises(RenderFailed):
            render(asking, ["en"], values)
    with pytest.raises(RenderFailed):
        render_text("{% if " + rules.written(VIP) + " %}x{% endif %}", {})


def test_a_loop_looks_a_rule_up_and_builds_nothing() -> None:
    source = "{% for one in trigger.many %}{% if " + rules.written({"tag": ["x"] * 50}) + " %}x{% endif %}{% endfor %}"
    code = HTML.compile(source, raw=True)
    assert rules.key_of(rules.text_of({"tag": ["x"] * 50})) in str(code)
    assert "'x'" not in str(code).replace("yield 'x'", "")


def test_a_name_of_the_authors_own_may_be_called_rule() -> None:
    text = {"default": {"text": "{% for rule in trigger.rules %}{{ rule.name }}{% endfor %}"}}
    template = compile_template(text, "sms", library=CATALOGUE)
    values: Mapping[str, Any] = {"trigger": {"rules": [{"name": "a"}]}}
    assert render(template, ["en"], values).text == "a"


@pytest.mark.parametrize("condition", ["", "contact.plan", "rule", 'rule("x")', "rule({}) or x", "%}{% if rule({'tag': 'x'})", "{{ x }}"])
def test_a_condition_that_is_no_rule_alone_is_read_as_none(condition: str) -> None:
    assert rule_in(condition) is None
