"""A new form: a name, and what it begins with."""

from __future__ import annotations

from builder_ui.forms.ready import READY
from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.forms import Change, Values
from builder_ui.kit.reactpy_compat import Element, html
from crm.forms.forms import create


def load(context: PageContext) -> None:
    """Nothing is asked of the database."""


def view(context: PageContext, data: None, acts: Acts) -> Element:
    t, made = context.t, acts.drafts.get("key")
    head = components.head(
        t("New form"),
        t("It begins as a draft that nobody else sees. You can change everything afterwards."),
        back=("/ui/forms", t("Forms")),
    )
    if made:
        links = (("main", f"/ui/forms/{made}", t("Edit form")), ("", "/ui/forms", t("All forms")))
        made_links = [html.a({"className": f"button {tone}", "href": to}, text) for tone, to, text in links]
        return html._(head, html.div({"className": "actions"}, *made_links))
    options = [(name, t(one.name)) for name, one in READY.items()]
    described = [html.li({"key": name}, html.b(t(one.name)), ": ", t(one.description)) for name, one in READY.items()]
    fields = [
        forms.Field("name", t("Name"), required=True, most=120, hint=t("For your team; people read the title.")),
        forms.Field("from", t("Begin with"), "select", "newsletter", options),
    ]
    return html._(
        head,
        html.section(
            {"className": "panel"},
            forms.form(context, acts, "new", fields, t("Create form"), "form.change", making(acts), "Form created."),
            html.ul({"className": "quiet"}, described),
        ),
    )


def making(acts: Acts) -> Change:
    def do(context: PageContext, values: Values) -> None:
        ready = READY.get(values["from"], READY["empty"])
        with context.engine.db.write() as session, forms.plainly():
            made = create(session, values["name"], ready.definition, context.by, context.app.now())
        acts.drafts["key"] = made.key

    return do


PAGE = Page("/ui/new-form", "New form", "forms", "form.change", load, view)
