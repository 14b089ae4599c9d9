"""The segments of one contact, for the contact's own page: which they are, and the lists kept by hand to put them on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments.membership import moving
from crm.segments import members, segments
from crm.segments.members import Membership


def load(session: Session, contact_id: str) -> list[Membership]:
    return members.of_contact(session, contact_id)


def lists(session: Session) -> dict[str, str]:
    """Key -> name of the segments that are kept by hand."""
    return {one.key: one.name for one in segments.listed(session) if one.kind == "static"}


def links(context: PageContext, contact_id: str, found: Sequence[Membership]) -> Element:
    """Each leads to why the contact is in it."""
    t = context.t
    items = [
        html.li(
            {"key": one.key},
            html.a({"href": f"/ui/segments/{one.key}" + (f"?view=why&contact={contact_id}" if one.kind == "live" else "")}, one.name),
            html.span({"className": "quiet"}, " ", t("since"), " ", components.moment(t, one.since)),
        )
        for one in found
    ]
    return html.ul(items)


def change(context: PageContext, contact_id: str, found: Sequence[Membership], offered: dict[str, str], acts: Acts) -> Element:
    """Takes the contact off lists, and puts them on others. None where there are no lists, or the role does not allow it."""
    if not offered or not context.may("segment.change"):
        return None
    t = context.t
    present = [one for one in found if one.kind == "static"]
    others = {key: name for key, name in offered.items() if key not in {one.key for one in present}}

    def add(visitor: PageContext) -> Any:
        return moving(acts.drafts.pop("list", ""), contact_id, True)(visitor)

    return html._(
        html.h2({"className": "apart"}, t("Static segments")),
        html.ul({"className": "lines"}, [on_list(context, contact_id, one, acts) for one in present]) if present else None,
        html.div(
            {"className": "fields"},
            components.kept_choice(acts, "list", t("Segment"), others),
            components.button(t("Add to the segment"), acts.act("segment.change", add, "Added to the segment."), "plus"),
        )
        if others
        else None,
    )


def on_list(context: PageContext, contact_id: str, one: Membership, acts: Acts) -> Element:
    t = context.t
    out, back = moving(one.key, contact_id, False), moving(one.key, contact_id, True)
    handler = acts.act("segment.change", out, "Removed from the segment.", back)
    label = t("Remove {name}", name=one.name)
    return html.li(
        {"key": one.key},
        one.name,
        " ",
        html.button({"type": "button", "className": "button plain", "onClick": handler, "aria-label": label}, t("Remove")),
    )
