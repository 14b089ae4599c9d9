"""`pfadwerk import contacts FILE.csv`: what the terminal shows of `crm.imports.imports`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from crm.imports import imports
from crm.imports.imports import ImportReport, Options, Plan, RowError, Shown
from crm.imports.reading import Reading
from crm.people import contacts
from journeys.errors import Invalid
from models import Database

SHOWN_ERRORS = 20
CELL_CHARACTERS = 40


class Choices(BaseModel):
    """What a file of choices says, so that an import can be repeated and kept in git."""

    model_config = ConfigDict(extra="forbid")

    columns: dict[str, str] = {}
    reading: Reading = Reading()
    source: str = ""
    tags: list[str] = []


@dataclass(frozen=True, slots=True)
class Said:
    """What stands on the command line; None and empty is "not said". `agreed`: `CHANNEL` or `CHANNEL:PURPOSE`."""

    columns: Sequence[str] = ()
    tags: Sequence[str] = ()
    source: str = ""
    agreed: Sequence[str] = ()
    agreed_on: str | None = None
    choices: Path | None = None
    reading: Mapping[str, Any] | None = None
    """Fields of a `Reading`."""


def options_of(said: Said, *, wake: bool, dry_run: bool, keys: tuple[bytes, ...] = ()) -> Options:
    """The command line over the file of choices.

    Raises:
        Invalid: a choice cannot be read; the sentence names it.
    """
    kept = _kept(said.choices) if said.choices else Choices()
    wanted = {
        **kept.reading.model_dump(exclude_unset=True),
        **{name: value for name, value in (said.reading or {}).items() if value is not None},
    }
    if wanted.get("recipe") == "none":
        wanted["recipe"] = ""
    if said.agreed:
        wanted["everybody"] = [_everybody(text, said) for text in said.agreed]
    try:
        reading = Reading.model_validate(wanted)
    except ValidationError as error:
        raise _unreadable(error) from None
    mapping = {**kept.columns, **parse_columns(said.columns)}
    tags = tuple(dict.fromkeys((*kept.tags, *said.tags)))
    return Options(mapping, reading, said.source or kept.source, wake, dry_run, tags, keys=keys)


def _everybody(text: str, said: Said) -> dict[str, Any]:
    channel, _, purpose = text.partition(":")
    return {"channel": channel, "purpose": purpose or "marketing", "said_at": said.agreed_on, "source": said.source}


def _kept(path: Path) -> Choices:
    try:
        return Choices.model_validate_json(path.read_bytes()[:1_000_000])
    except OSError as error:
        raise Invalid("{file} cannot be read: {reason}.", file=str(path), reason=error.strerror) from None
    except ValidationError as error:
        raise _unreadable(error) from None


def _unreadable(error: ValidationError) -> Invalid:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "choices"
    return Invalid("The choice {choice} cannot be used: {reason}.", choice=place, reason=first["msg"].removeprefix("Value error, "))


def preview(
    db: Database, path: Path, now: datetime, options: Options, *, out: TextIO, translate: Callable[[str], str], as_json: bool
) -> int:
    """Shows how the file would be read, why, and what its first rows become. Writes nothing; the exit code is 0.

    Raises:
        Invalid: the file or its columns cannot be read.
    """
    with db.read() as session:
        types = imports.field_types(session)
    plan = imports.make_plan(path, options, types)
    rows = imports.preview(plan, types, now)
    if as_json:
        kept = Choices(columns=plan.mapping, reading=plan.reading, source=options.source, tags=list(options.tags))
        why = {name: issue.message for name, issue in plan.why.items()}
        told = {"choices": kept.model_dump(mode="json"), "recipe": plan.recipe.key if plan.recipe else "", "why": why}
        out.write(json.dumps({**told, "rows": [_row(row) for row in rows]}, indent=2, ensure_ascii=False, default=str) + "\n")
        return 0
    out.write("\n".join([*_reading(plan, translate), *(line for row in rows for line in _shown(row, translate))]) + "\n")
    return 0


def _row(row: Shown) -> dict[str, Any]:
    cells = [
        {"column": cell.column, "target": cell.target, "was": cell.was, "becomes": cell.value, "problem": cell.problem}
        for cell in row.cells
    ]
    return {"line": row.line, "refused": row.refused, "cells": cells}


def _reading(plan: Plan, translate: Callable[[str], str]) -> list[str]:
    lines = []
    if plan.recipe:
        lines.append(translate("This looks like an export: {title}.").format(title=plan.recipe.title))
        lines.append(translate(plan.recipe.meaning))
    if plan.proposed.everybody != plan.reading.everybody:
        text = translate("Consent of everyone in the file is not assumed: say --recipe {recipe} if it is so.")
        lines.append(text.format(recipe=plan.proposed.recipe))
    for name, value in plan.reading.model_dump(mode="json").items():
        reason = f" ({plan.why[name].say(translate)})" if name in plan.why else ""
        lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}{reason}")
    if plan.survey.left_out:
        numbers = ", ".join(str(line.number) for line in plan.survey.left_out)
        lines.append(translate("Lines left out, before the header or after the last row: {lines}").format(lines=numbers))
    return lines


def _shown(row: Shown, translate: Callable[[str], str]) -> list[str]:
    lines = ["", translate("line {line}").format(line=row.line)]
    if row.refused:
        lines[-1] += f": {_sentence(row.refused, translate)}"
    for cell in row.cells:
        if cell.was.strip() or cell.value is not None:
            becomes = "" if cell.value is None else json.dumps(cell.value, ensure_ascii=False, default=str)
            problem = f"  ! {_sentence(cell.problem, translate)}" if cell.problem else ""
            lines.append(f"  {cell.column}: {cell.was[:CELL_CHARACTERS]!r} -> {cell.target} {becomes[:CELL_CHARACTERS]}{problem}")
    return lines


def import_contacts(
    db: Database,
    path: Path,
    clock: Callable[[], datetime],
    options: Options,
    *,
    out: TextIO,
    translate: Callable[[str], str],
    as_json: bool = False,
) -> int:
    """Imports the file, showing how far it is; prints the report. Returns the exit code: 0 all of it, 1 some rows or cells had problems.

    A crash or Ctrl-C loses nothing: the same command goes on where it stopped.

    Raises:
        Invalid: the file or its columns cannot be read; nothing was written.
        Conflict: somebody else is importing this file right now.
    """
    if as_json:
        report = imports.import_contacts(db, path, clock, options)
        out.write(report.model_dump_json(indent=2) + "\n")
    else:
        report = _with_progress(db, path, clock, options, Console(file=out), translate)
        out.write(summary(report, translate))
    return 1 if report.failed or report.cells else 0


def parse_columns(pairs: Sequence[str]) -> dict[str, str]:
    """`Header=target` arguments -> header -> target; an empty target leaves the column out.

    Raises:
        Invalid: an argument without `=`.
    """
    for pair in pairs:
        if "=" not in pair:
            raise Invalid("Expected HEADER=TARGET, for example 'Loyalty No=external:shop', got: {argument}", argument=pair[:100])
    return {header: target.strip() for header, _, target in (pair.rpartition("=") for pair in pairs)}


def summary(report: ImportReport, translate: Callable[[str], str]) -> str:
    """The report as lines of text; errors name line, column and reason, never what stood there."""
    lines = [
        translate("{ok} of {rows} rows imported, {created} new contacts.").format(ok=report.ok, rows=report.rows, created=report.created)
    ]
    if report.dry_run:
        lines.append(translate("This was a dry run: nothing was written."))
    if report.cells:
        lines.append(translate("Cells that could not be read and were left out, their rows imported: {count}").format(count=report.cells))
    if report.left_out:
        numbers = ", ".join(map(str, report.left_out))
        lines.append(translate("Lines left out, before the header or after the last row: {lines}").format(lines=numbers))
    if report.withheld:
        text = translate("{count} consents without a date were left out because the contact had withdrawn.")
        lines.append(text.format(count=report.withheld))
    lines += [f"  {_error(error, translate)}" for error in report.errors[:SHOWN_ERRORS]]
    if (more := report.failed + report.cells - SHOWN_ERRORS) > 0:
        lines.append(translate("… and {count} more problems.").format(count=more))
    return "\n".join(lines) + "\n"


def _error(error: RowError, translate: Callable[[str], str]) -> str:
    sentence = _sentence(error.reason, translate)
    place = translate("line {line}, {column}") if error.column else translate("line {line}")
    return f"{place.format(line=error.line, column=error.column)}: {sentence}"


def _sentence(reason: str, translate: Callable[[str], str]) -> str:
    return translate(imports.REASONS.get(reason) or contacts.REASONS.get(reason) or imports.REASONS["invalid"])


def _with_progress(
    db: Database, path: Path, clock: Callable[[], datetime], options: Options, console: Console, translate: Callable[[str], str]
) -> ImportReport:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(translate("Importing contacts"), total=1.0)
        return imports.import_contacts(db, path, clock, options, progress=lambda report: bar.update(task, completed=report.fraction))
