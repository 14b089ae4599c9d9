"""Whatever a document names outside itself is looked up: by the mark on the field, in every kind, today's and tomorrow's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from journeys.catalogue import Catalogue
from journeys.check import check
from journeys.custom import ActivityContext, activity
from journeys.document import Journey, Settings
from journeys.known import Known, KnownTemplate
from journeys.names import names_in, noun_of
from journeys.nodes import Palette
from journeys.nodes.node import Node
from journeys.values import Answer, Context, Leave

NOBODY = Known(
    templates={}, pools=(), journeys=(), secrets=(), purposes=(), score_groups=(), members=(), cap_classes=(), senders=(), topics=(), segments=()
)  # fmt: skip
SOUND = Known(
    templates={"known": KnownTemplate()}, pools={"known"}, journeys={"known"}, secrets={"known"}, purposes={"known", "marketing"},
    score_groups={"known"}, members={"known"}, cap_classes={"known", "default"}, senders={"known"}, topics={"known"}, segments={"known"},
)  # fmt: skip
SAYS = frozenset(
    [
        "call_webhook.body",
        "call_webhook.headers",
        "call_webhook.headers.prefix",
        "call_webhook.url",
        "create_task.description",
        "create_task.outcomes",
        "create_task.title",
        "exit.reason",
        "notify_team.chat_channel",
        "notify_team.subject",
        "notify_team.text",
        "send_push.replaces",
        "send_sms.text",
        "split.arms.name",
        "split.salt",
        "start_journey.data",
        "start_journey.data.from",
        "switch.cases.name",
        "update_contact.add_tags",
        "update_contact.clear",
        "update_contact.remove_tags",
        "update_contact.set",
        "update_contact.set.from",
        "wait_for.branches.name",
        "wait_for_task.outcomes",
        "wait_until.until.at",
        "wait_until.until.start",
        "wait_until.until.end",
    ]
)
"""Fields of text (kind and path) without a mark: words for people, addresses, times, and fields of contacts, which `references` tells."""


def kinds() -> list[type[Node]]:
    return list(Palette.built_in())


def holds_text(annotation: Any) -> bool:
    """Whether a field of this type can hold a text of somebody's choice."""
    if annotation is str:
        return True
    return get_origin(annotation) is not Literal and any(holds_text(inner) for inner in get_args(annotation))


def parts_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from parts_of(inner)


def texts_of(part: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in part.model_fields.items():
        if holds_text(field.annotation):
            yield path + (field.alias or name), field
        for inner in parts_of(field.annotation):
            if inner.__module__.startswith("journeys.nodes"):
                yield from texts_of(inner, f"{path}{name}.")


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.kind)
def test_a_field_of_text_names_something_or_says_something(kind: type[Node]) -> None:
    """A new field that names something and has no mark fails here, before somebody publishes a ghost."""
    unmarked = {f"{kind.kind}.{path}" for path, field in texts_of(kind) if noun_of(field) is None and path != "name"}
    assert unmarked == {field for field in SAYS if field.partition(".")[0] == kind.kind}


def marked() -> list[Any]:
    found = [(kind, path, noun_of(field)) for kind in kinds() for path, field in texts_of(kind) if noun_of(field) is not None]
    return [pytest.param(kind, path, noun, id=f"{kind.kind}.{path}") for kind, path, noun in found if "." not in path]


def test_the_marks_are_found() -> None:
    found = {(kind.kind, path, noun) for kind, path, noun in (one.values for one in marked())}
    assert {("create_task", "owner", "member"), ("create_task", "escalate_to", "member"), ("notify_team", "to", "recipient")} <= found
    assert {("assign_owner", "pool", "pool"), ("send_email", "template", "template"), ("send_sms", "purpose", "purpose")} <= found


def journey(node: dict[str, Any], palette: Palette, **document: Any) -> Journey:
    parsed = palette.parse("a", node)
    assert isinstance(parsed, Node), parsed
    base = {
        "key": "j", "name": "J", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "a",
        "nodes": {"a": node, "end": {"kind": "exit"}},
        "edges": [{"from": "a", "outlet": outlet, "to": "end"} for outlet in parsed.outlets()],
    }  # fmt: skip
    return Journey.model_validate(base | document)


