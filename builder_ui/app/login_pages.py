"""The pages before one is logged in: logging in, choosing a password, asking for a new one. Native forms, no script, no socket.

They are drawn here so that they look like the rest; what their forms do is in `api.auth.login`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from fastapi.responses import HTMLResponse

from builder_ui.app.host import STATICS, guard, is_page, templates
from builder_ui.kit.components import ICONS
from builder_ui.kit.i18n import Translator, translator_for
from journeys.errors import Issue, PfadwerkError
from workspace.passwords import MAX_CHARACTERS, MIN_CHARACTERS


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form. `complete` tells the browser what it may fill in; what is `fixed` is there for password managers."""

    name: str
    label: str
    type: str
    complete: str
    most: int
    least: int = 0
    value: str = ""
    hint: str = ""
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """One page. Without `button` there is no form; `ways` are (address, text)."""

    title: str
    text: str = ""
    problems: Sequence[str] = ()
    fields: Sequence[Field] = ()
    button: str = ""
    action: str = ""
    ways: Sequence[tuple[str, str]] = ()


def drawn(language: str, door: Door, status: int = 200, retry_after: float = 0.0) -> HTMLResponse:
    html = templates.get_template("door.html").render(language=language, door=door, statics=STATICS, icons=ICONS)
    more = {"retry-after": str(max(1, round(retry_after + 0.5)))} if status == 429 else {}
    return HTMLResponse(html, status, {**guard(""), **more})


def login_address(back: str) -> str:
    """The log-in page that leads on to `back`, if that is a page of ours."""
    return _with_back("/login", back)


def log_in(language: str, back: str, email: str = "", problem: str = "") -> Door:
    t = translator_for(language)
    fields = (
        Field("email", t("E-mail address"), "text", "username", 320, value=email),
        Field("password", t("Password"), "password", "current-password", MAX_CHARACTERS),
    )
    ways = (("/password", t("Forgot your password?")),)
    return Door(
        t("Log in"),
        fields=fields,
        button=t("Log in"),
        action=login_address(back),
        problems=[problem] if problem else [],
        ways=ways,
    )


def forgotten(language: str) -> Door:
    t = translator_for(language)
    field = Field("email", t("E-mail address"), "text", "username", 320)
    text = t("We will e-mail you a link to choose a new password.")
    return Door(t("Forgot your password?"), text, fields=(field,), button=t("Send the link"), ways=(_back(t),))


def asked(language: str) -> Door:
    """The same words whether or not anybody has the address."""
    t = translator_for(language)
    text = t("If there is an account with this address, we have sent it an e-mail. The link works once and expires after an hour.")
    return Door(t("Check your inbox"), text, ways=(_back(t),))


def choose(language: str, email: str, issues: Sequence[Issue] = (), problem: str = "") -> Door:
    t = translator_for(language)
    hint = t("At least {least} characters; several words work well.", least=MIN_CHARACTERS)
    fields = (
        Field("email", t("E-mail address"), "text", "username", 320, value=email, fixed=True),
        Field("password", t("New password"), "password", "new-password", MAX_CHARACTERS, MIN_CHARACTERS, hint=hint),
        Field("again", t("Repeat password"), "password", "new-password", MAX_CHARACTERS, MIN_CHARACTERS),
    )
    problems = [*([problem] if problem else []), *(issue.say(t.translate) for issue in issues)]
    text = t("This ends all your other sessions and logs you in here.")
    return Door(t("Choose your password"), text, problems, fields, t("Set the password and log in"))


def differ(language: str) -> str:
    return translator_for(language)("The two passwords do not match.")


def spent(language: str) -> Door:
    t = translator_for(language)
    text = t("This link was used before or has expired; ask for a new one.")
    return Door(t("This link no longer works"), text, ways=(_back(t), ("/password", t("Forgot your password?"))))


def by_link(language: str) -> Door:
    t = translator_for(language)
    return Door(t("Log in"), t("This link logs you in once."), button=t("Log in"))


def code(language: str, back: str, problem: str = "") -> Door:
    """The second step of a log-in."""
    t = translator_for(language)
    hint = t("Six digits from the app, or one of your recovery codes.")
    return Door(
        t("Enter the code"),
        t("Open the authenticator app on your phone."),
        [problem] if problem else [],
        (Field("code", t("Code"), "text", "one-time-code", 40, hint=hint),),
        t("Log in"),
        _with_back("/login/code", back),
        (_back(t),),
    )


def wrong_code(language: str) -> str:
    return translator_for(language)("The code is incorrect or was already used.")


def too_late(language: str) -> Door:
    t = translator_for(language)
    return Door(t("That took too long"), t("Please start again with your password."), ways=(_back(t),))


def prove(language: str, back: str, coded: bool, has_password: bool, problem: str = "") -> Door:
    """Asks somebody once more who is logged in: for a code, else for the password. Who has neither proves it with a new link."""
    t = translator_for(language)
    title = t("Please confirm that it is you")
    if not coded and not has_password:
        text = t("You log in by link. Log in again with a new one, or set a password; then you can continue.")
        return Door(title, text, ways=(("/password", t("Get a link to choose a password")),))
    field = (
        Field("proof", t("Code"), "text", "one-time-code", 40, hint=t("Six digits from the app, or one of your recovery codes."))
        if coded
        else Field("proof", t("Password"), "password", "current-password", MAX_CHARACTERS)
    )
    text = t("This is a sensitive action: keys, secrets, users, or deleting contact data.")
    return Door(title, text, [problem] if problem else [], (field,), t("Confirm"), _with_back("/prove", back))


def logged_out(language: str) -> Door:
    t = translator_for(language)
    return Door(t("You are logged out."), ways=(_back(t),))


def said(language: str, error: PfadwerkError) -> str:
    return error.say(translator_for(language).translate)


def _with_back(address: str, back: str) -> str:
    return f"{address}?from={quote(back, safe='/')}" if is_page(back) else address


def wait(language: str, seconds: float) -> str:
    """What somebody reads who tried too often."""
    t = translator_for(language)
    return t("Too many attempts. Please wait {span}, then try again.", span=t.span(timedelta(seconds=max(1, round(seconds + 0.5)))))


def wrong(language: str) -> str:
    t = translator_for(language)
    return t("The e-mail address or password is incorrect.")


def _back(t: Translator) -> tuple[str, str]:
    return "/login", t("Back to log-in")
