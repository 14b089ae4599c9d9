"""One import, step by step: what the columns become, what would happen, how far it is, what came of it.

How the cells are read, and what the first rows become, is in `builder_ui.contacts.reading_form`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from builder_ui.contacts import reading_form
from builder_ui.contacts.import_words import reasons
from builder_ui.contacts.imports import PROBLEMS, state
from builder_ui.contacts.reading_form import ASKED
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.reactpy_compat import Element, datalist, html, optgroup
from crm.catalogue import load_catalogue
from crm.imports import uploads
from crm.imports.columns import TYPES, is_consent
from crm.imports.imports import Shown, get_import
from crm.imports.uploads import Column
from crm.jobs import add_job, cancel_job, newest_job
from engine.presence import has_worker
from journeys.channels import DEFAULT
from journeys.errors import Issue
from models import Import, Job

SHOWN_ERRORS = 20
STEPS = ("Upload", "Columns", "Dry run", "Import", "Result")
STEP_OF = {"draft": 1, "checking": 2, "checked": 2, "running": 3, "done": 4, "cancelled": 4, "failed": 4}
NAMES = {
    "email": "E-mail",
    "phone": "Phone",
    "user_id": "User id",
    "anonymous_id": "Anonymous id",
}
FIELDS = {
    "first_name": "First name",
    "last_name": "Last name",
    "locale": "Language",
    "timezone": "Time zone",
    "lifecycle_stage": "Stage",
    "owner": "Owner (e-mail of a member)",
    "tags": "Tags",
}
CONSENTS = {
    "": "{channel} ({purpose}): yes or no",
    "_at": "{channel} ({purpose}): when",
    "_source": "{channel} ({purpose}): source",
    "_wording": "{channel} ({purpose}): wording",
}
OPTED_OUT = "{channel} ({purpose}): yes means withdrawn"
SUPPRESSED = "{channel}: any value means never send"


@dataclass(frozen=True, slots=True)
class Data:
    row: Import
    job: Job | None
    has_file: bool
    waits: bool = False
    """No worker is alive to do the job."""
    columns: list[Column] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    preview: list[Shown] = field(default_factory=list)


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        row = get_import(session, visit.arguments["id"])
        job, there = newest_job(session, f"import:{row.id}"), uploads.has_file(session, row)
        if row.state not in ("draft", "checked") or not there:
            return Data(row, job, there, waits(session, job))
        known = load_catalogue(session).fields
    fixed = {*NAMES, *FIELDS}
    attributes = sorted(name for name in known if name not in fixed and "." not in name)[:300]
    db = visit.engine.db
    return Data(
        row,
        job,
        there,
        columns=uploads.columns_of(db, row),
        attributes=attributes,
        issues=uploads.problems(row),
        preview=uploads.preview(db, row, visit.house.now()),
    )


def stamp(visit: PageContext) -> object:
    with visit.engine.db.read() as session:
        row = get_import(session, visit.arguments["id"])
        return row.state, row.cursor, uploads.has_file(session, row), has_worker(session)


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, row = visit.speech, data.row
    problem = PROBLEMS.get(visit.query.get("problem", ""))
    mapping = row.state == "draft" or (row.state == "checked" and visit.query.get("step") == "columns")
    return html._(
        components.head(row.file_name, back=("/ui/contacts/import", speech("Import contacts")), state=state(visit, row.state)),
        steps(visit, 1 if mapping else STEP_OF.get(row.state, 4)),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), speech(problem)) if problem else None,
        ended_early(speech, data.job, "The import failed before it finished: {reason}"),
        no_worker(speech, data.waits),
        columns_form(visit, data, acts)
        if mapping
        else under_way(visit, data, acts)
        if row.state in ("checking", "running")
        else outcome(visit, data, acts),
    )


def steps(visit: PageContext, here: int) -> Element:
    speech = visit.speech
    return html.ol(
        {"className": "wizard", "aria-label": speech("Steps")},
        [
            html.li(
                {
                    "key": str(n),
                    **({"className": "here", "aria-current": "step"} if n == here else {"className": "past"} if n < here else {}),
                },
                components.icon("check") if n < here else None,
                f"{n + 1}. ",
                speech(text),
            )
            for n, text in enumerate(STEPS)
        ],
    )


# The columns


def columns_form(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, about = visit.speech, data.row.mapping
    if not data.has_file:
        return gone(visit)
    if not visit.may("contact.import"):
        return components.empty("ban", speech("Your role can view imports but not start one."), None)
    rows = [line(visit, data, n, column) for n, column in enumerate(data.columns)]
    header = (speech("Column"), speech("First values"), speech("Becomes"), speech("or something else"))
    form = {"className": "mapping", "method": "post", "action": visit.path}
    return html._(
        mistakes(visit, data) if visit.query.get("problem") == "columns" else None,
        reading_form.recognised(visit, data.row),
        html.p(
            speech("{rows} rows. Check what each column becomes; columns you leave out are not stored.", rows=speech.number(about["rows"]))
        ),
        html.form(
            form,
            components.table(speech("Columns"), header, rows, "mapped"),
            reading_form.reading(visit, data.row),
            html.div({"className": "panel lines"}, *choices(visit, data)),
            html.div(
                {"className": "actions"},
                html.button({"className": "button main"}, speech("Continue with a dry run")),
                html.button({"className": "button", "name": "act", "value": "look"}, speech("Show what the rows become")),
            ),
        ),
        reading_form.preview(visit, data.preview),
        discard(visit, data, acts),
    )


def line(visit: PageContext, data: Data, number: int, column: Column) -> list[Element]:
    speech = visit.speech
    index = data.row.mapping["header"].index(column.header)
    name = speech("Becomes: {column}", column=column.header)
    other = {"name": f"other-{index}", "maxLength": 200, "placeholder": "external:shop", "list": "types", "defaultValue": ""}
    return [
        html.b(column.header),
        html.ul({"className": "samples"}, [html.li({"key": str(n)}, value) for n, value in enumerate(column.samples)])
        if column.samples
        else html.span({"className": "quiet"}, speech("empty")),
        html.select(
            {"name": f"target-{index}", "aria-label": name, "defaultValue": shown_target(visit, column)}, targets(visit, data, column)
        ),
        html.input({**other, "aria-label": speech("Other target: {column}", column=column.header)}),
    ]


def targets(visit: PageContext, data: Data, column: Column) -> list[Element]:
    """Everything a column can become, in groups; what is chosen now is always among it."""
    speech = visit.speech
    groups = [
        (speech("Identity"), {name: speech(title) for name, title in NAMES.items()}),
        (speech("Fields"), {name: speech(title) for name, title in FIELDS.items()}),
        (speech("Attributes"), {name: name for name in data.attributes}),
    ]
    if visit.may("consent.record"):
        groups.append((speech("Consents"), consents(visit)))
    known = {name for _, options in groups for name in options}
    first = [("", speech("– leave out –"))]
    target = shown_target(visit, column)
    if target and target not in known:
        first.append((target, speech("Attribute “{name}”", name=target)))
    options = [option(value, text, target) for value, text in first]
    return options + [
        optgroup({"label": title, "key": title}, [option(value, text, target) for value, text in options.items()])
        for title, options in groups
        if options
    ]


def shown_target(visit: PageContext, column: Column) -> str:
    """What a column becomes; nothing where only somebody with another role may say so."""
    return "" if is_consent(column.target) and not visit.may("consent.record") else column.target


def option(value: str, text: str, present: str) -> Element:
    return html.option({"value": value, "key": value, "selected": value == present}, text)


def consents(visit: PageContext) -> dict[str, str]:
    speech = visit.speech
    said = {
        f"consent_{channel}_marketing{part}": speech(text, channel=speech(name), purpose="marketing")
        for channel, name in ASKED.items()
        for part, text in CONSENTS.items()
    }
    said |= {f"optout_{channel}_marketing": speech(OPTED_OUT, channel=speech(name), purpose="marketing") for channel, name in ASKED.items()}
    return said | {f"suppress_{DEFAULT}": speech(SUPPRESSED, channel=speech(ASKED[DEFAULT]))}


def choices(visit: PageContext, data: Data) -> list[Element]:
    """What holds for all rows."""
    speech, about = visit.speech, data.row.mapping
    return [
        html.label(
            speech("Source of the consents, unless a column names it"),
            html.input(
                {
                    "name": "source",
                    "maxLength": 200,
                    "defaultValue": about.get("source", ""),
                    "placeholder": speech("Newsletter form, fair in Basel …"),
                }
            ),
        ),
        html.label(
            speech("Tags for everyone in this file (separated by commas)"),
            html.input({"name": "tags", "maxLength": 300, "defaultValue": ", ".join(about.get("tags", []))}),
        ),
        html.label(
            {"className": "check"},
            html.input({"type": "checkbox", "name": "wake", "value": "yes", "defaultChecked": about.get("wake", False)}),
            html.span(
                html.b(speech("Start journeys")),
                html.br(),
                speech(
                    "If ticked, every change counts as if it happened now: contacts who match a live journey enter it and may get messages within minutes. If not, the file is treated as history and no one gets a message."
                ),
            ),
        ),
        datalist({"id": "types"}, [html.option({"value": f"number_of_orders:{type}", "key": type}) for type in TYPES]),
        html.p(
            {"className": "quiet"},
            speech(
                "“Something else” takes any target: external:shop for the id in another system, or a field with its type such as orders:number, birthday:date or member:boolean."
            ),
        ),
    ]


def mistakes(visit: PageContext, data: Data) -> Element:
    speech = visit.speech
    found = [html.li({"key": str(n)}, issue.say(speech.translate)) for n, issue in enumerate(data.issues)]
    return html.div(
        {"className": "notice bad", "role": "alert"},
        components.icon("alert"),
        html.ul(found or [html.li(speech("The columns can be read again; something else changed meanwhile."))]),
    )


# Under way


def under_way(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, row = visit.speech, data.row
    total = row.mapping["rows"]
    text = speech("Reading every row without storing anything …") if row.state == "checking" else speech("Importing …")
    cancel = acts.act("contact.import", cancelling(row.id), "The job was stopped.")
    return html.section(
        {"className": "panel"},
        html.p(text),
        html.progress({"max": total, "value": min(row.cursor, total), "aria-label": text}),
        html.p(
            {"className": "quiet"},
            speech(
                "{done} of {rows} rows, {failed} refused",
                done=speech.number(row.cursor),
                rows=speech.number(total),
                failed=speech.number(row.rows_failed),
            ),
        ),
        html.p({"className": "quiet"}, speech("You can leave this page; the job continues, even after a server restart.")),
        components.ask(
            speech("Cancel"),
            speech("Rows imported so far stay. The rest is not imported."),
            speech("Stop the import"),
            cancel,
            "square",
            "danger",
        )
        if visit.may("contact.import") and data.job is not None
        else None,
    )


# What came of it


def outcome(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech, row = visit.speech, data.row
    counts = row.mapping.get("counts", {})
    made = counts.get("created", 0)
    numbers = (
        (speech("new"), made, ""),
        (speech("updated"), row.rows_ok - made, ""),
        (speech("refused"), row.rows_failed, "bad" if row.rows_failed else ""),
        (speech("cells left out"), counts.get("cells", 0), "warn" if counts.get("cells") else ""),
        (speech("consents withheld"), counts.get("withheld", 0), ""),
    )
    return html._(
        html.p(SAID[row.state] and speech(SAID[row.state])),
        html.div({"className": "numbers five"}, [number(visit, *one) for one in numbers]),
        html.p(
            {"className": "quiet"},
            speech("Consents are withheld where the contact had withdrawn and the file has no date: such a line proves nothing."),
        )
        if counts.get("withheld")
        else None,
        reading_form.left_out(visit, row),
        errors(visit, data) if row.errors else None,
        html.div({"className": "actions apart"}, *ways_on(visit, data, acts)),
    )


SAID = {
    "checked": "This is what would happen. Nothing has been stored yet.",
    "done": "The file is imported.",
    "cancelled": "The import was stopped. Rows imported until then were kept.",
    "failed": "The import failed before it finished. Rows imported until then were kept.",
}


def number(visit: PageContext, text: str, count: int, tone: str) -> Element:
    return html.div({"className": f"number {tone}", "key": text}, html.b(visit.speech.number(count)), html.span(text))


def errors(visit: PageContext, data: Data) -> Element:
    speech, row = visit.speech, data.row
    say = reasons(speech)
    taken, refused = speech("row taken, cell left out"), speech("row refused")
    lines = [
        [
            speech.number(error["line"]),
            error["column"] or "–",
            say.get(error["reason"], say["invalid"]),
            taken if error.get("taken") else refused,
        ]
        for error in row.errors[:SHOWN_ERRORS]
    ]
    more = row.rows_failed + row.mapping.get("counts", {}).get("cells", 0) - len(lines)
    header = (speech("Line"), speech("Column"), speech("Reason"), speech("Outcome"))
    return html._(
        html.h2({"className": "apart"}, speech("Problems")),
        components.table(speech("Problems"), header, lines, "errors"),
        html.p({"className": "quiet"}, speech("… and {count} more problems.", count=speech.number(more))) if more > 0 else None,
        html.p(
            {"className": "quiet"},
            speech("Lines are counted as in the file. The file of these rows holds at most the first 1,000 problems."),
        ),
    )


def ways_on(visit: PageContext, data: Data, acts: Acts) -> list[Element]:
    speech, row = visit.speech, data.row
    if not visit.may("contact.import"):
        return []
    offered: list[Element] = []
    if row.state == "checked" and data.has_file:
        if row.rows_ok:
            text = speech("Import {count} rows", count=speech.number(row.rows_ok))
            offered.append(
                components.button(text, acts.act("contact.import", running(row.id), "The import is in progress."), "play", "main")
            )
        offered.append(
            html.a({"className": "button", "href": f"{visit.path}?step=columns"}, components.icon("pencil"), speech("Change the columns"))
        )
    if row.errors and data.has_file:
        offered.append(html.a({"className": "button", "href": f"{visit.path}/faulty.csv"}, speech("Download rows with problems")))
    offered.append(html.a({"className": "button", "href": "/ui/contacts"}, speech("View contacts")))
    offered.append(discard(visit, data, acts))
    return offered


def discard(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    if not data.has_file:
        return None
    return components.ask(
        speech("Delete the file"),
        speech("The uploaded file is deleted. Imported contacts stay."),
        speech("Delete it"),
        acts.act("contact.import", discarding(data.row.id), "The file is deleted."),
        "ban",
        "danger",
    )


def gone(visit: PageContext) -> Element:
    speech = visit.speech
    again = html.a({"className": "button", "href": "/ui/contacts/import"}, speech("Upload it again"))
    return components.empty("clock", speech("The file of this import is gone; upload it again."), again)


def running(import_id: str) -> Do:
    """Turns a checked import into a real one."""

    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            row = uploads.begin(session, import_id, visit.member.role, dry=False)
            wanted = {"import_id": import_id, "dry": False}
            add_job(session, "import", f"import:{import_id}", wanted, visit.by, visit.house.now(), row.mapping["rows"])

    return do


def cancelling(import_id: str) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            job = newest_job(session, f"import:{import_id}")
            if job is not None:
                cancel_job(session, job.id, visit.by, visit.house.now())

    return do


def discarding(import_id: str) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            uploads.discard(session, import_id, visit.by, visit.house.now())

    return do


PAGE = Page("/ui/contacts/import/{id}", "Import contacts", "contacts", "contact.read", load, view, stamp, every_seconds=1.0)
