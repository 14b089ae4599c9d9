"""The cases of the gate: JSON tables that the pure function, the SQL that gathers for it and broken copies of both are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from engine.interpreter.gate import Consents, Former, Happened, Held, Limits, Person, SendRequest, Suppressions, Twin

FOLDER = Path(__file__).parent / "engine" / "gate"
WANTED: dict[str, Any] = {
    "message_id": "m", "channel": "email", "purpose": "marketing", "message_class": "marketing", "cap_class": "default", "priority": 3,
    "quiet_hours": None, "fallback_zone": "Europe/Zurich",
}  # fmt: skip
PERSON = {"address": "anna@example.org", "timezone": "Europe/Zurich"}


class Asked(NamedTuple):
    """What `decide` takes, in its order."""

    wanted: SendRequest
    person: Person | None
    consents: Consents
    suppressions: Suppressions
    limits: Limits
    former: list[Former]
    held: list[Held]
    now: datetime
    twin: Twin | None
    happened: Happened
    replied_at: datetime | None


SHAPE: TypeAdapter[Asked] = TypeAdapter(Asked)


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, case) of every table. A case says what differs from an agreed mail to a contact in Zurich without any limits."""
    for file in sorted(FOLDER.glob("*.json")):
        for case in json.loads(file.read_text("utf-8")):
            yield f"{file.stem}: {case['about']}", case


def asked(case: dict[str, Any]) -> Asked:
    """The case's arguments, by way of JSON."""
    person = case.get("person", {})
    whole = {
        "wanted": WANTED | case.get("wanted", {}),
        "person": None if person is None else PERSON | person,
        "consents": case.get("consents", {"email": {"marketing": "granted"}}),
        "now": case["now"],
        "twin": case.get("twin"),
        "happened": case.get("happened", {}),
        "replied_at": case.get("replied_at"),
        **{name: case.get(name, empty) for name, empty in (("suppressions", {}), ("limits", {}), ("former", []), ("held", []))},
    }
    return SHAPE.validate_json(json.dumps(whole))


def told(verdict: Any) -> dict[str, Any]:
    """A verdict as the tables write it. By name, because broken copies of the gate have classes of their own."""
    said = {name: getattr(verdict, name) for name in type(verdict).__slots__}
    if "until" in said:
        said = {"until": said["until"].isoformat(), "reason": said["reason"]} | ({"behind": list(said["behind"])} if said["behind"] else {})
    return {"verdict": type(verdict).__name__.lower(), **said}


def update(decide: Any) -> None:
    """Writes what `decide` answers now into the tables, to be reviewed."""
    for file in FOLDER.glob("*.json"):
        table = [case | {"answer": told(decide(*asked(case)))} for case in json.loads(file.read_text("utf-8"))]
        lines = ",\n".join(f"  {json.dumps(case, ensure_ascii=False)}" for case in table)
        file.write_text(f"[\n{lines}\n]\n", "utf-8")
