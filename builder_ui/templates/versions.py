"""The versions of a template, and what changed from one to the next."""

from __future__ import annotations

from typing import Any

from activities.templates import listing
from builder_ui.kit import components
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html
from builder_ui.templates.session import Old, Variants, Writing
from builder_ui.templates.words import locale_name, part_title


@component
def versions(writing: Writing) -> Element:
    use_topics(writing, "side")
    t = writing.t
    rows = [_version(writing, old) for old in writing.versions]
    if not rows:
        return html.p({"className": "tpl-nothing"}, t("No version yet") if not writing.stored.number else "…")
    draft = listing.changes(writing.versions[0].source, writing.variants, writing.parts)
    now = (
        html.details({"key": "draft", "className": "tpl-version"}, html.summary(html.b(t("The draft")), html.span(t("differences from the newest version"))), _diff(writing, draft))
        if draft
        else None
    )  # fmt: skip
    return html.div({"className": "tpl-versions"}, now, rows)


def _version(writing: Writing, old: Old) -> Element:
    t = writing.t
    used = [use.journey_name for use in writing.stored.uses if use.template_version == old.number]
    source: Variants = old.source

    def restore(_event: Any) -> None:
        writing.replace(source)
        writing.notice = (t("Version {number} is now in the draft; save it to make it the newest.", number=old.number), True)
        writing.tell("head", "side")

    found = listing.changes(old.before, old.source, writing.parts) if old.before else []
    return html.details(
        {"key": str(old.number), "className": "tpl-version"},
        html.summary(
            html.b(t("Version {number}", number=old.number)),
            components.moment(t, old.created_at),
            html.span(t("used by {journeys}", journeys=", ".join(used))) if used else None,
        ),
        _diff(writing, found) if found else html.p({"className": "quiet"}, t("The first one.") if not old.before else t("No differences.")),
        components.button(t("Copy into the draft"), restore, "pencil") if writing.editable else None,
    )


_SIGNS = {"+": ("added", "+"), "-": ("gone", "−"), "…": ("gap", "⋯"), " ": ("", " ")}


def _diff(writing: Writing, found: list[listing.Change]) -> Element:
    t = writing.t
    blocks = []
    for n, change in enumerate(found):
        lines = []
        for m, (sign, text) in enumerate(change.lines):
            name, shown = _SIGNS[sign]
            lines.append(html.span({"key": str(m), "className": f"tpl-diff {name}"}, shown, " ", text, "\n"))
        title = f"{locale_name(t, change.locale)} · {t(part_title(writing, change.part))}"
        blocks.append(html.div({"key": str(n)}, html.h3(title), html.pre({"tabIndex": 0}, lines)))
    return html.div(blocks)
