"""What a key's events were refused for, and which values stayed as they came: the newest of each kind, with when and how often. For admins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed
from models import ApiKey, IntakeProblem
from workspace import api_keys, intake

TITLE = "Refused events"
LEAD = "Events sent with this key that were refused, or stored as they came. Names only, no values; updated every few seconds."
WHAT = {
    "refused": ("Event refused", "bad", "ban"),
    "left_out": ("Field left out", "warn", "alert"),
    "kept": ("Value kept as it came", "", "alert"),
}


@dataclass(frozen=True, slots=True)
class Data:
    key: ApiKey
    problems: Sequence[IntakeProblem]


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        key = api_keys.get_key(session, visit.arguments["id"])
        return Data(key, intake.problems_of(session, key.id))


def stamp(visit: PageContext) -> object:
    return [(one.id, one.count) for one in load(visit).problems]


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    back = html.p(html.a({"href": "/ui/settings/keys"}, "← ", speech("Keys")), " · ", html.strong(data.key.name))
    if not data.problems:
        return framed(visit, TITLE, LEAD, back, components.empty("check", speech("Everything sent with this key was accepted."), None))
    columns = [speech(text) for text in ("What", "Event", "Field", "Why", "How often", "Last")]
    table = components.table(speech(TITLE), columns, [cells(visit, one) for one in data.problems])
    return framed(visit, TITLE, LEAD, back, table, wide=True)


def cells(visit: PageContext, problem: IntakeProblem) -> list[Element]:
    speech = visit.speech
    title, tone, icon = WHAT[problem.what]
    return [
        components.badge(speech(title), tone, icon),
        problem.event or "–",
        html.code(problem.field) if problem.field else "–",
        speech(intake.REASONS[problem.reason]).replace("`", ""),
        speech.number(problem.count),
        components.relative(visit, problem.last_at),
    ]


PAGE = Page("/ui/settings/keys/{id}", TITLE, "settings", "key.manage", load, view, stamp, every_seconds=5.0)
