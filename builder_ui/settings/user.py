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
from workspace import login, members, second_factor, sessions, time_zones


@dataclass(frozen=True, slots=True)
class Data:
    member: Member
    sessions: Sequence[LoginSession]
    uses: Sequence[Use]
    second_factor: bool


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        member = members.get_member(session, context.arguments["id"])
        found = sessions.list_sessions(session, member.id, context.app.real_now())
        return Data(member, found, uses_of_member(context.engine, session, member.id), second_factor.is_on(session, member.id))


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, member = context.t, data.member
    back = html.p(html.a({"className": "back", "href": "/ui/settings/users"}, "← ", t("Users")))
    return framed(
        context,
        "User",
        "",
        back,
        users.shown_link(context, acts),
        panel(member.name, html.p(users.state(context, member)), profile(context, member, acts)),
        panel(
            t("Password"),
            html.p({"className": "quiet"}, t("A link lets them choose a new one; the old one works until then.")),
            html.div({"className": "actions"}, *links(context, member, acts)),
        ),
        panel(t("Second factor"), *second_factor_part(context, data, acts)),
        panel(
            t("Sessions"),
            session_table(
                context, data.sessions, lambda id: acts.act("member.manage", logging_out(member.id, id), "The browser is logged out.")
            ),
            html.div({"className": "actions"}, log_out_everywhere(context, data, acts)),
        ),
        panel(t("Access"), *access(context, data, acts)),
    )


def profile(context: PageContext, member: Member, acts: Acts) -> Element:
    t = context.t
    absent = member.absent_until.astimezone(ZoneInfo(member.timezone)).date().isoformat() if member.absent_until else ""
    fields = [
        forms.Field("name", t("Name"), value=member.name, most=120, required=True),
        forms.Field("email", t("E-mail address"), value=member.email, most=320, required=True),
        forms.Field("role", t("Role"), "select", member.role, users.roles(context)),
        forms.Field("locale", t("Language"), "select", member.locale[:2], users.languages()),
        forms.Field("timezone", t("Time zone"), value=member.timezone, most=64, required=True, offered=sorted(time_zones.known())),
        forms.Field("absent_until", t("Absent until"), "date", absent, hint=t("First day back at work; leave empty if not absent.")),
    ]
    generation = f"{member.name}.{member.email}.{member.role}.{member.locale}.{member.timezone}.{absent}"
    return forms.form(context, acts, "user", fields, t("Save"), "member.manage", changing(member.id), "Saved.", generation)


def changing(member_id: str) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        with context.engine.db.write() as session, forms.plainly("role"):
            member = members.get_member(session, member_id)
            wanted = {**values, "absent_until": back_on(values["absent_until"], member.timezone)}
            present = {name: getattr(member, name) for name in wanted} | {"locale": member.locale[:2]}
            changes = {name: value for name, value in wanted.items() if value != present[name]}
            if changes:
                members.change_member(session, member_id, changes, context.by)

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


def links(context: PageContext, member: Member, acts: Acts) -> list[Element]:
    if not member.active:
        return []
    t = context.t
    ways = [
        (t("E-mail it"), acts.act("member.manage", users.linking(acts, member.id, send=True), "Link created.")),
        (t("Show it only"), acts.act("member.manage", users.linking(acts, member.id, send=False), "Link created.")),
    ]
    return [components.choose(t("Link to choose a password"), t("How should they get it?"), ways, "key")]


def logging_out(member_id: str, id: str | None = None) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            members.log_out(session, member_id, context.by, id)

    return do


def second_factor_part(context: PageContext, data: Data, acts: Acts) -> list[Element]:
    t, member = context.t, data.member
    if not data.second_factor:
        return [html.p({"className": "quiet"}, t("None; members set it up in their own account."))]
    handler = acts.act("member.manage", resetting(member.id), "They can log in without a second factor until they set up a new one.")
    question = t("Make sure it is really {name} who is asking: then their password or a link is enough.", name=member.name)
    reset = components.ask(t("Reset the second factor"), question, t("Reset"), handler, "lock", "danger")
    return [html.p(components.badge(t("switched on"), "good", "check")), html.div({"className": "actions"}, reset)]


def resetting(member_id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            login.reset_factor(session, context.engine.address_keys, member_id, context.by)

    return do


def log_out_everywhere(context: PageContext, data: Data, acts: Acts) -> Element:
    if not data.sessions:
        return None
    t = context.t
    handler = acts.act("member.manage", logging_out(data.member.id), "They are logged out everywhere.")
    return components.ask(t("Log out everywhere"), t("All their browsers have to log in again."), t("Log out"), handler, "lock")


def access(context: PageContext, data: Data, acts: Acts) -> list[Element]:
    t, member = context.t, data.member
    if not member.active:
        handler = acts.act("member.manage", switching(member.id, True), "They may log in again.")
        return [html.div({"className": "actions"}, components.button(t("Reactivate"), handler, "check"))]
    question = t("{name} is logged out right away, can no longer log in and gets nothing by rotation.", name=member.name)
    if named := [use for use in data.uses if use.noun != "pool"]:
        text = "Live journeys use this member: {steps}. These will go to the contact's owner or an admin instead."
        question += " " + t(text, steps=places(named))
    if alone := [use for use in data.uses if use.noun == "pool"]:
        text = (
            "No one else is active in one of their rotations that journeys use: {steps}. Contacts will continue without a new owner there."
        )
        question += " " + t(text, steps=places(alone))
    handler = acts.act("member.manage", switching(member.id, False), "They are deactivated and logged out.")
    return [html.div({"className": "actions"}, components.ask(t("Deactivate"), question, t("Deactivate"), handler, "ban", "danger"))]


def switching(member_id: str, active: bool) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            members.change_member(session, member_id, {"active": active}, context.by)

    return do


PAGE = Page("/ui/settings/users/{id}", "User", "settings", "member.manage", load, view)
