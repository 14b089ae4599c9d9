"""Who fills templates in: this process (`INLINE`: command line, tests), or the processes of a `RenderPool` (worker, web server)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Literal, Protocol

from activities.rendering.cards import A6, Card, Paper
from activities.rendering.compile import CompiledTemplate, compile_template
from activities.rendering.kinds import Kind
from activities.rendering.partials import NO_PARTIALS, Library
from activities.rendering.render import UNTRACKED, Marks, Rendered, render, render_text
from journeys.errors import PfadwerkError


class RenderBusy(PfadwerkError):
    """Every process that renders is at work, or none can be started: nothing is wrong with the template, try again."""

    code = "render_busy"
    status = 503


class Renderer(Protocol):
    """What `activities.rendering` offers, wherever it runs."""

    def __hash__(self) -> int: ...

    def render(
        self,
        compiled: CompiledTemplate,
        locales: Iterable[str],
        values: Mapping[str, Any],
        *,
        marks: Marks = UNTRACKED,
        message_class: str = "marketing",
        zone: str = "UTC",
    ) -> Rendered:
        """As `rendering.render`. Raises: RenderFailed; RenderBusy."""

    def render_text(self, source: str, values: Mapping[str, Any], *, locale: str = "en", zone: str = "UTC") -> Rendered:
        """As `rendering.render_text`. Raises: RenderFailed; RenderBusy."""

    def compile_template(
        self, variants: Mapping[str, Any], kind: Kind, *, message_class: str = "marketing", library: Library = NO_PARTIALS
    ) -> CompiledTemplate:
        """As `rendering.compile_template`. Raises: Invalid; RenderBusy."""

    def card(self, what: Literal["show", "print", "print_sides"], card: Card, paper: Paper = A6) -> list[bytes]:
        """`show`: front and back as JPEG; `print`: the PDF; `print_sides`: one for each. Raises: RenderFailed; RenderBusy."""


def drawn(what: str, card: Card, paper: Paper) -> list[bytes]:
    """As `Renderer.card`, in this process."""
    module = import_module(
        f"activities.rendering.cards.{'picture' if what == 'show' else 'pdf'}"
    )  # their libraries are dear, and few see a card
    if what == "print":
        return [module.print_card(card, paper)]
    return list(module.show_card(card, paper) if what == "show" else module.print_sides(card, paper))


class Inline:
    """In this process: for texts of people who could stop it anyway."""

    render = staticmethod(render)
    render_text = staticmethod(render_text)
    compile_template = staticmethod(compile_template)

    def card(self, what: Literal["show", "print", "print_sides"], card: Card, paper: Paper = A6) -> list[bytes]:
        return drawn(what, card, paper)


INLINE: Renderer = Inline()
