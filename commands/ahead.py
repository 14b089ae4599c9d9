"""What a publication would bring about, as `pfadwerk push --publish --dry-run` says it: who stays, whom the clock lets in next, and who gets what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from journeys.errors import Invalid, NotFound

if TYPE_CHECKING:
    from activities.forecasts import Occurrence, Publication
    from engine.engine import Engine
    from settings import Settings

Translate = Callable[[str], str]


def look(settings: Settings, live: Engine, key: str, document: Mapping[str, Any]) -> Publication | None:
    """None where there is nothing to publish yet: the journey is not there, or the document has problems, which are said elsewhere.

    Raises: RenderBusy; database errors.
    """
    from activities.forecasts import Forecaster
    from activities.rendering import RenderLimits, RenderPool
    from activities.sending.messages import MessageSettings
    from activities.tracking import Tracking

    keys = settings.signing_keys()
    tracking = Tracking(keys, settings.public_url)
    sender = (tuple(keys.values()), settings.mail_from, settings.tracking, settings.language, settings.time_zone)
    renderer = RenderPool(RenderLimits(**settings.render_limits()))  # templates are what people wrote, here as anywhere
    try:
        with live.db.read() as session:
            return Forecaster(live, MessageSettings(tracking, *sender, renderer)).publication(session, key, live.clock.now(), document)
    except (Invalid, NotFound):
        return None
    finally:
        renderer.close()


def lines(found: Publication, translate: Translate) -> Iterator[str]:
    """One a fact; reasons are the codes of the API."""
    if inside := sum(found.inside.values()):
        yield translate("{count} contacts are in it; they stay on the version they entered.").format(count=inside)
    yield translate("Publishing itself enrols no one and sends nothing.")
    for one in found.coming:
        yield from _occurrence(one, translate)


def _occurrence(one: Occurrence, translate: Translate) -> Iterator[str]:
    found = one.forecast
    text = "{trigger} at {at}: at least {count} would enter" if one.at_least else "{trigger} at {at}: {count} of {all} would enter"
    values = {"trigger": one.trigger, "at": one.at.isoformat(timespec="minutes"), "count": found.begins, "all": found.population}
    yield translate(text).format(**values) + _codes(found.refused)
    for step in found.steps.values():
        text = translate("{node}: {now} at once, {held} later, {skipped} not at all")
        counts = {"now": step.now, "held": step.held.total(), "skipped": step.skipped.total()}
        yield "  " + text.format(node=step.node, **counts) + _codes({**step.held, **step.skipped})


def _codes(reasons: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in sorted(reasons.items()))})" if reasons else ""


def as_json(found: Publication) -> dict[str, Any]:
    """The same for programs."""
    coming = [
        {
            "trigger": one.trigger,
            "at": one.at.isoformat(),
            "at_least": one.at_least,
            "population": one.forecast.population,
            "begins": one.forecast.begins,
            "refused": dict(one.forecast.refused),
            "messages": [
                {"node": step.node, "now": step.now, "held": dict(step.held), "skipped": dict(step.skipped)}
                for step in one.forecast.steps.values()
            ],
        }
        for one in found.coming
    ]
    return {"version": found.version, "inside": {str(number): count for number, count in found.inside.items()}, "coming": coming}
