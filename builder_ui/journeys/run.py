"""One run: what happened, what comes next, and what can be done with it."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select

from builder_ui.journeys.actions import run_acts
from builder_ui.kit import components, labels
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import REASONS, RUN_STATES, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.kit.run_timeline import Data, chapter_item, chapters, load, next_line, stamp
from models import Journey, Run


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, run, journey = context.t, data.story["run"], data.story["journey"]
    node = data.nodes.get(run["node"])
    person = contact_link(t, run["contact_id"], data.name or data.story["contact"]["email"])
    return html._(
        components.head(
            data.name or data.story["contact"]["email"] or t("Run"),
            html.span(
                t("in"),
                " ",
                html.a({"href": f"/ui/journeys/{journey['key']}"}, journey["name"]),
                " · ",
                t("Version {number}", number=run["version_number"]),
                " · ",
                html.a({"href": f"/ui/journeys/{journey['key']}/edit?run={run['id']}"}, t("Show on the canvas")),
            ),
            back=(f"/ui/journeys/{journey['key']}?tab=runs", t("Runs")),
            state=state_badge(context, run),
            actions=run_acts(context, acts, run, node.outlets() if node else (), data.journey_state),
        ),
        html.div(
            {"className": "columns"},
            html.section({"className": "panel"}, html.h2({"className": "hidden"}, t("What happened")), story(context, data)),
            html.section({"className": "panel side-panel"}, components.facts(summary(context, data, person))),
        ),
    )


FINISHED = ("completed", "exit", "goal")


def state_badge(context: PageContext, run: dict[str, Any]) -> Element:
    """Finished is who came to an end of the journey; whoever was taken out, or whose journey was stopped, has ended."""
    text, tone, symbol = RUN_STATES[run["status"]]
    if run["status"] == "ended" and run["reason"] not in FINISHED:
        text, tone, symbol = "Ended", "quiet", "square"
    return components.badge(context.t(text), tone, symbol)


def summary(context: PageContext, data: Data, person: Element) -> list[tuple[str, Element]]:
    t, run = context.t, data.story["run"]
    pairs = [(t("Contact"), person), (t("Started"), components.moment(t, run["started_at"]))]
    if run["run_key"]:
        pairs.append((t("Key"), run["run_key"]))
    if run["trigger"]:
        given = [
            f"{key}: {labels.found(t, value)}" for key, value in list(run["trigger"].items())[:8] if not isinstance(value, dict | list)
        ]
        pairs.append((t("Entered with"), ", ".join(given) or "…"))
    if run["goal_at"]:
        value = f" ({t.number(run['goal_value'])})" if run["goal_value"] is not None else ""
        pairs.append((t("Goal reached"), html.span(components.moment(t, run["goal_at"]), value)))
    if run["ended_at"]:
        pairs.append((t("Ended"), html.span(components.moment(t, run["ended_at"]), html.br(), coded(t, REASONS, run["reason"]))))
    return pairs


def story(context: PageContext, data: Data) -> Element:
    told = chapters(data.story) if data.story["trail"] else []
    upcoming = next_line(context, data)
    days: list[Element] = []
    shown = ""
    for number, chapter in enumerate(told):
        day = context.t.day(chapter.at)
        if day != shown:
            days.append(html.li({"className": "day", "key": f"day{number}"}, day))
            shown = day
        days.append(chapter_item(context, data, chapter, str(number)))
    return html.ol({"className": "timeline"}, [*days, upcoming] if upcoming else days)


def name(context: PageContext) -> str:
    """Whose run it is, and through what."""
    with context.engine.db.read() as session:
        row = session.execute(
            select(Run.contact_id, Journey.name)
            .join(Journey, col(Journey.id) == col(Run.journey_id))
            .where(Run.id == context.arguments["id"])
        ).first()
        return " · ".join(filter(None, [contact_names(session, [row.contact_id]).get(row.contact_id), row.name])) if row else ""


PAGE = Page("/ui/runs/{id}", "Run", "journeys", "run.read", load, view, stamp, name=name)
