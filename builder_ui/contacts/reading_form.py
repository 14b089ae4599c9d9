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
from crm.imports.subjects.contacts import Contacts
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


def recognised(context: PageContext, row: Import) -> Element:
    """Whose export the file looks like, and what that means for consents."""
    recipe = uploads.recipe_of(row)
    if recipe is None:
        return None
    t = context.t
    return html.div(
        {"className": "notice", "role": "note"},
        components.icon("clipboard-check"),
        html.div(
            html.b(t("This looks like an export: {title}.", title=recipe.title)),
            html.p(t(recipe.meaning)),
        ),
    )


def remembered(context: PageContext, row: Import) -> Element:
    """Whose choices stand in the form."""
    name = uploads.as_in(row)
    if not name:
        return None
    text = context.t("Columns and reading are chosen as for “{file}”, which had the same columns.", file=name)
    return html.div({"className": "notice", "role": "note"}, components.icon("history"), html.p(text))


def reading(context: PageContext, row: Import) -> Element:
    """Every choice about how the table is cut and its cells are read."""
    t, now = context.t, uploads.proposed(row)[0]
    decided = row.mapping.get("decided", True)
    why = {name: reason for name, reason in uploads.reasons_of(row).items() if not decided or not getattr(now, name)}
    whose = {"": t("unknown"), **{key: recipe.title for key, recipe in recipes().items()}}
    sheets, is_contacts = uploads.sheets_of(row), uploads.subject_of(row).key == Contacts.key
    fields = [
        _choice(t, why, "recipe", "Exported from", whose, now.recipe or "") if is_contacts else None,
        *([] if sheets else _as_text(t, why, now)),
        None if sheets and sheets[0].names else _number(t, why, "header_line", "Line with the column names (0: none)", now.header_line),
        _number(t, why, "footer_rows", "Footer lines to skip", now.footer_rows),
        _choice(t, why, "date_order", "Date order", _open(t, ORDERS), now.date_order or ""),
        _choice(t, why, "decimal", "Decimal sign", _open(t, DECIMALS), now.decimal or ""),
        _choice(t, why, "region", "Country of phone numbers without a country code", _regions(t), now.region or ""),
        _text(t, "zone", "Time zone for times without one", now.zone),
        _choice(t, why, "empty", "An empty cell", _said(t, EMPTY), now.empty) if is_contacts else None,
    ]
    return html._(
        html.section(
            {"className": "panel"},
            html.h2(t("How the file is read")),
            html.div({"className": "lines two"}, *fields),
            html.p(
                {"className": "quiet"},
                t(
                    "Two-digit years: 00 to 29 are 2000 to 2029, 30 to 99 are 1930 to 1999. A birthday without a year is stored with the year 1604. Ambiguous dates are reported and skipped until you choose."
                ),
            ),
        ),
        everybody(t, now) if is_contacts else None,
        left_out(context, row),
    )


def _as_text(t: Translator, why: Mapping[str, Issue], now: Reading) -> list[Element]:
    """How a file of text is cut; of a workbook nobody needs to know."""
    encodings = {name: ENCODING_NAMES[name] for name in ENCODINGS}
    return [
        _choice(t, why, "encoding", "Encoding", encodings, now.encoding or "utf-8"),
        _choice(t, why, "separator", "Separator", _said(t, SEPARATORS), SIGNS[now.separator or ","]),
    ]


def everybody(t: Translator, now: Reading) -> Element:
    """The consent that stands in no column."""
    one = now.everybody[0] if now.everybody else None
    said = one or Everybody()
    channels = {name: t(title) for name, title in ASKED.items()}
    return html.section(
        {"className": "panel"},
        html.h2(t("Consent of everyone in this file")),
        html.div(
            {"className": "lines two"},
            _choice(t, {}, "everybody", "Everyone’s answer", _said(t, STATES), one.state if one else ""),
            _choice(t, {}, "everybody-channel", "Channel", channels, said.channel),
            _text(t, "everybody-purpose", "Purpose", said.purpose),
            _text(t, "everybody-said_at", "On this day", said.said_at.isoformat() if said.said_at else "", type="date"),
            _text(t, "everybody-source", "Source", said.source),
            _text(t, "everybody-wording", "Wording they agreed to", said.wording, most=4_000),
        ),
        html.p(
            {"className": "quiet"},
            t(
                "A different answer in a row takes precedence, and so does the date in its own column. Without a date, no withdrawal is overridden."
            ),
        ),
    )


