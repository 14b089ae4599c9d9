"""What a step looks like on the canvas and in the palette: words, icon, ways out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from builder_ui import words
from builder_ui.builder.draft import Draft
from builder_ui.builder.knowledge import Knowledge
from builder_ui.builder.protocol import ENTRY
from builder_ui.parts import ICONS
from builder_ui.speech import Speech
from journeys.document import Entry
from journeys.document import Journey as Document
from journeys.errors import PfadwerkError
from journeys.graph import build
from journeys.nodes import Node, Palette
from journeys.timing import earliest
from journeys.upgrade import upgrade

GROUPS = {"time": "Time", "paths": "Paths", "messages": "Messages", "contact": "Contact and sales", "code": "Code"}
LONGEST_SUMMARY = 160

View = dict[str, Any]
"""`label` (the kind), `name`, `summary`, `icon`, `group`, `outlets`: [[id, words, may stay open]]"""
Hints = dict[str, list[str]]
"""Node id -> [short, in full]: how long after entry a contact gets there at the earliest."""
DAY = timedelta(days=1)


def view_of(speech: Speech, palette: Palette, node_id: str, raw: Mapping[str, Any], names: words.Names, before: View | None = None) -> View:
    """The card of a step. A step that cannot be read keeps the ways out of the card `before`."""
    node = palette.parse(node_id, raw)
    name = raw.get("name") if isinstance(raw.get("name"), str) else ""
    if isinstance(node, Node):
        return _card(speech, node, name, _summary(speech, node, names), _outlets(speech, node))
    kind = palette[raw["kind"]] if isinstance(raw.get("kind"), str) and raw["kind"] in palette else None
    outlets = before["outlets"] if before else _outlets_of_kind(speech, kind)
    return {
        "label": speech(kind.label) if kind else str(raw.get("kind"))[:60],
        "name": str(name)[:120],
        "summary": speech("Not complete yet"),
        "icon": kind.icon if kind else "alert",
        "group": kind.group if kind else "code",
        "outlets": outlets,
    }


def _card(speech: Speech, node: Node, name: Any, summary: str, outlets: list[list[Any]]) -> View:
    label = speech(node.label)
    return {"label": label, "name": name, "summary": summary, "icon": node.icon, "group": node.group, "outlets": outlets}


def _outlets(speech: Speech, node: Node) -> list[list[Any]]:
    return [[name, words.coded(speech, words.OUTLETS, name), node.fallback(name) is not None] for name in dict.fromkeys(node.outlets())]


def _outlets_of_kind(speech: Speech, kind: type[Node] | None) -> list[list[Any]]:
    node = Palette([kind]).parse("x", {"kind": kind.kind, **kind.example}) if kind else None
    return _outlets(speech, node) if isinstance(node, Node) else [["next", words.coded(speech, words.OUTLETS, "next"), False]]


def _summary(speech: Speech, node: Node, names: words.Names) -> str:
    """What was set, as short as a card needs it: values, and the titles of what is merely switched on."""
    said = [title if value == speech("yes") else value for title, value in words.fields(speech, node, names)]
    return _joined(said)


def entry_view(speech: Speech, draft: Draft) -> View:
    """The card of the journey itself."""
    try:
        entry = Entry.model_validate(draft.parts.get("entry") or {})
        said = words.entry(speech, entry) if entry.triggers else [speech("Nobody enters yet: choose a trigger.")]
    except ValueError:
        said = [speech("Not complete yet")]
    summary = _joined(said)
    outlets = [["next", speech("Start"), False]]
    return {
        "label": speech("Start"),
        "name": speech("Who enters"),
        "summary": summary,
        "icon": "play",
        "group": "entry",
        "outlets": outlets,
    }


def _joined(said: Iterable[str]) -> str:
    """Some sentences on one card; what is too long ends in dots."""
    text = " · ".join(said).replace("*", "")
    return text if len(text) <= LONGEST_SUMMARY else f"{text[: LONGEST_SUMMARY - 1].rstrip()}…"


def names_of(speech: Speech, palette: Palette, nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Node id -> what people call the step."""
    return {id: _called(speech, palette, id, raw) for id, raw in nodes.items()}


