"""The error families of the product.

An `Issue` is data: what is wrong with an author's draft, collected all at once and shown on the node.
A `PfadwerkError` is raised: an operation cannot be done, with a stable `code` for programs, an HTTP
status for the API and a sentence that says what to do. Activity failures live in `activities`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, computed_field


class Issue(BaseModel):
    """One problem of a draft.

    `code` is stable for programs; `text` is the English sentence with `{placeholders}` (the message id of the catalogues),
    filled from `values`. `node_id` is None for the document itself; `field` is a dotted path inside the node (or document).
    """

    model_config = ConfigDict(frozen=True)

    code: str
    text: str
    values: dict[str, Any] = {}
    node_id: str | None = None
    field: str | None = None
    severity: Literal["error", "warning"] = "error"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def message(self) -> str:
        """The sentence in English."""
        return self.say(str)

    def say(self, translate: Callable[[str], str]) -> str:
        """The sentence in the language of `translate` (a gettext function)."""
        return translate(self.text).format(**self.values)


class PfadwerkError(Exception):
    """Something asked for cannot be done; `str(error)` is an English sentence for people and never holds personal data.

    `text` is that sentence with `{placeholders}` (the message id of the catalogues), filled from `details`.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, text: str, **details: Any) -> None:
        super().__init__(_filled(text, details))
        self.text = text
        self.details = details

    def say(self, translate: Callable[[str], str]) -> str:
        """The sentence in the language of `translate` (a gettext function)."""
        return _filled(translate(self.text), self.details)


def _filled(text: str, values: dict[str, Any]) -> str:
    """Braces that name no value stay: sentences may show JSON."""
    return re.sub(r"\{(\w+)\}", lambda place: str(values.get(place[1], place[0])), text)


class NotFound(PfadwerkError):
    """The named thing does not exist."""

    code = "not_found"
    status = 404


class Conflict(PfadwerkError):
    """The thing changed meanwhile, or its state forbids the operation."""

    code = "conflict"
    status = 409


class Invalid(PfadwerkError):
    """The input is understood but wrong; `details["issues"]` lists every problem."""

    code = "invalid"
    status = 422

    def __init__(self, text: str, issues: list[Issue] | None = None, **details: Any) -> None:
        super().__init__(text, issues=[i.model_dump() for i in issues or []], **details)
        self.issues = issues or []


class TooLarge(PfadwerkError):
    """A limit on size, depth or number was passed."""

    code = "too_large"
    status = 413


class Unauthorized(PfadwerkError):
    """Nobody is logged in, or the key, link or password is unknown, expired or revoked."""

    code = "unauthorized"
    status = 401


class TooMany(PfadwerkError):
    """A limit on requests, tries or waiting work was passed; `retry_after_seconds` says when to come back."""

    code = "too_many_requests"
    status = 429

    def __init__(self, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Misconfigured(PfadwerkError):
    """Start-up cannot go on; the message says which setting to change."""

    code = "misconfigured"
    status = 500
