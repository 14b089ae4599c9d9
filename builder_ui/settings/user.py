"""One of the people who work here: role, absence, password link, sessions, and whether they still belong here. For admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import places
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import users
from builder_ui.settings.sections import framed, panel
from builder_ui.settings.sessions import session_table
from engine.versions.uses import Use, uses_of_member
from journeys.errors import Invalid, Issue
from models import LoginSession, Member
from workspace import login, members, sessions, time_zones
from workspace import second_factor as factor


@dataclass(frozen=True, slots=True)
class Data:
    member: Member
    sessions: Sequence[LoginSession]
    uses: Sequence[Use]
    second_factor: bool


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        member = members.get_member(session, visit.arguments["id"])
        found = sessions.list_sessions(session, member.id, visit.house.real_now())
        return Data(member, found, uses_of_member(visit.engine, session, member.id), factor.is_on(session, member.id))


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, member = visit.speech, data.member
    back = html.p(html.a({"className": "back", "href": "/ui/settings/users"}, "← ", speech("Users")))
    return framed(
        visit,
        "User",
        "",
        back,
        users.shown_link(visit, acts),
        panel(member.name, html.p(users.state(visit, member)), profile(visit, member, acts)),
        panel(
            speech("Password"),
            html.p({"className": "quiet"}, speech("A link lets them choose a new one; the old one works until then.")),
            html.div({"className": "actions"}, *links(visit, member, acts)),
        ),
        panel(speech("Second factor"), *second_factor(visit, data, acts)),
        panel(
            speech("Sessions"),
            session_table(
                visit, data.sessions, lambda id: acts.act("member.manage", logging_out(member.id, id), "The browser is logged out.")
            ),
            html.div({"className": "actions"}, log_out_everywhere(visit, data, acts)),
        ),
        panel(speech("Access"), *access(visit, data, acts)),
    )


def profile(visit: PageContext, member: Member, acts: Acts) -> Element:
    speech = visit.speech
    absent = member.absent_until.astimezone(ZoneInfo(member.timezone)).date().isoformat() if member.absent_until else ""
    fields = [
        forms.Field("name", speech("Name"), value=member.name, most=120, required=True),
        forms.Field("email", speech("E-mail address"), value=member.email, most=320, required=True),
        forms.Field("role", speech("Role"), "select", member.role, users.roles(visit)),
        forms.Field("locale", speech("Language"), "select", member.locale[:2], users.languages()),
        forms.Field("timezone", speech("Time zone"), value=member.timezone, most=64, required=True, offered=sorted(time_zones.known())),
        forms.Field(
            "absent_until", speech("Absent until"), "date", absent, hint=speech("First day back at work; leave empty if not absent.")
        ),
    ]
    generation = f"{member.name}.{member.email}.{member.role}.{member.locale}.{member.timezone}.{absent}"
    return forms.form(visit, acts, "user", fields, speech("Save"), "member.manage", changing(member.id), "Saved.", generation)


def changing(member_id: str) -> forms.Change:
    def do(visit: PageContext, values: forms.Values) -> None:
        with visit.engine.db.write() as session, forms.plainly("role"):
            member = members.get_member(session, member_id)
            wanted = {**values, "absent_until": back_on(values["absent_until"], member.timezone)}
            present = {name: getattr(member, name) for name in wanted} | {"locale": member.locale[:2]}
            changes = {name: value for name, value in wanted.items() if value != present[name]}
            if changes:
                members.change_member(session, member_id, changes, visit.by, visit.house.now())

    return do


def back_on(text: str, zone: str) -> datetime | None:
    """The first moment of a day in somebody's zone.

    Raises:
        Invalid: it is no date.
    """
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text), time(), ZoneInfo(zone))
    except ValueError:
        raise Invalid("Expected a date.", [Issue(code="member", text="Expected a date.", field="absent_until")]) from None


def links(visit: PageContext, member: Member, acts: Acts) -> list[Element]:
    if not member.active:
        return []
    speech = visit.speech
    ways = [
        (speech("E-mail it"), acts.act("member.manage", users.linking(acts, member.id, send=True), "Link created.")),
        (speech("Show it only"), acts.act("member.manage", users.linking(acts, member.id, send=False), "Link created.")),
    ]
    return [components.choose(speech("Link to choose a password"), speech("How should they get it?"), ways, "key")]


def logging_out(member_id: str, id: str | None = None) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            members.log_out(session, member_id, visit.by, visit.house.real_now(), id)

    return do


def second_factor(visit: PageContext, data: Data, acts: Acts) -> list[Element]:
    speech, member = visit.speech, data.member
    if not data.second_factor:
        return [html.p({"className": "quiet"}, speech("None; members set it up in their own account."))]
    handler = acts.act("member.manage", resetting(member.id), "They can log in without a second factor until they set up a new one.")
    question = speech("Make sure it is really {name} who is asking: then their password or a link is enough.", name=member.name)
    reset = components.ask(speech("Reset the second factor"), question, speech("Reset"), handler, "lock", "danger")
    return [html.p(components.badge(speech("switched on"), "good", "check")), html.div({"className": "actions"}, reset)]


def resetting(member_id: str) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            login.reset_factor(session, visit.engine.address_keys, member_id, visit.by, visit.house.real_now())

    return do


def log_out_everywhere(visit: PageContext, data: Data, acts: Acts) -> Element:
    if not data.sessions:
        return None
    speech = visit.speech
    handler = acts.act("member.manage", logging_out(data.member.id), "They are logged out everywhere.")
    return components.ask(
        speech("Log out everywhere"), speech("All their browsers have to log in again."), speech("Log out"), handler, "lock"
    )


def access(visit: PageContext, data: Data, acts: Acts) -> list[Element]:
    speech, member = visit.speech, data.member
    if not member.active:
        handler = acts.act("member.manage", switching(member.id, True), "They may log in again.")
        return [html.div({"className": "actions"}, components.button(speech("Reactivate"), handler, "check"))]
    question = speech("{name} is logged out right away, can no longer log in and gets nothing by rotation.", name=member.name)
    if named := [use for use in data.uses if use.noun != "pool"]:
        text = "Live journeys use this member: {steps}. These will go to the contact's owner or an admin instead."
        question += " " + speech(text, steps=places(named))
    if alone := [use for use in data.uses if use.noun == "pool"]:
        text = (
            "No one else is active in one of their rotations that journeys use: {steps}. Contacts will continue without a new owner there."
        )
        question += " " + speech(text, steps=places(alone))
    handler = acts.act("member.manage", switching(member.id, False), "They are deactivated and logged out.")
    return [
        html.div({"className": "actions"}, components.ask(speech("Deactivate"), question, speech("Deactivate"), handler, "ban", "danger"))
    ]


def switching(member_id: str, active: bool) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session, forms.plainly():
            members.change_member(session, member_id, {"active": active}, visit.by, visit.house.now())

    return do


PAGE = Page("/ui/settings/users/{id}", "User", "settings", "member.manage", load, view)
