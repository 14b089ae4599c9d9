"""Scoring: models of rules that give points, what they would give, grades, and how a contact came to its scores."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Id, Limit, page_of
from api.server import TheServer
from crm.scoring import grades, models, questions
from models import ScoreModel
from storage.locks import person_of

router = APIRouter(prefix="/api/v1", tags=["scoring"], route_class=JsonRoute)
Key = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$", description="Key of the scoring model.", examples=["leads"])]
EXAMPLE: Any = {
    "rules": [
        {"id": "country", "group": "fit", "points": 20, "rule": {"field": "country", "operator": "in", "value": ["CH", "DE"]}},
        {
            "id": "visits",
            "group": "engagement",
            "points": 5,
            "event": "Product Viewed",
            "most_per": {"points": 20, "per": "day"},
            "decay": {"kind": "half_life", "days": 30},
        },
    ],
    "thresholds": [{"id": "mql", "group": "engagement", "at_least": 40, "actions": [{"kind": "update_contact", "add_tags": ["mql"]}]}],
    "grading": {"fit": "fit", "engagement": "engagement", "letters": [60, 40, 20], "numbers": [60, 40, 20]},
}
Definition = Annotated[
    dict[str, Any],
    Field(description="`rules`, `thresholds` and `grading`, as the page about scoring describes them.", examples=[EXAMPLE]),
]
TRY_SECONDS = 5.0
"""One call of a dry run takes so long."""


class ScoringJob(BaseModel):
    """How far everybody has been scored, or what a model gave has been taken back."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    state: str = Field(examples=["running"])
    counts: dict[str, int] = Field(examples=[{"scored": 4000, "booked": 310, "crossed": 12}])


class ScoringRow(BaseModel):
    """A scoring model. `state`: on, scoring (not everybody has been scored by this version yet), or off."""

    model_config = ConfigDict(from_attributes=True)

    key: str = Field(examples=["leads"])
    name: str
    description: str
    definition: dict[str, Any]
    version: int = Field(description="Grows with the definition, and when it is switched on or off.")
    state: str = Field(examples=["on"])
    created_at: datetime
    created_by: str
    updated_at: datetime
    job: ScoringJob | None = None


class ScoringRows(BaseModel):
    """All of them, by name."""

    items: list[ScoringRow]


class NewScoring(BaseModel):
    """A scoring model to be made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Leads", "definition": EXAMPLE}})

    name: str = Field(min_length=1, max_length=120)
    key: str = Field("", pattern=r"^([a-z0-9][a-z0-9_-]{0,47})?$", description="Made of the name if empty; it never changes.")
    description: str = Field("", max_length=500)
    definition: Definition
    on: bool = True
    announce: bool = Field(False, description="Thresholds act for those who are above them from the start.")


class ChangeScoring(BaseModel):
    """What is left out stays. With another definition everybody is scored anew in the background."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"on": False}})

    name: str | None = Field(None, min_length=1, max_length=120)
    description: str | None = Field(None, max_length=500)
    definition: Definition | None = None
    on: bool | None = Field(None, description="Off: it gives nothing, and what it gave is taken back.")
    announce: bool = Field(False, description="Thresholds act for those who come to be above them by the new definition.")
    version: int | None = Field(None, description="The version that was looked at; 409 if there is a newer one.")


class AskedScoring(BaseModel):
    """A definition that need not be saved; without one, that of the model `key`, whose points it replaces."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"definition": EXAMPLE}})

    definition: Definition | None = None
    key: str = Field("", max_length=48, description="The model that the definition would replace; empty: it would be a further one.")
    days: int = Field(questions.DAYS, ge=1, le=366, description="Contacts that are new, have changed or were active in so many days.")
    cursor: str | None = Field(None, max_length=64, description="`next` of the call before.")


class TriedScoring(BaseModel):
    """What it would come to, for the contacts that were looked at in five seconds; add up the calls until `next` is null."""

    model_config = ConfigDict(from_attributes=True)

    scored: int
    grades: dict[str, int] = Field(examples=[{"A1": 3, "D4": 70}])
    above: dict[str, int] = Field(description="By threshold, how many would be at or above it.")
    crossed: dict[str, int] = Field(description="Of these, how many are not there now.")
    examples: dict[str, list[str]] = Field(description="Ids of ten of these.")
    next: str | None


class Grades(BaseModel):
    """How many contacts have which grade; one that nobody has is missing."""

    grades: dict[str, int] = Field(examples=[{"A1": 3, "D4": 70}])


class ScoreRow(BaseModel):
    """A row of the history. `why`: happened, faded, holds, ended or changed (the model); empty: by hand or by a step, which `reason` names."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    score_group: str
    points: float
    value: float = Field(description="The score after it.")
    reason: str
    why: str
    rule: str
    changed_at: datetime


class ReachedRow(BaseModel):
    """A threshold that the contact is at or above."""

    model_config = ConfigDict(from_attributes=True)

    model: str
    threshold: str
    name: str
    group: str
    since: datetime


