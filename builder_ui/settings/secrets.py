"""Secrets that steps name, for signatures, headers and custom activities: their names. Nobody can read one back."""

from __future__ import annotations

import re

from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import places
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed, panel
from engine.versions.uses import Use, refuse, uses_of
from journeys.errors import Invalid, Issue
from workspace import secrets

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def load(context: PageContext) -> dict[str, list[Use]]:
    """Name -> where journeys that run name it."""
    with context.engine.db.read() as session:
        found: dict[str, list[Use]] = {name: [] for name in secrets.names(session)}
        for use in uses_of(context.engine, session, [("secret", name) for name in found]):
            found[use.name].append(use)
        return found


def view(context: PageContext, uses: dict[str, list[Use]], acts: Acts) -> Element:
    t, names = context.t, list(uses)
    rows = [[html.code(name), places(uses[name]) or "–", removal(context, name, uses[name], acts)] for name in names]
    table = components.table(t("Secrets"), (t("Name"), t("Used in"), ""), rows)
    lead = (
        "Used to sign webhooks, in their headers, by custom activities, and for Slack addresses. A secret is "
        "stored encrypted and never shown again."
    )
    return framed(
        context, "Secrets", lead, table if names else components.empty("lock", t("No secrets yet."), None), entry(context, names, acts)
    )


def removal(context: PageContext, name: str, used: list[Use], acts: Acts) -> Element:
    if not context.may("secret.change"):
        return None
    t = context.t
    question = t("Steps that use “{name}” fail from now on.", name=name)
    if used:
        question += " " + t("Live journeys use it: {steps}.", steps=places(used))
    handler = acts.act("secret.change", removing(name, used), "Secret deleted.")
    return components.ask(t("Remove"), question, t("Remove"), handler, "ban", "danger")


def entry(context: PageContext, names: list[str], acts: Acts) -> Element:
    if not context.may("secret.change"):
        return None
    t = context.t
    fields = [
        forms.Field("name", t("Name"), most=64, required=True, offered=names, hint=t("An existing name gets the new value.")),
        forms.Field("value", t("Value"), "password", most=secrets.MAX_CHARACTERS, required=True),
    ]
    count = acts.drafts.get("secrets", "0")
    return panel(
        t("Save secret"),
        forms.form(context, acts, "secret", fields, t("Store"), "secret.change", putting(acts), "Secret saved.", count),
    )


def putting(acts: Acts) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        wrong = "name" if not NAME.fullmatch(values["name"]) else "" if values["value"] else "value"
        if wrong:
            text = "Expected letters, digits, dots, - and _, at most 64." if wrong == "name" else "Expected a value."
            problem = Issue(code="secret", text=text, field=wrong)
            raise Invalid("{problem}", [problem], problem=problem)
        engine = context.engine
        with engine.db.write() as session:
            secrets.put(session, engine.address_keys, values["name"], values["value"], context.by, context.app.now())
        acts.drafts["secrets"] = str(int(acts.drafts.get("secrets", "0")) + 1)

    return do


def removing(name: str, asked: list[Use]) -> Do:
    """Removes it, unless a journey names it that was not in the question."""

    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            refuse([use for use in uses_of(context.engine, session, [("secret", name)]) if use not in asked])
            secrets.remove(session, name, context.by)

    return do


PAGE = Page("/ui/settings/secrets", "Secrets", "settings", "secret.list", load, view)
