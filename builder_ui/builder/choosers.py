"""Widgets that choose among what the workspace has: templates, members, secrets, with the ways to their own pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from builder_ui.builder.lookups import Choice
from builder_ui.builder.widgets import Form, Path, alert, entered, picker, small
from builder_ui.kit import components
from builder_ui.kit.reactpy_compat import Element, html

MAKER_WORDS = {
    "pool": "View rotations",
    "purpose": "View purposes",
    "score_group": "View scores",
    "topic": "View topics",
}


def recipients(form: Form, path: Path) -> Element:
    """Who is told: the contact's owner, members by their names, and addresses. One choice each and an empty one that adds somebody."""
    t, value = form.t, form.value(path)
    present = [str(one) for one in value] if isinstance(value, list | tuple) else []
    people = [("owner", t("the contact's owner")), *form.lookups.choices.get("user", [])]

    def keep(place: int) -> Callable[[Any], None]:
        def changed(event: Mapping[str, Any]) -> None:
            said = entered(event).strip()
            kept = [*present[:place], *([said] if said else []), *present[place + 1 :]]
            form.edit(path, list(dict.fromkeys(kept)), True)

        return changed

    rows = [
        html.div({"key": f"{place}.{one}"}, _person(form, path, place, one, people, keep(place)))
        for place, one in enumerate(present)
    ]
    if not form.editable:
        return html.div({"className": "pfb-item"}, rows)
    others = [one for one in people if one[0] not in present]
    address = {
        "type": "email",
        "key": form.key(path) + "/new",
        "onBlur": keep(len(present)),
        "maxLength": 320,
        "autoComplete": "off",
    }
    return html.div(
        {"className": "pfb-item"},
        rows,
        _person(form, path, len(present), "", others, keep(len(present))),
        html.input(
            {**address, "placeholder": t("or an e-mail address"), "aria-label": t("E-mail address")}
        ),
    )


def _person(
    form: Form,
    path: Path,
    place: int,
    present: str,
    people: Sequence[Choice],
    changed: Callable[[Any], None],
) -> Element:
    """One recipient, with what is wrong about them; the empty choice takes them out."""
    t = form.t
    shown = [("", "–" if present else t("Add a member")), *people]
    if present not in {key for key, _ in shown}:
        shown.append((present, present))
    key = f"{form.key(path)}/{place}/{present}"
    attributes = {
        "id": form.id((*path, place)),
        "value": present,
        "onChange": changed,
        "disabled": not form.editable,
        "key": key,
    }
    options = [html.option({"key": id, "value": id}, name) for id, name in shown]
    wrong = (
        [
            alert(form, issue)
            for issue in form.issues.get(".".join(str(one) for one in (*path, place)), ())
        ]
        if present
        else []
    )
    return html._(
        html.select(
            {**attributes, "aria-label": t("Recipient {number}", number=place + 1)}, options
        ),
        *wrong,
    )


def look(form: Form, hint: str, value: Any) -> Element:
    """How a chosen thing looks, with the ways to its own page and to a new one; nothing where the hint has none of these."""
    t, found = form.t, form.lookups.looks.get(hint, {}).get(str(value))
    maker = form.lookups.makers.get(hint) if form.editable else None
    if found is None and maker is None:
        return None
    new = {"target": "_blank", "rel": "noopener"}
    return html.div(
        {"className": "pfb-look"},
        html.span(
            {"className": "tpl-thumb", "key": found.picture}, components.picture(found.picture)
        )
        if found and found.picture
        else None,
        html.div(
            html.p(found.text(t.language)) if found else None,
            html.a({"href": found.address, **new}, t("Edit the template")) if found else None,
            html.a({"href": maker, **new}, t(MAKER_WORDS.get(hint, "New template")))
            if maker
            else None,
        ),
    )


def secret(form: Form, path: Path, optional: bool, keep: Callable[[str, str], None]) -> Element:
    """The names of stored secrets, and beside them the way to a new one; what is secret is shown to nobody and kept by no page."""
    t, typed = form.t, {"name": "", "value": ""}

    def noted(part: str) -> Callable[[Mapping[str, Any]], None]:
        return lambda event: typed.update({part: entered(event)})

    def store(_event: Any) -> None:
        name, value = typed["name"].strip(), typed["value"]
        if name and value:
            keep(name, value)
            form.edit(path, name, True)

    base = {"autoComplete": "off", "className": "pfb-secret"}
    fields = [
        html.input({**base, "type": "text", "aria-label": t("Name of the secret"), "placeholder": t("Name"), "maxLength": 64, "onBlur": noted("name")}),
        html.input({**base, "type": "password", "aria-label": t("Secret"), "placeholder": t("Secret"), "maxLength": 4_000, "onBlur": noted("value")}),
        small(t("Store"), store),
    ]  # fmt: skip
    return html.div(
        picker(form, path, form.lookups.offered("secret", {}), optional, label=t("Secret")),
        html.details(
            {"key": form.key(path)},
            html.summary(t("New secret")),
            html.div({"className": "pfb-row"}, *fields),
        )
        if form.editable
        else None,
    )
