"""The second factor on the account page: set up with a picture, confirmed by a code, turned off, and its recovery codes shown once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import panel
from models import Member
from workspace import login, second_factor, sessions


@dataclass(frozen=True, slots=True, repr=False)
class Second:
    """How things stand; `setup` was begun and waits for a code. `owed`: the workspace wants one and there is none."""

    on: bool
    owed: bool
    codes_left: int
    setup: second_factor.Setup | None


def read(context: PageContext, session: Session, member: Member) -> Second:
    on = second_factor.is_on(session, member.id)
    return Second(
        on,
        second_factor.is_owed(session, member),
        second_factor.codes_left(session, member.id) if on else 0,
        None if on else second_factor.setup(session, context.engine.address_keys, member, context.app.real_now()),
    )


def panel_of(context: PageContext, data: Second, acts: Acts) -> Element:
    t = context.t
    owed = t("Your workspace requires an authenticator app: set it up to continue.")
    return panel(
        t("Second factor"),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), owed) if data.owed else None,
        _codes(context, acts),
        *(_on(context, data, acts) if data.on else _begun(context, data.setup, acts) if data.setup else _off(context, acts)),
    )


def _off(context: PageContext, acts: Acts) -> list[Element]:
    t = context.t
    why = t("With an authenticator app on your phone, a stolen password alone is useless.")
    handler = acts.act("me.second_factor", _begin, "Scan the QR code with your app.")
    return [
        html.p({"className": "quiet"}, why),
        html.div({"className": "actions"}, components.button(t("Set up an authenticator app"), handler, "lock")),
    ]


def _begun(context: PageContext, setup: second_factor.Setup, acts: Acts) -> list[Element]:
    t = context.t
    grouped = " ".join(setup.secret[n : n + 4] for n in range(0, len(setup.secret), 4))
    field = forms.Field("code", t("Code"), most=40, required=True, hint=t("The six digits the app shows now."))
    return [
        html.p(t("Scan this QR code with an authenticator app, or enter the key.")),
        html.img({"src": setup.picture, "alt": t("QR code for the authenticator app"), "className": "qr"}),
        html.p(html.code(grouped)),
        forms.form(
            context,
            acts,
            "factor",
            [field],
            t("Confirm"),
            "me.second_factor",
            _confirming(acts),
            "The second factor is on.",
            setup.secret[:4],
        ),
    ]


def _on(context: PageContext, data: Second, acts: Acts) -> list[Element]:
    t = context.t
    anew = acts.act("me.second_factor", _renewing(acts), "The old recovery codes no longer work.")
    off = acts.act("me.second_factor", _off_with_it, "The second factor is off.")
    left = t("{count} recovery codes are left.", count=data.codes_left)
    return [
        html.p(components.badge(t("switched on"), "good", "check"), " ", html.span({"className": "quiet"}, left)),
        html.div(
            {"className": "actions"},
            components.ask(t("New recovery codes"), t("Your existing codes stop working."), t("Create new codes"), anew, "key"),
            components.ask(
                t("Turn off"),
                t("Then a password or a link is enough to log in as you."),
                t("Turn off"),
                off,
                "ban",
                "danger",
            ),
        ),
    ]


def _codes(context: PageContext, acts: Acts) -> Element:
    """The recovery codes, as long as the page stands open after they were made."""
    shown = acts.drafts.get("codes")
    if not shown:
        return None
    t = context.t
    field = {"readOnly": True, "value": shown, "rows": 10, "aria-label": t("Recovery codes"), "id": "codes", "className": "code"}
    copy = {"type": "button", "className": "button", "data-copy": "codes", "data-copied": t("Copied")}
    note = t("Keep them somewhere other than your phone: each lets you log in once without the app. They are never shown again.")
    return html.section(
        {"className": "panel once", "role": "status"},
        html.h3(t("Recovery codes")),
        html.p({"className": "quiet"}, note),
        html.div(
            {"className": "form copy"},
            html.textarea(field),
            html.button(copy, components.icon("clipboard-check"), html.span(t("Copy"))),
        ),
    )


def _begin(context: PageContext) -> None:
    with context.engine.db.write() as session:
        second_factor.begin(session, context.engine.address_keys, context.member.id, context.app.real_now())


def _confirming(acts: Acts) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        with context.engine.db.write() as session:
            codes = second_factor.confirm(session, context.engine.address_keys, context.member.id, values["code"], context.app.real_now())
            sessions.end_sessions(session, context.member.id, keep=context.token)
        _keep(acts, codes)

    return do


def _renewing(acts: Acts) -> Callable[[PageContext], None]:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            codes = second_factor.renew_codes(session, context.engine.address_keys, context.member.id)
        _keep(acts, codes)

    return do


def _keep(acts: Acts, codes: list[str]) -> None:
    """For the next drawing."""
    acts.drafts["codes"] = "\n".join(codes)


def _off_with_it(context: PageContext) -> None:
    with context.engine.db.write() as session:
        login.reset_factor(session, context.engine.address_keys, context.member.id, context.by)
