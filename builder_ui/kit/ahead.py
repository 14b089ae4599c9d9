"""What a publication would bring about, on pages: counted once the rest is shown, since it takes a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from builder_ui.kit import consequences
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, component, html, use_effect, use_state
from engine.interpreter.forecast import Forecast
from journeys.compile import compile_journey
from journeys.errors import PfadwerkError
from journeys.reading import read


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What is ahead: a sentence, and the lines below it. `called` are the contacts that may be named."""

    text: str
    forecast: Forecast | None = None
    lines: tuple[consequences.Line, ...] = ()
    called: Mapping[str, str] = field(default_factory=dict)


async def looked(
    context: PageContext, journey_id: str, document: Mapping[str, Any], passed: frozenset[str] | None = None
) -> list[Paragraph]:
    """Counted in a thread, one look at a time for each person. `passed` as in `Forecaster.publication`."""
    try:
        async with context.app.turns.of(context.by):
            return await asyncio.to_thread(_look, context, journey_id, document, passed)
    except PfadwerkError as error:
        return [Paragraph(error.say(context.t.translate))]


def _look(context: PageContext, journey_id: str, document: Mapping[str, Any], passed: frozenset[str] | None) -> list[Paragraph]:
    with context.engine.db.read() as session:
        found = consequences.forecaster(context).publication(session, journey_id, context.app.now(), document, passed)
        called = consequences.names(context, session, *(one.forecast for one in found.coming))
    nodes = compile_journey(read(document), context.engine.palette).nodes
    said = consequences.publishing(context.t, nodes, found)
    return [Paragraph(text, forecast, tuple(lines), called) for text, forecast, lines in said]


def shown(t: Translator, found: list[Paragraph] | None) -> Element:
    """The paragraphs; None: they are being counted."""
    if found is None:
        return html.p({"className": "quiet", "role": "status"}, t("Counting who is due next …"))
    said = [
        html.div(
            {"key": str(n)},
            html.p(one.text),
            consequences.listed(t, list(one.lines), one.forecast, one.called) if one.lines else None,
        )
        for n, one in enumerate(found)
    ]
    return html.div({"className": "pfb-ahead"}, html.h3(t("What happens then")), said)


@component
def Ahead(context: PageContext, journey_id: str, document: Mapping[str, Any], passed: frozenset[str] | None = None) -> Element:
    """What publishing a document would bring about, as soon as that is counted."""
    found, set_found = use_state(cast("list[Paragraph] | None", None))

    async def look() -> None:
        set_found(await looked(context, journey_id, document, passed))

    def begin() -> Callable[[], Any]:
        return asyncio.ensure_future(look()).cancel

    use_effect(begin, [])
    return shown(context.t, found)
