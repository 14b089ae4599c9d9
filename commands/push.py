"""`pfadwerk push FILE…`: journeys and message templates from files into the workspace, as drafts or published at once.

Everything is read, compiled and compared before anything is written: one bad file, or one thing that somebody changed in the builder
since the last pull, and nothing is pushed. Says what changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from activities.forecasts import Publication
from activities.rendering import Library, Partial, RenderBusy, compile_template
from activities.rendering.partials import mentioned, sources_of
from activities.templates import library as templates
from activities.templates import partials
from commands import ahead
from commands.check import issue_line
from commands.files import ABOUT, TEMPLATES, MailTemplate, Memory, read_template, template_folders
from commands.pull import as_template, journey_digest, templates_of
from commands.workspace import ACTOR, engine
from engine.engine import Engine
from engine.versions import publish as publishing
from journeys.diff import Difference, diff
from journeys.document import Journey as Document
from journeys.errors import Invalid, Issue, NotFound
from journeys.reading import read
from models import Template
from settings import Settings

CONFLICT = 4
Translate = Callable[[str], str]
What = Literal["new", "changed", "unchanged", "conflict"]


@dataclass(slots=True)
class Item:
    """A journey or a template on its way. `version` is the number that went live (journeys) or holds the text (templates)."""

    noun: Literal["journey", "template"]
    key: str
    folder: Path
    content: Document | MailTemplate
    what: What = "unchanged"
    differences: list[Difference] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    version: int | None = None
    ahead: Publication | None = None
    """What its publication would bring about, where a dry run asks for one."""
    uncounted: bool = False
    """It could not be found out."""

    def as_json(self, translate: Translate) -> dict[str, Any]:
        return {
            "noun": self.noun,
            "key": self.key,
            "what": self.what,
            "version": self.version,
            "differences": [difference.model_dump() for difference in self.differences],
            **({"ahead": ahead.as_json(self.ahead) if self.ahead else None} if self.ahead or self.uncounted else {}),
            "issues": [issue.model_dump(exclude={"text", "message"}) | {"message": issue.say(translate)} for issue in self.issues],
        }


def push(
    settings: Settings,
    paths: Sequence[Path],
    *,
    out: TextIO,
    translate: Translate,
    publish: bool = False,
    force: bool = False,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    """Pushes files and folders; 0 done, 1 something is wrong with them, 4 somebody changed the same thing meanwhile.

    `force` overwrites what was changed meanwhile, `dry_run` only says what would happen.

    Raises:
        Invalid: a file is no journey, or a template cannot be compiled; nothing was written.
    """
    items = list(_items(paths))
    with engine(settings) as live:
        _compare(live, items, force)
        conflicts = any(item.what == "conflict" for item in items)
        if publish and dry_run:
            _look_ahead(settings, live, items)
        if not dry_run and not conflicts:
            _store(live, items)
            if publish:
                _publish(live, items)
            _remember(items)
    failed = publish and any(issue.severity == "error" for item in items for issue in item.issues)
    if as_json:
        answer = {"pushed": not (dry_run or conflicts), "items": [item.as_json(translate) for item in items]}
        out.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    else:
        out.writelines(_lines(items, translate, dry_run=dry_run, published=publish))
    return CONFLICT if conflicts else 1 if failed else 0


# --- Reading the files -----------------------------------------------------------------------------------------------


def _items(paths: Sequence[Path]) -> Iterator[Item]:
    """Templates first, because journeys name them; each once."""
    folders: dict[Path, None] = {}
    documents: dict[Path, Document] = {}
    for path in paths:
        if (path / ABOUT).exists():
            folders[path.resolve()] = None
        else:
            documents |= {file.resolve(): _document(file) for file in ([path] if path.is_file() else _documents_in(path))}
            if path.is_dir():
                folders |= {folder.resolve(): None for folder, _ in template_folders(path)}
    for file, document in documents.items():
        beside = (file.parent / TEMPLATES / key for key in sorted(templates_of(document)))
        folders |= {folder: None for folder in beside if (folder / ABOUT).exists()}
    yield from _partials_first(_template_items(folders))
    for file, document in documents.items():
        yield Item("journey", document.key, file.parent, document)


def _template_items(folders: Iterable[Path]) -> dict[Path, Item]:
    """The templates of these folders, with the partials beside them that they include."""
    found: dict[Path, Item] = {}
    waiting = list(folders)
    while waiting:
        folder = waiting.pop(0)
        if folder not in found:
            template = read_template(folder)
            found[folder] = Item("template", template.key, folder.parent.parent, template)
            beside = (folder.parent / key for key in sorted(_included(template)))
            waiting += [other for other in beside if (other / ABOUT).exists()]
    return found


def _included(template: MailTemplate) -> set[str]:
    return mentioned(parts.get("mjml", "") for parts in template.variants.values())


def _partials_first(found: Mapping[Path, Item]) -> Iterator[Item]:
    """Each after the partials that it includes, because saving it compiles it."""
    done: set[Path] = set()

    def put(folder: Path) -> Iterator[Item]:
        if folder in done or folder not in found:
            return
        done.add(folder)
        item = found[folder]
        assert isinstance(item.content, MailTemplate)
        for key in sorted(_included(item.content)):
            yield from put(folder.parent / key)
        yield item

    for folder in found:
        yield from put(folder)


def _documents_in(folder: Path) -> list[Path]:
    """Journeys of a folder; scenarios for the simulator may lie beside them."""
    return [file for file in sorted(folder.glob("*.json")) if not file.name.startswith(".") and "scenario" not in file.name]


def _document(file: Path) -> Document:
    try:
        return read(file.read_bytes(), strict=True)
    except Invalid as error:
        raise Invalid("{file}: {problem}", error.issues, file=str(file), problem=error) from None


# --- Comparing -------------------------------------------------------------------------------------------------------


def _compare(live: Engine, items: Sequence[Item], force: bool) -> None:
    fresh = {item.key: item.content for item in items if isinstance(item.content, MailTemplate) and item.content.kind == "partial"}
    pushed = {key: Partial(key, 0, sources_of(template.variants)) for key, template in fresh.items()}
    with live.db.read() as session:
        for item in items:
            if isinstance(item.content, Document):
                _compare_journey(session, item, item.content, force)
            else:
                _compare_template(session, item, item.content, force, pushed)


def _compare_journey(session: Session, item: Item, document: Document, force: bool) -> None:
    try:
        stored = read(publishing.get_journey(session, item.key).draft)
    except NotFound:
        item.what = "new"
        return
    digest = journey_digest(stored)
    item.what = _what(digest, journey_digest(document), Memory.of(item.folder).journeys.get(item.key), force)
    item.differences = diff(stored, document)


def _compare_template(session: Session, item: Item, template: MailTemplate, force: bool, pushed: Mapping[str, Partial]) -> None:
    """`pushed`: the partials that come in the same push."""
    row = session.get(Template, item.key)
    if row is None:
        item.what = "new"
    else:
        item.what = _what(as_template(row).digest(), template.digest(), Memory.of(item.folder).templates.get(item.key), force)
    if item.what in ("new", "changed"):
        own = template.key if template.kind == "partial" else ""
        _refuse_broken(item, template, partials.library(session, template.variants, own, pushed))


def _what(stored: str, given: str, common: str | None, force: bool) -> What:
    """`common` is the state both sides last agreed on: if the stored one is another, somebody else changed it."""
    if stored == given:
        return "unchanged"
    return "changed" if force or stored == common else "conflict"


def _refuse_broken(item: Item, template: MailTemplate, library: Library) -> None:
    try:
        compile_template(template.variants, cast(Any, template.kind), message_class=template.message_class, library=library)
    except Invalid as error:
        raise Invalid("{file}: {problem}", error.issues, file=str(item.folder / TEMPLATES / item.key), problem=error) from None


# --- Writing ---------------------------------------------------------------------------------------------------------


def _store(live: Engine, items: Iterable[Item]) -> None:
    for item in items:
        if isinstance(item.content, Document):
            _store_journey(live, item, item.content)
        elif item.what != "unchanged":
            _store_template(live, item, item.content)


def _store_template(live: Engine, item: Item, template: MailTemplate) -> None:
    saved = templates.save(
        live.db,
        template.key,
        template.variants,
        name=template.name,
        kind=cast(Any, template.kind),
        message_class=template.message_class,
        topic=template.topic,
        sender=template.sender,
        reply_to=template.reply_to,
        actor=ACTOR,
        now=live.clock.now(),
    )
    item.version, item.issues = saved.number, list(saved.warnings)


def _store_journey(live: Engine, item: Item, document: Document) -> None:
    raw = publishing.as_json(document)
    with live.db.write() as session:
        if item.what == "new":
            publishing.create_journey(session, raw, ACTOR, live.clock.now())
        elif item.what == "changed":
            stored = publishing.get_journey(session, item.key, locked=True)
            publishing.save_draft(session, stored.id, raw, stored.revision, ACTOR, live.clock.now())
        item.issues = publishing.check_draft(live, session, raw)


def _look_ahead(settings: Settings, live: Engine, items: Iterable[Item]) -> None:
    for item in items:
        if not isinstance(item.content, Document):
            continue
        try:
            item.ahead = ahead.look(settings, live, item.key, publishing.as_json(item.content))
        except (DBAPIError, RenderBusy):
            item.uncounted = True


def _publish(live: Engine, items: Iterable[Item]) -> None:
    for item in items:
        if item.noun == "journey" and not any(issue.severity == "error" for issue in item.issues):
            with live.db.write() as session:
                journey = publishing.get_journey(session, item.key)
                item.version = publishing.publish(live, session, journey.id, ACTOR, "", live.clock.now()).number


def _remember(items: Sequence[Item]) -> None:
    for folder in {item.folder for item in items}:
        memory = Memory.of(folder)
        for item in items:
            if item.folder != folder:
                continue
            if isinstance(item.content, Document):
                memory.journeys[item.key] = journey_digest(item.content)
            else:
                memory.templates[item.key] = item.content.digest()
        with suppress(PermissionError):  # a folder that cannot be written can still be pushed from
            memory.store(folder)


# --- Telling ---------------------------------------------------------------------------------------------------------


def _lines(items: Sequence[Item], translate: Translate, *, dry_run: bool, published: bool) -> Iterator[str]:
    for item in items:
        version = f" ({translate('version {number}').format(number=item.version)})" if item.version else ""
        yield f"{translate(_NOUNS[item.noun])} {item.key}: {translate(_WHATS[item.what])}{version}\n"
        yield from (f"  {difference.say(translate)}\n" for difference in item.differences if item.what != "unchanged")
        yield from (f"  {issue_line('', issue, translate)}" for issue in item.issues)
        yield from (f"  {line}\n" for line in (ahead.lines(item.ahead, translate) if item.ahead else ()))
        if item.uncounted:
            yield f"  {translate('What publishing would bring about could not be counted.')}\n"
    if any(item.what == "conflict" for item in items):
        yield (
            translate(
                "Nothing was pushed: the marked items were changed in the workspace since this folder was last "
                "pulled. Run `pfadwerk pull` and review the difference with git, or push with --force to overwrite "
                "it."
            )
            + "\n"
        )
    elif dry_run:
        yield translate("This was a dry run: nothing was written.") + "\n"
    elif not published and any(item.noun == "journey" and item.what != "unchanged" for item in items):
        yield (
            translate(
                "Drafts were saved. Live journeys do not change until the drafts are published: push with --publish, or publish in the builder."
            )
            + "\n"
        )


_NOUNS = {"journey": "Journey", "template": "Template"}
_WHATS: dict[What, str] = {
    "new": "new",
    "changed": "changed",
    "unchanged": "unchanged",
    "conflict": "changed here and in the workspace",
}
