from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from journeys.changes import AddTag, Change, RemoveTag, SetFields
from journeys.errors import Issue
from journeys.nodes.node import Node
from journeys.rules.types import Scalar
from journeys.types import Part
from journeys.values import Answer, Context, Leave

FieldName = Annotated[str, Field(min_length=1, max_length=120)]
TagName = Annotated[str, Field(min_length=1, max_length=120)]


class Copy(Part):
    """Copies the value from another contact field, or from the event that started the run (`trigger.<path>`)."""

    source: FieldName = Field(alias="from", title="Copy from")

    model_config = Part.model_config | {"populate_by_name": True, "serialize_by_alias": True}


class UpdateContact(Node):
    """Changes the contact: sets and clears fields (the lifecycle stage is one), adds and removes tags.

    A value is written as is, or copied: `{"from": "trigger.plan"}`. If there is nothing to copy, the field keeps its
    value.
    """

    kind = "update_contact"
    label = "Update contact"
    group = "contact"
    icon = "user-pen"
    keywords = "field property attribute tag label list lifecycle stage set"
    example = {"set": {"lifecycle_stage": "customer", "plan": {"from": "trigger.plan"}}, "add_tags": ["new"]}

    set: dict[FieldName, Scalar | Copy] = Field({}, title="Set fields", max_length=50, json_schema_extra={"widget": "fields"})
    clear: tuple[FieldName, ...] = Field((), title="Clear fields", max_length=50, json_schema_extra={"widget": "field_names"})
    add_tags: tuple[TagName, ...] = Field((), title="Add tags", max_length=50, json_schema_extra={"widget": "tags"})
    remove_tags: tuple[TagName, ...] = Field((), title="Remove tags", max_length=50, json_schema_extra={"widget": "tags"})

    def enter(self, ctx: Context) -> Answer:
        fields = self._fields(ctx)
        changes: list[Change] = [SetFields(fields=fields)] if fields else []
        changes += [AddTag(tag=tag) for tag in self.add_tags]
        changes += [RemoveTag(tag=tag) for tag in self.remove_tags]
        kept = sorted(self.set.keys() - fields.keys())
        return Leave(outlet="next", changes=tuple(changes), note={"nothing_to_copy": kept} if kept else {})

    def _fields(self, ctx: Context) -> dict[str, Any]:
        values: dict[str, Any] = dict.fromkeys(self.clear)
        for name, value in self.set.items():
            if not isinstance(value, Copy):
                values[name] = value
            elif (copied := ctx.facts.value(value.source)) is not None:
                values[name] = copied
        return values

    def references(self) -> Iterable[tuple[str, str, str]]:
        for name, value in self.set.items():
            yield f"set.{name}", "field", name
            if name == "owner" and isinstance(value, str):
                yield "set.owner", "member", value
            if isinstance(value, Copy):
                yield f"set.{name}.from", "field", value.source
        for i, name in enumerate(self.clear):
            yield f"clear.{i}", "field", name

    def problems(self, node_id: str) -> Iterable[Issue]:
        if not (self.set or self.clear or self.add_tags or self.remove_tags):
            yield Issue(
                code="nothing_to_do", text="This step changes nothing yet: set a field, or name a tag.", node_id=node_id, field="set"
            )
        for name in sorted(self.set.keys() & {*self.clear}):
            yield self._contradiction(node_id, "clear", "The field “{name}” is both set and cleared.", name)
        for name in sorted({*self.add_tags} & {*self.remove_tags}):
            yield self._contradiction(node_id, "remove_tags", "The tag “{name}” is both added and removed.", name)

    def _contradiction(self, node_id: str, field: Literal["clear", "remove_tags"], text: str, name: str) -> Issue:
        return Issue(code="contradiction", text=text, values={"name": name}, node_id=node_id, field=field)
