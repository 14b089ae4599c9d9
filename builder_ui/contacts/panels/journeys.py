"""The journeys the contact is in, where it stands in each and what comes next; and those that are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components, labels
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import REASONS, RUN_STATES, coded
from builder_ui.kit.reactpy_compat import Element, html
from engine.runs.operations import RunFilter, list_runs
from models import Contact, Journey, Run


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    runs: list[dict[str, Any]]
    ended: list[dict[str, Any]]
    """Runs that are over, newest first."""
    journeys: dict[str, tuple[str, str]]
    """Journey id -> (key, name), of these runs."""
    steps: dict[str, str]
    """Run -> what people call the step where it stands, of those that are open."""


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data:
    runs = list_runs(session, RunFilter(contact_id=contact.id, status="open", limit=20))
    ended = list_runs(session, RunFilter(contact_id=contact.id, status="ended", limit=10))
    ids = {run["journey_id"] for run in (*runs, *ended)}
    found = session.execute(select(Journey.id, Journey.key, Journey.name).where(col(Journey.id).in_(ids))).all() if ids else []
    return Data(runs, ended, {id: (key, name) for id, key, name in found}, steps_of(context, session, runs))


def steps_of(context: PageContext, session: Session, runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    versions = (
        dict(session.execute(select(Run.id, Run.version_id).where(col(Run.id).in_([run["id"] for run in runs]))).all()) if runs else {}
    )
    names = {id: labels.names_of(context.t, context.engine.program(session, id).nodes) for id in set(versions.values())}
    return {run["id"]: names[versions[run["id"]]].get(run["node"], "") for run in runs}


def aside(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    t = context.t
    pairs = [(t("In journeys"), open_runs(context, data))]
    if data.ended:
        pairs.append((t("Finished journeys"), html.ul([ended_run(context, data, run) for run in data.ended])))
    return components.facts(pairs)


def open_runs(context: PageContext, data: Data) -> Element:
    t = context.t
    if not data.runs:
        return t("not in a journey now")
    links = [
        html.li(
            {"key": run["id"]},
            html.a({"href": f"/ui/runs/{run['id']}"}, data.journeys.get(run["journey_id"], ("", "?"))[1]),
            " ",
            state(context, run),
            html.span(" ", t("at “{step}”", step=data.steps[run["id"]])) if data.steps.get(run["id"]) else None,
            " ",
            html.a(
                {"href": f"/ui/journeys/{data.journeys.get(run['journey_id'], ('', '?'))[0]}/edit?run={run['id']}"},
                t("Show on the canvas"),
            ),
            html.span({"className": "quiet"}, " ", t("next:"), " ", components.relative(context, run["due_at"])) if run["due_at"] else None,
        )
        for run in data.runs
    ]
    return html.ul(links)


def ended_run(context: PageContext, data: Data, run: Mapping[str, Any]) -> Element:
    t = context.t
    return html.li(
        {"key": run["id"]},
        html.a({"href": f"/ui/runs/{run['id']}"}, data.journeys.get(run["journey_id"], ("", "?"))[1]),
        html.span({"className": "quiet"}, " ", components.moment(t, run["ended_at"]), " · ", coded(t, REASONS, run["reason"])),
    )


def state(context: PageContext, run: dict[str, Any]) -> Element:
    return components.badge(context.t(RUN_STATES[run["status"]][0]), *RUN_STATES[run["status"]][1:])


def stamp(session: Session, contact: Contact) -> object:
    return [(run["id"], run["step"], run["status"]) for run in list_runs(session, RunFilter(contact_id=contact.id, limit=20))]


PANEL = Panel("journeys", "Journeys", load, aside=aside, stamp=stamp)
