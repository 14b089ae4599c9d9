"""`Secret`: a field of a custom activity's form that names a secret of the workspace. Only the name is ever stored or shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_NAME = 64
REVEAL = "reveal"
"""Under this name the validation's context holds the function that fetches a value by its name."""

Reveal = Callable[[str], str]


class NoSecret(Exception):
    """The value is not at hand: there is no such secret, or nobody may have it here (staging, checks)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the secret {name!r} has no value here")
        self.name = name


class Secret:
    """The name of a secret, and in the function of a live workspace its value.

    In a test of yours: `Secret("shop", "the value")`. The value is in no repr, dump or copy of it.
    """

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str | None = None) -> None:
        self.name = name
        self._value = value

    @property
    def value(self) -> str:
        """Raises: NoSecret, where it has none."""
        if self._value is None:
            raise NoSecret(self.name)
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Secret, self.name))

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (self.name,)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(lambda secret: getattr(secret, "name", secret))
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "widget": "secret", "names": "secret"}


def _read(given: Any, info: core_schema.ValidationInfo) -> Secret:
    """A name, which no contact may choose: a placeholder is none."""
    if isinstance(given, Secret):
        return given
    if not isinstance(given, str) or not 0 < len(given) <= MAX_NAME or "{{" in given:
        raise PydanticCustomError("secret_name", "The name of a secret.")
    reveal: Reveal | None = (info.context or {}).get(REVEAL)
    return Secret(given, reveal(given) if reveal is not None else None)
