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
from workspace import members as team
from workspace.audit import record

Reorder = Callable[[list[str]], list[str]]
KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Data:
    rotations: list[Rotation]
    members: dict[str, Member]
    last: dict[tuple[str, str], list[Use]]
    """(pool, member id) -> where the pool is named, for those without whom nobody in it would be active."""


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        members = {member.id: member for member in team.list_members(session)}
        return Data(team.list_rotations(session), members, uses_of_last(visit.engine, session))


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    pools = [pool(visit, data, one, acts) for one in data.rotations]
    lead = "Contacts and tasks go to the next member in turn; absent or deactivated members are skipped."
    return framed(
        visit,
        "Owner rotations",
        lead,
        *(pools or [components.empty("people", speech("No rotations yet."), None)]),
        made(visit, data, acts),
    )


def pool(visit: PageContext, data: Data, one: Rotation, acts: Acts) -> Element:
    speech = visit.speech
    lines = [line(visit, data, one, n, acts) for n in range(len(one.members))]
    return html.section(
        {"className": "panel", "key": one.pool},
        html.h2(one.name, " ", html.small(html.code(one.pool))),
        html.ol({"className": "order"}, lines) if lines else html.p({"className": "quiet"}, speech("No members.")),
        adding(visit, data, one, acts),
    )


def line(visit: PageContext, data: Data, one: Rotation, n: int, acts: Acts) -> Element:
    speech, id = visit.speech, one.members[n]
    member = data.members.get(id)
    name = member.name if member else id
    marks = [
        components.badge(speech("next"), "good", "arrow") if n == one.turn % len(one.members) else None,
        components.badge(speech("deactivated"), "bad", "ban") if member and not member.active else None,
        components.badge(speech("absent"), "warn", "hourglass")
        if member and member.absent_until and member.absent_until > visit.house.now()
        else None,
    ]
    return html.li({"key": id}, html.span(name, " ", *marks), *moves(visit, data, one, n, name, acts))


def moves(visit: PageContext, data: Data, one: Rotation, n: int, name: str, acts: Acts) -> list[Element]:
    """Earlier and out; whoever is the last one asks first where journeys name the rotation."""
    if not visit.may("rotation.change"):
        return []
    speech, id = visit.speech, one.members[n]
    used = data.last.get((one.pool, id))

    def small(text: str, label: str, reorder: Reorder) -> Element:
        handler = acts.act("rotation.change", changing(one.pool, reorder), "Saved.")
        return html.button({"type": "button", "className": "button", "onClick": handler, "aria-label": label, "title": label}, text)

    up = small("↑", speech("{name}: earlier", name=name), lambda ids: earlier(ids, id)) if n else None
    without: Reorder = lambda ids: [x for x in ids if x != id]  # noqa: E731 - used twice
    out = speech("Remove {name}", name=name)
    if not used:
        return [html.span({"className": "actions"}, up, small("×", out, without))]
    question = speech(
        "No one else in it is active, and live journeys use it: {steps}. Contacts will continue without a new owner.", steps=places(used)
    )
    handler = acts.act("rotation.change", changing(one.pool, without), "Saved.")
    return [html.span({"className": "actions"}, up, components.ask(out, question, out, handler, "ban", "danger"))]


def earlier(ids: list[str], id: str) -> list[str]:
    """One place further to the front; as it is for the first, and for somebody who is not there any more."""
    at = ids.index(id) if id in ids else 0
    return [*ids[: at - 1], id, ids[at - 1], *ids[at + 1 :]] if at else ids


def adding(visit: PageContext, data: Data, one: Rotation, acts: Acts) -> Element:
    speech = visit.speech
    others = [(id, member.name) for id, member in data.members.items() if member.active and id not in one.members]
    if not others or not visit.may("rotation.change"):
        return None
    fields = [forms.Field("member", speech("Somebody else"), "select", others[0][0], others)]

    def do(visitor: PageContext, values: forms.Values) -> None:
        changing(one.pool, lambda ids: [*ids, values["member"]] if values["member"] not in ids else ids)(visitor)

    return forms.form(visit, acts, f"add-{one.pool}", fields, speech("Add"), "rotation.change", do, "Saved.", ".".join(one.members))


def changing(pool: str, reorder: Reorder) -> Do:
    """Changes the order as it is now, whoever changed it meanwhile."""

    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            present = next((one for one in team.list_rotations(session) if one.pool == pool), None)
            ids = reorder(list(present.members) if present else [])
            team.put_rotation(session, pool, ids)
            record(session, visit.by, "rotation.put", f"rotation:{pool}", {"members": ids}, visit.house.now())

    return do


def made(visit: PageContext, data: Data, acts: Acts) -> Element:
    if not visit.may("rotation.change"):
        return None
    speech = visit.speech
    fields = [
        forms.Field("name", speech("Name"), most=120, required=True),
        forms.Field(
            "pool", speech("Key"), most=64, required=True, hint=speech("The name used in journeys: lower-case letters, digits, - and _.")
        ),
    ]
    generation = str(len(data.rotations))
    return panel(
        speech("New rotation"),
        forms.form(visit, acts, "rotation", fields, speech("Create"), "rotation.change", make, "Rotation created.", generation),
    )


def make(visit: PageContext, values: forms.Values) -> None:
    pool = values["pool"]
    if not KEY.fullmatch(pool):
        wrong = Issue(code="rotation", text="A key has lower-case letters, digits, - and _, at most 64.", field="pool")
        raise Invalid("{problem}", [wrong], problem=wrong)
    with visit.engine.db.write() as session, forms.plainly("pool"):
        if any(one.pool == pool for one in team.list_rotations(session)):
            raise Conflict("A rotation with this key already exists.")
        team.put_rotation(session, pool, [], values["name"])
        record(session, visit.by, "rotation.put", f"rotation:{pool}", {"members": []}, visit.house.now())


PAGE = Page("/ui/settings/rotations", "Owner rotations", "settings", "team.read", load, view)
