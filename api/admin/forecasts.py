"""What an act would bring about, as previews answer it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from activities.forecasts import Publication
from engine.interpreter import forecast


class MessageForecast(BaseModel):
    """A message step: how many get it `now`, how many later (`held` by reason, between two instants), and how many never (`skipped` by reason)."""

    model_config = ConfigDict(from_attributes=True)

    node: str
    channel: str
    now: int
    held: dict[str, int] = Field(examples=[{"quiet_hours": 380}])
    first_until: datetime | None = Field(description="When the first of those held may leave at the earliest.")
    last_until: datetime | None
    skipped: dict[str, int] = Field(examples=[{"no_consent": 20, "no_address": 9}])


class Forecast(BaseModel):
    """What would happen at once, counted over the `judged` of a `population`; `exact` false: they were drawn from it at random, so multiply.
    `at_least`: the population was counted to 10,000 only and is larger; then the numbers are shares of the `judged`.

    `begins`: how many enter or are moved; `refused`: reason -> how many do not. `due_now`: contacts for whom something leaves at once. `calls`: node
    -> other calls than messages, whose first outlet is assumed. `waits`, `ended`, `stuck`, `halted` (the journey is paused): where they stop.
    `stopped`: provider accounts that accept nothing now: what would leave through them waits.
    `named`: what happens (`begins`, `refused:filter`, `now:NODE`, `skipped:NODE:no_consent`) -> the first ten contacts, ids.
    """

    population: int
    at_least: bool
    judged: int
    exact: bool
    begins: int
    held_out: int
    due_now: int
    halted: int
    refused: dict[str, int]
    messages: list[MessageForecast]
    calls: dict[str, int]
    waits: dict[str, int]
    ended: dict[str, int]
    stuck: dict[str, int]
    stopped: list[str]
    named: dict[str, list[str]]


class ComingForecast(BaseModel):
    """What a schedule or a date sets off next, from `at` (in the first zone) to `last_at`. `at_least`: more people fit than were looked at."""

    trigger: str
    at: datetime
    last_at: datetime
    at_least: bool
    forecast: Forecast


class PublishPreview(BaseModel):
    """What publishing would bring: the next `version`, the `state` after it, version -> contacts `inside` who stay on it, and what the clock
    sets off in the next 24 hours. Publishing itself enrols no one and sends nothing."""

    version: int
    revision: int
    state: str
    inside: dict[int, int]
    coming: list[ComingForecast]


def shown(found: forecast.Forecast) -> Forecast:
    steps = [MessageForecast.model_validate(step) for step in found.steps.values()]
    fields = {name: getattr(found, name) for name in Forecast.model_fields if name not in ("exact", "messages")}
    return Forecast(**fields, exact=found.is_exact, messages=steps)


def published(found: Publication, revision: int) -> PublishPreview:
    coming = [
        ComingForecast(trigger=one.trigger, at=one.at, last_at=one.last_at, at_least=one.at_least, forecast=shown(one.forecast))
        for one in found.coming
    ]
    return PublishPreview(version=found.version, revision=revision, state=found.state, inside=found.inside, coming=coming)
