"""`pfadwerk pull [KEY…] --to DIR`: drafts of journeys, and the message templates they use, as files for git."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TextIO

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering.partials import mentioned
from commands.files import TEMPLATES, MailTemplate, Memory, digest_of, write_template, write_text
from commands.workspace import database
from engine.versions.publish import get_journey
from journeys.document import Journey as Document
from journeys.document import pretty
from journeys.nodes import Palette
from journeys.reading import read
from models import Journey, Template
from settings import Settings


def pull(
    settings: Settings, keys: Sequence[str], folder: Path, *, out: TextIO, translate: Callable[[str], str], as_json: bool = False
) -> int:
    """Writes the journeys named, or all that are not archived; files that are the same already are left alone.

    Raises:
        NotFound: there is no journey of that key; nothing is written.
    """
    with database(settings) as db, db.read() as session:
        documents = [read(journey.draft) for journey in _wanted(session, keys)]
        templates = list(_templates(session, documents, everything=not keys))
    folder.mkdir(parents=True, exist_ok=True)
    memory = Memory.of(folder)
    written = [*_write_journeys(folder, documents, memory), *_write_templates(folder, templates, memory)]
    memory.store(folder)
    if as_json:
        out.write(json.dumps({"journeys": [document.key for document in documents], "written": written}, indent=2) + "\n")
    else:
        out.writelines(f"{name}\n" for name in written)
        text = translate("Journeys: {journeys}, templates: {templates}; files that changed: {written}.")
        out.write(text.format(journeys=len(documents), templates=len(templates), written=len(written)) + "\n")
    return 0


def as_template(row: Template) -> MailTemplate:
    """A stored template as a folder holds it."""
    return MailTemplate(row.key, row.name, row.kind, row.message_class, row.variants, row.topic, row.sender, row.reply_to)


def journey_digest(document: Document) -> str:
    """Names a state of a draft, positions on the canvas included."""
    return digest_of(document.model_dump(mode="json", by_alias=True, exclude_unset=True))


def templates_of(document: Document) -> set[str]:
    """Keys of the message templates that the document's steps name; steps that cannot be read name none."""
    parsed = (Palette.built_in().parse(node_id, raw) for node_id, raw in document.nodes.items())
    return {key for node in parsed if not isinstance(node, list) for _, noun, key in node.references() if noun == "template"}


def _wanted(session: Session, keys: Sequence[str]) -> list[Journey]:
    if keys:
        return [get_journey(session, key) for key in dict.fromkeys(keys)]
    return list(session.scalars(select(Journey).where(col(Journey.archived_at).is_(None)).order_by(Journey.key)))


def _templates(session: Session, documents: Iterable[Document], *, everything: bool) -> Iterable[MailTemplate]:
    """Those that the journeys name, with the partials they include."""
    rows = {row.key: row for row in session.scalars(select(Template).order_by(Template.key))}
    used = {key for document in documents for key in templates_of(document)}
    new = used & rows.keys()
    while new:
        included = mentioned(parts.get("mjml") or "" for key in new for parts in rows[key].variants.values())
        new = (included & rows.keys()) - used
        used |= new
    for row in rows.values():
        if row.key in used or (everything and row.archived_at is None):
            yield as_template(row)


def _write_journeys(folder: Path, documents: Iterable[Document], memory: Memory) -> Iterable[str]:
    for document in documents:
        file, text = folder / f"{document.key}.json", pretty(document)
        memory.journeys[document.key] = journey_digest(document)
        if not file.exists() or file.read_text("utf-8") != text:
            write_text(file, text)
            yield file.name


def _write_templates(folder: Path, templates: Iterable[MailTemplate], memory: Memory) -> Iterable[str]:
    for template in templates:
        place = folder / TEMPLATES / template.key
        before = _files(place)
        write_template(place, template)
        memory.templates[template.key] = template.digest()
        if _files(place) != before:
            yield f"{TEMPLATES}/{template.key}/"


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*")) if file.is_file()} if folder.is_dir() else {}
