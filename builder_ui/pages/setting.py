"""One workspace setting: admins change it, everybody may read it. The form comes out of the setting's own shape."""

from __future__ import annotations

from dataclasses import dataclass

from builder_ui import forms, parts
from builder_ui.compat import Element, html
from builder_ui.controls import controls
from builder_ui.people import member_names
from builder_ui.sections import SECTIONS, framed
from builder_ui.visit import Acts, Page, Visit
from crm import settings
from models import WorkspaceSetting

LEADS = {
    "sender": "Who writes the messages.",
    "quiet_hours": "When contacts are left in peace. Messages wait; they are not lost.",
    "frequency_caps": "How many messages one contact gets at most. What is too much waits.",
    "calendar": "Deadlines of tasks count these hours only.",
    "tracking": "Whether clicks and opens are counted.",
}


@dataclass(frozen=True, slots=True)
class Data:
    name: str
    setting: settings.Setting
    row: WorkspaceSetting | None
    names: dict[str, str]


def load(visit: Visit) -> Data:
    name = visit.arguments["name"]
    with visit.engine.db.read() as session:
        setting = settings.get(session, name)
        return Data(name, setting, session.get(WorkspaceSetting, name), member_names(session))


def view(visit: Visit, data: Data, acts: Acts) -> Element:
    speech, row = visit.speech, data.row
    title = next(text for address, text, _ in SECTIONS if address.endswith(f"/{data.name}"))
    fields = [field for one in controls(speech, data.name, data.setting).values() for field in one.fields]
    generation = row.updated_at.isoformat() if row else ""
    done = "Saved. It holds from the next message on."
    made = forms.form(visit, acts, data.name, fields, speech("Save"), "setting.change", saving(data), done, generation)
    return framed(visit, title, LEADS[data.name], html.section({"className": "panel"}, made, changed(visit, data)))


def changed(visit: Visit, data: Data) -> Element:
    speech, row = visit.speech, data.row
    if row is None:
        return html.p({"className": "quiet"}, speech("Nobody has changed this yet: these are the defaults."))
    by = data.names.get(row.updated_by.removeprefix("member:"), row.updated_by)
    return html.p({"className": "quiet"}, speech("Changed by {name},", name=by), " ", parts.moment(speech, row.updated_at))


def saving(data: Data) -> forms.Change:
    """Reads the values with the controls that drew the form."""

    def do(visit: Visit, values: forms.Values) -> None:
        value = {key: one.read(values) for key, one in controls(visit.speech, data.name, data.setting).items()}
        with visit.engine.db.write() as session:
            settings.put(session, data.name, value, visit.by, visit.house.now())

    return do


PAGE = Page("/ui/settings/workspace/{name}", "Settings", "settings", "setting.read", load, view)
