"""What a journey did, by day, by channel and by version of a template."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.auth.access import Actor, needs
from api.http.errors import ONE
from api.http.json_body import JsonRoute
from api.http.paging import KeyOrId
from api.server import TheServer
from engine.versions.publish import get_journey
from journeys.errors import Invalid
from reports.journey_metrics import DEFAULT_DAYS, MAX_DAYS, Grouping, Row, days_before, journey_metrics
from storage import tally

router = APIRouter(prefix="/api/v1", tags=["journeys"], route_class=JsonRoute)


class MetricsRow(BaseModel):
    """`day` is set by day, `channel` by channel and by template version, `node` and `template_version` by template version (0: the message met
    its end before it had one). `counts`: `sent`, `opened`, `clicked`, `bounced`, `failed`, `skipped`, and `control_group` (not sent because the contact is
    in the workspace's control group) and `message_control_group` (in that of the message), which are in no other number; by day also `runs`, `ended`, `goal`,
    `refused`, and of the control group `held_out` and `held_out_goal`."""

    day: date | None
    channel: str
    node: str
    template_version: int | None
    counts: dict[str, int] = Field(examples=[{"sent": 412, "opened": 180, "clicked": 31, "bounced": 2, "failed": 0, "skipped": 12}])


class JourneyMetrics(BaseModel):
    """From `since` to `until` (UTC), both included. `counted_since`: the first day that is known at all; what was counted before has no day."""

    by: Grouping
    since: date
    until: date
    counted_since: date | None
    items: list[MetricsRow]


@router.get("/journeys/{journey_id}/metrics", summary="Metrics by day, channel or template version", responses=ONE)
def list_journey_metrics(
    journey_id: KeyOrId,
    server: TheServer,
    actor: Annotated[Actor, needs("journey.read")],
    by: Annotated[Grouping, Query(description="What each row is about.")] = "day",
    since: Annotated[date | None, Query(description=f"First day (UTC). Default: {DEFAULT_DAYS} days with the last.")] = None,
    until: Annotated[date | None, Query(description="Last day (UTC), included. Default: today.")] = None,
    version: Annotated[int | None, Query(ge=1, le=2_147_483_647, description="Of one version; of all together otherwise.")] = None,
) -> JourneyMetrics:
    """At most 366 days. A row for each day, channel or template version on which something happened."""
    last = until or tally.day_of(server.engine.clock.now())
    first = since or days_before(last, DEFAULT_DAYS)
    if not 0 <= (last - first).days < MAX_DAYS:
        raise Invalid("Expected {most} days at most from {since} to {until}.", most=MAX_DAYS, since=str(first), until=str(last))
    with server.engine.db.read() as session:
        journey_id = get_journey(session, journey_id).id
        rows = journey_metrics(session, journey_id, by, first, last, version)
        counted_since = tally.first_day(session, journey_id)
    return JourneyMetrics(by=by, since=first, until=last, counted_since=counted_since, items=[_shown(row) for row in rows])


def _shown(row: Row) -> MetricsRow:
    group = row.group
    return MetricsRow(day=group.day, channel=group.channel, node=group.node, template_version=group.template_version, counts=row.counts)
