"""Keys for programs: made, rotated, revoked; a key itself is shown once, one for browsers with the lines for a web page. For admins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import ROLE_NAMES
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed, panel
from builder_ui.settings.users import ROLE_WORDS
from journeys.errors import Invalid, Issue
from models import ApiKey
from workspace import api_keys
from workspace.audit import record

PAGE_SIZE = 50
SENDERS = {
    "browser": "browser key: for web pages and apps, where anyone can read it",
    "server": "server key: for your own servers; keep it secret",
}
RIGHTS = (
    ("Send events, also those that start journeys", True, True),
    ("Identify a new visitor and fill empty fields", True, True),
    ("Overwrite or empty fields of a known contact", False, True),
    ("Give a known contact an e-mail address or a phone number", False, True),
    ("Merge contacts", False, True),
    ("Withdraw a consent", True, True),
    ("Give a consent", False, True),
)
"""What is done with a key -> whether a browser key and a server key may (`crm.people.visitors`, `crm.consent.consent`)."""
SNIPPET = """\
import {{ AnalyticsBrowser }} from "@segment/analytics-next";

const analytics = AnalyticsBrowser.load({{
  writeKey: "{key}",
  cdnURL: "{url}",
}});
analytics.page();
// after somebody has registered or logged in:
analytics.identify("USER_ID", {{ firstName: "Ada" }});
"""
GRACES = (timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30))


@dataclass(frozen=True, slots=True)
class Data:
    keys: list[ApiKey]
    next_before: str | None


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        found = api_keys.list_keys(session, before=context.query.get("before"), limit=PAGE_SIZE + 1)
    return Data(found[:PAGE_SIZE], found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None)


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    columns = (t("Name"), t("Kind"), t("Begins with"), t("Last used"), t("State"), "")
    shown = acts.drafts.get("key")
    fields = [
        forms.Field("name", t("Name"), most=64, required=True, hint=t("Shown as the source of the events it sends.")),
        forms.Field("kind", t("Kind"), "select", "browser", kinds(context)),
    ]
    newest = data.keys[0].id if data.keys else ""
    note = t("Copy it now: only a hash is stored, and it is never shown again.")
    return framed(
        context,
        "Keys",
        "Keys let other programs send events and use the API.",
        forms.once(context, t("The new key"), shown, note) if shown else None,
        snippet(context, shown) if shown and shown.startswith(api_keys.PREFIXES["browser"]) else None,
        components.table(t("Keys"), columns, [row(context, key, acts) for key in data.keys])
        if data.keys
        else components.empty("key", t("No keys yet."), None),
        components.pager(context, data.next_before),
        panel(
            t("New key"),
            forms.form(context, acts, "key", fields, t("Create"), "key.manage", making(acts), "Key created.", newest),
        ),
        rights(context, any(key.kind == "server" and api_keys.is_valid(key, context.app.real_now()) for key in data.keys)),
        wide=True,
    )


def row(context: PageContext, key: ApiKey, acts: Acts) -> list[Element]:
    t = context.t
    used = components.relative(context, key.last_used_at, real=True) if key.last_used_at else t("never")
    return [key.name, kind_of(context, key), html.code(f"{key.prefix}…"), used, state(context, key), acts_on(context, key, acts)]


def kind_of(context: PageContext, key: ApiKey) -> str:
    t = context.t
    role = f" · {t(ROLE_NAMES[key.role])}" if key.role in ROLE_NAMES else ""
    return t(f"{key.kind} key") + role


def kinds(context: PageContext) -> list[tuple[str, str]]:
    """What can be made: keys that send, and admin keys by role (`admin:ROLE`)."""
    t = context.t
    admin = t("admin key")
    roles = [(f"admin:{role}", f"{admin} · {t(name)}: {t(ROLE_WORDS[role])}") for role, name in ROLE_NAMES.items()]
    return [*((kind, t(text)) for kind, text in SENDERS.items()), *roles]


def rights(context: PageContext, has_server_key: bool) -> Element:
    """What a key that sends may do."""
    t = context.t
    columns = ("", t("browser key"), t("server key"))
    yes, no = components.badge(t("yes"), "good", "check"), components.badge(t("no"), "bad", "ban")
    rows = [[t(text), yes if browser else no, yes if server else no] for text, browser, server in RIGHTS]
    secret = "Is a server key in a web page or an app? Create a browser key for it and revoke the server key: anyone who reads it can change every contact."
    return panel(
        t("What a key may do"),
        html.p({"className": "quiet"}, t(secret)) if has_server_key else None,
        components.table(t("What a key may do"), columns, rows),
        html.p(
            {"className": "quiet"},
            t("Consent given with a browser key waits for confirmation if the contact has never answered before."),
        ),
    )


def snippet(context: PageContext, key: str) -> Element:
    """The lines that send from a web page, with a button to copy them."""
    t = context.t
    lines = SNIPPET.format(key=key, url=context.app.public_url)
    field = {
        "readOnly": True,
        "value": lines,
        "rows": lines.count("\n") + 1,
        "aria-label": t("For your web page"),
        "id": "snippet",
        "className": "code",
    }
    button = {"type": "button", "className": "button", "data-copy": "snippet", "data-copied": t("Copied")}
    return panel(
        t("For your web page"),
        html.div(
            {"className": "form copy"},
            html.textarea(field),
            html.button(button, components.icon("clipboard-check"), html.span(t("Copy"))),
        ),
    )


def state(context: PageContext, key: ApiKey) -> Element:
    t, now = context.t, context.app.real_now()
    if key.revoked_at is not None:
        return components.badge(t("revoked"), "bad", "ban")
    if not api_keys.is_valid(key, now):
        return components.badge(t("expired"), "bad", "ban")
    if key.expires_at is not None:
        return html._(components.badge(t("ends"), "warn", "hourglass"), " ", components.moment(t, key.expires_at))
    return components.badge(t("valid"), "good", "check")


def acts_on(context: PageContext, key: ApiKey, acts: Acts) -> Element:
    t = context.t
    refused = html.a({"href": f"/ui/settings/keys/{key.id}", "className": "button"}, t("Refused")) if key.kind != "admin" else None
    if not api_keys.is_valid(key, context.app.real_now()):
        return refused
    ways = [
        (
            t("at once") if not grace else t.span(grace),
            acts.act("key.manage", rotating(acts, key.id, grace), "New key created."),
        )
        for grace in GRACES
    ]
    revoke = acts.act("key.manage", revoking(key.id), "The key is revoked.")
    question = t("Anything that uses “{name}” is refused from now on. This cannot be undone.", name=key.name)
    return html.span(
        {"className": "actions"},
        refused,
        components.choose(t("Rotate"), t("A new key with the same name. How long should the old one stay valid?"), ways, "shuffle"),
        components.ask(t("Revoke"), question, t("Revoke"), revoke, "ban", "danger"),
    )


def making(acts: Acts) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        now = context.app.real_now()
        kind, _, role = values["kind"].partition(":")
        if values["kind"] not in dict(kinds(context)) or not values["name"]:
            raise Invalid("Expected a name.", [Issue(code="key", text="Expected a name.", field="name")])
        with forms.plainly("name"), context.engine.db.write() as session:
            row, secret = api_keys.add_key(
                session, cast(api_keys.Kind, kind), values["name"], now, role=cast(api_keys.Role, role or "admin")
            )
            record(session, context.by, "key.add", f"key:{row.id}", {"kind": row.kind, "role": row.role})
        acts.drafts["key"] = secret

    return do


def rotating(acts: Acts, key_id: str, grace: timedelta) -> Do:
    def do(context: PageContext) -> None:
        now = context.app.real_now()
        with context.engine.db.write() as session:
            row, secret = api_keys.rotate_key(session, key_id, now, grace)
            record(session, context.by, "key.rotate", f"key:{key_id}", {"new": row.id})
        context.app.forget_keys()
        acts.drafts["key"] = secret

    return do


def revoking(key_id: str) -> Do:
    def do(context: PageContext) -> None:
        now = context.app.real_now()
        with context.engine.db.write() as session:
            api_keys.revoke_key(session, key_id, now)
            record(session, context.by, "key.revoke", f"key:{key_id}", {})
        context.app.forget_keys()

    return do


PAGE = Page("/ui/settings/keys", "Keys", "settings", "key.manage", load, view)
