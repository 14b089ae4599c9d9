"""Where contacts come in from a file: sending one, and the imports there were."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.imports.imports import list_imports
from crm.imports.uploads import CONSENTS_BARRED, KINDS_OF_FILE, UNUSABLE
from models import Import

STATES = {
    "draft": ("Columns to map", "warn", "pencil"),
    "checking": ("Being checked", "quiet", "hourglass"),
    "checked": ("Checked, not imported yet", "warn", "clipboard-check"),
    "running": ("In progress", "good", "play"),
    "done": ("Imported", "good", "check"),
    "cancelled": ("Cancelled", "quiet", "ban"),
    "failed": ("Failed", "bad", "alert"),
    "undone": ("Undone", "quiet", "history"),
}
PROBLEMS = {
    **UNUSABLE,
    "missing": "Choose a file first.",
    "large": "The file is too large. Split it, or ask your server administrator to raise PFADWERK_MAX_IMPORT_BYTES.",
    "lost": "The connection was lost, and the file was not uploaded. Upload it again.",
    "gone": "The file of this import no longer exists; upload it again.",
    "role": "Your role does not allow this.",
    "choice": "One of the choices cannot be used: a tag has 1 to 120 characters and there are at most 20, a time zone has a name such as Europe/Zurich, and a consent needs its channel and purpose.",
    "consents": CONSENTS_BARRED,
}


@dataclass(frozen=True, slots=True)
class Data:
    imports: list[Import]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        return Data(list_imports(session))


def stamp(context: PageContext) -> object:
    return [(row.id, row.state, row.cursor) for row in load(context).imports]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    problem = PROBLEMS.get(context.query.get("problem", ""))
    return html._(
        components.head(t("Import a file"), back=("/ui/contacts", t("Contacts"))),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(problem)) if problem else None,
        sending(context)
        if context.may("contact.import")
        else html.p({"className": "quiet"}, t("Your role can view imports but not start one.")),
        html.h2({"className": "apart"}, t("Earlier imports")),
        earlier(context, data) if data.imports else components.empty("clock", t("No imports yet."), None),
    )


def sending(context: PageContext) -> Element:
    """Files go by a form of their own and not over the socket: in parts, which `upload.js` sends."""
    t, about = context.t, context.query.get("list", "")[:64]
    query = f"?{urlencode({'list': about})}" if about else ""
    most = t.number(context.app.room.file_bytes // 1_000_000)
    return html.section(
        {"className": "panel"},
        html.p(
            t(
                "A CSV, Excel or JSON Lines file with a line of column names and one row per contact. The next step shows what each column becomes."
            )
            if not about
            else t(
                "A file with one contact per row: its e-mail address or its id. The next step shows who is put on the list “{key}”.",
                key=about,
            )
        ),
        html.form(
            {
                "className": "lines",
                "method": "post",
                "action": context.path + query,
                "data-about": query,
                "encType": "multipart/form-data",
                "data-parts": f"{context.path}/parts",
            },
            html.label(
                t("File (CSV, XLSX or JSONL, at most {megabytes} MB)", megabytes=most),
                html.input(
                    {
                        "type": "file",
                        "name": "file",
                        "accept": ",".join((*KINDS_OF_FILE, "text/csv")),
                        "required": True,
                        "data-most-bytes": str(context.app.room.file_bytes),
                        "data-too-large": t(PROBLEMS["large"]),
                    }
                ),
            ),
            html.button({"className": "button main"}, t("Upload and continue")),
            html.div(
                {"className": "sending", "hidden": True},
                html.progress({"max": 1, "value": 0, "aria-label": t("Uploading the file")}),
                html.span({"data-reading": t("Reading the file …"), "role": "status"}, t("Uploading the file …")),
                html.button({"type": "button", "className": "button"}, t("Cancel")),
            ),
        ),
        html.p(
            {"className": "quiet"},
            t("The file is deleted as soon as it is imported without errors, and after seven days in any case."),
        ),
    )


def earlier(context: PageContext, data: Data) -> Element:
    t = context.t
    columns = (t("File"), t("State"), t("Rows"), t("With errors"), t("Uploaded"))
    return components.table(t("Earlier imports"), columns, [line(context, row) for row in data.imports], "imports")


def line(context: PageContext, row: Import) -> list[Element]:
    t = context.t
    by_hand = "upload" in row.mapping
    return [
        html.a({"href": f"/ui/contacts/import/{row.id}"}, row.file_name) if by_hand else row.file_name,
        state(context, row.state),
        t.number(row.rows_ok + row.rows_failed),
        t.number(row.rows_failed),
        components.moment(t, row.created_at),
    ]


def state(context: PageContext, code: str) -> Element:
    text, tone, symbol = STATES.get(code, (code, "quiet", "circle"))
    return components.badge(context.t(text), tone, symbol)


PAGE = Page("/ui/contacts/import", "Import a file", "contacts", "contact.read", load, view, stamp, every_seconds=3.0)
