"""The error families of the product.

An `Issue` is data: what is wrong with an author's draft, collected all at once and shown on the node.
A `PfadwerkError` is raised: an operation cannot be done, with a stable `code` for programs, an HTTP
status for the API and a sentence that says what to do. Activity failures live in `activities`.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
        return translate(self.text).format(**{name: _spoken(value, translate) for name, value in self.values.items()})


class Label(str):
    """A word of the catalogues inside a sentence, such as the title of a field: it is said in the language of the sentence."""


class Unfit(ValueError):
    """What a validator of ours raises when its sentence has values: `text` and `values` as in an `Issue`."""

    def __init__(self, text: str, **values: Any) -> None:
        super().__init__(_filled(text, values, str))
        self.text = text
        self.values = values


class Unfilled(Unfit):
    """A part in which none of several fields is filled in, although one must be. The sentence calls the first of them by its title, `field`,
    and is shown at it, `place`."""

    def __init__(self, text: str, place: str, field: str) -> None:
        super().__init__(text, field=Label(field))
        self.place = place


class PfadwerkError(Exception):
    """Something asked for cannot be done; `str(error)` is an English sentence for people and never holds personal data.

    `text` is that sentence with `{placeholders}` (the message id of the catalogues), filled from what is given beside it. A value
    may be a sentence itself (an `Issue` or another error), which is then said in the same language; a list of issues takes
    a line each, any other list commas. `details` is the same for programs: sentences in it are English.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, text: str, **details: Any) -> None:
        super().__init__(_filled(text, details, str))
        self.text = text
        self.values = details
        self.details = {name: _plain(value) for name, value in details.items()}

    def say(self, translate: Callable[[str], str]) -> str:
        """The sentence in the language of `translate` (a gettext function)."""
        return _filled(translate(self.text), self.values, translate)


@dataclass(frozen=True, slots=True)
class Sentence:
    """What an error said, written down to be said again later, to somebody else and in their language."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.say(str)

    def say(self, translate: Callable[[str], str]) -> str:
        """The sentence in the language of `translate` (a gettext function)."""
        return _filled(translate(self.text), self.values, translate)

    @classmethod
    def of(cls, error: Issue | PfadwerkError) -> Sentence:
        """Its sentence with the values that the sentence shows, and no others: what nobody reads is not kept."""
        shown = set(re.findall(_PLACE, error.text))
        return cls(error.text, {name: _kept(value) for name, value in error.values.items() if name in shown})

    def write(self, most: int) -> str:
        """As text that `read` understands, at most `most` characters long; where that is too few, the English sentence, cut."""
        written = json.dumps({"text": self.text, "values": self.values}, default=_bare, ensure_ascii=False, separators=(",", ":"))
        return written if len(written) <= most else str(self)[:most]

    @classmethod
    def read(cls, written: str) -> Sentence:
        """Anything that `write` has not written is a sentence as it stands."""
        try:
            found = json.loads(written)
        except ValueError:
            return cls(written)
        return _restored(found) if _is_written(found) else cls(written)


_PLACE = r"\{(\w+)\}"


def _kept(value: Any) -> Any:
    """What stays of a value: sentences, lists of them, and what JSON can hold."""
    if isinstance(value, Issue | PfadwerkError):
        return Sentence.of(value)
    if isinstance(value, list | tuple) and value and all(isinstance(one, Issue) for one in value):
        lines = {str(n): Sentence("  {field}: {said}", {"field": one.field, "said": Sentence.of(one)}) for n, one in enumerate(value)}
        return Sentence("\n".join(f"{{{n}}}" for n in lines), lines)
    if isinstance(value, list | tuple):
        return [_kept(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _bare(value: Any) -> Any:
    """A sentence within a sentence, for JSON."""
    return {"text": value.text, "values": value.values}


def _is_written(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"text", "values"}
        and isinstance(value["text"], str)
        and isinstance(value["values"], dict)
    )


def _restored(value: Any) -> Any:
    if _is_written(value):
        return Sentence(value["text"], {name: _restored(one) for name, one in value["values"].items()})
    return [_restored(one) for one in value] if isinstance(value, list) else value


def _filled(text: str, values: Mapping[str, Any], translate: Callable[[str], str]) -> str:
    """Braces that name no value stay: sentences may show JSON."""
    return re.sub(_PLACE, lambda place: str(_spoken(values[place[1]], translate)) if place[1] in values else place[0], text)


def _spoken(value: Any, translate: Callable[[str], str]) -> Any:
    """What stands in the sentence for `value`."""
    if isinstance(value, Label):
        return translate(value)
    if isinstance(value, Issue | PfadwerkError | Sentence):
        return value.say(translate)
    if isinstance(value, list | tuple) and value and all(isinstance(one, Issue) for one in value):
        return "\n".join(f"  {one.field}: {one.say(translate)}" for one in value)
    if isinstance(value, list | tuple):
        return ", ".join(str(_spoken(one, translate)) for one in value)
    return value


def _plain(value: Any) -> Any:
    """What stands in `details` for `value`."""
    if isinstance(value, Issue):
        return value.message
    if isinstance(value, PfadwerkError):
        return str(value)
    if isinstance(value, list | tuple):
        return [one.model_dump() if isinstance(one, Issue) else _plain(one) for one in value]
    return value


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
        super().__init__(text, issues=issues or [], **details)
        self.issues = issues or []


def refuse(issues: Iterable[Issue]) -> None:
    """Lists all that is wrong, and says the first of it; nothing where nothing is.

    Raises: Invalid.
    """
    found = list(issues)
    if found:
        raise Invalid("{problem}", found, problem=found[0])


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

    def __init__(self, text: str, retry_after_seconds: float = 1.0, **details: Any) -> None:
        super().__init__(text, **details)
        self.retry_after_seconds = retry_after_seconds


class Misconfigured(PfadwerkError):
    """Start-up cannot go on; the message says which setting to change."""

    code = "misconfigured"
    status = 500


def where(error: BaseException, file: str | None = None) -> str:
    """The place of an error in the code, without its text: that may hold what a contact typed. `file`: the last place in that file, if the
    error came through it."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1] if frames else None)
    return f"{type(error).__name__} in {last.filename.rsplit('/', 2)[-1]}:{last.lineno} ({last.name})" if last else type(error).__name__
