"""What a journey did on each day, and what became of its messages by channel and by version of the template.

Days are in UTC. Read from the tally: a few rows for each day and step, however many contacts went through. What was counted before days were kept
is in the totals only (`storage.tally.read`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from sqlalchemy.orm import Session

from journeys.draws import GLOBAL_HOLD_OUT, MESSAGE_HOLD_OUT
from storage.tally import Dated, read_days

Grouping = Literal["day", "channel", "template_version"]
DEFAULT_DAYS, MAX_DAYS = 30, 366
OF_JOURNEY = ("runs", "held_out", "ended", "goal", "held_out_goal", "refused")
OF_MESSAGES = ("sent", "opened", "clicked", "bounced", "failed", "skipped", "control_group", "message_control_group")
"""`control_group`: not sent because the contact is in the workspace's, `message_control_group`: in the message's own; they are in no other number."""
_HOLD_OUTS = {GLOBAL_HOLD_OUT: "control_group", MESSAGE_HOLD_OUT: "message_control_group"}


@dataclass(frozen=True, slots=True)
class Group:
    """What a row is about. A version of a template is one of the template at `node`; 0: the message met its end before it had one."""

    day: date | None = None
    channel: str = ""
    node: str = ""
    template_version: int | None = None


@dataclass(slots=True)
class Row:
    """`counts`: `OF_MESSAGES`, by day also `OF_JOURNEY` -> how often."""

    group: Group
    counts: dict[str, int] = field(default_factory=dict)


_GROUPS: Mapping[Grouping, Callable[[Dated], Group]] = {
    "day": lambda one: Group(day=one.day),
    "channel": lambda one: Group(channel=one.channel),
    "template_version": lambda one: Group(channel=one.channel, node=one.node, template_version=one.template_version),
}


def journey_metrics(
    session: Session, journey_id: str, by: Grouping, since: date, until: date, version_number: int | None = None
) -> list[Row]:
    """From `since` to `until`, both included; of one version, or of all together. In the order of what the rows are about."""
    whats = (*OF_JOURNEY, *OF_MESSAGES) if by == "day" else OF_MESSAGES
    rows: dict[Group, Row] = {}
    for one in read_days(session, journey_id, since, until):
        what = _HOLD_OUTS.get(one.outlet, one.what) if one.what == "skipped" else one.what
        if what not in whats or version_number not in (None, one.version_number):
            continue
        group = _GROUPS[by](one)
        row = rows.setdefault(group, Row(group, dict.fromkeys(whats, 0)))
        row.counts[what] += one.count
    return [rows[group] for group in sorted(rows, key=_order) if any(rows[group].counts.values())]


def days_before(last: date, count: int) -> date:
    """The first of `count` days that end with `last`."""
    return date.fromordinal(max(1, last.toordinal() - count + 1))


def _order(group: Group) -> tuple[str, str, str, int]:
    return (group.day.isoformat() if group.day else "", group.channel, group.node, group.template_version or 0)
