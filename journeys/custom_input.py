"""The form of a custom activity: any field of it may hold a placeholder until the contact arrives, and then gets the value in the field's type.

Nothing here says a value: a problem names the field alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError

from journeys.coerce import Unfit, coerce
from journeys.placeholders import fill_json, names, unreadable
from journeys.secret import REVEAL, NoSecret, Reveal, Secret

_ALWAYS = ("missing", "extra_forbidden", "secret_name")
"""What is wrong whatever the value will be."""


class NoFit(Exception):
    """The filled-in form does not fit the model; `fields` are the names of its fields, never what stands in them."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = tuple(fields)


def form_of(model: type[BaseModel]) -> Any:
    """The model as a field of the step: what depends on a placeholder is judged when the contact arrives (`fitted`)."""

    def accept(raw: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(raw)
        except ValidationError as error:
            found = error.errors(include_url=False)
            wrong = [problem for problem in found if problem["type"] in _ALWAYS or not _waits(problem["loc"], raw)]
            if wrong or not isinstance(raw, Mapping):
                raise ValidationError.from_exception_data(model.__name__, [_again(problem) for problem in wrong or found]) from None
            return _as_written(model, raw)

    return Annotated[model, WrapValidator(accept)]


def fitted(model: type[BaseModel], filled: Mapping[str, Any], reveal: Reveal | None = None) -> BaseModel:
    """The model of a filled-in form. Numbers become text and texts numbers where the field says so; what is missing becomes the field's
    default, or an empty text. `reveal` fetches the values of its secrets; without it they have none.

    Raises: NoFit; NoSecret.
    """
    try:
        return model.model_validate(filled, context={REVEAL: reveal})
    except ValidationError as error:
        mended = _mended(model, filled, error)
    except NoSecret:
        raise
    except Exception:  # noqa: BLE001 - whatever a validator of the author's raises
        raise NoFit(()) from None
    try:
        return model.model_validate(mended, context={REVEAL: reveal})
    except ValidationError as error:
        raise NoFit(sorted({name for problem in error.errors(include_url=False) if (name := _field(model, problem["loc"]))})) from None
    except NoSecret:
        raise
    except Exception:  # noqa: BLE001 - see above
        raise NoFit(()) from None


def needy(model: type[BaseModel], given: Mapping[str, Any]) -> list[str]:
    """The fields that stop whoever has no value for their placeholders."""
    if not _holds_places(given) or any(True for _ in unreadable(given)):
        return []
    try:
        fitted(model, fill_json(given, _Nobody()))
    except NoFit as error:
        return [name for name in error.fields if _holds_places(given.get(name))]
    return []


class _Nobody:
    """Somebody of whom nothing is known."""

    def value(self, name: str) -> None:
        return None


def _holds_places(data: Any) -> bool:
    return any(True for _ in names(data))


def _waits(place: Iterable[int | str], raw: Any) -> bool:
    """Whether a placeholder stands where the problem is (for one of the whole form: anywhere)."""
    return _holds_places(_at(place, raw))


def _at(place: Iterable[int | str], data: Any) -> Any:
    """What stands there; the names of choices in a union are pydantic's and lead nowhere."""
    for step in place:
        if _is_in(step, data):
            data = data[step]
        elif not isinstance(data, str):
            return None
    return data


def _is_in(step: int | str, data: Any) -> bool:
    return step in data if isinstance(data, Mapping) else isinstance(data, list) and isinstance(step, int) and step < len(data)


def _again(problem: Any) -> InitErrorDetails:
    place, given = problem["loc"], problem["input"]
    known = InitErrorDetails(type=problem["type"], loc=place, input=given, ctx=problem.get("ctx", {}))
    try:
        ValidationError.from_exception_data("", [known])
    except (KeyError, TypeError):  # of a kind that the author's validator made up
        text = problem["msg"].replace("{", "{{").replace("}", "}}")
        return InitErrorDetails(type=PydanticCustomError(problem["type"], text), loc=place, input=given)
    return known


def _as_written(model: type[BaseModel], raw: Mapping[str, Any]) -> BaseModel:
    """The form with placeholders where values will be. What stands inside it can still be looked at (`names_in`)."""
    written = dict(raw)
    for name, field in model.model_fields.items():
        key, inner = field.alias or name, field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(written.get(key), Mapping):
            written[key] = _as_written(inner, written[key])
        elif (inner is Secret or Secret in get_args(inner)) and isinstance(written.get(key), str):
            written[key] = Secret(written[key])
    return model.model_construct(**written)


def _mended(model: type[BaseModel], filled: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    mended = copy.deepcopy(dict(filled))
    for problem in error.errors(include_url=False):
        *above, last = problem["loc"] or ("",)
        holder: Any = _at(above, mended)
        if not _is_in(last, holder):
            continue
        value = holder[last]
        if value in (None, "") and not above and _has_default(model, str(last)):
            del holder[last]
        else:
            holder[last] = _read_as(problem["type"], value)
    return mended


def _has_default(model: type[BaseModel], key: str) -> bool:
    """Whether the field says itself what it is without a value; a placeholder says nothing."""
    for name, field in model.model_fields.items():
        if key in (name, field.alias) and not field.is_required():
            return not _holds_places(field.default)
    return False


def _read_as(problem: str, value: Any) -> Any:
    """The value in the type that was missed, if that is certain."""
    read = _READERS.get(problem)
    return value if read is None else read(value)


def _as_text(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


def _as(type: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            return coerce(value, type)
        except Unfit:
            return value

    return read


def _as_day(value: Any) -> Any:
    read = _as("date")(value)
    return read[:10] if isinstance(read, str) else read


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "string_type": _as_text,
    "int_parsing": _as("number"),
    "float_parsing": _as("number"),
    "int_from_float": _as("number"),
    "bool_parsing": _as("boolean"),
    "date_from_datetime_parsing": _as_day,
    "date_from_datetime_inexact": _as_day,
    "date_parsing": _as_day,
    "datetime_parsing": _as("datetime"),
    "datetime_from_date_parsing": _as("datetime"),
    "timezone_aware": _as("datetime"),
}
"""pydantic's kind of problem -> how the value is read once more."""


def _field(model: type[BaseModel], place: Sequence[int | str]) -> str:
    """The form's own field; what lies deeper may be a key from outside."""
    known = {name for own, field in model.model_fields.items() for name in (own, field.alias) if name}
    return str(place[0]) if place and place[0] in known else ""
