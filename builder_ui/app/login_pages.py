"""The pages in front of the house: logging in, choosing a password, asking for a new one. Native forms, no script, no socket.

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
from builder_ui.kit.i18n import Translator, speech_for
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
    speech = speech_for(language)
    fields = (
        Field("email", speech("E-mail address"), "text", "username", 320, value=email),
        Field("password", speech("Password"), "password", "current-password", MAX_CHARACTERS),
    )
    ways = (("/password", speech("Forgot your password?")),)
    return Door(
        speech("Log in"),
        fields=fields,
        button=speech("Log in"),
        action=login_address(back),
        problems=[problem] if problem else [],
        ways=ways,
    )


def forgotten(language: str) -> Door:
    speech = speech_for(language)
    field = Field("email", speech("E-mail address"), "text", "username", 320)
    text = speech("We will e-mail you a link to choose a new password.")
    return Door(speech("Forgot your password?"), text, fields=(field,), button=speech("Send the link"), ways=(_back(speech),))


def asked(language: str) -> Door:
    """The same words whether or not anybody has the address."""
    speech = speech_for(language)
    text = speech("If there is an account with this address, an e-mail is on its way. Its link works once, within an hour.")
    return Door(speech("Check your inbox"), text, ways=(_back(speech),))


def choose(language: str, email: str, issues: Sequence[Issue] = (), problem: str = "") -> Door:
    speech = speech_for(language)
    hint = speech("At least {least} characters; several words work well.", least=MIN_CHARACTERS)
    fields = (
        Field("email", speech("E-mail address"), "text", "username", 320, value=email, fixed=True),
        Field("password", speech("New password"), "password", "new-password", MAX_CHARACTERS, MIN_CHARACTERS, hint=hint),
        Field("again", speech("Repeat password"), "password", "new-password", MAX_CHARACTERS, MIN_CHARACTERS),
    )
    problems = [*([problem] if problem else []), *(issue.say(speech.translate) for issue in issues)]
    text = speech("This ends all your other sessions and logs you in here.")
    return Door(speech("Choose your password"), text, problems, fields, speech("Set the password and log in"))


def differ(language: str) -> str:
    return speech_for(language)("The two passwords do not match.")


def spent(language: str) -> Door:
    speech = speech_for(language)
    text = speech("This link was used before or has expired; ask for a new one.")
    return Door(speech("This link no longer works"), text, ways=(_back(speech), ("/password", speech("Forgot your password?"))))


def by_link(language: str) -> Door:
    speech = speech_for(language)
    return Door(speech("Log in"), speech("This link logs you in once."), button=speech("Log in"))


def code(language: str, back: str, problem: str = "") -> Door:
    """The second step of a log-in."""
    speech = speech_for(language)
    hint = speech("Six digits from the app, or one of your recovery codes.")
    return Door(
        speech("Enter the code"),
        speech("Open the authenticator app on your phone."),
        [problem] if problem else [],
        (Field("code", speech("Code"), "text", "one-time-code", 40, hint=hint),),
        speech("Log in"),
        _with_back("/login/code", back),
        (_back(speech),),
    )


def wrong_code(language: str) -> str:
    return speech_for(language)("The code is incorrect or was already used.")


def too_late(language: str) -> Door:
    speech = speech_for(language)
    return Door(speech("That took too long"), speech("Please start again with your password."), ways=(_back(speech),))


def prove(language: str, back: str, coded: bool, has_password: bool, problem: str = "") -> Door:
    """Asks somebody once more who is logged in: for a code, else for the password. Who has neither proves it with a new link."""
    speech = speech_for(language)
    title = speech("Please confirm that it is you")
    if not coded and not has_password:
        text = speech("You log in by link. Log in again with a new one, or set a password; then you can continue.")
        return Door(title, text, ways=(("/password", speech("Get a link to choose a password")),))
    field = (
        Field("proof", speech("Code"), "text", "one-time-code", 40, hint=speech("Six digits from the app, or one of your recovery codes."))
        if coded
        else Field("proof", speech("Password"), "password", "current-password", MAX_CHARACTERS)
    )
    text = speech("This is a sensitive action: keys, secrets, users, or deleting contact data.")
    return Door(title, text, [problem] if problem else [], (field,), speech("Confirm"), _with_back("/prove", back))


def logged_out(language: str) -> Door:
    speech = speech_for(language)
    return Door(speech("You are logged out."), ways=(_back(speech),))


def said(language: str, error: PfadwerkError) -> str:
    return error.say(speech_for(language).translate)


def _with_back(address: str, back: str) -> str:
    return f"{address}?from={quote(back, safe='/')}" if is_page(back) else address


def wait(language: str, seconds: float) -> str:
    """What somebody reads who tried too often."""
    speech = speech_for(language)
    return speech("Too many tries. Please wait {span}, then try again.", span=speech.span(timedelta(seconds=max(1, round(seconds + 0.5)))))


def wrong(language: str) -> str:
    speech = speech_for(language)
    return speech("The e-mail address or password is incorrect.")


def _back(speech: Translator) -> tuple[str, str]:
    return "/login", speech("Back to log-in")
