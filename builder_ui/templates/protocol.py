"""What the editor in the browser may say. Everything else is refused before anybody looks at it."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from activities.rendering.kinds import PARTS
from activities.rendering.partials import MAX_SOURCE
from builder_ui.builder.protocol import Message, Piece, Ping, Save

_NAMES = "|".join(sorted({name for names in PARTS.values() for name in names}))
Place = Annotated[str, Field(pattern=rf"^[A-Za-z0-9-]{{1,35}}/({_NAMES})$")]
Text = Annotated[str, Field(max_length=MAX_SOURCE + 1_000)]


class Texts(Message):
    """What was typed: `language/part` -> the whole text. `n` numbers the changes of one page."""

    type: Literal["texts"]
    n: int = Field(ge=0, le=2**31)
    texts: dict[Place, Text] = Field(max_length=200)


class Resync(Texts):
    """The same from a page whose server was gone. `rev`: the revision it last knew to be stored."""

    type: Literal["resync"]  # type: ignore[assignment]
    rev: int = Field(ge=0)


class KeepBlock(Message):
    """A block to be kept as a partial. `text` is its MJML."""

    type: Literal["block"]
    name: str = Field(min_length=1, max_length=100)
    text: Text


class AskRule(Message):
    """The rule by which a block is shown is to be edited. `condition` is what stands there now, empty for a block that is always shown."""

    type: Literal["rule"]
    condition: Text


class Face(Message):
    """How this person likes to edit mails, from a page that remembers it."""

    type: Literal["face"]
    face: Literal["blocks", "source"]


Spoken = Texts | Resync | KeepBlock | AskRule | Face | Save | Ping | Piece
_messages: TypeAdapter[Spoken] = TypeAdapter(Annotated[Spoken, Field(discriminator="type")])


def parse(text: object) -> Spoken:
    """One message.

    Raises: ValueError for anything that is none.
    """
    if not isinstance(text, str):
        raise ValueError("expected text")
    try:
        return _messages.validate_python(json.loads(text))
    except (ValidationError, RecursionError) as error:
        raise ValueError("not a message of ours") from error
