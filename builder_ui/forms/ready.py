"""Ready-made forms to begin with. Their texts are in both languages, because people read them in theirs and not in that of whoever makes the form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from journeys.channels import DEFAULT
from locales import translator


def both(text: str) -> dict[str, str]:
    """A text of the catalogue in both languages."""
    return {"en": text, "de": translator("de")(text)}


def _email() -> dict[str, Any]:
    return {"kind": "contact", "name": "email", "input": "email", "required": True}


def _contact(name: str, input: str = "text", *, required: bool = False) -> dict[str, Any]:
    return {"kind": "contact", "name": name, "input": input, "required": required}


def _newsletter(*, required: bool) -> dict[str, Any]:
    wording = "Yes, I would like to get news and offers by e-mail. I can unsubscribe at any time."
    return {"key": "news", "channel": DEFAULT, "purpose": "marketing", "wording": both(wording), "required": required}


@dataclass(frozen=True, slots=True)
class Ready:
    """`name` and `description` are message ids."""

    name: str
    description: str
    definition: Mapping[str, Any]


READY: Mapping[str, Ready] = {
    "newsletter": Ready(
        "Newsletter",
        "E-mail address and first name, and one box that is confirmed by e-mail.",
        {"title": both("Newsletter"), "fields": [_email(), _contact("first_name")], "boxes": [_newsletter(required=True)]},
    ),
    "contact": Ready(
        "Contact us",
        "Name, e-mail address, company and a message; news only for those who want them.",
        {
            "title": both("Contact us"),
            "fields": [
                _contact("first_name", required=True),
                _contact("last_name", required=True),
                _email(),
                _contact("company"),
                {"kind": "question", "name": "message", "label": both("Your message"), "input": "textarea", "required": True},
            ],
            "boxes": [_newsletter(required=False)],
            "success": both("Thank you. We will get back to you soon."),
        },
    ),
    "call": Ready(
        "Call me back",
        "A telephone number and the time that suits.",
        {
            "title": both("Call me back"),
            "fields": [
                _contact("first_name"),
                _contact("phone", "tel", required=True),
                {
                    "kind": "question",
                    "name": "time",
                    "label": both("When does it suit you?"),
                    "input": "choice",
                    "choices": [
                        {"value": "morning", "label": both("In the morning")},
                        {"value": "afternoon", "label": both("In the afternoon")},
                    ],
                },
            ],
            "success": both("Thank you. We will call you."),
        },
    ),
    "empty": Ready("Empty form", "Only the e-mail address.", {"fields": [_email()]}),
}
"""Name in the address -> a form to begin with."""
