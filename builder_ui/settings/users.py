"""The people who work here, and inviting another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from builder_ui.app.host import LANGUAGES
from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import ROLE_NAMES
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed, panel
from locales import SUPPORTED
from models import Member
from workspace import members, sessions

ROLE_WORDS = {
    "admin": "can do everything",
    "marketer": "journeys, templates, contacts, tasks",
    "engineer": "journeys, templates, runs",
    "tester": "tests journeys and looks after runs",
    "sales": "tasks and contacts",
    "viewer": "can view everything and change nothing",
}


@dataclass(frozen=True, slots=True)
class Data:
    members: list[Member]
    seen: dict[str, datetime]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        return Data(members.list_members(session), sessions.last_seen(session))


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    columns = (t("Name"), t("Role"), t("State"), t("Last seen"), t("Absent until"))
    ordered = sorted(data.members, key=lambda member: not member.active)
    table = components.table(t("Users"), columns, [row(context, data, member) for member in ordered])
    return framed(context, "Users", "", shown_link(context, acts), table, invitation(context, data, acts), wide=True)


def row(context: PageContext, data: Data, member: Member) -> list[Element]:
    t, seen = context.t, data.seen.get(member.id)
    name = html.a({"href": f"/ui/settings/users/{member.id}"}, member.name) if context.may("member.manage") else member.name
    absent = member.absent_until if member.absent_until and member.absent_until > context.app.now() else None
    return [
        html.div(name, html.small(member.email)),
        t(ROLE_NAMES[member.role]) if member.role in ROLE_NAMES else member.role,
        state(context, member),
        components.relative(context, seen, real=True) if seen else "–",
        t.moment(absent) if absent else "–",
    ]


def state(context: PageContext, member: Member) -> Element:
    t = context.t
    if not member.active:
        return components.badge(t("deactivated"), "bad", "ban")
    if member.password_hash is None:
        return components.badge(t("no password yet"), "warn", "hourglass")
    return components.badge(t("active"), "good", "check")


def roles(context: PageContext) -> list[tuple[str, str]]:
    t = context.t
    return [(role, f"{t(ROLE_NAMES[role])}: {t(ROLE_WORDS[role])}") for role in members.ROLES]


def languages() -> list[tuple[str, str]]:
    return [(code, LANGUAGES[code]) for code in SUPPORTED]


def invitation(context: PageContext, data: Data, acts: Acts) -> Element:
    if not context.may("member.manage"):
        return None
    t = context.t
    fields = [
        forms.Field("name", t("Name"), most=120, required=True),
        forms.Field("email", t("E-mail address"), "email", most=320, required=True),
        forms.Field("role", t("Role"), "select", "viewer", roles(context)),
        forms.Field("locale", t("Language"), "select", t.language, languages()),
    ]
    made = forms.form(context, acts, "invite", fields, t("Invite"), "member.manage", inviting(acts), "Invited.", str(len(data.members)))
    return panel(t("Invite a member"), made)


def inviting(acts: Acts) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        with context.engine.db.write() as session, forms.plainly("email"):
            member, path = members.invite(
                session, values["name"], values["email"], values["role"], context.by, context.app.real_now(), locale=values["locale"]
            )
        show_link(context, acts, member, "invitation", path, send=True)

    return do


def linking(acts: Acts, member_id: str, send: bool) -> Callable[[PageContext], None]:
    """A new link to choose a password, to hand over or to mail."""

    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            member, purpose, path = members.password_link(session, member_id, context.by, context.app.real_now())
        show_link(context, acts, member, purpose, path, send)

    return do


def show_link(context: PageContext, acts: Acts, member: Member, purpose: sessions.Purpose, path: str, send: bool) -> None:
    """Keeps the link for the next drawing of this page, and mails it."""
    mailed = send and context.app.mail_link(member, purpose, path)
    acts.drafts["link"] = context.app.public_url + path
    acts.drafts["link.until"] = (context.app.real_now() + sessions.LINK_LIFE[purpose]).isoformat()
    acts.drafts["link.mailed"] = member.email if mailed else ""


def shown_link(context: PageContext, acts: Acts) -> Element:
    t, url = context.t, acts.drafts.get("link")
    if url is None:
        return None
    until = t.moment(datetime.fromisoformat(acts.drafts["link.until"]))
    mailed = acts.drafts["link.mailed"]
    said = t("It was e-mailed to {email}.", email=mailed) if mailed else t("It was not e-mailed: pass it on yourself.")
    note = t("Works once, until {until}. It is only shown now.", until=until)
    return forms.once(context, t("Link to choose a password"), url, f"{note} {said}")


PAGE = Page("/ui/settings/users", "Users", "settings", "team.read", load, view)
