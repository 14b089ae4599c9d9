"""A journey's life: draft, publish, pause, resume, stop, archive. Every act is in the audit trail and tells all processes to look again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, func, update
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.catalogue import load_catalogue
from crm.coupons import pools as coupons
from crm.segments import segments
from engine import presence
from engine.engine import JOURNEYS, Engine
from engine.enrolment import schedules
from engine.temporal.wakeups import Wakeups
from engine.versions import drafts
from journeys.channels import CHANNELS
from journeys.check import check
from journeys.compile import Program, compile_journey
from journeys.document import Journey as Document
from journeys.document import digest
from journeys.errors import Conflict, Invalid, Issue, NotFound
from journeys.known import Known, KnownTemplate
from journeys.reading import read
from journeys.stray import UNKNOWN_KEY
from journeys.unfinished import parts_of
from models import Journey, Member, Rotation, Run, Template, TemplateVersion, Version, lock
from storage import segment_marks
from storage.freshness import bump
from storage.sql import table
from workspace import imprint, secrets, sending_domains, settings
from workspace.audit import record

runs = table(Run)
RUNS_ON = frozenset({UNKNOWN_KEY})
"""Problems of a document that do not keep it from going live (again) once it was published: it runs with them anyhow."""


def create_journey(session: Session, document: Mapping[str, Any], by: str, now: datetime) -> Journey:
    """A new journey in the state draft.

    Raises: Invalid if it is no document; Conflict if its key is taken.
    """
    draft = read(document, strict=True)
    if session.scalar(select(Journey.id).where(Journey.key == draft.key)) is not None:
        raise Conflict("A journey with this key already exists. Choose another key.", key=draft.key)
    journey = Journey(key=draft.key, name=draft.name, draft=as_json(draft), created_at=now, updated_at=now, updated_by=by)
    journey.dated_since = None  # all its days will be known, unlike those of the journeys that an upgrade finds
    session.add(journey)
    session.flush()
    record(session, by, "journey.create", f"journey:{journey.id}", {"key": draft.key})
    return journey


def save_draft(session: Session, journey_id: str, document: Mapping[str, Any], revision: int, by: str, now: datetime) -> Journey:
    """Stores a new draft; live versions are not touched.

    Raises: NotFound; Invalid; Conflict if the draft is no longer at `revision`, or the key is taken.
    """
    journey = get_journey(session, journey_id, locked=True)
    return _save_draft(session, journey, document, revision, by, now, strict=True)


def _save_draft(
    session: Session, journey: Journey, document: Mapping[str, Any], revision: int, by: str, now: datetime, *, strict: bool
) -> Journey:
    if journey.revision != revision:
        raise Conflict(
            "Someone saved this journey in the meantime (revision {revision}, yours is {yours}): reload, then save again.",
            revision=journey.revision,
            yours=revision,
            by=journey.updated_by,
        )
    draft = read(document, strict=strict)
    if draft.key != journey.key:
        raise Conflict("The key of a journey cannot change. Duplicate the journey under the new key.", key=journey.key)
    drafts.keep(session, journey, by, now)
    journey.draft, journey.name = as_json(draft), draft.name
    journey.revision += 1
    journey.updated_at, journey.updated_by = now, by
    session.add(journey)
    session.flush()
    return journey


def check_draft(engine: Engine, session: Session, document: Mapping[str, Any], passed: frozenset[str] = frozenset()) -> list[Issue]:
    """Every problem of a document, judged against what this installation knows. A document that cannot be read has issues, too.

    `passed`: codes of problems that are let through.
    """
    try:
        draft = read(document, strict=UNKNOWN_KEY not in passed)
    except Invalid as error:
        return error.issues or [Issue(code="unreadable", text=error.text, values=error.values)]
    issues = check(draft, engine.palette, load_catalogue(session), known(session))
    return [issue for issue in issues if issue.code not in passed]


def passed_over(document: Mapping[str, Any], newest: Version | None) -> frozenset[str]:
    """What a publication of this document does not ask any more, because it is the newest version already."""
    return frozenset() if newest is None or differs(document, newest.digest) else RUNS_ON


def known(session: Session) -> Known:
    """What a journey may name outside itself."""
    labels = session.execute(
        select(Template.key, Template.kind, Template.sender, Template.reply_to).where(col(Template.archived_at).is_(None))
    ).all()
    compiled: dict[str, Any] = dict(session.execute(_newest_templates()).all())
    rotations = session.execute(select(Rotation.pool, Rotation.members)).all()
    active = frozenset(session.scalars(select(Member.id).where(col(Member.active))).all())
    return Known(
        templates={key: _known_template(kind, compiled.get(key, {}), *senders) for key, kind, *senders in labels},
        pools=frozenset(pool for pool, _ in rotations),
        idle_pools=frozenset(pool for pool, members in rotations if active.isdisjoint(members)),
        journeys=frozenset(session.scalars(select(Journey.key)).all()),
        secrets=frozenset(secrets.names(session)),
        purposes=settings.load(session, settings.Purposes).offers(),
        score_groups=settings.load(session, settings.ScoreGroups).offers(),
        members=active,
        cap_classes=settings.load(session, settings.FrequencyCaps).offers(),
        senders=settings.load(session, settings.Senders).offers(),
        topics=settings.load(session, settings.Topics).offers(),
        segments=segments.keys(session),
        coupon_pools=coupons.names(session),
        standings=sending_domains.standings(session),
        lacking=imprint.lacking(session),
    )


def _known_template(kind: str, compiled: Mapping[str, Any], sender: str, reply_to: str) -> KnownTemplate:
    """`compiled`: the newest version, locale -> variant; `sender`, `reply_to`: of its label."""
    shape = CHANNELS[kind].template if kind in CHANNELS else None
    approved = shape.approved if shape is not None else None
    only_answers = approved is not None and any(not variant.get("parts", {}).get(approved.id) for variant in compiled.values())
    return KnownTemplate(kind, _can_unsubscribe(compiled), only_answers, sender, reply_to)


def _newest_templates() -> Select[Any]:
    versions = table(TemplateVersion)
    newest = sql_select(versions.c.key, func.max(versions.c.number).label("number")).group_by(versions.c.key).subquery()
    return sql_select(versions.c.key, versions.c.compiled).join(
        newest, (newest.c.key == versions.c.key) & (newest.c.number == versions.c.number)
    )


def _can_unsubscribe(compiled: Mapping[str, Any]) -> bool:
    return bool(compiled) and all(
        "unsubscribe_url" in str(variant.get("html") or variant.get("text") or "") for variant in compiled.values()
    )


def publish(engine: Engine, session: Session, journey_id: str, by: str, note: str, now: datetime) -> Version:
    """Freezes the draft as the next version and makes it live: contacts enter it from now on, those inside stay on theirs.

    An unchanged draft makes no new version; the last one goes live (again).

    Raises: NotFound; Invalid with every error of the draft.
    """
    journey = get_journey(session, journey_id, locked=True)
    return _publish(engine, session, journey, by, note, now, passed_over(journey.draft, newest_version(session, journey.id)))


def _publish(engine: Engine, session: Session, journey: Journey, by: str, note: str, now: datetime, passed: frozenset[str]) -> Version:
    segment_marks.hold(session)  # what it asks for is not deleted between this look and the commit
    errors = [issue for issue in check_draft(engine, session, journey.draft, passed) if issue.severity == "error"]
    if errors:
        raise Invalid(
            "The journey “{key}” has {count} problems, the first: {problem}", errors, key=journey.key, count=len(errors), problem=errors[0]
        )
    draft = read(journey.draft)
    version = _version(engine, session, journey, draft, by, note, now)
    schedules.begin(session, journey.id, draft.entry, now, anew=journey.state not in ("live", "paused"))
    journey.live_version, journey.state = version.number, "live" if journey.state != "paused" else "paused"
    journey.updated_at, journey.updated_by = now, by
    session.add(journey)
    bump(session, JOURNEYS)
    record(session, by, "journey.publish", f"journey:{journey.id}", {"version": version.number, "digest": version.digest})
    return version


Unpublished = Literal["refuse", "copy", "drop"]
"""What a rollback does with edits of the draft that were never published: nothing (and refuses), a journey of their own, or away with them."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """`version` is new and live; `copy_key` names the journey that keeps the edits of the draft."""

    version: Version
    copy_key: str | None


def roll_back(
    engine: Engine,
    session: Session,
    journey_id: str,
    number: int,
    by: str,
    now: datetime,
    *,
    revision: int | None = None,
    unpublished: Unpublished = "refuse",
) -> RolledBack:
    """Publishes an earlier version once more, as a new version with the next number: history is never rewritten, nobody inside is moved.

    `revision` is the draft's that was looked at before deciding; None: whatever it is now.

    Raises: NotFound; Invalid if the earlier version has problems today (a template that is gone); Conflict if the draft was saved after
        `revision`, if it holds edits that were never published and `unpublished` is "refuse", or if the version is the newest already.
    """
    journey = get_journey(session, journey_id, locked=True)
    version = get_version(session, journey.id, number)
    newest = newest_version(session, journey.id)
    if newest is None or (newest.digest == version.digest and journey.state != "stopped"):
        raise Conflict("The journey is already the same as version {version}: there is nothing to roll back.", version=number)
    if revision is not None and journey.revision != revision:
        raise Conflict(
            "Someone else saved this journey in the meantime. Review it before you save.",
            revision=journey.revision,
            by=journey.updated_by,
        )
    copy_key = None
    if has_unpublished_edits(journey, newest):
        if unpublished == "refuse":
            raise Conflict("The draft has edits that were never published. Keep them as a copy, or discard them.", unpublished=True)
        copy_key = _copy_of_draft(session, journey, by, now) if unpublished == "copy" else None
    journey = _save_draft(session, journey, {**version.document, "key": journey.key}, journey.revision, by, now, strict=False)
    made = _publish(engine, session, journey, by, "", now, RUNS_ON)
    record(session, by, "journey.roll_back", f"journey:{journey.id}", {"to": number, "version": made.number, "copy": copy_key})
    return RolledBack(made, copy_key)


def newest_version(session: Session, journey_id: str) -> Version | None:
    """The version published last."""
    newest: Version | None = session.scalars(
        select(Version).where(Version.journey_id == journey_id).order_by(col(Version.number).desc()).limit(1)
    ).first()
    return newest


def has_unpublished_edits(journey: Journey, newest: Version | None) -> bool:
    """Whether the draft behaves otherwise than the newest version, or will once it is finished; positions on the canvas do not count."""
    return newest is None or differs(journey.draft, newest.digest)


def differs(draft: Mapping[str, Any], published: str) -> bool:
    """Whether a draft behaves otherwise than the version of this digest, or will once it is finished; one that cannot be read does."""
    try:
        return bool(parts_of(draft.get("ui") or {})) or digest(read(draft)) != published
    except Invalid:
        return True


def _copy_of_draft(session: Session, journey: Journey, by: str, now: datetime) -> str:
    """A new journey that holds the draft."""
    wish = f"{journey.key[:56]}_draft"
    taken = set(session.scalars(select(Journey.key).where(col(Journey.key).startswith(wish, autoescape=True))).all())
    key = wish if wish not in taken else next(key for n in range(2, 100_000) if (key := f"{wish}{n}"[:64]) not in taken)
    copy = create_journey(session, {**journey.draft, "key": key, "name": f"{journey.name[:110]} (2)"}, by, now)
    copy.folder, copy.tags = journey.folder, list(journey.tags)
    session.add(copy)
    return key


def _version(engine: Engine, session: Session, journey: Journey, draft: Document, by: str, note: str, now: datetime) -> Version:
    last = newest_version(session, journey.id)
    program = compile_journey(draft, engine.palette)
    presence.refuse_unless_all_know(session, program.behaviours)
    pins = pins_of(session, program)
    fingerprint = digest(draft)
    if last is not None and last.digest == fingerprint and last.pins == pins:
        return last
    version = Version(
        journey_id=journey.id,
        number=(last.number if last else 0) + 1,
        digest=fingerprint,
        document=as_json(draft),
        pins=pins,
        note=note,
        published_at=now,
        published_by=by,
    )
    session.add(version)
    session.flush()
    return version


def pins_of(session: Session, program: Program) -> dict[str, Any]:
    """What a version of this program would hold on to: its behaviours, and the templates as they are."""
    return {"behaviours": sorted(program.behaviours), "templates": pinned_templates(session, program.nodes.values())}


def pinned_templates(session: Session, nodes: Any) -> dict[str, int]:
    """The newest versions of the templates that these steps name, as a version pins them."""
    keys = {key for node in nodes for _, noun, key in node.references() if noun == "template"}
    if not keys:
        return {}
    rows = session.execute(
        select(TemplateVersion.key, func.max(col(TemplateVersion.number)))
        .where(col(TemplateVersion.key).in_(keys))
        .group_by(TemplateVersion.key)
    )
    return dict(rows.all())


def pause(engine: Engine, session: Session, journey_id: str, by: str, now: datetime) -> Wakeups:
    """Holds everything that comes due in the journey; no run is touched, exits still act.

    Raises: NotFound; Conflict unless it is live.
    """
    _change_state(session, journey_id, ("live",), "paused", by, now)
    return Wakeups()


def resume(engine: Engine, session: Session, journey_id: str, by: str, now: datetime) -> Wakeups:
    """Lets a paused journey go on. The keeper wakes its held runs in order, at a set rate.

    Raises: NotFound; Conflict unless it is paused.
    """
    _change_state(session, journey_id, ("paused",), "live", by, now)
    return Wakeups()


def stop(engine: Engine, session: Session, journey_id: str, by: str, now: datetime) -> Wakeups:
    """Nobody enters any more, and every open run ends at its next step, which the keeper brings about page by page.

    Raises: NotFound; Conflict unless it is live or paused.
    """
    _change_state(session, journey_id, ("live", "paused"), "stopped", by, now)
    return Wakeups()


def archive(session: Session, journey_id: str, by: str, now: datetime) -> Journey:
    """Takes a journey out of the lists; `unarchive` brings it back.

    Raises: NotFound; Conflict while it is live or paused.
    """
    journey = get_journey(session, journey_id, locked=True)
    if journey.state in ("live", "paused"):
        raise Conflict("The journey is running. Stop it first, then archive it.", state=journey.state)
    journey.archived_at = now
    session.add(journey)
    record(session, by, "journey.archive", f"journey:{journey_id}", {})
    return journey


def unarchive(session: Session, journey_id: str, by: str, now: datetime) -> Journey:
    """The opposite of `archive`."""
    journey = get_journey(session, journey_id, locked=True)
    journey.archived_at = None
    session.add(journey)
    record(session, by, "journey.unarchive", f"journey:{journey_id}", {})
    return journey


def get_journey(session: Session, journey_id: str, *, locked: bool = False) -> Journey:
    """The journey of that id or key.

    Raises: NotFound.
    """
    statement = select(Journey).where((col(Journey.id) == journey_id) | (col(Journey.key) == journey_id))
    journey: Journey | None = session.scalars(lock(session, statement) if locked else statement).first()
    if journey is None:
        raise NotFound("There is no journey “{journey}”.", journey=journey_id[:64])
    return journey


def get_version(session: Session, journey_id: str, number: int) -> Version:
    """Raises: NotFound."""
    version = session.scalars(select(Version).where(Version.journey_id == journey_id, Version.number == number)).first()
    if version is None:
        raise NotFound("This journey has no version {version}.", version=number)
    return version


def update_pinned_template(session: Session, journey_id: str, number: int, key: str, template_version: int, by: str) -> None:
    """Lets a running version use a corrected template: an explicit, audited act.

    Raises: NotFound; Conflict if the version does not use the template.
    """
    version = get_version(session, journey_id, number)
    pinned = version.pins.get("templates", {})
    if key not in pinned:
        raise Conflict("Version {version} does not use the template “{template}”.", version=number, template=key)
    if session.get(TemplateVersion, (key, template_version)) is None:
        raise NotFound("The template “{template}” has no version {version}.", template=key, version=template_version)
    pins = {**version.pins, "templates": {**pinned, key: template_version}}
    session.execute(update(Version).where(col(Version.id) == version.id).values(pins=pins))
    record(session, by, "version.template", f"version:{version.id}", {"template": key, "from": pinned[key], "to": template_version})


_ONLY = {
    "paused": "Only a live journey can be paused.",
    "live": "Only a paused journey can be resumed.",
    "stopped": "Only a live or paused journey can be stopped.",
}
"""What is said to who wants a state that cannot follow the present one."""


def _change_state(session: Session, journey_id: str, allowed: tuple[str, ...], state: str, by: str, now: datetime) -> None:
    journey = get_journey(session, journey_id, locked=True)
    if journey.state not in allowed:
        raise Conflict(_ONLY[state], state=journey.state)
    journey.state, journey.updated_at, journey.updated_by = state, now, by
    journey.paused_at = now if state == "paused" else None
    session.add(journey)
    bump(session, JOURNEYS)
    record(session, by, f"journey.{state}", f"journey:{journey.id}", {})


def as_json(document: Document) -> dict[str, Any]:
    """What the author set, as it is stored."""
    return {"spec": document.spec, **document.model_dump(mode="json", by_alias=True, exclude_unset=True)}
