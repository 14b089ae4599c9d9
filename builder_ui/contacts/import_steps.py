"""One import, step by step: what the columns become, what would happen, how far it is, what came of it.

How the cells are read, and what the first rows become, is in `builder_ui.contacts.reading_form`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from builder_ui.contacts import import_undo, reading_form
from builder_ui.contacts.import_words import reasons
from builder_ui.contacts.imports import PROBLEMS, state
from builder_ui.contacts.reading_form import ASKED
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.job_ends import ended_early, no_worker, waits
from builder_ui.kit.labels import POSTAL
from builder_ui.kit.reactpy_compat import Element, datalist, html, optgroup
from crm.catalogue import load_catalogue
from crm.imports import uploads
from crm.imports.columns import TYPES, is_consent
from crm.imports.imports import Shown, get_import
from crm.imports.record_columns import CONTACT_ID
from crm.imports.subjects import SUBJECTS
from crm.imports.subjects.contacts import Contacts
from crm.imports.subjects.subject import Subject
from crm.imports.uploads import Column
from crm.jobs import add_job, cancel_job, newest_job
from crm.segments import segments
from engine.presence import has_worker
from journeys import postal
from journeys.channels import DEFAULT
from journeys.errors import Issue
from models import Import, Job

SHOWN_ERRORS = 20
STEPS = ("Upload", "Columns", "Dry run", "Import", "Result")
STEP_OF = {"draft": 1, "checking": 2, "checked": 2, "running": 3, "done": 4, "cancelled": 4, "failed": 4, "undone": 4}
NAMES = {
    "email": "E-mail",
    "phone": "Phone",
    "user_id": "User id",
    "anonymous_id": "Anonymous id",
}
FIELDS = {
    "first_name": "First name",
    "last_name": "Last name",
    postal.FIELD: "Postal address",
    **{f"{postal.FIELD}.{part}": title for part, title in POSTAL.items()},
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
    lists: list[tuple[str, str]] = field(default_factory=list)
    """(key, name) of the lists kept by hand."""
    issues: list[Issue] = field(default_factory=list)
    preview: list[Shown] = field(default_factory=list)
    undo: import_undo.Undo = import_undo.NONE


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        row = get_import(session, context.arguments["id"])
        job, there = newest_job(session, f"import:{row.id}", "import"), uploads.has_file(session, row)
        if row.state not in ("draft", "checked") or not there:
            return Data(row, job, there, waits(session, job), undo=import_undo.load(context, session, row))
        known = load_catalogue(session).fields
        lists = [(one.key, one.name) for one in segments.listed(session) if one.kind == "static"]
    fixed = {*NAMES, *FIELDS}
    attributes = sorted(name for name in known if name not in fixed and "." not in name)[:300]
    db = context.engine.db
    return Data(
        row,
        job,
        there,
        columns=uploads.columns_of(db, row),
        attributes=attributes,
        lists=lists,
        issues=uploads.problems(row),
        preview=uploads.preview(db, row, context.app.now()),
    )


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        row = get_import(session, context.arguments["id"])
        return row.state, row.cursor, uploads.has_file(session, row), has_worker(session), import_undo.stamp(session, row)


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, row = context.t, data.row
    problem = PROBLEMS.get(context.query.get("problem", ""))
    mapping = row.state == "draft" or (row.state == "checked" and context.query.get("step") == "columns")
    return html._(
        components.head(row.file_name, back=("/ui/contacts/import", t("Import a file")), state=state(context, row.state)),
        steps(context, 1 if mapping else STEP_OF.get(row.state, 4)),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(problem)) if problem else None,
        ended_early(t, data.job, "The import failed before it finished: {reason}"),
        no_worker(t, data.waits),
        columns_form(context, data, acts)
        if mapping
        else under_way(context, data, acts)
        if row.state in ("checking", "running")
        else outcome(context, data, acts),
    )


def steps(context: PageContext, here: int) -> Element:
    t = context.t
    return html.ol(
        {"className": "wizard", "aria-label": t("Steps")},
        [
            html.li(
                {
                    "key": str(n),
                    **({"className": "here", "aria-current": "step"} if n == here else {"className": "past"} if n < here else {}),
                },
                components.icon("check") if n < here else None,
                f"{n + 1}. ",
                t(text),
            )
            for n, text in enumerate(STEPS)
        ],
    )


# The columns


def columns_form(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.has_file:
        return gone(context)
    if not context.may("contact.import"):
        return components.empty("ban", t("Your role can view imports but not start one."), None)
    rows = [line(context, data, n, column) for n, column in enumerate(data.columns)]
    header = (t("Column"), t("First values"), t("Becomes"), t("or something else"))
    form = {"className": "mapping", "method": "post", "action": context.path}
    return html._(
        mistakes(context, data) if context.query.get("problem") == "columns" else None,
        reading_form.recognised(context, data.row),
        reading_form.remembered(context, data.row),
        html.p(
            t(
                "{rows} rows. Check how each column is mapped; columns you do not import are not stored.",
                rows=t.number(data.row.mapping["rows"]),
            )
        ),
        html.form(
            form,
            html.div({"className": "panel lines two"}, *about(context, data)),
            components.table(t("Columns"), header, rows, "mapped"),
            reading_form.reading(context, data.row),
            html.div({"className": "panel lines"}, *choices(context, data)),
            html.div(
                {"className": "actions"},
                html.button({"className": "button main"}, t("Continue with a dry run")),
                html.button({"className": "button", "name": "act", "value": "look"}, t("Preview the rows")),
            ),
        ),
        reading_form.preview(context, data.preview),
        discard(context, data, acts),
    )


def about(context: PageContext, data: Data) -> list[Element]:
    """What the rows are about, and which table of the file has them."""
    t, row, sheets = context.t, data.row, uploads.sheets_of(data.row)
    chosen = uploads.subject_of(row)
    subjects = {key: t(one.label) for key, one in SUBJECTS.items()}
    titles = {str(number): sheet.title or t("Sheet {number}", number=number + 1) for number, sheet in enumerate(sheets)}
    return [
        picked(t("Each row is about"), "subject", subjects, chosen.key, t(chosen.help)),
        picked(t("Sheet"), "table", titles, str(uploads.sheet_of(row))) if len(sheets) > 1 else None,
        listing(context, data),
        making(context, data) if chosen.may_make else None,
    ]


def listing(context: PageContext, data: Data) -> Element:
    """The list kept by hand that everybody in the file is put on."""
    t = context.t
    if not context.may("segment.change"):
        return None
    nobody = {"": t("– please choose –") if uploads.subject_of(data.row).needs_list else t("none")}
    return picked(t("Put everyone on this list"), "segment", nobody | dict(data.lists), data.row.mapping.get("segment", ""))


def making(context: PageContext, data: Data) -> Element:
    t = context.t
    return html.label(
        {"className": "check"},
        html.input({"type": "checkbox", "name": "make", "value": "yes", "defaultChecked": data.row.mapping.get("make", False)}),
        html.span(
            html.b(t("Make contacts of unknown rows")), html.br(), t("If not ticked, rows about nobody known are rejected and listed.")
        ),
    )


def picked(label: str, name: str, options: Mapping[str, str], present: str, help: str = "") -> Element:
    drawn = [option(value, text, present) for value, text in options.items()]
    note = html.small({"className": "quiet"}, help) if help else None
    return html.label(label, html.select({"name": name, "defaultValue": present}, drawn), note)


def line(context: PageContext, data: Data, number: int, column: Column) -> list[Element]:
    t = context.t
    index = data.row.mapping["header"].index(column.header)
    name = t("Becomes: {column}", column=column.header)
    other = {"name": f"other-{index}", "maxLength": 200, "placeholder": "external:shop", "list": "types", "defaultValue": ""}
    return [
        html.b(column.header),
        html.ul({"className": "samples"}, [html.li({"key": str(n)}, value) for n, value in enumerate(column.samples)])
        if column.samples
        else html.span({"className": "quiet"}, t("empty")),
        html.select(
            {"name": f"target-{index}", "aria-label": name, "defaultValue": shown_target(context, column)}, targets(context, data, column)
        ),
        html.input({**other, "aria-label": t("Other target: {column}", column=column.header)}),
    ]


def targets(context: PageContext, data: Data, column: Column) -> list[Element]:
    """Everything a column can become, in groups; what is chosen now is always among it."""
    t, about = context.t, uploads.subject_of(data.row)
    groups = [
        (t("Identity"), {name: t(title) for name, title in NAMES.items()}),
        (t("Fields"), {name: t(title) for name, title in FIELDS.items()}),
        (t("Attributes"), {name: name for name in data.attributes}),
    ]
    if about.key != Contacts.key:
        groups = of_records(context, about)
    elif context.may("consent.record"):
        groups.append((t("Consents"), consents(context)))
    known = {name for _, options in groups for name in options}
    first = [("", t("– do not import –"))]
    target = shown_target(context, column)
    if target and target not in known:
        first.append((target, t("Attribute “{name}”", name=target)))
    options = [option(value, text, target) for value, text in first]
    return options + [
        optgroup({"label": title, "key": title}, [option(value, text, target) for value, text in options.items()])
        for title, options in groups
        if options
    ]


def of_records(context: PageContext, about: Subject) -> list[tuple[str, dict[str, str]]]:
    """What columns of rows about somebody can become."""
    t = context.t
    names = {name: t(title) for name, title in (*NAMES.items(), (CONTACT_ID, "Contact id")) if name != "phone"}
    return [(t("Identity"), names), (t(about.label), {name: t(title) for name, title in about.target_names.items()})]


def shown_target(context: PageContext, column: Column) -> str:
    """What a column becomes; nothing where only somebody with another role may say so."""
    return "" if is_consent(column.target) and not context.may("consent.record") else column.target


def option(value: str, text: str, present: str) -> Element:
    return html.option({"value": value, "key": value, "selected": value == present}, text)


def consents(context: PageContext) -> dict[str, str]:
    t = context.t
    said = {
        f"consent_{channel}_marketing{part}": t(text, channel=t(name), purpose="marketing")
        for channel, name in ASKED.items()
        for part, text in CONSENTS.items()
    }
    said |= {f"optout_{channel}_marketing": t(OPTED_OUT, channel=t(name), purpose="marketing") for channel, name in ASKED.items()}
    return said | {f"suppress_{DEFAULT}": t(SUPPRESSED, channel=t(ASKED[DEFAULT]))}


def choices(context: PageContext, data: Data) -> list[Element]:
    """What holds for all rows."""
    t, about = context.t, data.row.mapping
    return [
        html.label(
            t("Source of the consents, unless a column names it"),
            html.input(
                {
                    "name": "source",
                    "maxLength": 200,
                    "defaultValue": about.get("source", ""),
                    "placeholder": t("Newsletter form, fair in Basel …"),
                }
            ),
        ),
        html.label(
            t("Tags for everyone in this file (separated by commas)"),
            html.input({"name": "tags", "maxLength": 300, "defaultValue": ", ".join(about.get("tags", []))}),
        ),
        html.label(
            {"className": "check"},
            html.input({"type": "checkbox", "name": "wake", "value": "yes", "defaultChecked": about.get("wake", False)}),
            html.span(
                html.b(t("Start journeys")),
                html.br(),
                t(
                    "If ticked, every change counts as if it happened now: contacts who match a live journey enter it and may get messages within minutes. If not, the file is treated as history and no one gets a message."
                ),
            ),
        ),
        datalist({"id": "types"}, [html.option({"value": f"number_of_orders:{type}", "key": type}) for type in TYPES]),
        html.p(
            {"className": "quiet"},
            t(
                "“Something else” takes any target: external:shop for the id in another system, or a field with its type such as orders:number, birthday:date or member:boolean."
            ),
        ),
    ]


def mistakes(context: PageContext, data: Data) -> Element:
    t = context.t
    found = [html.li({"key": str(n)}, issue.say(t.translate)) for n, issue in enumerate(data.issues)]
    return html.div(
        {"className": "notice bad", "role": "alert"},
        components.icon("alert"),
        html.ul(found or [html.li(t("The columns can be read again; something else has changed in the meantime."))]),
    )


# Under way


def under_way(context: PageContext, data: Data, acts: Acts) -> Element:
    t, row = context.t, data.row
    total = row.mapping["rows"]
    text = t("Reading every row without storing anything …") if row.state == "checking" else t("Importing …")
    cancel = acts.act("contact.import", cancelling(row.id), "The job was stopped.")
    return html.section(
        {"className": "panel"},
        html.p(text),
        html.progress({"max": total, "value": min(row.cursor, total), "aria-label": text}),
        html.p(
            {"className": "quiet"},
            t(
                "{done} of {rows} rows, {failed} rejected",
                done=t.number(row.cursor),
                rows=t.number(total),
                failed=t.number(row.rows_failed),
            ),
        ),
        html.p({"className": "quiet"}, t("You can leave this page; the job continues, even after a server restart.")),
        components.ask(
            t("Cancel"),
            t("Rows imported so far are kept. The rest is not imported."),
            t("Stop the import"),
            cancel,
            "square",
            "danger",
        )
        if context.may("contact.import") and data.job is not None
        else None,
    )


# What came of it


def outcome(context: PageContext, data: Data, acts: Acts) -> Element:
    t, row = context.t, data.row
    counts = row.mapping.get("counts", {})
    made = counts.get("created", 0)
    changed = counts.get("changed", row.rows_ok - made)
    numbers = (
        (t("new"), made, ""),
        (t("changed"), changed, ""),
        (t("unchanged"), max(0, row.rows_ok - made - changed), ""),
        (t("refused"), row.rows_failed, "bad" if row.rows_failed else ""),
        (t("cells skipped"), counts.get("cells", 0), "warn" if counts.get("cells") else ""),
        (t("consents withheld"), counts.get("withheld", 0), ""),
    )
    return html._(
        html.p(SAID[row.state] and t(SAID[row.state])),
        html.div({"className": "numbers five"}, [number(context, *one) for one in numbers]),
        html.p(
            {"className": "quiet"},
            t("Consents are withheld where the contact had withdrawn and the file has no date: such a line proves nothing."),
        )
        if counts.get("withheld")
        else None,
        reading_form.left_out(context, row),
        errors(context, data) if row.errors else None,
        html.div({"className": "actions apart"}, *ways_on(context, data, acts)),
        import_undo.section(context, row, data.undo, acts),
    )


SAID = {
    "checked": "This is what would happen. Nothing has been stored yet.",
    "done": "The file is imported.",
    "undone": "The import was undone.",
    "cancelled": "The import was stopped. Rows imported until then were kept.",
    "failed": "The import failed before it finished. Rows imported until then were kept.",
}


def number(context: PageContext, text: str, count: int, tone: str) -> Element:
    return html.div({"className": f"number {tone}", "key": text}, html.b(context.t.number(count)), html.span(text))


def errors(context: PageContext, data: Data) -> Element:
    t, row = context.t, data.row
    say = reasons(t)
    taken, refused = t("row imported, cell skipped"), t("row rejected")
    lines = [
        [
            t.number(error["line"]),
            error["column"] or "–",
            say.get(error["reason"], say["invalid"]),
            taken if error.get("taken") else refused,
        ]
        for error in row.errors[:SHOWN_ERRORS]
    ]
    more = row.rows_failed + row.mapping.get("counts", {}).get("cells", 0) - len(lines)
    header = (t("Line"), t("Column"), t("Reason"), t("Outcome"))
    return html._(
        html.h2({"className": "apart"}, t("Problems")),
        components.table(t("Problems"), header, lines, "errors"),
        html.p({"className": "quiet"}, t("… and {count} more problems.", count=t.number(more))) if more > 0 else None,
        html.p(
            {"className": "quiet"},
            t("Lines are counted as in the file. The file of these rows holds at most the first 1,000 problems."),
        ),
    )


def ways_on(context: PageContext, data: Data, acts: Acts) -> list[Element]:
    t, row = context.t, data.row
    if not context.may("contact.import"):
        return []
    offered: list[Element] = []
    if row.state == "checked" and data.has_file:
        if row.rows_ok:
            text = t("Import {count} rows", count=t.number(row.rows_ok))
            offered.append(
                components.button(text, acts.act("contact.import", running(row.id), "The import is in progress."), "play", "main")
            )
        offered.append(
            html.a({"className": "button", "href": f"{context.path}?step=columns"}, components.icon("pencil"), t("Change the columns"))
        )
    if row.errors and data.has_file:
        offered.append(html.a({"className": "button", "href": f"{context.path}/faulty.csv"}, t("Download rows with problems")))
    offered.append(html.a({"className": "button", "href": "/ui/contacts"}, t("View contacts")))
    offered.append(discard(context, data, acts))
    return offered


def discard(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.has_file:
        return None
    return components.ask(
        t("Delete the file"),
        t("The uploaded file is deleted. Imported contacts stay."),
        t("Delete it"),
        acts.act("contact.import", discarding(data.row.id), "The file is deleted."),
        "ban",
        "danger",
    )


def gone(context: PageContext) -> Element:
    t = context.t
    again = html.a({"className": "button", "href": "/ui/contacts/import"}, t("Upload it again"))
    return components.empty("clock", t("The file of this import no longer exists; upload it again."), again)


def running(import_id: str) -> Do:
    """Turns a checked import into a real one."""

    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            row = uploads.begin(session, import_id, context.member.role, dry=False)
            wanted = {"import_id": import_id, "dry": False}
            add_job(session, "import", f"import:{import_id}", wanted, context.by, context.app.now(), row.mapping["rows"])

    return do


def cancelling(import_id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            job = newest_job(session, f"import:{import_id}", "import")
            if job is not None:
                cancel_job(session, job.id, context.by, context.app.now())

    return do


def discarding(import_id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            uploads.discard(session, import_id, context.by, context.app.now())

    return do


PAGE = Page("/ui/contacts/import/{id}", "Import a file", "contacts", "contact.read", load, view, stamp, every_seconds=1.0)
