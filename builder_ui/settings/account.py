"""My account: who I am, my password, and the browsers I am logged in with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from pydantic import SecretStr

from builder_ui.app.host import LANGUAGES, Host
from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, AppContext, Do, Page, PageContext
from builder_ui.kit.permissions import does
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings import second_factor
from builder_ui.settings.sections import framed, panel
from builder_ui.settings.sessions import session_table
from journeys.errors import Conflict, Invalid, TooMany
from locales import SUPPORTED
from models import LoginSession, Member
from workspace import login, members, sessions, time_zones
from workspace.login_attempts import network_of
from workspace.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from workspace.sessions import ProofNeeded

PROBLEMS = {
    "old": "This is not your current password.",
    "short": "A password has at least {least} characters.",
    "long": "A password has at most {most} characters.",
    "common": "This password is too easy to guess.",
    "own": "Your password cannot be your name or e-mail address.",
    "again": "The two passwords do not match.",
    "wait": "Too many attempts; wait a moment.",
    "conflict": "The password has been changed in the meantime.",
}
"""Code in the address -> what is wrong with a password."""


@dataclass(frozen=True, slots=True)
class Data:
    member: Member
    sessions: Sequence[LoginSession]
    second: second_factor.Second


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        member = members.get_member(session, context.member.id)
        rows = sessions.list_sessions(session, member.id, context.app.real_now())
        return Data(member, rows, second_factor.read(context, session, member))


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, member = context.t, data.member
    fields = [
        forms.Field("name", t("Name"), value=member.name, most=120, required=True),
        forms.Field("locale", t("Language"), "select", member.locale[:2], [(code, LANGUAGES[code]) for code in SUPPORTED]),
        forms.Field("timezone", t("Time zone"), value=member.timezone, most=64, required=True, offered=sorted(time_zones.known())),
    ]
    about = forms.form(
        context,
        acts,
        "account",
        fields,
        t("Save"),
        "me.change",
        save,
        "Saved. Other pages show it after a reload.",
        stamp_of(member),
    )
    return framed(
        context,
        "My account",
        "",
        panel(t("About me"), html.p({"className": "quiet"}, member.email, " · ", t(f"role: {member.role}")), about),
        panel(t("Password"), *password(context, member)),
        second_factor.panel_of(context, data.second, acts),
        panel(
            t("Where I am logged in"),
            session_table(context, data.sessions, lambda id: acts.act("me.change", ending(id), "This browser is logged out.")),
            html.div({"className": "actions"}, everywhere(context, data, acts)),
        ),
    )


def stamp_of(member: Member) -> str:
    return f"{member.name}.{member.locale}.{member.timezone}"


def save(context: PageContext, values: forms.Values) -> None:
    changes = {"name": values["name"], "locale": values["locale"], "timezone": values["timezone"]}
    with context.engine.db.write() as session:
        members.change_member(session, context.member.id, changes, context.by)


def ending(id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            members.log_out(session, context.member.id, context.by, id)

    return do


def everywhere(context: PageContext, data: Data, acts: Acts) -> Element:
    if len(data.sessions) < 2:
        return None
    t = context.t
    handler = acts.act("me.change", elsewhere, "You are logged out everywhere else.")
    return components.ask(t("Log out everywhere else"), t("All your other browsers have to log in again."), t("Log out"), handler, "lock")


def elsewhere(context: PageContext) -> None:
    with context.engine.db.write() as session:
        sessions.end_sessions(session, context.member.id, keep=context.token)


# The password. A native form: what is typed goes straight to its own address, and password managers know it.


def password(context: PageContext, member: Member) -> list[Element]:
    t = context.t
    problem = PROBLEMS.get(context.query.get("problem", ""))
    said = t(problem, least=MIN_CHARACTERS, most=MAX_CHARACTERS) if problem else ""
    return [
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), said) if said else None,
        html.p({"className": "notice good", "role": "status"}, components.icon("check"), t("Your password is changed."))
        if context.query.get("done") == "password"
        else None,
        html.p({"className": "quiet"}, t("Changing it ends all your other sessions.")),
        html.form(
            {"className": "form", "method": "post", "action": "/ui/settings/password"},
            html.input(
                {
                    "type": "text",
                    "name": "email",
                    "value": member.email,
                    "readOnly": True,
                    "hidden": True,
                    "autoComplete": "username",
                    "aria-label": t("E-mail address"),
                }
            ),
            secret(t("Current password"), "old", "current-password", 1) if member.password_hash else None,
            secret(
                t("New password"),
                "password",
                "new-password",
                MIN_CHARACTERS,
                t("At least {least} characters; several words work well.", least=MIN_CHARACTERS),
            ),
            secret(t("Repeat password"), "again", "new-password", MIN_CHARACTERS),
            html.div({"className": "actions"}, html.button({"className": "button main"}, t("Change the password"))),
        ),
    ]


def secret(label: str, name: str, complete: str, least: int, hint: str = "") -> Element:
    id = f"password-{name}"
    field = {"type": "password", "id": id, "name": name, "autoComplete": complete, "required": True, "minLength": least}
    return html.div(
        {"className": "field"},
        html.label({"htmlFor": id}, label),
        html.input({**field, "maxLength": MAX_CHARACTERS}),
        html.small(hint) if hint else None,
    )


PAGE = Page("/ui/settings", "My account", "settings", "me.read", load, view)


def routes(app: AppContext) -> APIRouter:
    """Where the password form leads; back to the page, with what was wrong."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def change(
        request: Request,
        password: Annotated[SecretStr, Form(max_length=4_000)] = SecretStr(""),
        again: Annotated[SecretStr, Form(max_length=4_000)] = SecretStr(""),
        old: Annotated[SecretStr, Form(max_length=4_000)] = SecretStr(""),
    ) -> Response:
        known = await host.member(request.cookies, owing=True)
        if known is None:
            return Response(status_code=403)
        if password != again:
            return _back("problem=again")
        token, member = known
        network = network_of(request.client.host) if request.client else ""
        return await run_in_threadpool(_change, app, member, token, old.get_secret_value(), password.get_secret_value(), network)

    router.add_api_route("/ui/settings/password", change, methods=["POST"], **does("me.change"))
    return router


def _change(app: AppContext, member: Member, token: str, old: str, new: str, network: str) -> Response:
    engine = app.engine
    try:
        cookie = login.change(engine.db, engine.address_keys, member.id, token, old, new, app.real_now(), network)
    except Invalid as error:
        return _back(f"problem={next(code for code, text in PROBLEMS.items() if text == error.issues[0].text)}")
    except TooMany:
        return _back("problem=wait")
    except Conflict:
        return _back("problem=conflict")
    except ProofNeeded:
        return RedirectResponse("/prove?from=/ui/settings", 303)
    answer = _back("done=password")
    app.login.hand_over(answer, cookie)
    return answer


def _back(query: str) -> Response:
    return RedirectResponse(f"/ui/settings?{query}", 303)
