"""`pfadwerk check FILE…`: every problem of journey documents, with file, step and field.

Judges against the workspace's catalogue, templates and pools when its database can be reached, else against what is built in. Message
templates and journeys that lie beside a file (as `pfadwerk pull` writes them) count as known. Changes nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from commands.files import template_folders
from commands.workspace import Surroundings, surroundings
from journeys.check import check as check_journey
from journeys.document import Journey
from journeys.errors import Invalid, Issue, TooLarge
from journeys.known import Known, KnownTemplate
from journeys.reading import read
from settings import Settings

Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Checked:
    """One file and what is wrong with it; `key` is None if it could not be read."""

    file: str
    key: str | None
    issues: list[Issue]

    def count(self, severity: str) -> int:
        return sum(issue.severity == severity for issue in self.issues)

    def as_json(self, translate: Translate) -> dict[str, Any]:
        issues = [issue.model_dump(exclude={"text", "message"}) | {"message": issue.say(translate)} for issue in self.issues]
        return {"file": self.file, "key": self.key, "errors": self.count("error"), "warnings": self.count("warning"), "issues": issues}


def check(settings: Settings, files: Sequence[Path], *, out: TextIO, translate: Translate, as_json: bool = False) -> int:
    """Prints the problems of every file (`-`: standard input); 1 if there is an error among them, warnings are 0."""
    around = surroundings(settings)
    drafts = [_read(file) for file in files]
    around = replace(around, known=with_neighbours(around.known, files, (draft for draft in drafts if isinstance(draft, Journey))))
    checked = [_checked(file, draft, around) for file, draft in zip(files, drafts, strict=True)]
    if as_json:
        answer = {
            "checked_against": "workspace" if around.of_workspace else "built_in",
            "files": [one.as_json(translate) for one in checked],
        }
        out.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    else:
        out.writelines(_lines(checked, around, translate))
    return 1 if any(one.count("error") for one in checked) else 0


def with_neighbours(known: Known, files: Iterable[Path], drafts: Iterable[Journey]) -> Known:
    """`known` and what lies beside the files or is checked together with them."""
    if known.templates is None:
        return known
    beside = {folder.name: KnownTemplate(kind) for file in files for folder, kind in template_folders(file.parent)}
    journeys = {*(known.journeys or ()), *(draft.key for draft in drafts)}
    return replace(known, templates={**beside, **known.templates}, journeys=journeys)


def issue_line(file: str, issue: Issue, translate: Translate) -> str:
    """`FILE: step.field: sentence`, so that editors and grep find the place."""
    place = ".".join(part for part in (issue.node_id, issue.field) if part)
    mark = translate("error") if issue.severity == "error" else translate("warning")
    return ": ".join(part for part in (file, place, mark, issue.say(translate)) if part) + "\n"


def _read(file: Path) -> Journey | list[Issue]:
    try:
        return read(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes(), strict=True)
    except (Invalid, TooLarge) as error:
        found = error.issues if isinstance(error, Invalid) else []
        return found or [Issue(code="unreadable", text=error.text, values={k: v for k, v in error.values.items() if k != "issues"})]


def _checked(file: Path, draft: Journey | list[Issue], around: Surroundings) -> Checked:
    if isinstance(draft, Journey):
        return Checked(str(file), draft.key, check_journey(draft, around.palette, around.catalogue, around.known))
    return Checked(str(file), None, draft)


def _lines(checked: Sequence[Checked], around: Surroundings, translate: Translate) -> Iterable[str]:
    for one in checked:
        yield from (issue_line(one.file, issue, translate) for issue in one.issues)
        if not one.issues:
            yield f"{one.file}: {translate('no problems')}\n"
    errors, warnings = (sum(one.count(severity) for one in checked) for severity in ("error", "warning"))
    if errors or warnings:
        yield translate("Errors: {errors}, warnings: {warnings}.").format(errors=errors, warnings=warnings) + "\n"
    if not around.of_workspace:
        yield translate("No database was reached: templates, rotations and your own fields were not checked.") + "\n"
