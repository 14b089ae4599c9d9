"""What the browser may say. Everything else is refused before anybody looks at it.

Messages are JSON texts; long ones come in pieces, because the host takes no large frames.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from journeys.document import MAX_DOCUMENT_BYTES, MAX_EDGES, MAX_NODES
from journeys.types import Key, NodeId
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

ENTRY = "$entry"
"""The card that stands for the journey itself; its edge leads to the first step."""

Place = Annotated[str, Field(pattern=r"^(\$entry|[A-Za-z0-9_-]{1,64})$")]
Outlet = Annotated[str, Field(min_length=1, max_length=64)]
Coordinate = Annotated[float, Field(ge=-1e7, le=1e7, allow_inf_nan=False)]
Side = Annotated[float, Field(ge=40, le=2_000, allow_inf_nan=False)]
NoteId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
MAX_NOTES = 100
MAX_NOTE_CHARACTERS = 2_000


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Step(Message):
    """A step, or only where it stands."""

    raw: dict[str, Any] | None = None
    x: Coordinate | None = None
    y: Coordinate | None = None


class Note(Message):
    """A paper stuck onto the canvas; no part of what the journey does."""

    text: str = Field("", max_length=MAX_NOTE_CHARACTERS)
    color: Literal["yellow", "green", "blue"] = "yellow"
    x: Coordinate
    y: Coordinate
    width: Side = 200
    height: Side = 120


class Changes(Message):
    """`edges` are drawn (an outlet has one), `cut` are taken out. `n` numbers the changes of one page."""

    n: int = Field(ge=0, le=2**31)
    laid: bool = False
    nodes: dict[Place, Step] = Field({}, max_length=MAX_NODES + 1)
    gone: list[NodeId] = Field([], max_length=MAX_NODES)
    edges: list[tuple[Place, Outlet, NodeId]] = Field([], max_length=MAX_EDGES)
    cut: list[tuple[Place, Outlet]] = Field([], max_length=MAX_EDGES)
    notes: dict[NoteId, Note] = Field({}, max_length=MAX_NOTES)
    torn: list[NoteId] = Field([], max_length=MAX_NOTES)
    """Notes taken off."""


class Ops(Changes):
    """What a person changed on the canvas."""

    type: Literal["ops"]


class Resync(Changes):
    """The whole graph of a page whose server was gone. `rev`: the revision it last knew to be stored, by the editor called `was`; `dirty`: there
    is more."""

    type: Literal["resync"]
    rev: int = Field(ge=0, le=2**31 - 1)
    was: str = Field("", max_length=32)
    dirty: bool


class Select(Message):
    """`chapter` opens one of the journey's own form."""

    type: Literal["select"]
    ids: list[Place] = Field(max_length=MAX_NODES + 1)
    chapter: str = Field("", max_length=32)


class Seen(Message):
    """The last news from the server that the page has carried out."""

    type: Literal["seen"]
    seq: int = Field(ge=0)


class Save(Message):
    type: Literal["save"]


class Ping(Message):
    """Asks to say that everything up to here was heard."""

    type: Literal["ping"]
    n: int = Field(ge=0, le=2**31)


class Back(Message):
    """Somebody comes back to the page from another one, where they may have made something that this one should offer."""

    type: Literal["back"]


class Writing(Message):
    """Somebody began to write into a field of a form, which its id names; what is in it is not said before it is left."""

    type: Literal["writing"]
    field: str = Field(max_length=300)


class Piece(Message):
    type: Literal["piece"]
    id: int
    at: int = Field(ge=0, lt=200)
    of: int = Field(ge=1, le=200)
    text: str = Field(max_length=60_000)


Spoken = Ops | Resync | Select | Seen | Save | Ping | Back | Writing
_messages: TypeAdapter[Spoken | Piece] = TypeAdapter(
    Annotated[Spoken | Piece, Field(discriminator="type")]
)


class MessageReader:
    """Puts pieces together. One message at a time, as the socket keeps their order. `parse` reads one message, a `Piece` included."""

    def __init__(self, parse: Callable[[object], Any] | None = None) -> None:
        self._parse = parse or _parse
        self._id = -1
        self._pieces: list[str] = []

    def hear(self, text: object) -> Any:
        """The message, None while pieces are missing.

        Raises: ValueError for anything that is none.
        """
        message = self._parse(text)
        if not isinstance(message, Piece):
            return message
        if message.at == 0:
            self._id, self._pieces = message.id, []
        if message.id != self._id or message.at != len(self._pieces):
            raise ValueError("a piece is missing")
        self._pieces.append(message.text)
        if sum(len(piece) for piece in self._pieces) > MAX_DOCUMENT_BYTES:
            raise ValueError("too long")
        if len(self._pieces) < message.of:
            return None
        whole = self._parse("".join(self._pieces))
        self._id, self._pieces = -1, []
        if isinstance(whole, Piece):
            raise ValueError("a piece in pieces")
        return whole


def chosen(text: object) -> str | None:
    """The card chosen on a drawing that can only be looked at; None if none is, or for anything else that was said."""
    try:
        message = _parse(text)
    except ValueError:
        return None
    return message.ids[0] if isinstance(message, Select) and message.ids else None


def _parse(text: object) -> Spoken | Piece:
    if not isinstance(text, str):
        raise ValueError("expected text")
    try:
        return _messages.validate_python(json.loads(text))
    except (ValidationError, RecursionError) as error:
        raise ValueError("not a message of ours") from error


def is_key(text: object) -> bool:
    """Whether `text` can be the key of a journey."""
    try:
        _key.validate_python(text)
    except ValidationError:
        return False
    return True


_key: TypeAdapter[str] = TypeAdapter(Key)
Raw = Mapping[str, Any]
