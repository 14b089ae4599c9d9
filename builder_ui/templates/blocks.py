"""A mail as blocks: what the block editor in the browser is told, and blocks kept as partials.

The editor works on the MJML itself, which the page keeps; here is nothing that reads or writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.pictures import library as album
from activities.rendering.jinja import COUPON
from activities.rendering.kinds import PARTIAL
from activities.rendering.renderer import Renderer
from activities.templates import library
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.templates import bundle
from builder_ui.templates.snippets import LINKS, MOST_FIELDS, MOST_PARTIALS
from journeys import results
from journeys.catalogue import Catalogue
from journeys.keys import key_of
from journeys.nodes import Node, Palette
from locales import translator
from models import Database, Journey, Template

Writing = Any
"""A template's open editor (`builder_ui.templates.session`), which imports this module."""

MOST_PICTURES = 60
Level = Literal["row", "block"]
_ROW = re.compile(r"\s*(?>(?:\{[%#].*?[%#]\}|<!--.*?-->)\s*)*+<mj-(?:section|wrapper|hero)\b", re.DOTALL)
"""Atomic: what ends one comment is never tried as a part of the next, which takes twice as long with each comment more."""

WORDS = (
    "Text", "Heading", "Button", "Picture", "Divider", "Spacer", "Social links", "HTML", "1 column", "2 columns", "3 columns", "4 columns",
    "Hero", "Product list", "Footer", "The whole mail", "Row", "Group of rows", "Column", "Saved block", "Columns side by side", "Table",
    "Navigation", "Accordion", "Carousel", "Repeated", "Shown only if", "Comment", "Content", "Rows", "Saved blocks",
    "None yet. Choose a block and press “Save as a block”.", "Background", "Width", "Background picture", "Round corners", "Full width",
    "No", "Yes", "Padding", "Horizontal alignment", "Link", "Vertical alignment", "Top", "Middle", "Bottom", "Right", "Left", "Text size", "Text colour", "Weight",
    "Normal", "Semi-bold", "Bold", "Line height", "Button colour", "Padding inside", "Address of the picture", "Alternative text", "Colour",
    "Thickness", "Style", "Solid", "Dashed", "Dotted", "Height", "Size of the symbols", "Arrangement", "Side by side", "One below the other",
    "Drag a block here, or press one in the list.", "Drag: {name}", "no block of its own", "Empty column", "Drop a block here", "Choose a picture",
    "There is no such saved block.", "For each: {of}", "Only if: {of}", "if", "Value", "Choose …", "If it is missing", "Insert", "Personalise",
    "Where this stands", "Add blocks", "Move up", "Move down", "Duplicate", "Save as a block", "Delete", "{name} moved up", "{name} moved down",
    "{name} moved", "{name} duplicated", "{name} added", "{name} deleted. Ctrl+Z brings it back.", "Settings", "Align left", "Centred",
    "Align right", "{title}: choose", "none", "As by default", "{title}: as by default", "Columns", "{count} columns",
    "This is the saved block “{name}”. It is changed in one place, for every mail that uses it.", "Change the saved block", "Link {number}",
    "Network", "Remove the link", "Add a link", "Repeated for (Jinja)", "Condition (Jinja)", "There is an “else” in here; see the source.",
    "Always shown", "Show it once", "Always show it", "List in the event", "Name", "Price", "Currency",
    "by a rule …", "Change the rule", "Edit as a rule", "Shown only to these contacts:", "Shown in the preview.", "Not shown in the preview.", "The block is not there any more.",
    "Shown only if …", "Shown only if a condition holds", "Show this block", "always", "if a value is there", "Picture library", "Picture chosen",
    "Add pictures to the library",
    "Source of this block", "This does not fit together: each tag and each {% if %} has to end.", "Look of the text", "Italic", "Bullet list",
    "Numbered list", "Clear formatting", "Leads to", "Unsubscribe", "Choose what you receive", "View in the browser", "Set the link",
    "Redone.", "Undone.", "Undo", "Redo",
    "The source does not fit together in line {line}, so it cannot be shown as blocks. Mend it in the source; nothing is lost.",
    "This source cannot be shown as blocks. It can be edited as source; nothing is lost.",
    "This window is narrow: texts and settings can be changed here; to arrange blocks, use a wider one.", "Name of the saved block",
    "Other mails can use it; when it is changed, all of them change with it.", "Cancel", "Save the block", "Saved as “{name}”",
    "Read aloud to those who do not see the picture; leave it empty for a decoration.",
)  # fmt: skip
"""What the block editor says."""
OWN = ("Write your text here.", "Headline", "Read on", "Take a look", "Unsubscribe", "Choose what you receive", "View in the browser")
"""Words of new blocks, in the language of the mail."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A block that is a partial now. A `row` stands between rows, a `block` in a column."""

    key: str
    name: str
    level: Level


def editor(writing: Writing, field: Mapping[str, Any]) -> Element:
    """The mail of the open language as blocks."""
    told = {
        **field,
        "module": bundle.blocks_module(),
        "texts": texts(writing),
        "failed": writing.t("The block editor could not be loaded. Load the page again, or use the source."),
    }
    return html.div({"key": "blocks", "className": "tpl-blocks"}, bundle.blocks()(told))


