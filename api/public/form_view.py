"""What a form shows, in one language: the same for its page and for the script that puts it into a website."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from crm.catalogue import field_titles
from crm.forms.definition import Definition, FormField
from crm.forms.reading import NO_EMAIL
from journeys.catalogue import FIELD_TITLES
from locales import translator
from workspace import settings


@dataclass(frozen=True, slots=True)
class ShownField:
    """`wrong`: what is wrong with the answer, in the reader's language."""

    name: str
    label: str
    help: str
    input: str
    required: bool
    longest: int
    fill: str
    choices: Sequence[tuple[str, str]]
    """(value, label)"""
    wrong: str = ""
    typed: Sequence[str] = ()

    @property
    def value(self) -> str:
        return self.typed[-1] if self.typed else ""


@dataclass(frozen=True, slots=True)
class ShownBox:
    """`topics`: (key, label, description) of those that come with it."""

    key: str
    wording: str
    required: bool
    topics: Sequence[tuple[str, str, str]] = ()
    wrong: str = ""
    ticked: bool = False


@dataclass(frozen=True, slots=True)
class ShownForm:
    """`mailed`: whether a mailbox is asked to confirm what is ticked."""

    title: str
    intro: str
    button: str
    fields: Sequence[ShownField]
    boxes: Sequence[ShownBox]
    mailed: bool
    ticked: frozenset[str] = field(default_factory=frozenset)
    """Topics."""

    def as_json(self) -> dict[str, Any]:
        """For the script: without what was typed."""
        raw = asdict(self)
        return {name: raw[name] for name in ("title", "intro", "button", "fields", "boxes", "mailed")}


def shown_form(
    session: Session,
    definition: Definition,
    language: str,
    typed: Mapping[str, Sequence[str]] | None = None,
    wrong: Mapping[str, str] | None = None,
) -> ShownForm:
    """`typed` and `wrong` as `crm.forms.reading` has them: what was filled in stays, and nothing is ticked that nobody ticked."""
    typed, wrong = typed or {}, wrong or {}
    _, titles = translator(language), field_titles(session)
    topics = settings.load(session, settings.Topics).asked
    offered = tuple((one.key, one.label(language), one.description(language)) for one in topics)
    signs_up = definition.asks_mail and all(one.kind == "contact" for one in definition.fields)
    return ShownForm(
        title=definition.title.said(language) or (_("Sign up") if signs_up else _("Form")),
        intro=definition.intro.said(language),
        button=definition.button.said(language) or (_("Sign up") if signs_up else _("Send")),
        fields=[_field(one, language, titles, typed.get(one.name, ()), wrong.get(one.name, "")) for one in definition.fields],
        boxes=[
            ShownBox(
                box.key,
                box.wording.said(language),
                box.required,
                offered if box.topics else (),
                _(wrong[box.key]) if box.key in wrong else "",
                "yes" in typed.get(box.key, ()),
            )
            for box in definition.boxes
        ],
        mailed=definition.asks_mail,
        ticked=frozenset(one.key for one in topics if "yes" in typed.get(f"topic.{one.key}", ())),
    )


def _field(one: FormField, language: str, titles: Mapping[str, str], typed: Sequence[str], wrong: str) -> ShownField:
    _ = translator(language)
    label = one.label.said(language) or _label(one.name, titles, language)
    return ShownField(
        name=one.name,
        label=label,
        help=one.help.said(language),
        input=one.input,
        required=one.required,
        longest=one.longest,
        fill=one.fill,
        choices=[(choice.value, choice.said(language)) for choice in one.choices],
        wrong=_(wrong) if wrong else "",
        typed=[value[: one.longest] for value in typed[:100]] if wrong != NO_EMAIL else [value[:320] for value in typed[:1]],
    )


def _label(name: str, titles: Mapping[str, str], language: str) -> str:
    """What people call a contact field where the form has no word of its own."""
    title = titles.get(name) or translator(language)(FIELD_TITLES.get(name, "")) if name in titles or name in FIELD_TITLES else ""
    text = title or name.replace("_", " ").replace(".", " ")
    return text[:1].upper() + text[1:]
