"""What the fields of an open builder offer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from journeys import results
from journeys.nodes import Node

from builder_ui.builder.draft import at
from builder_ui.builder.editor import Editor
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.suggestions import Suggestions, offers
from builder_ui.kit.observable import use_reading
from builder_ui.kit.reactpy_compat import Element, component


@component
def suggestions(editor: Editor) -> Element:
    """What fields offer; drawn anew only when there is something else to offer."""
    own, lookups = use_reading(editor, partial(_suggested, editor), "panel")
    return offers(editor.t, lookups, own)


def _suggested(editor: Editor) -> tuple[Suggestions, Lookups]:
    """The names of what steps leave behind for later ones, and of the properties of what lets contacts in."""
    palette, lookups = editor.context.engine.palette, editor.lookups
    read = {id: palette.parse(id, raw) for id, raw in editor.draft.nodes.items()}
    left = results.names_of(
        {id: node.results() for id, node in read.items() if isinstance(node, Node)}
    )
    names = editor.names
    triggers = at(editor.draft.parts, ("entry", "triggers"))
    events = [
        lookups.catalogue.event(str(one.get("event")))
        for one in triggers or ()
        if isinstance(one, dict)
    ]
    properties = dict.fromkeys(
        f"trigger.{name}" for event in events if event for name in event.properties
    )
    said = [(name, _left_by(names, name)) for name in left]
    return Suggestions((*((name, name) for name in properties), *said)), lookups


def _left_by(names: Mapping[str, str], path: str) -> str:
    """What a step leaves, with what people call the step."""
    node, _, field = path.removeprefix(results.STEPS).partition(".")
    return f"{names.get(node, node)}: {field}"
