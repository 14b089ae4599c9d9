"""What a step looks like on the canvas and in the palette: words, icon, ways out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from journeys.document import Entry
from journeys.document import Journey as Document
from journeys.errors import PfadwerkError
from journeys.graph import build
from journeys.nodes import Node, Palette
from journeys.nodes.node import Ready
from journeys.nodes.send import Send
from journeys.timing import earliest
from journeys.triggers import AnyTrigger, Trigger
from journeys.upgrade import upgrade
from pydantic import TypeAdapter, ValidationError

from builder_ui.builder.draft import Draft
from builder_ui.builder.protocol import ENTRY
from builder_ui.kit import components, labels
from builder_ui.kit.i18n import Translator

GROUPS = {
    "time": "Time",
    "paths": "Paths",
    "messages": "Messages",
    "contact": "Contact and sales",
    "code": "Code",
}
LONGEST_SUMMARY = 160

View = dict[str, Any]
"""`label` (the kind), `name` (its own, or empty), `called` (what people call it), `summary`, `icon`, `group`, `outlets`: [[id, words, may stay open]]"""
Hints = dict[str, list[str]]
"""Node id -> [short, in full]: how long after entry a contact gets there at the earliest."""
DAY = timedelta(days=1)


def view_of(
    t: Translator,
    palette: Palette,
    node_id: str,
    raw: Mapping[str, Any],
    names: labels.Names,
    before: View | None = None,
) -> View:
    """The card of a step. A step that cannot be read has the outlets that it names, else those of the card `before`."""
    node, label, name = (
        palette.parse(node_id, raw),
        labels.kind_of(t, palette, raw),
        labels.own_name(raw),
    )
    called = {"label": label, "name": name, "called": names.get(node_id) or name or label}
    if isinstance(node, Node):
        outlets = _outlets(t, node)
        return {
            **called,
            "summary": _summary(t, node, names),
            "icon": node.icon,
            "group": node.group,
            "outlets": outlets,
        }
    kind = (
        palette[raw["kind"]]
        if isinstance(raw.get("kind"), str) and raw["kind"] in palette
        else None
    )
    return {
        **called,
        "summary": t("Not complete yet"),
        "icon": kind.icon if kind else "alert",
        "group": kind.group if kind else "code",
        "outlets": _outlets_named(t, kind, raw)
        or (before["outlets"] if before else _outlets_of_kind(t, kind)),
    }


def _outlets(t: Translator, node: Node) -> list[list[Any]]:
    return [
        [name, labels.coded(t, labels.OUTLETS, name), node.fallback(name) is not None]
        for name in dict.fromkeys(node.outlets())
    ]


def _outlets_named(
    t: Translator, kind: type[Node] | None, raw: Mapping[str, Any]
) -> list[list[Any]]:
    """The outlets of a step that is not complete, asked of its fields as they are; none where these do not say."""
    if kind is None:
        return []
    given = {
        name: None if field.is_required() else field.get_default()
        for name, field in kind.model_fields.items()
    }
    sketch: Any = _sketch({**given, **raw}, kind)
    try:
        names = [
            name for name in dict.fromkeys(kind.outlets(sketch)) if isinstance(name, str) and name
        ]
    except (AttributeError, TypeError):
        return []
    return [
        [name, labels.coded(t, labels.OUTLETS, name), kind.fallback(sketch, name) is not None]
        for name in names
    ]


def _sketch(value: Any, kind: type[Node] | None = None) -> Any:
    """JSON as an object with attributes, lists as tuples; that of a step has its kind's too."""
    if isinstance(value, Mapping):
        own = {
            name: getattr(kind, name)
            for name in ("ways_out",)
            if kind is not None and hasattr(kind, name)
        }
        return SimpleNamespace(**own, **{str(name): _sketch(one) for name, one in value.items()})
    return tuple(_sketch(one) for one in value) if isinstance(value, list | tuple) else value


def _outlets_of_kind(t: Translator, kind: type[Node] | None) -> list[list[Any]]:
    node = Palette([kind]).parse("x", {"kind": kind.kind, **kind.example}) if kind else None
    return (
        _outlets(t, node)
        if isinstance(node, Node)
        else [["next", labels.coded(t, labels.OUTLETS, "next"), False]]
    )


def _summary(t: Translator, node: Node, names: labels.Names) -> str:
    """What was set, as short as a card needs it: values, and the titles of what is merely switched on."""
    said = [title if value == t("yes") else value for title, value in labels.fields(t, node, names)]
    return _joined(said)


def entry_view(t: Translator, draft: Draft) -> View:
    """The card of the journey itself."""
    summary = _joined(_entry_in_words(t, draft.parts.get("entry") or {}))
    outlets = [["next", t("Start"), False]]
    return {
        "label": t("Start"),
        "name": t("Who enters"),
        "called": t("Who enters"),
        "summary": summary,
        "icon": "play",
        "group": "entry",
        "outlets": outlets,
    }


