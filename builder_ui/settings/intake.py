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
LEAD = "Events sent with this key that were rejected, or stored unchanged. Names only, no values; updated every few seconds."
WHAT = {
    "refused": ("Event refused", "bad", "ban"),
    "left_out": ("Field left out", "warn", "alert"),
    "kept": ("Value kept as received", "", "alert"),
}


@dataclass(frozen=True, slots=True)
class Data:
    key: ApiKey
    problems: Sequence[IntakeProblem]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        key = api_keys.get_key(session, context.arguments["id"])
        return Data(key, intake.problems_of(session, key.id))


def stamp(context: PageContext) -> object:
    return [(one.id, one.count) for one in load(context).problems]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    back = html.p(html.a({"href": "/ui/settings/keys"}, "← ", t("Keys")), " · ", html.strong(data.key.name))
    if not data.problems:
        return framed(context, TITLE, LEAD, back, components.empty("check", t("Everything sent with this key was accepted."), None))
    columns = [t(text) for text in ("What", "Event", "Field", "Why", "How often", "Last")]
    table = components.table(t(TITLE), columns, [cells(context, one) for one in data.problems])
    return framed(context, TITLE, LEAD, back, table, wide=True)


def cells(context: PageContext, problem: IntakeProblem) -> list[Element]:
    t = context.t
    title, tone, icon = WHAT[problem.what]
    return [
        components.badge(t(title), tone, icon),
        problem.event or "–",
        html.code(problem.field) if problem.field else "–",
        t(intake.REASONS[problem.reason]).replace("`", ""),
        t.number(problem.count),
        components.relative(context, problem.last_at),
    ]


PAGE = Page("/ui/settings/keys/{id}", TITLE, "settings", "key.manage", load, view, stamp, every_seconds=5.0)
