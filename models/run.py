"""Runs: one contact going through one version, with its inbox, subscriptions, trail and refusals."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, text
from sqlmodel import Field, Index, SQLModel, UniqueConstraint

from models.columns import big_id, event_ref, json_field, new_id

_STUCK = "status IN ('stuck','quarantined')"
STUCK_RUN = text(f"run.{_STUCK}")
"""The runs that wait for a person. A query finds them by their index only if it says this, word for word."""


class Run(SQLModel, table=True):
    """`step` is the number of the transaction that may move it next; `instruction` is what its workflow does meanwhile.

    `status`: active, held (paused journey or a person's hold), stuck (an error waits for a fix), quarantined, ended,
    held_out (never runs, counted as control group). Open = active, held, stuck or quarantined.
    """

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_journey_status", "journey_id", "status", "version_number"),
        Index("ix_run_version_node", "version_id", "node", "status"),
        Index("ix_run_contact", "contact_id", "journey_id", "started_at"),
        Index("ix_run_key", "journey_id", "contact_id", "run_key"),
        Index("ix_run_started", "journey_id", "started_at"),
        UniqueConstraint("journey_id", "trigger_event_id", "contact_id", name="uq_run_trigger"),
        Index("ix_run_due", "due_at", sqlite_where=text("status = 'active'"), postgresql_where=text("status = 'active'")),
        Index("ix_run_open", "status", "id", sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_run_version_open",
            "journey_id",
            "version_number",
            "id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_run_stuck", "journey_id", "notice_id", "id", sqlite_where=text(_STUCK), postgresql_where=text(_STUCK)),
        Index("ix_run_ended", "ended_at", sqlite_where=text("ended_at IS NOT NULL"), postgresql_where=text("ended_at IS NOT NULL")),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    journey_id: str = Field(foreign_key="journey.id", max_length=32)
    version_id: str = Field(foreign_key="version.id", max_length=32)
    version_number: int
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    run_key: str = Field(default="", max_length=200)
    trigger_event_id: int | None = event_ref()
    trigger: dict[str, Any] = json_field()
    """Properties of the event that started it."""
    occasion: str = Field(default="", max_length=80)
    """What started it together with others: an occurrence of a schedule or date, a bulk enrolment, an event. Empty: nothing."""
    hops: int = 0
    status: str = Field(default="active", max_length=16)
    step: int = 0
    node: str = Field(default="", max_length=64)
    node_entered_at: datetime | None = None
    state: dict[str, Any] = json_field()
    instruction: dict[str, Any] = json_field()
    due_at: datetime | None = None
    """When the present instruction comes due (None: only a wake-up can wake it)."""
    reason: str = Field(default="", max_length=200)
    """Why it ended, is stuck or is held: a code, never text from outside."""
    error: str = Field(default="", max_length=2_000)
    """What a stuck run's author needs to see; holds no personal data."""
    notice_id: str | None = Field(default=None, max_length=32)
    """The notice that tells the team of a stuck run; None: none does yet."""
    started_at: datetime
    since: datetime | None = None
    """When the event that started it happened: what happened from then on counts for exits and goals, though it may have been stored
    before `started_at`. None: `started_at`."""
    ended_at: datetime | None = None
    goal_at: datetime | None = None
    goal_value: float | None = None
    goal_event_id: int | None = event_ref()
    trace: str | None = Field(default=None, max_length=55)
    """Where the trace goes on that it began in (W3C `traceparent`); None: it is not recorded."""
    updated_at: datetime


class Inbox(SQLModel, table=True):
    """An event a run listens for, stored with the event and consumed by the run's next step."""

    __tablename__ = "inbox"
    __table_args__ = (
        Index("ix_inbox_waiting", "run_id", "event_id", sqlite_where=text("consumed = 0"), postgresql_where=text("NOT consumed")),
        Index("ix_inbox_event", "event_id"),
        Index("ix_inbox_old", "arrived_at", sqlite_where=text("consumed = 0"), postgresql_where=text("NOT consumed")),
    )

    run_id: str = Field(foreign_key="run.id", primary_key=True, max_length=32)
    event_id: int = event_ref(primary_key=True, foreign_key=True)
    arrived_at: datetime
    consumed: bool = False


OF_COMPANIES = "topic >= 'field:company.' AND topic < 'field:company/'"
"""Which runs wait for a field of a company."""


class Subscription(SQLModel, table=True):
    """A run listens for a topic of its contact: `event:<name>`, `field:<name>`, `tag:<tag>`, `score:<group>` or `consent`.
    `why` is exit or goal (for the run's life, goals beyond it) or wait (until the next step)."""

    __tablename__ = "subscription"
    __table_args__ = (
        Index("ix_subscription_contact", "contact_id", "topic"),
        Index("ix_subscription_company", "topic", "contact_id", sqlite_where=text(OF_COMPANIES), postgresql_where=text(OF_COMPANIES)),
        Index("ix_subscription_until", "until", sqlite_where=text("until IS NOT NULL"), postgresql_where=text("until IS NOT NULL")),
    )

    run_id: str = Field(foreign_key="run.id", primary_key=True, max_length=32)
    topic: str = Field(primary_key=True, max_length=210)
    why: str = Field(primary_key=True, max_length=8)
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    until: datetime | None = None


class Trail(SQLModel, table=True):
    """One thing that happened to a run, in order; (run, step, seq) exists once. `what` is one of `engine.runs.trail.KINDS`."""

    __tablename__ = "trail"
    __table_args__ = (Index("ix_trail_node", "version_id", "node", "what"),)

    run_id: str = Field(foreign_key="run.id", primary_key=True, max_length=32)
    step: int = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    version_id: str = Field(max_length=32)
    at: datetime
    node: str = Field(default="", max_length=64)
    what: str = Field(max_length=24)
    outlet: str = Field(default="", max_length=64)
    detail: dict[str, Any] = json_field()
    """Inputs and reasons of a decision, deadlines, results."""


UNMET = text("refusal.reason = 'condition'")
"""Those whom a trigger's own condition kept out. A query finds them by their index only if it says this, word for word."""


class Refusal(SQLModel, table=True):
    """Why a contact did not enter a journey although a trigger fired, or (`condition`) because its own condition did not hold."""

    __tablename__ = "refusal"
    __table_args__ = (
        Index("ix_refusal_contact", "contact_id", "refused_at", "id"),
        Index("ix_refusal_journey", "journey_id", "id"),
        Index(
            "ix_refusal_unmet",
            "journey_id",
            "id",
            sqlite_where=text("reason = 'condition'"),
            postgresql_where=text("reason = 'condition'"),
        ),
    )

    id: int | None = big_id()
    journey_id: str = Field(foreign_key="journey.id", max_length=32)
    contact_id: str = Field(foreign_key="contact.id", max_length=32)
    event_id: int | None = event_ref()
    reason: str = Field(max_length=64)
    detail: dict[str, Any] = json_field()
    refused_at: datetime


class Tally(SQLModel, table=True):
    """How often something happened at a step of a journey, as far as it is folded. `node` is empty for the journey as a whole.

    `what`: entered, placed (there when a move to this version came), left (`outlet`), waiting (there now), sent, opened, clicked, bounced, failed, skipped (`outlet` is the reason); and for
    the whole: runs, ended, goal, refused (`outlet` is the reason), and of the control group held_out and held_out_goal.
    """

    __tablename__ = "tally"

    journey_id: str = Field(foreign_key="journey.id", primary_key=True, max_length=32)
    version_number: int = Field(primary_key=True)
    node: str = Field(primary_key=True, max_length=64)
    what: str = Field(primary_key=True, max_length=16)
    outlet: str = Field(primary_key=True, max_length=64)
    count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class TallyDay(SQLModel, table=True):
    """The same by day (UTC) and, for messages, by channel and version of the template; no row for `waiting`, which is no flow.

    What happened before days were kept (`Journey.dated_since`) is in `Tally` only, so its days are unknown.
    """

    __tablename__ = "tally_day"

    journey_id: str = Field(foreign_key="journey.id", primary_key=True, max_length=32)
    day: date = Field(primary_key=True)
    version_number: int = Field(primary_key=True)
    node: str = Field(primary_key=True, max_length=64)
    what: str = Field(primary_key=True, max_length=16)
    outlet: str = Field(primary_key=True, max_length=64)
    channel: str = Field(primary_key=True, max_length=64)
    template_version: int = Field(primary_key=True)
    """0: none, or not known yet when the message met its end."""
    count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class TallyDelta(SQLModel, table=True):
    """What one transaction adds to the tally: appended by whoever moves a run, taken out by whoever folds. Nobody updates a shared row."""

    __tablename__ = "tally_delta"
    __table_args__ = (Index("ix_tally_delta_journey", "journey_id", "id"),)

    id: int | None = big_id()
    journey_id: str = Field(foreign_key="journey.id", max_length=32)
    version_number: int
    day: date | None = None
    """When it happened (UTC); None for what happened before days were kept."""
    counts: list[Any] = json_field(list)
    """[[node, what, outlet, count], …], of a message [node, what, outlet, count, channel, template_version]"""


class Migration(SQLModel, table=True):
    """A bulk move of open runs from one version to another, in chunks; `moved` and `failed` tell how far it got."""

    __tablename__ = "migration"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    journey_id: str = Field(foreign_key="journey.id", index=True, max_length=32)
    from_version: int
    to_version: int
    node_map: dict[str, str] = json_field()
    state: str = Field(default="running", max_length=16)
    """running, done, rolling_back or rolled_back"""
    after_run: str = Field(default="", max_length=32)
    moved: int = 0
    skipped: int = 0
    created_at: datetime
    created_by: str = Field(default="", max_length=120)


class MigratedRun(SQLModel, table=True):
    """What a run was before it was moved, until a rollback has put it back."""

    __tablename__ = "migrated_run"

    migration_id: str = Field(foreign_key="migration.id", primary_key=True, max_length=32)
    run_id: str = Field(foreign_key="run.id", primary_key=True, index=True, max_length=32)
    before: dict[str, Any] = json_field()
    step_after: int