def _entry_in_words(t: Translator, raw: Any) -> list[str]:
    """What is right of the journey's entry, and that there is more to fill in."""
    try:
        entry = Entry.model_validate(raw)
    except ValueError:
        triggers = raw.get("triggers") if isinstance(raw, Mapping) else None
        whole = (
            [one for each in triggers or () if (one := _trigger(each)) is not None]
            if isinstance(triggers, list | tuple)
            else []
        )
        return [*(labels.trigger(t, one) for one in whole), t("Not complete yet")]
    return labels.entry(t, entry) if entry.triggers else [t("No one enters yet: choose a trigger.")]


_triggers: TypeAdapter[Trigger] = TypeAdapter(AnyTrigger)


def _trigger(raw: Any) -> Trigger | None:
    try:
        return _triggers.validate_python(raw)
    except ValidationError:
        return None


def _joined(said: Iterable[str]) -> str:
    """Some sentences on one card; what is too long ends in dots."""
    text = components.plain(" · ".join(said))
    return text if len(text) <= LONGEST_SUMMARY else f"{text[: LONGEST_SUMMARY - 1].rstrip()}…"


def palette_of(t: Translator, palette: Palette) -> dict[str, Any]:
    """The palette for the canvas: groups in order, kinds with the step they begin as, each followed by its ready steps, and the icons."""
    kinds = [
        offer
        for kind in palette
        for offer in (
            _offer(t, palette, kind),
            *(_ready(t, palette, kind, one) for one in kind.ready),
        )
    ]
    return {
        "groups": [[group, t(title)] for group, title in GROUPS.items()],
        "kinds": kinds,
        "icons": dict(components.ICONS),
    }


def _offer(t: Translator, palette: Palette, kind: type[Node]) -> dict[str, Any]:
    words = _words(t, kind.label, kind.keywords, *kind.help())
    return {
        "id": kind.kind,
        **_begun(t, palette, kind, kind.label, kind.help()[0], beginning(kind)),
        "words": words,
    }


def _ready(t: Translator, palette: Palette, kind: type[Node], ready: Ready) -> dict[str, Any]:
    words = _words(t, ready.label, ready.help, ready.keywords, kind.label, kind.keywords)
    return {
        "id": f"{kind.kind}.{ready.key}",
        **_begun(t, palette, kind, ready.label, ready.help, _copied(kind, ready.fields)),
        "words": words,
    }


def _begun(
    t: Translator, palette: Palette, kind: type[Node], label: str, help: str, raw: dict[str, Any]
) -> dict[str, Any]:
    view = view_of(t, palette, kind.kind, raw, {})
    text = components.plain(t(help))
    return {
        "kind": kind.kind, "label": t(label), "group": kind.group, "text": text, "raw": raw, "view": view, "sends": issubclass(kind, Send),
    }  # fmt: skip


def _words(t: Translator, *texts: str) -> str:
    """What a step is found by: its texts in the reader's language and in English, in which many know the field's words."""
    return " ".join(dict.fromkeys((*(t(text) for text in texts if text), *texts))).lower()


def beginning(kind: type[Node], ready: str = "") -> dict[str, Any]:
    """A new step: the shape of its kind and nothing in it, or one of its ready steps. What it needs is said by the problems it has."""
    return _copied(kind, next((one.fields for one in kind.ready if one.key == ready), kind.fresh))


def _copied(kind: type[Node], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind.kind, **copy.deepcopy(dict(fields))}


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


def hints(t: Translator, palette: Palette, document: Mapping[str, Any]) -> Hints:
    """When contacts get to each step at the earliest: the fourth day is the one that begins three times 24 hours after entry."""
    try:
        graph = build(Document.model_validate(upgrade(dict(document))), palette)
    except (ValueError, PfadwerkError):
        return {}
    return {id: _hint(t, after) for id, after in earliest(graph).items()}


def _hint(t: Translator, after: timedelta) -> list[str]:
    short = t("Day {number}", number=t.number(after // DAY + 1))
    full = (
        t("At the earliest {span} after entry", span=t.span(after))
        if after
        else t("No earlier than entry")
    )
    return [short, full]


def drawing(t: Translator, palette: Palette, draft: Draft) -> dict[str, Any]:
    """A whole journey as the canvas takes it."""
    names = labels.names_in(t, palette, draft.nodes)
    nodes = {ENTRY: {"raw": draft.parts, "view": entry_view(t, draft)}}
    nodes |= {
        id: {"raw": raw, "view": view_of(t, palette, id, raw, names)}
        for id, raw in draft.nodes.items()
    }
    return graph_of(draft, nodes)


def graph_of(draft: Draft, nodes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`nodes` (id -> raw and view) with where they stand, the edges between them, and the notes beside them."""
    placed = {id: {**node, **_place(draft, id)} for id, node in nodes.items()}
    edges = [[source, outlet, to] for (source, outlet), to in draft.edges.items()]
    notes = {id: note.model_dump() for id, note in draft.notes.items()}
    return {
        "nodes": placed,
        "edges": edges,
        "notes": notes,
        "laid": bool(draft.ui.get("laid_out")) or not draft.places,
    }


def _place(draft: Draft, id: str) -> dict[str, float]:
    return dict(zip("xy", draft.places[id], strict=True)) if id in draft.places else {}
