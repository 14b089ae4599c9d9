"""The gallery: journeys to begin with, each with its message templates in several languages and scenarios that show what it does.

`<key>/journey.json` is the document, `<key>/about.json` names what it is for (`AIMS`) and, where the document asks for fields or events that no
workspace knows from the start, those, `<key>/mails/<template>.json` names a template, its subjects and preheaders by language, with the
body beside it (`<template>.<language>.mjml`), and `<key>/scenarios.json` lists scripts for the simulator with the expected path
(`docs/journeys.md`). Read from the package; nothing is installed into a workspace here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from journeys.catalogue import EventSpec, FieldSpec
from journeys.document import Journey
from journeys.reading import read


@dataclass(frozen=True, slots=True)
class Aim:
    """What a marketer wants to reach. Not the `goal` of a document, which is the event that shows that one contact got there.
    `title` and `about` are English texts for translation."""

    key: str
    title: str
    about: str


AIMS = (
    Aim("win", "Win new customers", "New contacts get to know you and buy for the first time."),
    Aim("sell", "Bring back a sale", "A contact was about to buy and stopped halfway."),
    Aim("keep", "Keep customers", "Look after customers so that they buy again."),
    Aim("hand_over", "Hand leads to sales", "Leads who are ready to talk get a timely call from your team."),
    Aim("wake", "Re-engage inactive customers", "Contacts you have not heard from for a long time come back, or are left in peace."),
)
"""In the order in which the gallery shows them."""
KEYS = (
    "welcome",
    "trial_onboarding",
    "event_reminder",
    "cart_abandonment",
    "browse_abandonment",
    "post_purchase",
    "replenishment",
    "birthday",
    "mql_to_sql",
    "lead_nurture",
    "re_engagement",
    "win_back",
)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message template: `variants` maps a language to its parts (subject, preheader, mjml), as a stored template holds them."""

    key: str
    name: str
    kind: str
    message_class: str
    variants: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A script for the simulator (`engine.interpreter.simulate.Script` as JSON) and what it must show: (node, outlet) in order, and how it ends."""

    name: str
    script: Mapping[str, Any]
    expect: tuple[tuple[str, str], ...]
    ends: str | None


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """One journey of the gallery. `name` and `description` are English texts for translation. `fields` and `events` are what its document
    asks for beyond the built-in catalogue: a workspace declares them when it takes the journey (`crm.catalogue.declare_missing`)."""

    key: str
    aim: Aim
    document: Mapping[str, Any]
    mails: tuple[Mail, ...]
    scenarios: tuple[Scenario, ...]
    fields: tuple[FieldSpec, ...] = ()
    events: tuple[EventSpec, ...] = ()

    @property
    def name(self) -> str:
        return str(self.document["name"])

    @property
    def description(self) -> str:
        return str(self.document.get("description", ""))

    def journey(self) -> Journey:
        """The document, ready to be checked, compiled or stored under another key."""
        return read(self.document)


@cache
def gallery() -> tuple[TemplateEntry, ...]:
    """Every journey of the gallery, in the order in which it is shown."""
    here = files("journeys.templates")
    return tuple(_entry(key, here / key) for key in KEYS)


def _entry(key: str, folder: Traversable) -> TemplateEntry:
    scenarios = tuple(_scenario(raw) for raw in _json(folder / "scenarios.json"))
    about = _json(folder / "about.json")
    aim = next(aim for aim in AIMS if aim.key == about["aim"])
    fields = tuple(FieldSpec(name, raw["type"], raw["title"]) for name, raw in about.get("fields", {}).items())
    events = tuple(EventSpec(name, raw["properties"], raw["title"]) for name, raw in about.get("events", {}).items())
    return TemplateEntry(key, aim, _json(folder / "journey.json"), tuple(_mails(folder / "mails")), scenarios, fields, events)


def _mails(folder: Traversable) -> Iterator[Mail]:
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".json"):
            yield _mail(file.name.removesuffix(".json"), _json(file), folder)


def _mail(key: str, about: Mapping[str, Any], folder: Traversable) -> Mail:
    variants = {
        language: {
            "subject": subject,
            "preheader": about["preheaders"][language],
            "mjml": (folder / f"{key}.{language}.mjml").read_text("utf-8"),
        }
        for language, subject in about["subjects"].items()
    }
    return Mail(key, about["name"], about["kind"], about["message_class"], variants)


def _scenario(raw: Mapping[str, Any]) -> Scenario:
    script = {key: value for key, value in raw.items() if key not in ("name", "expect", "ends")}
    expect = tuple((step["node"], step["outlet"]) for step in raw["expect"])
    return Scenario(raw["name"], script, expect, raw.get("ends"))


def _json(file: Traversable) -> Any:
    return json.loads(file.read_text("utf-8"))