def texts(writing: Writing) -> str:
    """JSON of what the editor says and offers."""
    t, stored = writing.t, writing.stored
    language = t.language if writing.locale == "default" else writing.locale
    own = translator(language)
    pieces = [(key, name, "row" if key in stored.rows else "block") for key, name in stored.pieces[:MOST_PARTIALS]]
    told = {
        "words": {one: t(one) for one in WORDS},
        "own": {one: own(one) for one in OWN},
        "groups": values(t, stored.fields, stored.properties, stored.coupons),
        "partials": pieces,
        "brand": stored.brand,
        "pictures": [{**one, "alt": _spoken(one["alt"], language)} for one in stored.pictures],
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def contact_fields(catalogue: Catalogue) -> list[tuple[str, str]]:
    """(name, title) of the contact fields that a text can be filled with."""
    return [(name, spec.title) for name, spec in catalogue.fields.items() if catalogue.is_filled_in(name)]


def values(
    t: Any, fields: Sequence[tuple[str, str]], properties: Sequence[tuple[str, str]], pools: Sequence[tuple[str, str]]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """What can be filled in: (title of the group, [(path, title)]). `pools` of coupon codes: (key, name)."""
    named = [(f"contact.{name}", t(title) if title else name) for name, title in fields[:MOST_FIELDS]]
    brought = [one for one in properties if not one[0].startswith(results.STEPS)]
    left = [one for one in properties if one[0].startswith(results.STEPS)]
    links = [(name, t(title)) for title, name in LINKS]
    sender = [("sender.name", t("Name of the sender")), ("sender.address", t("Address of the sender"))]
    found = [(t("Contact fields"), named), (t("Values of the trigger"), brought), (t("Answers of earlier steps"), left)]
    codes = [(f'{COUPON}("{key}")', name) for key, name in pools[:MOST_FIELDS]]
    own = [(t("Sender"), sender), (t("Links"), links), *([(t("Coupon codes"), codes)] if codes else [])]
    return [*((title, entries) for title, entries in found if entries), *own]


def pictures(session: Session, public_url: str) -> list[dict[str, Any]]:
    """The newest of the library: `url` for mails, `small` for a list of them, `alt` by language."""
    found = album.find(session, limit=MOST_PICTURES)
    sizes = album.widths(session, [one.id for one in found])
    return [
        {
            "id": one.id,
            "name": one.name,
            "alt": dict(one.alt),
            "url": public_url.rstrip("/") + album.path(one, album.best(sizes[one.id])[0]),
            "small": album.path(one, sizes[one.id][0][0]),
        }
        for one in found
    ]


def _spoken(alt: Mapping[str, str], language: str) -> str:
    """The alternative text for readers of a language; another is better than none."""
    return alt.get(language) or alt.get(language.partition("-")[0]) or next(iter(alt.values()), "")


def properties(catalogue: Catalogue) -> list[tuple[str, str]]:
    """What known events bring along: (`trigger.…`, path and event), each path once."""
    found: dict[str, str] = {}
    for event in catalogue.events.values():
        for path in event.properties:
            if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", path):
                found.setdefault(f"trigger.{path}", f"{path} ({event.name})")
    return sorted(found.items())[:MOST_FIELDS]


def answers(session: Session, palette: Palette, journeys: Iterable[str]) -> list[tuple[str, str]]:
    """What the steps of journeys (keys) leave for later ones: (`steps.…`, field, step and journey)."""
    found: dict[str, str] = {}
    statement = select(Journey.name, Journey.draft).where(col(Journey.key).in_(set(journeys))).order_by(col(Journey.name))
    for journey, draft in session.execute(statement).all():
        nodes = draft.get("nodes") or {}
        read = {id: palette.parse(id, raw) for id, raw in nodes.items()}
        for path in results.names_of({id: node.results() for id, node in read.items() if isinstance(node, Node)}):
            id, _, name = path.removeprefix(results.STEPS).partition(".")
            if not name:  # a function of the installation's own, which says nothing of what it leaves
                continue
            found.setdefault(path, f"{nodes[id].get('name') or id}: {name} ({journey})")
    return list(found.items())[:MOST_FIELDS]


def rows(session: Session, pieces: Sequence[tuple[str, str]]) -> frozenset[str]:
    """The keys of those partials that stand between rows."""
    keys = [key for key, _ in pieces[:MOST_PARTIALS]]
    found = session.execute(select(Template.key, Template.variants).where(col(Template.key).in_(keys))).all()
    return frozenset(key for key, variants in found if any(level(str(parts.get("mjml") or "")) == "row" for parts in variants.values()))


def level(text: str) -> Level:
    """Where a piece of a mail may stand, by its first component."""
    return "row" if _ROW.match(text) else "block"


def keep(db: Database, name: str, text: str, actor: str, now: datetime, renderer: Renderer) -> Kept:
    """Makes a block a partial that serves every language.

    Raises:
        Invalid: the name is no name, or the block cannot stand alone. RenderBusy.
    """
    with db.read() as session:
        taken = set(session.scalars(select(Template.key)))
    key = key_of(name, taken, "block", "-")
    library.save(
        db, key, {"default": {"mjml": text}}, name=name, kind=PARTIAL, message_class="marketing", actor=actor, now=now, renderer=renderer
    )
    return Kept(key, name, level(text))