def _called(speech: Speech, palette: Palette, id: str, raw: Mapping[str, Any]) -> str:
    name, kind = raw.get("name"), raw.get("kind")
    if isinstance(name, str) and name:
        return name
    return f"{speech(palette[kind].label)} · {id}" if isinstance(kind, str) and kind in palette else id


def palette_of(speech: Speech, palette: Palette, knowledge: Knowledge) -> dict[str, Any]:
    """The palette for the canvas: groups in order, kinds with the step they begin as, and the icons."""
    kinds = [_offer(speech, palette, kind, knowledge) for kind in palette]
    return {"groups": [[group, speech(title)] for group, title in GROUPS.items()], "kinds": kinds, "icons": dict(ICONS)}


def _offer(speech: Speech, palette: Palette, kind: type[Node], knowledge: Knowledge) -> dict[str, Any]:
    raw = beginning(kind, knowledge)
    view = view_of(speech, palette, kind.kind, raw, {})
    text = " ".join(speech(paragraph) for paragraph in kind.help()[:1]).replace("*", "").replace("`", "")
    return {"kind": kind.kind, "label": speech(kind.label), "group": kind.group, "text": text, "raw": raw, "view": view}


def beginning(kind: type[Node], knowledge: Knowledge) -> dict[str, Any]:
    """The kind's example, with the names of things that exist here in place of those that do not."""
    raw: dict[str, Any] = {"kind": kind.kind, **copy.deepcopy(dict(kind.example))}
    form = kind.form()
    for name, field in form.get("properties", {}).items():
        widget = field.get("widget")
        if name not in raw or widget not in knowledge.choices:
            continue
        fitting = knowledge.offered(widget, field)
        if not any(key == raw[name] for key, _ in fitting):
            if name in form.get("required", ()):
                raw[name] = fitting[0][0] if fitting else raw[name]
            else:
                del raw[name]
    return raw


def in_order(draft: Draft, views: Mapping[str, View]) -> list[str]:
    """Node ids from the start, depth first, each outlet in its order; then those that nothing leads to."""
    order: dict[str, None] = {}
    waiting = [draft.edges[ENTRY, "next"]] if (ENTRY, "next") in draft.edges else []
    while waiting:
        id = waiting.pop()
        if id in order or id not in draft.nodes:
            continue
        order[id] = None
        targets = [draft.edges.get((id, outlet)) for outlet, *_ in views[id]["outlets"]]
        waiting += [target for target in reversed(targets) if target]
    return [*order, *(id for id in draft.nodes if id not in order)]


def hints(speech: Speech, palette: Palette, document: Mapping[str, Any]) -> Hints:
    """When contacts get to each step at the earliest: the fourth day is the one that begins three times 24 hours after entry."""
    try:
        graph = build(Document.model_validate(upgrade(dict(document))), palette)
    except (ValueError, PfadwerkError):
        return {}
    return {id: _hint(speech, after) for id, after in earliest(graph).items()}


def _hint(speech: Speech, after: timedelta) -> list[str]:
    short = speech("Day {number}", number=speech.number(after // DAY + 1))
    full = speech("At the earliest {span} after entry", span=speech.span(after)) if after else speech("At the earliest at once")
    return [short, full]


def drawing(speech: Speech, palette: Palette, draft: Draft) -> dict[str, Any]:
    """A whole journey as the canvas takes it."""
    names = names_of(speech, palette, draft.nodes)
    nodes = {ENTRY: {"raw": draft.parts, "view": entry_view(speech, draft)}}
    nodes |= {id: {"raw": raw, "view": view_of(speech, palette, id, raw, names)} for id, raw in draft.nodes.items()}
    return graph_of(draft, nodes)


def graph_of(draft: Draft, nodes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`nodes` (id -> raw and view) with where they stand, the edges between them, and the notes beside them."""
    placed = {id: {**node, **_place(draft, id)} for id, node in nodes.items()}
    edges = [[source, outlet, to] for (source, outlet), to in draft.edges.items()]
    notes = {id: note.model_dump() for id, note in draft.notes.items()}
    return {"nodes": placed, "edges": edges, "notes": notes, "laid": bool(draft.ui.get("laid_out")) or not draft.places}


def _place(draft: Draft, id: str) -> dict[str, float]:
    return dict(zip("xy", draft.places[id], strict=True)) if id in draft.places else {}
