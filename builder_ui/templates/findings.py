"""Problems, hints and links of a template, each with the way to its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from activities.rendering.compile import CLIPPED_BYTES
from activities.rendering.kinds import HTML
from builder_ui.kit import components
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.templates.session import Writing
from builder_ui.templates.words import MOST_SHOWN, locale_name
from journeys.errors import Issue


def findings(writing: Writing) -> Element:
    """Problems, hints and links."""
    t, found = writing.t, writing.proof
    if found is None:
        return None
    errors = [_finding(writing, issue, n) for n, issue in enumerate(found.errors[:MOST_SHOWN])]
    hints = [_finding(writing, issue, n) for n, issue in enumerate(found.hints[:MOST_SHOWN])]
    title = (
        t("Problems: {errors}, hints: {warnings}", errors=len(found.errors), warnings=len(found.hints))
        if errors or hints
        else t("No problems")
    )
    size = ""
    if found.rendered is not None and writing.stored.kind in HTML:
        kilobytes = len(found.rendered.html.encode()) / 1000
        size = t("{size} of {limit} kB HTML", size=t.number(round(kilobytes, 1)), limit=102)
    links = [
        html.li({"key": str(n)}, html.button({"type": "button", "className": "tpl-finding", "onClick": _to(writing, one.line, one.column)}, components.icon("link"), html.span(one.target or "–")))
        for n, one in enumerate(found.links[:MOST_SHOWN])
    ]  # fmt: skip
    near = found.rendered is not None and len(found.rendered.html.encode()) > CLIPPED_BYTES
    return html.div(
        {"className": "tpl-findings"},
        html.h2(
            components.icon("alert" if errors else "check"), title, html.small({"className": "bad" if near else ""}, size) if size else None
        ),
        html.ul(errors, hints) if errors or hints else None,
        _reached(writing),
        html.details(html.summary(t("Links: {count}", count=len(found.links))), html.ul(links)) if links else None,
    )


def _reached(writing: Writing) -> Element:
    """The button that asks for links and pictures, and what it found."""
    t, found = writing.t, writing.reached
    if writing.stored.kind not in HTML or not writing.editable:
        return None
    button = components.button(t("Check links and pictures"), lambda _event: writing.spawn(writing.reach), "link")
    if found is None:
        return html.p(button)
    said = t("Checked {count} of {all} addresses.", count=found.asked, all=found.all)
    good = html._(components.icon("check"), t("All are there."), " ") if not found.issues else None
    return html._(
        html.p(button, " ", html.span({"role": "status"}, good, said)),
        html.ul([_finding(writing, issue, n) for n, issue in enumerate(found.issues)]) if found.issues else None,
    )


def _to(writing: Writing, line: int, column: int) -> Callable[[Any], None]:
    return lambda _event: writing.ask(place=f"{writing.locale}/mjml", line=line, column=column)


def _finding(writing: Writing, issue: Issue, n: int) -> Element:
    """One problem or hint; pressing it leads to where it is."""
    _, _, place = (issue.field or "").partition(".")
    locale = place.partition(".")[0]
    elsewhere = html.b(locale_name(writing.t, locale), ": ") if locale in writing.variants and locale != writing.locale else None
    jump = {"type": "button", "className": f"tpl-finding {issue.severity}", "onClick": lambda _event: writing.jump(issue)}
    weight = html.span({"className": "hidden"}, writing.t("Problem: ") if issue.severity == "error" else writing.t("Hint: "))
    symbol = components.icon("alert" if issue.severity == "error" else "ear")
    return html.li({"key": f"{issue.severity}{n}"}, html.button(jump, symbol, html.span(weight, elsewhere, issue.say(writing.t.translate))))
