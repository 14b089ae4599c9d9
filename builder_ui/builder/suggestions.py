"""The lists of suggestions of a page, and the widgets of names that draw on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journeys.catalogue import CONTEXT_FIELDS
from journeys.rules.terms import TERMS
from journeys.runkeys import paths_of

from builder_ui.builder.lookups import Lookups
from builder_ui.builder.widgets import Form, Path, entered
from builder_ui.kit import labels
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, datalist, html

MOST_OFFERED = 400


def paths(form: Form, path: Path) -> Element:
    """A property, or several in order, separated by commas; what lets in and what ends has them."""
    triggers = form.value(("entry", "triggers"))
    events = (
        [one.get("event") for one in triggers if isinstance(one, Mapping)]
        if isinstance(triggers, list | tuple)
        else []
    )
    id, listed = properties(form, path, [*events, form.value((*path[:-1], "event"))])
    shown = ", ".join(paths_of(form.value(path)))

    def left(event: Mapping[str, Any]) -> None:
        if entered(event).strip() != shown:
            form.edit(path, read_paths(entered(event)), False)

    attributes = {
        "key": form.key(path),
        "id": form.id(path),
        "type": "text",
        "defaultValue": shown,
        "onBlur": left,
        "maxLength": 1_000,
    }
    return html._(
        html.input(
            {
                **attributes,
                "list": id,
                "autoComplete": "off",
                "spellCheck": False,
                "disabled": not form.editable,
            }
        ),
        listed,
    )


def properties(
    form: Form, path: Path, events: Sequence[Any], *, context: bool = False
) -> tuple[str, Element]:
    """The suggestions for properties of some events, those that are known: (id of the list, the list). `context`: what came with an event can be
    asked, too."""
    known = [form.lookups.catalogue.event(name) for name in events if isinstance(name, str)]
    names = list(dict.fromkeys(name for event in known if event for name in event.properties))[
        :MOST_OFFERED
    ]
    id = f"{form.id(path)}-properties"
    around = [
        html.option({"key": name, "value": name}, form.t(spec.title))
        for name, spec in CONTEXT_FIELDS.items()
    ]
    own = [html.option({"key": name, "value": name}) for name in names]
    return id, datalist({"id": id}, [*own, *(around if context else [])])


def names_list(form: Form, path: Path, offered: str) -> Element:
    """Names, each in a field of its own with suggestions, and an empty one that adds another; emptied, one goes."""
    t, value = form.t, form.value(path)
    present = [str(one) for one in value] if isinstance(value, list | tuple) else []

    def keep(place: int) -> Callable[[Any], None]:
        def left(event: Mapping[str, Any]) -> None:
            said = entered(event).strip()
            if said != (present[place] if place < len(present) else ""):
                form.edit(
                    path,
                    list(
                        dict.fromkeys(
                            [*present[:place], *([said] if said else []), *present[place + 1 :]]
                        )
                    ),
                    True,
                )

        return left

    def field(place: int, name: str) -> Element:
        attributes = {
            "key": f"{form.key(path)}/{place}/{name}",
            "id": form.id((*path, place)) if name else form.id(path),
            "type": "text",
        }
        label = (
            t("Entry {number}", number=place + 1)
            if name
            else t("Add another")
            if present
            else t("Add")
        )
        return html.input({
            **attributes, "defaultValue": name, "list": offered, "onBlur": keep(place), "aria-label": None if not present else label,
            "placeholder": "" if name else t("Add another") if present else "", "maxLength": 120, "autoComplete": "off",
            "disabled": not form.editable,
        })  # fmt: skip

    fields = [field(place, name) for place, name in enumerate(present)]
    return html.div(
        {"className": "pfb-item pfb-names"},
        *fields,
        field(len(present), "") if form.editable or not present else None,
    )


def read_paths(typed: str) -> str | list[str] | None:
    """What stands in a document for properties separated by commas: one alone as text, several as a list."""
    named = [name for one in typed.split(",") if (name := one.strip())]
    return named[0] if len(named) == 1 else named or None


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What only the journey itself offers: `fields` are names beside the contact's (`steps.…`, `trigger.…`), each with what people call it."""

    fields: tuple[tuple[str, str], ...] = ()


def offers(t: Translator, lookups: Lookups, own: Suggestions = Suggestions()) -> Element:
    """The lists of suggestions that fields name: contact fields with those of the journey, events, tags, and what else terms name."""
    catalogue = lookups.catalogue
    fields = [
        html.option({"key": name, "value": name}, labels.field_name(t, name, {name: spec.title}))
        for name, spec in list(catalogue.fields.items())[:MOST_OFFERED]
    ]
    fields += [
        html.option({"key": name, "value": name}, said) for name, said in own.fields[:MOST_OFFERED]
    ]
    events = [
        html.option({"key": name, "value": name}, spec.title or name)
        for name, spec in list(catalogue.events.items())[:MOST_OFFERED]
    ]
    lists = {noun: _names(lookups, noun) for noun in ("tag", *TERMS.offered())} | {
        "field": fields,
        "event": events,
    }
    return html.div(
        *(datalist({"key": noun, "id": suggested(noun)}, lists[noun]) for noun in lists)
    )


def _names(lookups: Lookups, noun: str) -> list[Element]:
    return [html.option({"key": name, "value": name}) for name, _ in lookups.offered(noun, {})]


def suggested(noun: str) -> str:
    """The id of the list of suggestions for names of a noun: `field`, `event`, `tag`, and what terms write."""
    return f"pfb-{noun}s"
