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
from workspace import members as team
from workspace import sessions

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


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        return Data(team.list_members(session), sessions.last_seen(session))


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    columns = (speech("Name"), speech("Role"), speech("State"), speech("Last seen"), speech("Absent until"))
    ordered = sorted(data.members, key=lambda member: not member.active)
    table = components.table(speech("Users"), columns, [row(visit, data, member) for member in ordered])
    return framed(visit, "Users", "", shown_link(visit, acts), table, invitation(visit, data, acts), wide=True)


def row(visit: PageContext, data: Data, member: Member) -> list[Element]:
    speech, seen = visit.speech, data.seen.get(member.id)
    name = html.a({"href": f"/ui/settings/users/{member.id}"}, member.name) if visit.may("member.manage") else member.name
    absent = member.absent_until if member.absent_until and member.absent_until > visit.house.now() else None
    return [
        html.div(name, html.small(member.email)),
        speech(ROLE_NAMES[member.role]) if member.role in ROLE_NAMES else member.role,
        state(visit, member),
        components.relative(visit, seen) if seen else "–",
        speech.moment(absent) if absent else "–",
    ]


def state(visit: PageContext, member: Member) -> Element:
    speech = visit.speech
    if not member.active:
        return components.badge(speech("deactivated"), "bad", "ban")
    if member.password_hash is None:
        return components.badge(speech("no password yet"), "warn", "hourglass")
    return components.badge(speech("active"), "good", "check")


def roles(visit: PageContext) -> list[tuple[str, str]]:
    speech = visit.speech
    return [(role, f"{speech(ROLE_NAMES[role])}: {speech(ROLE_WORDS[role])}") for role in team.ROLES]


def languages() -> list[tuple[str, str]]:
    return [(code, LANGUAGES[code]) for code in SUPPORTED]


def invitation(visit: PageContext, data: Data, acts: Acts) -> Element:
    if not visit.may("member.manage"):
        return None
    speech = visit.speech
    fields = [
        forms.Field("name", speech("Name"), most=120, required=True),
        forms.Field("email", speech("E-mail address"), "email", most=320, required=True),
        forms.Field("role", speech("Role"), "select", "viewer", roles(visit)),
        forms.Field("locale", speech("Language"), "select", speech.language, languages()),
    ]
    made = forms.form(visit, acts, "invite", fields, speech("Invite"), "member.manage", inviting(acts), "Invited.", str(len(data.members)))
    return panel(speech("Invite a member"), made)


def inviting(acts: Acts) -> forms.Change:
    def do(visit: PageContext, values: forms.Values) -> None:
        with visit.engine.db.write() as session, forms.plainly("email"):
            member, path = team.invite(
                session, values["name"], values["email"], values["role"], visit.by, visit.house.real_now(), locale=values["locale"]
            )
        show_link(visit, acts, member, "invitation", path, send=True)

    return do


def linking(acts: Acts, member_id: str, send: bool) -> Callable[[PageContext], None]:
    """A new link to choose a password, to hand over or to mail."""

    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session, forms.plainly():
            member, purpose, path = team.password_link(session, member_id, visit.by, visit.house.real_now())
        show_link(visit, acts, member, purpose, path, send)

    return do


def show_link(visit: PageContext, acts: Acts, member: Member, purpose: sessions.Purpose, path: str, send: bool) -> None:
    """Keeps the link for the next drawing of this page, and mails it."""
    mailed = send and visit.house.mail_link(member, purpose, path)
    acts.drafts["link"] = visit.house.public_url + path
    acts.drafts["link.until"] = (visit.house.real_now() + sessions.LINK_LIFE[purpose]).isoformat()
    acts.drafts["link.mailed"] = member.email if mailed else ""


def shown_link(visit: PageContext, acts: Acts) -> Element:
    speech, url = visit.speech, acts.drafts.get("link")
    if url is None:
        return None
    until = speech.moment(datetime.fromisoformat(acts.drafts["link.until"]))
    mailed = acts.drafts["link.mailed"]
    said = speech("It was e-mailed to {email}.", email=mailed) if mailed else speech("It was not e-mailed: pass it on yourself.")
    note = speech("Works once, until {until}. It is only shown now.", until=until)
    return forms.once(visit, speech("Link to choose a password"), url, f"{note} {said}")


PAGE = Page("/ui/settings/users", "Users", "settings", "team.read", load, view)
