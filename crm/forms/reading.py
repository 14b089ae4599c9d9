"""What a browser sent, read by the definition of the form that was shown. Whatever the form does not ask is passed over; so are boxes that it
does not have. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from crm.forms.definition import Box, Definition, FormField
from crm.imports import cells
from journeys.spelling import one_line
from storage import identifiers
from storage.json_values import clean_text

Sent = Mapping[str, Sequence[str]]
"""Name -> everything that came under it."""
TICKED = "yes"

MISSING = "Please fill this in."
UNTICKED = "Please tick the box if you agree."
NO_EMAIL = "Please check the e-mail address."
NO_PHONE = "Please check the phone number; begin with the country code, such as +49."
NO_NUMBER = "Please enter a number."
NO_DATE = "Please enter a date."
NO_CHOICE = "Please choose one of the answers."
TOO_LONG = "This is too long."
"""Message ids of what is wrong with an answer."""


@dataclass(frozen=True, slots=True, repr=False)
class Filled:
    """What was filled in. `values`: every field that was asked and answered. `wrong`: name of a field or box -> message id."""

    values: Mapping[str, Any]
    boxes: Sequence[Box]
    topics: Mapping[str, bool] = field(default_factory=dict)
    """Key of each topic that was shown with a ticked box -> whether it was chosen."""
    wrong: Mapping[str, str] = field(default_factory=dict)

    @property
    def email(self) -> str:
        return str(self.values.get("email") or "")


class _Wrong(Exception):
    pass


def read(definition: Definition, sent: Sent, topics: Sequence[str], language: str) -> Filled:
    """`language`: in which it was filled in. `topics`: keys of those that the workspace offers now; only topics that were shown are answered. A form that does not say which it showed, on a
    site of the workspace's, shows all."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for one in definition.fields:
        try:
            value = _value(one, sent.get(one.name, ()), language)
        except _Wrong as error:
            wrong[one.name] = str(error)
            continue
        if value is not None:
            values[one.name] = value
        elif one.required:
            wrong[one.name] = MISSING
    boxes = [box for box in definition.boxes if TICKED in sent.get(box.key, ())]
    wrong |= {box.key: UNTICKED for box in definition.boxes if box.required and box not in boxes}
    shown = {name.removeprefix("topic.") for name in sent.get("shown", ()) if name.startswith("topic.")}
    offered = [key for key in topics if not shown or key in shown] if any(box.topics for box in boxes) else []
    return Filled(values, boxes, {key: TICKED in sent.get(f"topic.{key}", ()) for key in offered}, wrong)


def _value(one: FormField, given: Sequence[str], language: str) -> Any:
    """None: not answered."""
    if one.input == "checkbox":
        return True if TICKED in given else None
    if one.input == "choices":
        chosen = [choice.value for choice in one.choices if choice.value in given]
        return chosen or None
    text = clean_text(given[-1]).strip() if one.input == "textarea" and given else one_line(given[-1]) if given else ""
    if not text:
        return None
    if len(text) > one.longest:
        raise _Wrong(TOO_LONG)
    if one.input == "number":
        return _number(text, language)
    reads = _READ.get(one.input)
    return reads(one, text) if reads is not None else text


def _choice(one: FormField, text: str) -> str:
    if text not in {choice.value for choice in one.choices}:
        raise _Wrong(NO_CHOICE)
    return text


def _email(_one: FormField, text: str) -> str:
    found = identifiers.normalise("email", text)
    if isinstance(found, identifiers.Refused):
        raise _Wrong(NO_EMAIL)
    return found


def _phone(_one: FormField, text: str) -> str:
    found = identifiers.normalise("phone", text)
    if isinstance(found, identifiers.Refused):
        raise _Wrong(NO_PHONE)
    return found


def _number(text: str, language: str) -> int | float:
    """What can be read in two ways (`1,234`) is read as the form's language writes numbers."""
    sign: cells.Decimal = "," if language == "de" else "."
    try:
        number = cells.number(text, sign if len(cells.decimal_signs(text) or ()) > 1 else None)
    except cells.CellProblem:
        raise _Wrong(NO_NUMBER) from None
    if abs(number) > 1e15:
        raise _Wrong(NO_NUMBER)
    return int(number) if float(number).is_integer() else number


def _date(_one: FormField, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise _Wrong(NO_DATE) from None


_READ: Mapping[str, Callable[[FormField, str], Any]] = {"choice": _choice, "email": _email, "tel": _phone, "date": _date}