def problems(draft: Journey, known: Known, palette: Palette) -> set[tuple[str | None, str | None, str]]:
    return {(issue.node_id, issue.field, issue.code) for issue in check(draft, palette, Catalogue.built_in(), known)}


@pytest.mark.parametrize(("kind", "path", "noun"), marked())
def test_an_unknown_name_is_an_issue_at_its_field(kind: type[Node], path: str, noun: str) -> None:
    palette = Palette.built_in()
    several = get_origin(kind.model_fields.get(path, FieldInfo(annotation=str)).annotation) is tuple
    base = {} if path == "template" else kind.example  # a text message has a template or a text
    node = {"kind": kind.kind, **base, path: ["ghost"] if several else "ghost"}
    code = {"recipient": "unknown_member"}.get(noun, f"unknown_{noun}")
    assert ("a", f"{path}.0" if several else path, code) in problems(journey(node, palette), NOBODY, palette)


class Lend(Node):
    """Lends something to somebody; a kind from outside the tree."""

    kind = "lend"
    group = "code"
    label = "Lend"

    borrower: str = Field(json_schema_extra={"names": "member"})
    lenders: tuple[str, ...] = Field((), json_schema_extra={"names": "member"})

    def enter(self, ctx: Context) -> Answer:
        return Leave(outlet="next")


def test_a_kind_from_outside_needs_the_mark_and_nothing_else() -> None:
    palette = Palette.built_in().with_kinds(Lend)
    node = {"kind": "lend", "borrower": "ghost", "lenders": ["known", "gohst"]}
    found = problems(journey(node, palette), SOUND, palette)
    assert found == {("a", "borrower", "unknown_member"), ("a", "lenders.1", "unknown_member")}


class Visit(BaseModel):
    host: str = Field(json_schema_extra={"names": "member"})


@activity(name="visit", title="Visit", outlets=("done",))
def visit(ctx: ActivityContext, input: Visit) -> str:
    """Pays a visit."""
    return "done"


def test_the_input_of_a_custom_activity_can_carry_it() -> None:
    palette = Palette.built_in().with_kinds(visit.node)
    for host, found in (("known", set()), ("ghost", {("a", "input.host", "unknown_member")})):
        draft = journey({"kind": "custom.visit", "input": {"host": host}}, palette)
        assert {one for one in problems(draft, SOUND, palette) if one[0] == "a" and one[2].startswith("unknown")} == found


def test_a_near_name_is_proposed() -> None:
    palette = Palette.built_in()
    node = {"kind": "create_task", "title": "Call", "sla": "PT1H", "escalate_to": "knwon"}
    [issue] = check(journey(node, palette), palette, Catalogue.built_in(), SOUND)
    assert issue.message == "There is no active member “knwon” in the team. Did you mean “known”?"


@pytest.mark.parametrize("to", ["owner", "anybody@example.org", "known"])
def test_a_recipient_is_the_owner_an_address_or_a_member(to: str) -> None:
    palette = Palette.built_in()
    assert problems(journey({"kind": "notify_team", "to": [to], "text": "x"}, palette), SOUND, palette) == set()


def test_an_owner_that_is_written_into_the_contact_is_a_member() -> None:
    palette = Palette.built_in()
    assert problems(journey({"kind": "update_contact", "set": {"owner": "known"}}, palette), SOUND, palette) == set()
    found = problems(journey({"kind": "update_contact", "set": {"owner": "ghost"}}, palette), SOUND, palette)
    assert found == {("a", "set.owner", "unknown_member")}


@pytest.mark.parametrize(("setting", "code"), [("purpose", "unknown_purpose"), ("cap_class", "unknown_cap_class")])
def test_what_the_settings_name_is_looked_up(setting: str, code: str) -> None:
    palette = Palette.built_in()
    draft = journey({"kind": "wait", "duration": "PT1H"}, palette, settings={setting: "ghost"})
    assert problems(draft, SOUND, palette) == {(None, f"settings.{setting}", code)}
    assert {place for place, _, _ in names_in(Settings(), "settings.")} == {"settings.purpose", "settings.cap_class"}
