"""A new company."""

from __future__ import annotations

from builder_ui.companies import fields
from builder_ui.kit import components, forms
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.companies import companies
from crm.companies.companies import OWNER
from journeys.errors import Invalid
from workspace.members import list_members


def load(context: PageContext) -> dict[str, str]:
    with context.engine.db.read() as session:
        return {member.id: member.name for member in list_members(session, only_active=True)}


def view(context: PageContext, members: dict[str, str], acts: Acts) -> Element:
    t, made = context.t, acts.drafts.get("made")
    return html._(
        components.head(t("New company"), back=("/ui/companies", t("Companies"))),
        html.p(html.a({"className": "button main", "href": f"/ui/companies/{made}"}, t("View company")))
        if made
        else html.section(
            {"className": "panel"},
            fields.form(context, None, {}, members, acts),
            components.button(t("Create company"), acts.act("company.change", making(acts), "Company created."), "building", "main"),
        ),
    )


def making(acts: Acts) -> Do:
    def do(context: PageContext) -> None:
        typed = fields.read(acts, None)
        given = typed.pop("fields")
        name, owner = given.pop("name", None), given.pop(OWNER, None)
        wanted = {one: value for one, value in given.items() if value is not None}
        with context.engine.db.write() as session, forms.plainly():
            try:
                row = companies.create(session, name or "", context.by, context.app.now(), owner=owner, fields=wanted, **typed)
            except Invalid as error:
                raise fields.in_words(context, error) from None
            made = row.id
        acts.drafts.clear()
        acts.drafts["made"] = made

    return do


PAGE = Page("/ui/new-company", "New company", "companies", "company.change", load, view)
