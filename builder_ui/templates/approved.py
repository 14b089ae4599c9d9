"""What the provider account of a channel may send at any time, looked up and chosen from."""

from __future__ import annotations

from activities.providers.provider import ApprovedTemplate
from builder_ui.kit import components
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html
from builder_ui.templates.session import Writing

STANDINGS = {
    "approved": "approved",
    "pending": "waiting for approval",
    "received": "waiting for approval",
    "rejected": "rejected",
    "paused": "paused by WhatsApp",
    "disabled": "disabled by WhatsApp",
    "unsubmitted": "not submitted for approval",
}
"""What a provider says of a template -> words."""


@component
def finding_approved(writing: Writing) -> Element:
    """The button, and what it found."""
    use_topics(writing, "approved")
    t = writing.t
    if not writing.editable or writing.context.app.accounts is None:
        return None
    found = writing.approved
    look = components.button(t("Look up approved templates"), lambda _event: writing.spawn(writing.find_approved), "search")
    if writing.approved_problem:
        return html.div({"className": "tpl-found"}, look, html.p({"role": "alert", "className": "bad"}, writing.approved_problem))
    if found is None:
        return html.div({"className": "tpl-found"}, look)
    if not found:
        nothing = t("The provider account of this channel has no templates. Create them at the provider first.")
        return html.div({"className": "tpl-found"}, look, html.p({"role": "status"}, nothing))
    return html.div({"className": "tpl-found"}, look, html.ul([_offer(writing, one) for one in found]))


def _offer(writing: Writing, one: ApprovedTemplate) -> Element:
    t, good = writing.t, one.standing == "approved"
    standing = t(STANDINGS.get(one.standing, "not approved ({standing})"), standing=one.standing)
    take = {"type": "button", "className": "tpl-finding", "onClick": lambda _event: writing.take_approved(one)}
    return html.li(
        {"key": one.id},
        html.button(
            take,
            html.span(html.b(one.name or one.id), " ", t.language_of(one.language) if one.language else "", html.small(one.wording)),
            components.badge(standing, "good" if good else "warn", "check" if good else "clock"),
        ),
    )
