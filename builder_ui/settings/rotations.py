"""Rotations: pools of owners who take turns. Every change is stored at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import places
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed, panel
from engine.versions.uses import Use, uses_of_last
from journeys.errors import Conflict, Invalid, Issue
from models import Member, Rotation
from workspace import members
from workspace.audit import record

Reorder = Callable[[list[str]], list[str]]
KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Data:
    rotations: list[Rotation]
    members: dict[str, Member]
    last: dict[tuple[str, str], list[Use]]
    """(pool, member id) -> where the pool is named, for those without whom nobody in it would be active."""


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        everybody = {member.id: member for member in members.list_members(session)}
        return Data(members.list_rotations(session), everybody, uses_of_last(context.engine, session))


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    pools = [pool(context, data, one, acts) for one in data.rotations]
    lead = "Contacts and tasks go to the next member in turn; absent or deactivated members are skipped."
    return framed(
        context,
        "Owner rotations",
        lead,
        *(pools or [components.empty("people", t("No rotations yet."), None)]),
        made(context, data, acts),
    )


def pool(context: PageContext, data: Data, one: Rotation, acts: Acts) -> Element:
    t = context.t
    lines = [line(context, data, one, n, acts) for n in range(len(one.members))]
    return html.section(
        {"className": "panel", "key": one.pool},
        html.h2(one.name, " ", html.small(html.code(one.pool))),
        html.ol({"className": "order"}, lines) if lines else html.p({"className": "quiet"}, t("No members.")),
        adding(context, data, one, acts),
    )


def line(context: PageContext, data: Data, one: Rotation, n: int, acts: Acts) -> Element:
    t, id = context.t, one.members[n]
    member = data.members.get(id)
    name = member.name if member else id
    marks = [
        components.badge(t("next"), "good", "arrow") if n == one.turn % len(one.members) else None,
        components.badge(t("deactivated"), "bad", "ban") if member and not member.active else None,
        components.badge(t("absent"), "warn", "hourglass")
        if member and member.absent_until and member.absent_until > context.app.now()
        else None,
    ]
    return html.li({"key": id}, html.span(name, " ", *marks), *moves(context, data, one, n, name, acts))


def moves(context: PageContext, data: Data, one: Rotation, n: int, name: str, acts: Acts) -> list[Element]:
    """Earlier and out; whoever is the last one asks first where journeys name the rotation."""
    if not context.may("rotation.change"):
        return []
    t, id = context.t, one.members[n]
    used = data.last.get((one.pool, id))

    def small(text: str, label: str, reorder: Reorder) -> Element:
        handler = acts.act("rotation.change", changing(one.pool, reorder), "Saved.")
        return html.button({"type": "button", "className": "button", "onClick": handler, "aria-label": label, "title": label}, text)

    up = small("↑", t("{name}: earlier", name=name), lambda ids: earlier(ids, id)) if n else None
    without: Reorder = lambda ids: [x for x in ids if x != id]  # noqa: E731 - used twice
    out = t("Remove {name}", name=name)
    if not used:
        return [html.span({"className": "actions"}, up, small("×", out, without))]
    question = t(
        "No one else in it is active, and live journeys use it: {steps}. Contacts will continue without a new owner.", steps=places(used)
    )
    handler = acts.act("rotation.change", changing(one.pool, without), "Saved.")
    return [html.span({"className": "actions"}, up, components.ask(out, question, out, handler, "ban", "danger"))]


def earlier(ids: list[str], id: str) -> list[str]:
    """One place further to the front; as it is for the first, and for somebody who is not there any more."""
    at = ids.index(id) if id in ids else 0
    return [*ids[: at - 1], id, ids[at - 1], *ids[at + 1 :]] if at else ids


def adding(context: PageContext, data: Data, one: Rotation, acts: Acts) -> Element:
    t = context.t
    others = [(id, member.name) for id, member in data.members.items() if member.active and id not in one.members]
    if not others or not context.may("rotation.change"):
        return None
    fields = [forms.Field("member", t("Someone else"), "select", others[0][0], others)]

    def do(visitor: PageContext, values: forms.Values) -> None:
        changing(one.pool, lambda ids: [*ids, values["member"]] if values["member"] not in ids else ids)(visitor)

    return forms.form(context, acts, f"add-{one.pool}", fields, t("Add"), "rotation.change", do, "Saved.", ".".join(one.members))


def changing(pool: str, reorder: Reorder) -> Do:
    """Changes the order as it is now, whoever changed it meanwhile."""

    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            present = next((one for one in members.list_rotations(session) if one.pool == pool), None)
            ids = reorder(list(present.members) if present else [])
            members.put_rotation(session, pool, ids)
            record(session, context.by, "rotation.put", f"rotation:{pool}", {"members": ids})

    return do


def made(context: PageContext, data: Data, acts: Acts) -> Element:
    if not context.may("rotation.change"):
        return None
    t = context.t
    fields = [
        forms.Field("name", t("Name"), most=120, required=True),
        forms.Field("pool", t("Key"), most=64, required=True, hint=t("The name used in journeys: lower-case letters, digits, - and _.")),
    ]
    generation = str(len(data.rotations))
    return panel(
        t("New rotation"),
        forms.form(context, acts, "rotation", fields, t("Create"), "rotation.change", make, "Rotation created.", generation),
    )


def make(context: PageContext, values: forms.Values) -> None:
    pool = values["pool"]
    if not KEY.fullmatch(pool):
        wrong = Issue(code="rotation", text="A key has lower-case letters, digits, - and _, at most 64.", field="pool")
        raise Invalid("{problem}", [wrong], problem=wrong)
    with context.engine.db.write() as session, forms.plainly("pool"):
        if any(one.pool == pool for one in members.list_rotations(session)):
            raise Conflict("A rotation with this key already exists.")
        members.put_rotation(session, pool, [], values["name"])
        record(session, context.by, "rotation.put", f"rotation:{pool}", {"members": []})


PAGE = Page("/ui/settings/rotations", "Owner rotations", "settings", "team.read", load, view)