def left_out(context: PageContext, row: Import) -> Element:
    """Lines before the header and after the last row."""
    t, lines = context.t, row.mapping.get("left_out", [])
    if not lines:
        return None
    return html.details(
        {"className": "panel"},
        html.summary(t("{count} lines are skipped: they are before the header or after the last row", count=t.number(len(lines)))),
        html.ul([html.li({"key": str(number)}, t("line {line}", line=t.number(number)), ": ", text) for number, text in lines]),
    )


def preview(context: PageContext, rows: Sequence[Shown]) -> Element:
    """What the first rows become, beside what they were."""
    t = context.t
    if not rows:
        return None
    header = next(([cell.column for cell in row.cells] for row in rows if row.cells), [])
    say = reasons(t)
    lines = [_row(t, row, len(header), say) for row in rows]
    return html._(
        html.h2({"className": "apart"}, t("Preview of the first rows")),
        components.table(t("Preview of the first rows"), (t("Line"), *header), lines, "preview"),
    )


def _row(t: Translator, row: Shown, columns: int, say: Mapping[str, str]) -> list[Element]:
    number: Element = t.number(row.line)
    if row.refused:
        number = html.div(number, html.p({"className": "problem"}, say.get(row.refused, say["invalid"])))
    cells = [_cell(t, cell.was.strip(), cell.value, say.get(cell.problem, say["invalid"]) if cell.problem else "") for cell in row.cells]
    return [number, *cells, *[""] * (columns - len(cells))]


def _cell(t: Translator, was: str, value: Any, problem: str) -> Element:
    becomes = _spoken(t, value)
    shown = was[:CELL_CHARACTERS] + ("…" if len(was) > CELL_CHARACTERS else "")
    told = html.p({"className": "problem"}, problem) if problem else None
    if becomes == was and not problem:
        return shown
    if becomes is None:
        return html.div(html.span({"className": "was"}, shown), told)
    return html.div(html.span({"className": "was"}, shown), " → ", html.b(becomes[:CELL_CHARACTERS]), told)


def _spoken(t: Translator, value: Any) -> str | None:
    """A value as its reader writes it; None where the cell says nothing."""
    match value:
        case None:
            return None
        case "":
            return t("cleared")
        case bool():
            return t("yes") if value else t("no")
        case int() | float():
            return t.number(value)
        case datetime():
            return t.moment(value)
        case list():
            return ", ".join(map(str, value))
        case "granted" | "withdrawn" | "pending":
            return t(CONSENT_STATES[str(value)])
    found = dates.read(value)
    return t.written(found) if found else str(value)


def _said(t: Translator, texts: Mapping[str, str]) -> dict[str, str]:
    return {value: t(text) for value, text in texts.items()}


def _open(t: Translator, texts: Mapping[str, str]) -> dict[str, str]:
    return {"": t("– please choose –"), **_said(t, texts)}


def _regions(t: Translator) -> dict[str, str]:
    territories: Mapping[str, str] = Locale.parse(t.locale).territories
    countries = sorted((name, code) for code, name in territories.items() if len(code) == 2 and code.isalpha())
    return {"": t("none: they are reported and skipped"), **{code: name for name, code in countries}}


def _choice(t: Translator, why: Mapping[str, Issue], name: str, label: str, options: Mapping[str, str], present: str) -> Element:
    drawn = [html.option({"value": value, "key": value, "selected": value == present}, text) for value, text in options.items()]
    return html.label(t(label), html.select({"name": name, "defaultValue": present}, drawn), _because(t, why.get(name)))


def _number(t: Translator, why: Mapping[str, Issue], name: str, label: str, present: int | None) -> Element:
    field = {"name": name, "type": "number", "min": 0, "max": 1_000, "defaultValue": str(present or 0)}
    return html.label(t(label), html.input(field), _because(t, why.get(name)))


def _text(t: Translator, name: str, label: str, present: str, most: int = 200, type: str = "text") -> Element:
    return html.label(t(label), html.input({"name": name, "type": type, "maxLength": most, "defaultValue": present}))


def _because(t: Translator, reason: Issue | None) -> Element:
    return html.small({"className": "quiet"}, reason.say(t.translate)) if reason else None
