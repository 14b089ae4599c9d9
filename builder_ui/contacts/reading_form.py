"""How an import reads its file, as a form: every choice with its guess and the reason for it, and what the first rows become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from babel import Locale

from builder_ui.contacts.import_words import reasons
from builder_ui.kit import components
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES
from builder_ui.kit.reactpy_compat import Element, html
from crm.imports import uploads
from crm.imports.csv_file import ENCODINGS
from crm.imports.imports import Shown
from crm.imports.reading import Everybody, Reading
from crm.imports.recipes import recipes
from journeys.channels import BUILT_IN, TRACKING
from journeys.errors import Issue
from journeys.rules import dates
from models import Import

ASKED = {name: CHANNELS[name] for name in (*(one.name for one in BUILT_IN if one.in_files), TRACKING)}
"""What files of other systems tell a consent to -> its name."""
SEPARATORS = {"comma": "comma ,", "semicolon": "semicolon ;", "tab": "tab", "pipe": "vertical bar |"}
SIGNS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
ENCODING_NAMES = {
    "utf-8": "UTF-8", "cp1252": "Windows-1252 (Western Europe)", "utf-16": "UTF-16", "utf-16-le": "UTF-16 LE (Excel’s Unicode text)",
    "utf-16-be": "UTF-16 BE", "iso8859-15": "ISO 8859-15", "cp1250": "Windows-1250 (Central Europe)", "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)", "cp1254": "Windows-1254 (Turkish)", "cp850": "DOS 850", "mac_roman": "Mac Roman",
}  # fmt: skip
ORDERS = {"dmy": "day, month, year: 31.12.2025", "mdy": "month, day, year: 12/31/2025", "ymd": "year, month, day: 2025/12/31"}
DECIMALS = {".": "point: 1,234.50", ",": "comma: 1.234,50"}
EMPTY = {"leave": "leaves the field as it is", "clear": "clears the field"}
STATES = {"": "nothing", "granted": "yes, they agreed", "withdrawn": "no, they withdrew", "pending": "not confirmed yet"}
CELL_CHARACTERS = 60


def recognised(visit: PageContext, row: Import) -> Element:
    """Whose export the file looks like, and what that means for consents."""
    recipe = uploads.recipe_of(row)
    if recipe is None:
        return None
    speech = visit.speech
    return html.div(
        {"className": "notice", "role": "note"},
        components.icon("clipboard-check"),
        html.div(
            html.b(speech("This looks like an export: {title}.", title=recipe.title)),
            html.p(speech(recipe.meaning)),
        ),
    )


def reading(visit: PageContext, row: Import) -> Element:
    """Every choice about how the table is cut and its cells are read."""
    speech, now = visit.speech, uploads.proposed(row)[0]
    decided = row.mapping.get("decided", True)
    why = {name: reason for name, reason in uploads.reasons_of(row).items() if not decided or not getattr(now, name)}
    whose = {"": speech("nobody’s"), **{key: recipe.title for key, recipe in recipes().items()}}
    encodings = {name: ENCODING_NAMES[name] for name in ENCODINGS}
    fields = [
        _choice(speech, why, "recipe", "Exported from", whose, now.recipe or ""),
        _choice(speech, why, "encoding", "Encoding", encodings, now.encoding or "utf-8"),
        _choice(speech, why, "separator", "Separator", _said(speech, SEPARATORS), SIGNS[now.separator or ","]),
        _number(speech, why, "header_line", "Line with the column names (0: none)", now.header_line),
        _number(speech, why, "footer_rows", "Lines at the end that are not rows", now.footer_rows),
        _choice(speech, why, "date_order", "Order of dates", _open(speech, ORDERS), now.date_order or ""),
        _choice(speech, why, "decimal", "Decimal sign", _open(speech, DECIMALS), now.decimal or ""),
        _choice(speech, why, "region", "Country of phone numbers without a country code", _regions(speech), now.region or ""),
        _text(speech, "zone", "Time zone of times that name none", now.zone),
        _choice(speech, why, "empty", "An empty cell", _said(speech, EMPTY), now.empty),
    ]
    return html._(
        html.section(
            {"className": "panel"},
            html.h2(speech("How the file is read")),
            html.div({"className": "lines two"}, *fields),
            html.p(
                {"className": "quiet"},
                speech(
                    "Two-digit years: 00 to 29 are 2000 to 2029, 30 to 99 are 1930 to 1999. A birthday without a year is stored with the year 1604. What could be read in two ways is reported and left out until you choose."
                ),
            ),
        ),
        everybody(speech, now),
        left_out(visit, row),
    )


def everybody(speech: Translator, now: Reading) -> Element:
    """The consent that stands in no column."""
    one = now.everybody[0] if now.everybody else None
    said = one or Everybody()
    channels = {name: speech(title) for name, title in ASKED.items()}
    return html.section(
        {"className": "panel"},
        html.h2(speech("Consent of everyone in this file")),
        html.div(
            {"className": "lines two"},
            _choice(speech, {}, "everybody", "Everyone answered", _said(speech, STATES), one.state if one else ""),
            _choice(speech, {}, "everybody-channel", "Channel", channels, said.channel),
            _text(speech, "everybody-purpose", "Purpose", said.purpose),
            _text(speech, "everybody-said_at", "On this day", said.said_at.isoformat() if said.said_at else "", type="date"),
            _text(speech, "everybody-source", "Source", said.source),
            _text(speech, "everybody-wording", "Wording they agreed to", said.wording, most=4_000),
        ),
        html.p(
            {"className": "quiet"},
            speech(
                "A different answer in a row takes precedence, and so does the date in its own column. Without a date, no withdrawal is overridden."
            ),
        ),
    )


def left_out(visit: PageContext, row: Import) -> Element:
    """Lines before the header and after the last row."""
    speech, lines = visit.speech, row.mapping.get("left_out", [])
    if not lines:
        return None
    return html.details(
        {"className": "panel"},
        html.summary(
            speech("{count} lines are left out: they are before the header or after the last row", count=speech.number(len(lines)))
        ),
        html.ul([html.li({"key": str(number)}, speech("line {line}", line=speech.number(number)), ": ", text) for number, text in lines]),
    )


def preview(visit: PageContext, rows: Sequence[Shown]) -> Element:
    """What the first rows become, beside what they were."""
    speech = visit.speech
    if not rows:
        return None
    header = next(([cell.column for cell in row.cells] for row in rows if row.cells), [])
    say = reasons(speech)
    lines = [_row(speech, row, len(header), say) for row in rows]
    return html._(
        html.h2({"className": "apart"}, speech("What the first rows become")),
        components.table(speech("What the first rows become"), (speech("Line"), *header), lines, "preview"),
    )


def _row(speech: Translator, row: Shown, columns: int, say: Mapping[str, str]) -> list[Element]:
    number: Element = speech.number(row.line)
    if row.refused:
        number = html.div(number, html.p({"className": "problem"}, say.get(row.refused, say["invalid"])))
    cells = [
        _cell(speech, cell.was.strip(), cell.value, say.get(cell.problem, say["invalid"]) if cell.problem else "") for cell in row.cells
    ]
    return [number, *cells, *[""] * (columns - len(cells))]


def _cell(speech: Translator, was: str, value: Any, problem: str) -> Element:
    becomes = _spoken(speech, value)
    shown = was[:CELL_CHARACTERS] + ("…" if len(was) > CELL_CHARACTERS else "")
    told = html.p({"className": "problem"}, problem) if problem else None
    if becomes == was and not problem:
        return shown
    if becomes is None:
        return html.div(html.span({"className": "was"}, shown), told)
    return html.div(html.span({"className": "was"}, shown), " → ", html.b(becomes[:CELL_CHARACTERS]), told)


def _spoken(speech: Translator, value: Any) -> str | None:
    """A value as its reader writes it; None where the cell says nothing."""
    match value:
        case None:
            return None
        case "":
            return speech("cleared")
        case bool():
            return speech("yes") if value else speech("no")
        case int() | float():
            return speech.number(value)
        case datetime():
            return speech.moment(value)
        case list():
            return ", ".join(map(str, value))
        case "granted" | "withdrawn" | "pending":
            return speech(CONSENT_STATES[str(value)])
    found = dates.read(value)
    return speech.written(found) if found else str(value)


def _said(speech: Translator, texts: Mapping[str, str]) -> dict[str, str]:
    return {value: speech(text) for value, text in texts.items()}


def _open(speech: Translator, texts: Mapping[str, str]) -> dict[str, str]:
    return {"": speech("– please choose –"), **_said(speech, texts)}


def _regions(speech: Translator) -> dict[str, str]:
    territories: Mapping[str, str] = Locale.parse(speech.locale).territories
    countries = sorted((name, code) for code, name in territories.items() if len(code) == 2 and code.isalpha())
    return {"": speech("none: they are reported and left out"), **{code: name for name, code in countries}}


def _choice(speech: Translator, why: Mapping[str, Issue], name: str, label: str, options: Mapping[str, str], present: str) -> Element:
    drawn = [html.option({"value": value, "key": value, "selected": value == present}, text) for value, text in options.items()]
    return html.label(speech(label), html.select({"name": name, "defaultValue": present}, drawn), _because(speech, why.get(name)))


def _number(speech: Translator, why: Mapping[str, Issue], name: str, label: str, present: int | None) -> Element:
    field = {"name": name, "type": "number", "min": 0, "max": 1_000, "defaultValue": str(present or 0)}
    return html.label(speech(label), html.input(field), _because(speech, why.get(name)))


def _text(speech: Translator, name: str, label: str, present: str, most: int = 200, type: str = "text") -> Element:
    return html.label(speech(label), html.input({"name": name, "type": type, "maxLength": most, "defaultValue": present}))


def _because(speech: Translator, reason: Issue | None) -> Element:
    return html.small({"className": "quiet"}, reason.say(speech.translate)) if reason else None