class ContactScores(BaseModel):
    """The scores of a contact now, and a page of how they came about, newest first."""

    scores: dict[str, float] = Field(examples=[{"engagement": 25, "fit": 40}])
    grade: str | None
    reached: list[ReachedRow]
    items: list[ScoreRow]
    next: str | None


def _row(session: Session, one: ScoreModel) -> ScoringRow:
    job = models.job_of(session, one)
    shown = {name: getattr(one, name) for name in ScoringRow.model_fields if name != "job"}
    return ScoringRow(**shown, job=None if job is None else ScoringJob.model_validate(job))


@router.get("/scoring/models", summary="List scoring models", responses=ADMIN)
def list_scoring_models(server: TheServer, actor: Annotated[Actor, needs("scoring.read")]) -> ScoringRows:
    """With their definitions, and how far the last job is."""
    with server.engine.db.read() as session:
        return ScoringRows(items=[_row(session, one) for one in models.listed(session)])


@router.post("/scoring/models", summary="Create a scoring model", status_code=201, responses=CHANGE)
def create_scoring_model(body: NewScoring, server: TheServer, actor: Annotated[Actor, needs("scoring.change")]) -> ScoringRow:
    """Everybody is scored in the background; 422 lists every problem of the definition, with its place."""
    given = body.model_dump(exclude={"name", "definition"})
    with server.engine.db.write() as session:
        return _row(session, models.create(session, body.name, body.definition, actor.id, server.engine.clock.now(), **given))


@router.post("/scoring/dry-run", summary="Try a scoring model", responses=CHANGE)
def try_scoring_model(body: AskedScoring, server: TheServer, actor: Annotated[Actor, needs("scoring.read")]) -> TriedScoring:
    """How the contacts of the last `days` would score; nothing is written."""
    with server.engine.db.read() as session:
        wanted = models.get(session, body.key).definition if body.definition is None else body.definition
        definition = models.read_definition(session, wanted, body.key)
        model_id = models.id_of(models.get(session, body.key)) if body.key else None
        now = server.engine.clock.now()
        found = questions.attempt(session, definition, now, TRY_SECONDS, model_id=model_id, cursor=body.cursor or "", days=body.days)
    return TriedScoring.model_validate(found)


@router.get("/scoring/grades", summary="Count grades", responses=ADMIN)
def count_grades(server: TheServer, actor: Annotated[Actor, needs("scoring.read")]) -> Grades:
    """From A1 to D4."""
    with server.engine.db.read() as session:
        return Grades(grades=dict(sorted(grades.counts(session).items())))


@router.get("/scoring/models/{key}", summary="Get a scoring model", responses=ONE)
def get_scoring_model(key: Key, server: TheServer, actor: Annotated[Actor, needs("scoring.read")]) -> ScoringRow:
    """With the progress of its job."""
    with server.engine.db.read() as session:
        return _row(session, models.get(session, key))


@router.patch("/scoring/models/{key}", summary="Change a scoring model", responses=CHANGE)
def change_scoring_model(key: Key, body: ChangeScoring, server: TheServer, actor: Annotated[Actor, needs("scoring.change")]) -> ScoringRow:
    """The key stays. 409 if somebody else has changed it since `version`."""
    with server.engine.db.write() as session:
        return _row(session, models.change(session, key, actor.id, server.engine.clock.now(), **body.model_dump(exclude_unset=True)))


@router.post("/scoring/models/{key}/score", summary="Score everybody again", responses=CHANGE)
def score_everybody(key: Key, server: TheServer, actor: Annotated[Actor, needs("scoring.change")]) -> ScoringRow:
    """Silently: after a job that failed, or when the zone of the workspace has changed."""
    with server.engine.db.write() as session:
        return _row(session, models.rescore(session, key, actor.id, server.engine.clock.now()))


@router.delete("/scoring/models/{key}", summary="Delete a scoring model", status_code=204, responses=CHANGE)
def delete_scoring_model(key: Key, server: TheServer, actor: Annotated[Actor, needs("scoring.change")]) -> None:
    """What it gave is taken back in the background; the history of scores stays."""
    with server.engine.db.write() as session:
        models.remove(session, key, actor.id, server.engine.clock.now())


@router.get("/contacts/{id}/scores", summary="The scores of a contact", responses=ONE)
def list_contact_scores(
    id: Id,
    server: TheServer,
    actor: Annotated[Actor, needs("contact.read")],
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}$", description="`next` of the page before.", examples=["4711"])] = None,
) -> ContactScores:
    """Each change with its reason; all of them together are the score."""
    with server.engine.db.read() as session:
        contact_id = person_of(session, id)
        rows, following = page_of(questions.history(session, contact_id, int(cursor) if cursor else None, limit + 1), limit, "id")
        return ContactScores(
            scores=questions.scores_of(session, contact_id),
            grade=questions.grade_of_contact(session, contact_id),
            reached=[ReachedRow.model_validate(one, from_attributes=True) for one in questions.reached_by(session, contact_id)],
            items=[ScoreRow.model_validate(one) for one in rows],
            next=following,
        )
