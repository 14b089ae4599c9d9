"""`pfadwerk import contacts FILE.csv`: what the terminal shows of `crm.imports`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from crm import contacts, imports
from crm.imports import ImportReport, Options, RowError
from journeys.errors import Invalid
from models import Database

SHOWN_ERRORS = 20


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
    """Imports the file, showing how far it is; prints the report. Returns the exit code: 0 all rows, 1 some rows had problems.

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
    return 1 if report.failed else 0


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
    if report.withheld:
        text = translate("{count} consents without a date were left out, because the contact had withdrawn.")
        lines.append(text.format(count=report.withheld))
    lines += [f"  {_error(error, translate)}" for error in report.errors[:SHOWN_ERRORS]]
    if report.failed > SHOWN_ERRORS:
        lines.append(translate("… and {count} more rows with problems.").format(count=report.failed - SHOWN_ERRORS))
    return "\n".join(lines) + "\n"


def _error(error: RowError, translate: Callable[[str], str]) -> str:
    sentence = translate(imports.REASONS.get(error.reason) or contacts.REASONS.get(error.reason) or imports.REASONS["invalid"])
    place = translate("line {line}, {column}") if error.column else translate("line {line}")
    return f"{place.format(line=error.line, column=error.column)}: {sentence}"


def _with_progress(
    db: Database, path: Path, clock: Callable[[], datetime], options: Options, console: Console, translate: Callable[[str], str]
) -> ImportReport:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(translate("Importing contacts"), total=1.0)
        return imports.import_contacts(db, path, clock, options, progress=lambda report: bar.update(task, completed=report.fraction))
