"""Secrets that webhooks are signed with: their names. Nobody can read one back."""

from __future__ import annotations

import re

from builder_ui import forms, parts
from builder_ui.compat import Element, html
from builder_ui.sections import framed, panel
from builder_ui.visit import Acts, Do, Page, Visit
from crm import secrets
from journeys.errors import Invalid, Issue

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def load(visit: Visit) -> list[str]:
    with visit.engine.db.read() as session:
        return secrets.names(session)


def view(visit: Visit, names: list[str], acts: Acts) -> Element:
    speech = visit.speech
    table = parts.table(speech("Secrets"), (speech("Name"), ""), [[html.code(name), removal(visit, name, acts)] for name in names])
    lead = "Webhooks are signed with them, and Slack addresses are kept here. A secret is stored encrypted and never shown again."
    return framed(
        visit, "Secrets", lead, table if names else parts.empty("lock", speech("There is no secret yet."), None), entry(visit, names, acts)
    )


def removal(visit: Visit, name: str, acts: Acts) -> Element:
    if not visit.may("secret.change"):
        return None
    speech = visit.speech
    question = speech("Steps that name “{name}” fail from now on.", name=name)
    return parts.ask(
        speech("Remove"), question, speech("Remove"), acts.act("secret.change", removing(name), "The secret is gone."), "ban", "danger"
    )


def entry(visit: Visit, names: list[str], acts: Acts) -> Element:
    if not visit.may("secret.change"):
        return None
    speech = visit.speech
    fields = [
        forms.Field(
            "name", speech("Name"), most=64, required=True, offered=names, hint=speech("A name that is there already gets the new value.")
        ),
        forms.Field("value", speech("Value"), "password", most=secrets.MAX_CHARACTERS, required=True),
    ]
    count = acts.drafts.get("secrets", "0")
    return panel(
        speech("Store a secret"),
        forms.form(visit, acts, "secret", fields, speech("Store"), "secret.change", putting(acts), "The secret is stored.", count),
    )


def putting(acts: Acts) -> forms.Change:
    def do(visit: Visit, values: forms.Values) -> None:
        wrong = "name" if not NAME.fullmatch(values["name"]) else "" if values["value"] else "value"
        if wrong:
            text = "Expected letters, digits, dots, - and _, at most 64." if wrong == "name" else "Expected a value."
            problem = Issue(code="secret", text=text, field=wrong)
            raise Invalid("{problem}", [problem], problem=problem)
        engine = visit.engine
        with engine.db.write() as session:
            secrets.put(session, engine.address_keys, values["name"], values["value"], visit.by, visit.house.now())
        acts.drafts["secrets"] = str(int(acts.drafts.get("secrets", "0")) + 1)

    return do


def removing(name: str) -> Do:
    def do(visit: Visit) -> None:
        with visit.engine.db.write() as session:
            secrets.remove(session, name, visit.by, visit.house.now())

    return do


PAGE = Page("/ui/settings/secrets", "Secrets", "settings", "secret.list", load, view)
