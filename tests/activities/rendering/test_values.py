"""Approved templates: values and wording as they are written, and the form in which a message leaves."""

from __future__ import annotations

from typing import Any

import pytest

from activities.rendering import CompiledTemplate, RenderFailed, compile_template, render
from activities.rendering.forms import in_form, is_free_text
from journeys.channels import CHANNELS
from journeys.errors import Invalid

[KIND] = [channel.name for channel in CHANNELS.values() if channel.reply_window]
HX = "HX" + "0a" * 16
FREE = "Hi {{ contact.first_name }}, how can we help?"
APPROVED = {
    "content_sid": HX,
    "approved_text": "Hello {{1}}, your order {{ 2 }} is on its way. {{1}}!",
    "content_variables": '{{ contact.first_name|default("friend") }}\n{{ trigger.order_id }}\n',
}


def compiled(**parts: str) -> CompiledTemplate:
    return compile_template({"default": parts}, KIND)


def rendered(template: CompiledTemplate, **values: Any) -> Any:
    return render(template, ["en"], {"contact": {"first_name": "Ada"}, "trigger": {"order_id": "A-1"}, **values})


def test_an_answer_is_free_text_and_anything_else_the_approved_form() -> None:
    both = compiled(text=FREE, **APPROVED)
    answer = rendered(in_form(both, may_answer=True))
    assert (answer.text, dict(answer.parts)) == ("Hi Ada, how can we help?", {})
    other = rendered(in_form(both, may_answer=False))
    assert other.text == "Hello Ada, your order A-1 is on its way. Ada!"
    assert dict(other.parts) == {"content_sid": HX, "content_variables": "Ada\nA-1"}


def test_a_form_that_is_not_there_is_replaced_by_the_other() -> None:
    assert rendered(in_form(compiled(**APPROVED), may_answer=True)).parts["content_sid"] == HX
    alone = rendered(in_form(compiled(text=FREE), may_answer=False))
    assert alone.text == "Hi Ada, how can we help?"
    assert is_free_text(KIND, alone.parts)
    assert not is_free_text("sms", alone.parts), "where everything may leave at any time nothing has to answer"


def test_what_does_not_leave_is_not_filled_in() -> None:
    both = compiled(text="{{ trigger.nothing }}", **{**APPROVED, "content_variables": "{{ contact.nothing }}\nx"})
    for may_answer in (True, False):
        with pytest.raises(RenderFailed, match="missing_value"):
            rendered(in_form(both, may_answer))
    assert rendered(in_form(compiled(text="{{ trigger.nothing }}", **APPROVED), may_answer=False)).text
    assert rendered(in_form(compiled(text=FREE, **{**APPROVED, "content_variables": "{{ contact.nothing }}\nx"}), may_answer=True)).text


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("Ada\nLovelace", "Ada Lovelace"),
        ("\tAda\r\n\r\n  \u2028     Lovelace  ", "Ada Lovelace"),
        ("Ada\x00\x85\xa0L", "Ada L"),
        ("{{ 7*7 }} <b>", "{{ 7*7 }} <b>"),
        ("x" * 5_000, "x" * 1_024),
        (7, "7"),
    ],
)
def test_a_value_is_one_line(value: Any, sent: str) -> None:
    found = rendered(in_form(compiled(**APPROVED), may_answer=False), contact={"first_name": value})
    assert found.parts["content_variables"].split("\n") == [sent, "A-1"]


@pytest.mark.parametrize("value", ["", " \n\t ", "\u2028"])
def test_an_empty_value_is_refused_with_its_reason(value: str) -> None:
    template = compiled(**{**APPROVED, "content_variables": "{{ contact.first_name }}\nx"})
    with pytest.raises(RenderFailed) as caught:
        rendered(in_form(template, may_answer=False), contact={"first_name": value})
    assert (caught.value.code, caught.value.name) == ("empty_value", "1")


def test_a_value_without_jinja_and_a_wording_without_values() -> None:
    plain = compiled(content_sid=HX, approved_text="Hello {{1}}", content_variables="friend")
    assert rendered(in_form(plain, may_answer=False)).parts["content_variables"] == "friend"
    none = rendered(in_form(compiled(content_sid=HX, approved_text="Hello"), may_answer=False))
    assert (none.text, none.parts["content_variables"]) == ("Hello", "")


def test_a_text_that_grows_is_cut_where_the_channel_ends() -> None:
    long = rendered(compiled(text="{{ contact.first_name }}"), contact={"first_name": "x" * 3_000})
    assert (len(long.text), long.text[-1]) == (1_600, "…")


@pytest.mark.parametrize(
    ("parts", "part", "code"),
    [
        ({}, "text", "empty"),
        ({"text": " "}, "text", "empty"),
        ({"text": "x" * 1_601}, "text", "too_large"),
        ({"approved_text": "Hello"}, "content_sid", "empty"),
        ({"content_sid": HX}, "approved_text", "empty"),
        ({"content_variables": "x", "text": "Hi"}, "content_sid", "empty"),
        ({"content_sid": "HX1", "approved_text": "x"}, "content_sid", "pattern"),
        ({"content_sid": "{{ trigger.sid }}", "approved_text": "x"}, "content_sid", "pattern"),
        ({"content_sid": HX, "approved_text": "{{ contact.first_name }}"}, "approved_text", "numbered"),
        ({"content_sid": HX, "approved_text": "{% if 1 %}x{% endif %}"}, "approved_text", "numbered"),
        ({"content_sid": HX, "approved_text": "{{1"}, "approved_text", "jinja_unclosed"),
        ({"content_sid": HX, "approved_text": "{{ 1 }} {{2}}", "content_variables": "x"}, "approved_text", "no_such_value"),
        ({"content_sid": HX, "approved_text": "{{1}}", "content_variables": "x\ny"}, "approved_text", "unused_value"),
        ({"content_sid": HX, "approved_text": "{{1}} {{2}}", "content_variables": "\ny"}, "content_variables", "empty_value"),
        (
            {"content_sid": HX, "approved_text": "{{1}} {{2}}", "content_variables": "{% if 1 %}x\n{% endif %}"},
            "content_variables",
            "jinja_syntax",
        ),
        ({"content_sid": HX, "approved_text": "{{1}}", "content_variables": "{{ contact.x"}, "content_variables", "jinja_unclosed"),
        (
            {"content_sid": HX, "approved_text": "{{1}}", "content_variables": "{% endfilter %}{{ now }}"},
            "content_variables",
            "jinja_syntax",
        ),
        ({"content_sid": HX, "approved_text": "x", "content_variables": "x\n" * 51}, "content_variables", "too_many"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place(parts: dict[str, str], part: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        compiled(**parts)
    assert (f"variants.default.{part}", code) in [(issue.field, issue.code) for issue in caught.value.issues]
    assert all(issue.say(str) for issue in caught.value.issues)
