"""Keys for programs: made, rotated, revoked; a key itself is shown once. For admins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from builder_ui import forms, parts
from builder_ui.compat import Element, html
from builder_ui.permits import ADMINS
from builder_ui.sections import barred, framed, panel
from builder_ui.visit import Acts, Do, Page, Visit
from crm import keys
from crm.audit import record
from journeys.errors import Invalid, Issue
from models import ApiKey

PAGE_SIZE = 50
KINDS = {"write": "write key: sends events and nothing else", "admin": "admin key: may do everything"}
GRACES = (timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30))


@dataclass(frozen=True, slots=True)
class Data:
    keys: list[ApiKey]
    next_before: str | None


def load(visit: Visit) -> Data | None:
    if not visit.may(ADMINS):
        return None
    with visit.engine.db.read() as session:
        found = keys.list_keys(session, before=visit.query.get("before"), limit=PAGE_SIZE + 1)
    return Data(found[:PAGE_SIZE], found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None)


def view(visit: Visit, data: Data | None, acts: Acts) -> Element:
    if data is None:
        return barred(visit, "Keys")
    speech = visit.speech
    columns = (speech("Name"), speech("Kind"), speech("Begins with"), speech("Last used"), speech("State"), "")
    shown = acts.drafts.get("key")
    fields = [
        forms.Field("name", speech("Name"), most=64, required=True, hint=speech("Stands as the source at the events it sends.")),
        forms.Field("kind", speech("Kind"), "select", "write", [(kind, speech(text)) for kind, text in KINDS.items()]),
    ]
    newest = data.keys[0].id if data.keys else ""
    note = speech("Keep it now: it is stored as a hash only and never shown again.")
    return framed(
        visit,
        "Keys",
        "Programs send events and ask the interface with keys.",
        forms.once(visit, speech("The new key"), shown, note) if shown else None,
        parts.table(speech("Keys"), columns, [row(visit, key, acts) for key in data.keys])
        if data.keys
        else parts.empty("key", speech("There is no key yet."), None),
        parts.pager(visit, data.next_before),
        panel(
            speech("New key"), forms.form(visit, acts, "key", fields, speech("Make it"), ADMINS, making(acts), "The key is there.", newest)
        ),
        wide=True,
    )


def row(visit: Visit, key: ApiKey, acts: Acts) -> list[Element]:
    speech = visit.speech
    used = parts.relative(visit, key.last_used_at) if key.last_used_at else speech("never")
    return [key.name, speech(f"{key.kind} key"), html.code(f"{key.prefix}…"), used, state(visit, key), acts_on(visit, key, acts)]


def state(visit: Visit, key: ApiKey) -> Element:
    speech, now = visit.speech, visit.house.now()
    if key.revoked_at is not None:
        return parts.badge(speech("revoked"), "bad", "ban")
    if not keys.is_valid(key, now):
        return parts.badge(speech("expired"), "bad", "ban")
    if key.expires_at is not None:
        return html._(parts.badge(speech("ends"), "warn", "hourglass"), " ", parts.moment(speech, key.expires_at))
    return parts.badge(speech("valid"), "good", "check")


def acts_on(visit: Visit, key: ApiKey, acts: Acts) -> Element:
    if not keys.is_valid(key, visit.house.now()):
        return None
    speech = visit.speech
    ways = [
        (speech("at once") if not grace else speech.span(grace), acts.act(ADMINS, rotating(acts, key.id, grace), "The new key is there."))
        for grace in GRACES
    ]
    revoke = acts.act(ADMINS, revoking(key.id), "The key is revoked.")
    question = speech("Whatever uses “{name}” is refused from now on. This cannot be taken back.", name=key.name)
    return html.span(
        {"className": "actions"},
        parts.choose(speech("Rotate"), speech("A new key of the same name. How long shall the old one stay valid?"), ways, "shuffle"),
        parts.ask(speech("Revoke"), question, speech("Revoke"), revoke, "ban", "danger"),
    )


def making(acts: Acts) -> forms.Change:
    def do(visit: Visit, values: forms.Values) -> None:
        now, kind = visit.house.now(), values["kind"]
        if kind not in KINDS or not values["name"]:
            raise Invalid("Expected a name.", [Issue(code="key", text="Expected a name.", field="name")])
        with visit.engine.db.write() as session:
            row, secret = keys.add_key(session, "admin" if kind == "admin" else "write", values["name"], now)
            record(session, visit.by, "key.add", f"key:{row.id}", {"kind": kind}, now)
        acts.drafts["key"] = secret

    return do


def rotating(acts: Acts, key_id: str, grace: timedelta) -> Do:
    def do(visit: Visit) -> None:
        now = visit.house.now()
        with visit.engine.db.write() as session:
            row, secret = keys.rotate_key(session, key_id, now, grace)
            record(session, visit.by, "key.rotate", f"key:{key_id}", {"new": row.id}, now)
        visit.house.forget_keys()
        acts.drafts["key"] = secret

    return do


def revoking(key_id: str) -> Do:
    def do(visit: Visit) -> None:
        now = visit.house.now()
        with visit.engine.db.write() as session:
            keys.revoke_key(session, key_id, now)
            record(session, visit.by, "key.revoke", f"key:{key_id}", {}, now)
        visit.house.forget_keys()

    return do


PAGE = Page("/ui/settings/keys", "Keys", "settings", load, view)
