"""Forms of custom activities: placeholders in fields of every kind, values that are missing or of another type, and what is said about them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from journeys.custom import ActivityContext, CustomActivity, GiveUp, Secret, activity
from journeys.custom_input import NoFit, fitted
from journeys.errors import Issue
from journeys.names import names_in
from journeys.nodes import Node, Palette
from journeys.rules import DictFacts
from journeys.values import Context, Do, RunInfo
from tests.journeys.test_worktime import zurich

VISIT = ActivityContext(run_id="run-1", contact_id="c1", journey="j", node_id="a", idempotency_key="run-1:a:1")
PLACE = "{{ contact.it }}"


class Deep(BaseModel):
    age: int = 0


class Every(BaseModel):
    """A field of every kind; each has a value to begin with."""

    text: str = ""
    maybe: str | None = None
    whole: int = 0
    amount: float = 0.0
    price: Decimal = Decimal(0)
    yes: bool = False
    day: date = date(2000, 1, 1)
    at: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    tags: list[str] = []
    ages: list[int] = []
    size: Literal["s", "m"] = "s"
    deep: Deep = Deep()


def custom_of(model: type[BaseModel]) -> tuple[CustomActivity, list[Any]]:
    """An activity with that form, and what its function was given."""
    given: list[Any] = []

    def function(ctx: ActivityContext, input: Any) -> None:
        given.append(input)

    function.__annotations__["input"] = model
    return activity(name="odd", title="Odd")(function), given


def drawn(model: type[BaseModel], fields: Any) -> Node | list[Issue]:
    return Palette([custom_of(model)[0].node]).parse("a", {"kind": "custom.odd", "input": fields})


def performed(model: type[BaseModel], fields: dict[str, Any], **contact: Any) -> Any:
    """What the function gets, of a step drawn with `fields`, for that contact."""
    custom, given = custom_of(model)
    node = Palette([custom.node]).parse("a", {"kind": "custom.odd", "input": fields})
    assert isinstance(node, Node), node
    now = zurich("2026-03-02T11:00+01:00")
    assert now.tzinfo is not None
    answer = node.enter(Context(DictFacts(contact), now, RunInfo("run-1", "c1", "j", now), "a", 1, now, now.tzinfo))
    assert isinstance(answer, Do)
    custom.perform(VISIT, answer.call.input["input"])
    return given[0]


@pytest.mark.parametrize(
    ("field", "value", "got"),
    [
        ("text", "Ada", "Ada"),
        ("text", 4711, "4711"),
        ("text", 12.5, "12.5"),
        ("text", 12.0, "12"),
        ("text", True, "true"),
        ("text", None, ""),
        ("maybe", None, None),
        ("whole", 7, 7),
        ("whole", "7", 7),
        ("whole", " 7 ", 7),
        ("whole", 7.0, 7),
        ("whole", None, 0),
        ("whole", "", 0),
        ("amount", "12.50", 12.5),
        ("amount", 12, 12.0),
        ("price", "12.50", Decimal("12.50")),
        ("yes", True, True),
        ("yes", "true", True),
        ("yes", 0, False),
        ("yes", None, False),
        ("day", "2026-03-02", date(2026, 3, 2)),
        ("day", "2026-03-02T10:30:00Z", date(2026, 3, 2)),
        ("day", "2.3.2026", date(2026, 3, 2)),
        ("day", None, date(2000, 1, 1)),
        ("at", "2026-03-02T10:30:00Z", datetime(2026, 3, 2, 10, 30, tzinfo=UTC)),
        ("tags", ["a", "b"], ["a", "b"]),
        ("tags", [1, None], ["1", ""]),
        ("tags", None, []),
        ("ages", ["1", 2], [1, 2]),
        ("size", "m", "m"),
    ],
)
def test_a_placeholder_gives_the_value_in_the_type_of_its_field(field: str, value: Any, got: Any) -> None:
    found = getattr(performed(Every, {field: PLACE}, it=value), field)
    assert (found, type(found)) == (got, type(got))


def test_a_placeholder_may_stand_in_a_list_and_in_a_part() -> None:
    got = performed(Every, {"ages": [1, PLACE], "deep": {"age": PLACE}, "whole": "{{ contact.no|default(3) }}"}, it="2")
    assert (got.ages, got.deep.age, got.whole) == ([1, 2], 2, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("whole", "many"),
        ("whole", 7.5),
        ("whole", "1,5"),
        ("amount", [1]),
        ("yes", "perhaps"),
        ("day", "soon"),
        ("tags", "a"),
        ("size", "xl"),
        ("text", {"a": 1}),
        ("deep", 7),
    ],
)
def test_what_does_not_fit_names_the_field_and_not_the_value(field: str, value: Any) -> None:
    with pytest.raises(GiveUp) as refused:
        performed(Every, {field: PLACE}, it=value)
    assert refused.value.code == f"bad_input:{field}"


class Needy(BaseModel):
    points: int = Field(ge=1, le=10)
    member: str = Field("{{ contact.member }}", max_length=12)
    code: str = Field("x", min_length=1)


def test_whoever_has_no_value_stops_at_the_field_that_needs_one() -> None:
    for contact in ({}, {"points": ""}, {"points": 11}):
        with pytest.raises(GiveUp, match=r"^bad_input:points$"):
            performed(Needy, {"points": "{{ contact.points }}"}, **contact)
    assert performed(Needy, {"points": "{{ contact.points }}"}, points=3).member == ""


def warnings(node: Node | list[Issue]) -> list[tuple[str, str | None]]:
    assert isinstance(node, Node), node
    return [(issue.code, issue.field) for issue in node.problems("a") if issue.severity == "warning"]


def test_the_check_asks_for_a_default_where_a_missing_value_stops_the_run() -> None:
    assert warnings(drawn(Needy, {"points": "{{ contact.points }}"})) == [("needs_default", "input.points")]
    assert warnings(drawn(Needy, {"points": "{{ contact.points|default(1) }}"})) == []
    assert warnings(drawn(Needy, {"points": "{{ contact.points|default(0) }}"})) == [("needs_default", "input.points")]
    assert warnings(drawn(Needy, {"points": 2, "code": "{{ contact.code }}"})) == []
    assert warnings(drawn(Needy, {"points": 2, "member": "{{ contact.member|shout }}"})) == [("bad_placeholder", "input")]
    assert warnings(drawn(Every, dict.fromkeys(("text", "maybe", "whole", "day", "tags"), PLACE))) == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"points": 0}, "input.points"),
        ({"points": "many"}, "input.points"),
        ({}, "input.points"),
        (PLACE, "input"),
        ({"points": PLACE, "member": "m" * 13}, "input.member"),
        ({"points": PLACE, "code": ""}, "input.code"),
    ],
)
def test_what_is_wrong_whatever_the_value_is_refused_when_it_is_drawn(fields: Any, wrong: str) -> None:
    issues = drawn(Needy, fields)
    assert isinstance(issues, list)
    assert [issue.field for issue in issues] == [wrong]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    low: int = 0
    high: int = Field(9, alias="top")
    word: str = ""

    @field_validator("word")
    @classmethod
    def is_known(cls, word: str) -> str:
        return {"": "", "a": "A", PLACE: PLACE}[word]

    @model_validator(mode="after")
    def are_in_order(self) -> Strict:
        if self.low > self.high:
            raise ValueError("low is above top")
        return self


def test_validators_of_the_author_judge_the_values() -> None:
    got = performed(Strict, {"low": PLACE, "top": 5, "word": "a"}, it=3)
    assert (got.low, got.high, got.word) == (3, 5, "A")
    with pytest.raises(GiveUp, match=r"^bad_input$"):
        performed(Strict, {"low": PLACE, "top": 5}, it=6)
    with pytest.raises(GiveUp, match=r"^bad_input$"):  # a KeyError
        performed(Strict, {"word": PLACE}, it="ada@example.org")


def test_a_name_that_the_form_does_not_have_is_refused() -> None:
    issues = drawn(Strict, {"low": PLACE, "lwo": PLACE})
    assert isinstance(issues, list)
    assert [(issue.code, issue.field) for issue in issues] == [("extra_forbidden", "input.lwo")]


def test_keys_from_outside_are_not_said() -> None:
    class Named(BaseModel):
        ages: dict[str, int] = {}

    with pytest.raises(NoFit) as refused:
        fitted(Named, {"ages": {"ada@example.org": "old"}})
    assert refused.value.fields == ("ages",)


class Keyed(BaseModel):
    key: Secret
    other: Secret | None = None
    more: list[Secret] = []
    points: int = 0


def test_a_secret_is_looked_up_by_its_name_wherever_it_stands() -> None:
    fields = {"key": "shop", "other": "erp", "more": ["crm"]}
    for points in (1, PLACE):
        node = drawn(Keyed, {**fields, "points": points})
        assert isinstance(node, Node), node
        found = set(names_in(node))
        assert {("input.key", "secret", "shop"), ("input.other", "secret", "erp")} <= found
    assert ("input.more.0", "secret", "crm") in set(names_in(drawn(Keyed, fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [PLACE, "", 7, "n" * 65, None])
def test_no_contact_chooses_a_secret(name: Any) -> None:
    issues = drawn(Keyed, {"key": name, "points": PLACE})
    assert isinstance(issues, list)
    assert [(issue.code, issue.field) for issue in issues] == [("secret_name" if name else "missing", "input.key")]


def test_the_form_offers_the_names_of_secrets() -> None:
    field = custom_of(Keyed)[0].node.form()["$defs"]["Keyed"]["properties"]["key"]
    assert (field["type"], field["widget"]) == ("string", "secret")
