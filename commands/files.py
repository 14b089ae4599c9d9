"""How journeys and message templates lie in a folder, so that git can keep them.

    KEY.json                      a journey document
    templates/KEY/template.json   name, kind, class, and by language the subject, preheader and other short parts
    templates/KEY/de.mjml         the body of one language of an e-mail, or a partial in that language
    templates/KEY/de.txt          its own plain text, or the body of a text message

`.pfadwerk.json` remembers what was last pulled or pushed (digests only), so that a push notices that somebody changed the same thing in
the builder meanwhile. Keep it in git with the rest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from journeys.channels import DEFAULT
from journeys.errors import Invalid
from journeys.reading import issues_of

TEMPLATES = "templates"
ABOUT = "template.json"
MEMORY = ".pfadwerk.json"
BODIES = {"mjml": "mjml", "text": "txt"}
"""Part of a template's variant -> file name ending."""
MAX_BODY_BYTES = 1_000_000
_LANGUAGE = re.compile(r"default|[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


class About(BaseModel):
    """The file `template.json`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: str = DEFAULT
    message_class: str = "marketing"
    topic: str = ""
    sender: str = ""
    reply_to: str = ""
    variants: dict[str, dict[str, str]] = {}
    """language -> part -> text; the bodies are files beside it."""


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """A message template as a folder holds it; `variants`: language -> its parts."""

    key: str
    name: str
    kind: str
    message_class: str
    variants: Mapping[str, Mapping[str, str]]
    topic: str = ""
    sender: str = ""
    reply_to: str = ""

    def digest(self) -> str:
        """Names this state; line ends at the end of a body do not count, because files have one."""
        parts = {
            language: {part: text.rstrip("\n") for part, text in variant.items() if text} for language, variant in self.variants.items()
        }
        return digest_of([self.name, self.kind, self.message_class, parts, *_chosen(self)])


def _chosen(template: MailTemplate) -> list[list[str]]:
    """What stands on the label beside name and class; nothing where nothing was chosen, as in folders from before it could be."""
    label = [template.topic, template.sender, template.reply_to]
    return [label] if any(label) else []


def digest_of(value: Any) -> str:
    """Names a state of a journey or template: SHA-256 of its JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def template_folders(folder: Path) -> Iterator[tuple[Path, str]]:
    """(folder of a template, its kind) under `folder`/templates; what cannot be read is left out here and complained of by a push."""
    for about in sorted(folder.glob(f"{TEMPLATES}/*/{ABOUT}")):
        try:
            yield about.parent, About.model_validate_json(about.read_bytes()).kind
        except (ValidationError, OSError):
            continue


def read_template(folder: Path) -> MailTemplate:
    """The template that `folder` holds.

    Raises:
        Invalid: `template.json` is missing or wrong, or a body is too large or not UTF-8; names the file.
    """
    try:
        about = About.model_validate_json((folder / ABOUT).read_bytes())
    except FileNotFoundError:
        raise Invalid("Expected a file {file} in {folder}.", file=ABOUT, folder=str(folder)) from None
    except ValidationError as error:
        raise Invalid("The file {file} cannot be used.", issues_of(error, {}), file=str(folder / ABOUT)) from None
    variants: dict[str, dict[str, str]] = {language: dict(parts) for language, parts in about.variants.items()}
    for language, part, file in _bodies(folder):
        variants.setdefault(language, {})[part] = _text(file)
    return MailTemplate(folder.name, about.name, about.kind, about.message_class, variants, about.topic, about.sender, about.reply_to)


def write_template(folder: Path, template: MailTemplate) -> None:
    """Writes the template's folder; bodies of languages that it no longer has are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for _, _, file in list(_bodies(folder)):
        file.unlink()
    short: dict[str, dict[str, str]] = {}
    for language, parts in sorted(template.variants.items()):
        short[language] = {name: text for name, text in sorted(parts.items()) if name not in BODIES and text}
        for part, ending in BODIES.items():
            if text := parts.get(part):
                write_text(folder / f"{language}.{ending}", text if text.endswith("\n") else text + "\n")
    about = About(
        name=template.name,
        kind=template.kind,
        message_class=template.message_class,
        topic=template.topic,
        sender=template.sender,
        reply_to=template.reply_to,
        variants=short,
    )
    write_text(folder / ABOUT, json.dumps(about.model_dump(), sort_keys=True, ensure_ascii=False, indent=2) + "\n")


def write_text(file: Path, text: str) -> None:
    """Writes the file complete or not at all."""
    draft = file.with_name(f".{file.name}.tmp")
    draft.write_text(text, "utf-8", newline="\n")
    draft.replace(file)


def _bodies(folder: Path) -> Iterator[tuple[str, str, Path]]:
    for part, ending in BODIES.items():
        for file in sorted(folder.glob(f"*.{ending}")):
            if _LANGUAGE.fullmatch(file.stem):
                yield file.stem, part, file


def _text(file: Path) -> str:
    if file.stat().st_size > MAX_BODY_BYTES:
        raise Invalid("{file}: expected at most {limit} bytes.", file=str(file), limit=MAX_BODY_BYTES)
    try:
        return file.read_text("utf-8").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise Invalid("{file}: expected UTF-8, got another byte at position {position}.", file=str(file), position=error.start) from None


# --- What was last in step with the workspace ------------------------------------------------------------------------


@dataclass(slots=True)
class Memory:
    """Digests of what a folder and the workspace last had in common, by key."""

    journeys: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Memory:
        """What is remembered in `folder`; nothing where nobody ever pulled, or the file cannot be read."""
        try:
            data = json.loads((folder / MEMORY).read_bytes())
            return cls(dict(data["journeys"]), dict(data["templates"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return cls()

    def store(self, folder: Path) -> None:
        write_text(folder / MEMORY, json.dumps({"journeys": self.journeys, "templates": self.templates}, sort_keys=True, indent=2) + "\n")
