"""Templates as people work with them: saved in versions, previewed on a contact, sent to a colleague for a look.

A save that cannot be compiled stores nothing. Versions never change; journeys pin them when they are published. Who may do what
is the API's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.link_parameters import marked
from activities.providers.provider import Answer, InDoubt, Outgoing, Provider, ProviderFailure
from activities.rendering import INLINE, UNTRACKED, CompiledTemplate, Kind, Rendered, Renderer, RenderFailed, answered, digest
from activities.rendering.compile import most_characters
from activities.rendering.kinds import KINDS, PARTIAL, further_parts
from activities.sending.cards import card_of
from activities.sending.ledger import message_id_of
from activities.sending.messages import MessageSettings, contact_values
from activities.templates import partials
from activities.templates.rule_segments import refuse_gone
from activities.templates.samples import CONTACT, lent
from crm.rules.sql_facts import SqlFacts
from journeys.channels import DEFAULT
from journeys.errors import Conflict, Invalid, Issue, NotFound, refuse
from journeys.keys import key_problems
from journeys.link_parameters import LinkParameters
from journeys.rules import DictFacts
from journeys.rules.facts import Facts
from models import Body, Contact, Database, Member, Message, Template, TemplateVersion, new_id
from storage import freshness
from storage.locks import person_of
from workspace import audit, brand, settings
from workspace.imprint import sender_values

CLASSES = ("marketing", "transactional")
MAX_TAGS = 20
TO_COLLEAGUES = DEFAULT
"""The channel by which a member gets the test of a template, whatever the template is for."""
NOBODY = "0" * 32
"""Stands for a double opt-in in previews: the link leads nowhere."""
SHOWN_FOR = dict.fromkeys(("journey", "journey_name", "step"), "preview")
"""Fills the places of campaign parameters that only a journey fills."""
TESTS_PER_HOUR = 30
"""Test messages to one member."""


@dataclass(frozen=True, slots=True)
class Saved:
    """`number` is the version that holds this state; `warnings` do not stand in the way."""

    template: Template
    number: int
    warnings: tuple[Issue, ...]


def save(
    db: Database,
    key: str,
    variants: Mapping[str, Any],
    *,
    name: str,
    kind: Kind,
    message_class: str,
    actor: str,
    now: datetime,
    revision: int | None = None,
    folder: str | None = None,
    tags: Sequence[str] | None = None,
    topic: str | None = None,
    sender: str | None = None,
    reply_to: str | None = None,
    link_parameters: LinkParameters | None = None,
    renderer: Renderer = INLINE,
) -> Saved:
    """Compiles and stores a template; a changed text becomes the next version, an unchanged one none.

    `revision` is the one that was edited; None overwrites whatever is there. `folder`, `tags`, `topic`, `sender`, `reply_to` and `link_parameters`: None leaves them as they are.
    `renderer` compiles.

    Raises:
        Invalid: `issues` lists every problem with its place.
        Conflict: somebody saved meanwhile, or the template is of another kind.
        RenderBusy: nobody could compile it just now.
    """
    check_label(key, name, message_class, folder, tags)
    with db.read() as session:
        library = partials.library(session, variants, own=key if kind == PARTIAL else "")
    compiled = renderer.compile_template(variants, kind, message_class=message_class, library=library)
    with db.write() as session:
        refuse_gone(session, (rule for one in compiled.variants.values() for rule in one.rules.values()))
        template = _put(session, key, name, kind, message_class, dict(variants), now, revision)
        _shelve(template, folder, tags)
        _choose(session, template, topic, sender, reply_to)
        if link_parameters is not None:
            template.link_parameters = link_parameters.stored()
        number = _version(session, template, compiled, now)
        audit.record(session, actor, "template.save", f"template:{key}", {"revision": template.revision, "version": number})
        freshness.bump(session, "templates")
    return Saved(template, number, compiled.warnings)


def save_draft(session: Session, key: str, variants: Mapping[str, Any], revision: int, now: datetime) -> Template:
    """Keeps a text as it is being written, right or wrong. It becomes a version, and can be sent, when it is saved.

    Raises:
        NotFound: there is no such template.
        Invalid: no draft at all: a part that is no text, or too long.
        Conflict: the template is no longer at `revision`.
    """
    template = _locked(session, key, revision)
    _bounded(template.kind, variants)
    template.variants, template.revision, template.updated_at = dict(variants), template.revision + 1, now
    session.add(template)
    session.flush()
    return template


def describe(
    session: Session,
    key: str,
    revision: int,
    *,
    name: str,
    message_class: str,
    folder: str,
    tags: Sequence[str],
    actor: str,
    now: datetime,
    topic: str | None = None,
    sender: str | None = None,
    reply_to: str | None = None,
    link_parameters: LinkParameters | None = None,
) -> Template:
    """Changes what stands on the template's label; its text stays. `topic`, `sender`, `reply_to`: as `save`. Other `link_parameters` make a new version
    of the text that the newest one has.

    Raises:
        NotFound, Conflict: as `save_draft`. Invalid: lists every problem.
    """
    check_label(key, name, message_class, folder, tags)
    template = _locked(session, key, revision)
    template.name, template.message_class = name.strip(), message_class
    _shelve(template, folder, tags)
    _choose(session, template, topic, sender, reply_to)
    if link_parameters is not None and link_parameters.stored() != template.link_parameters:
        template.link_parameters = link_parameters.stored()
        _pin_parameters(session, template, now)
    template.revision, template.updated_at = template.revision + 1, now
    session.add(template)
    audit.record(session, actor, "template.describe", f"template:{key}", {"revision": template.revision, "class": message_class})
    freshness.bump(session, "templates")
    session.flush()
    return template


def unarchive(session: Session, key: str, actor: str, now: datetime) -> Template:
    """The opposite of `archive`.

    Raises:
        NotFound: there is no such template.
    """
    template = get(session, key)
    template.archived_at = None
    session.add(template)
    audit.record(session, actor, "template.unarchive", f"template:{key}", {})
    freshness.bump(session, "templates")
    return template


def archive(session: Session, key: str, actor: str, now: datetime) -> Template:
    """Takes a template out of the lists; journeys that pin one of its versions go on with it.

    Raises:
        NotFound: there is no such template.
    """
    template = get(session, key)
    template.archived_at = template.archived_at or now
    session.add(template)
    audit.record(session, actor, "template.archive", f"template:{key}", {})
    freshness.bump(session, "templates")
    return template


def get(session: Session, key: str) -> Template:
    """The template as edited last.

    Raises:
        NotFound: there is no such template.
    """
    template = session.get(Template, key)
    if template is None:
        raise NotFound("There is no template with this key.", key=key)
    return template


def latest(session: Session, key: str) -> int:
    """The number of the newest version; 0 if there is none."""
    return session.scalar(select(func.max(TemplateVersion.number)).where(TemplateVersion.key == key)) or 0


def load(session: Session, key: str, number: int | None = None) -> CompiledTemplate:
    """A compiled version; the newest if none is named.

    Raises:
        NotFound: there is no such version.
    """
    template = get(session, key)
    version = session.get(TemplateVersion, (key, number if number is not None else latest(session, key)))
    if version is None:
        raise NotFound("There is no such version of this template.", key=key, number=number)
    compiled = CompiledTemplate.from_json(template.kind, version.compiled)
    return replace(compiled, key=key, name=template.name, link_parameters=version.link_parameters)


def compile_draft(
    session: Session, renderer: Renderer, template: Template, variants: Mapping[str, Any], *, message_class: str = ""
) -> CompiledTemplate:
    """A text of a template as it would become a version, with the newest versions of its partials.

    Raises:
        Invalid: lists every problem. RenderBusy: nobody could compile it just now.
    """
    library = partials.library(session, variants, own=template.key if template.kind == PARTIAL else "")
    chosen = message_class or template.message_class
    compiled = renderer.compile_template(variants, template.kind, message_class=chosen, library=library)
    return replace(compiled, key=template.key, name=template.name, link_parameters=template.link_parameters)


def preview(
    session: Session,
    messaging: MessageSettings,
    compiled: CompiledTemplate,
    now: datetime,
    *,
    contact_id: str | None = None,
    locale: str | None = None,
    message_class: str = "marketing",
    trigger: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    sample: Mapping[str, Any] = CONTACT,
    message_id: str = "0" * 32,
    about: Mapping[str, str] = SHOWN_FOR,
) -> Rendered:
    """The message as this contact (or the made-up one, `sample`) would get it, without tracking. `trigger` stands for the event's
    properties, `steps` for what earlier steps remembered, `about` for what a journey fills the places of campaign parameters with.

    Raises:
        NotFound: there is no such contact.
        Invalid: the template asks for something that is not there, or for too much; says what.
        RenderBusy: nobody could fill it in just now.
    """
    contact = sample if contact_id is None else _contact(session, contact_id)
    values = {
        "contact": contact,
        "trigger": dict(trigger or {}),
        "run": {"id": "", "journey": "", "started_at": now},
        "steps": dict(steps or {}),
        "sender": sender_values(session),
        "brand": brand.values(session, messaging.tracking.public_url),
        "now": now,
        **messaging.tracking.urls(message_id),
        "confirm_url": messaging.tracking.confirm_url(message_id, NOBODY),
    }
    if compiled.kind == PARTIAL:
        values = {**lent((variant.html for variant in compiled.variants.values()), now), **values}
    languages = [name for name in (locale, contact.get("locale"), messaging.language) if name]
    try:
        zone = str(contact.get("timezone") or messaging.zone)
        values |= answered(compiled, languages, facts_of(session, contact_id, sample, now), now)
        marks = marked(session, compiled, {**about, "channel": compiled.kind}, UNTRACKED)
        rendered = messaging.renderer.render(compiled, languages, values, marks=marks, message_class=message_class, zone=zone)
        if KINDS[compiled.kind].is_card:
            messaging.renderer.card("show", card_of(session, rendered))
        return rendered
    except RenderFailed as error:
        text = _SAID.get(error.code, "The template cannot be rendered: {code} {name}.")
        problem = Issue(code=f"render_{error.code}", text=text, values={"name": error.name, "code": error.code})
        raise Invalid("{problem}", [problem], problem=problem) from None


def facts_of(session: Session, contact_id: str | None, sample: Mapping[str, Any], now: datetime) -> Facts:
    """What rules ask of the contact that a text is shown for: of the made-up one (None) only its fields are known."""
    return DictFacts(sample) if contact_id is None else SqlFacts(session, person_of(session, contact_id), as_of=now)


_SAID: Mapping[str, str] = {
    "card_full": "There is too much on the card ({name}): shorten it, or make it smaller.",
    "bad_picture": "A picture on the card cannot be read, or is too large.",
    "foreign_picture": "A picture on the card is not in the library; nothing is fetched from elsewhere.",
    "missing_value": 'The template uses "{name}", which has no value.',
    "too_long": "Rendering this template takes too long or produces too much text; shorten its loops, or what they run over.",
    "too_large": "Rendering this template takes too much memory; shorten its loops, or what they run over.",
}


def send_test(
    db: Database,
    messaging: MessageSettings,
    provider: Provider,
    key: str,
    *,
    member_id: str,
    now: datetime,
    contact_id: str,
    number: int | None = None,
    trigger: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    compiled: CompiledTemplate | None = None,
) -> Message:
    """Sends a template, filled in for a contact, to a member of the team and to nobody else.

    It passes no gate, counts nowhere and tracks nothing; its unsubscribe link changes nothing. What is written for another channel comes as a mail. What the
    provider said stands in the row's `status` (sent, failed, uncertain) and `reason`. `compiled` is sent instead of a stored version.

    Raises:
        NotFound, Invalid: as `preview`; or there is no such member, or it is not active.
        Conflict: this member got `TESTS_PER_HOUR` within the last hour, or it is a partial.
    """
    once_key = f"test:{new_id()}"
    message_id = message_id_of(once_key)
    with db.read() as session:
        member = _member(session, member_id)
        _not_too_many(session, member, now)
        template = get(session, key)
        contact_id = person_of(session, contact_id)
        if template.kind == PARTIAL:
            raise Conflict("A partial is not a message; send a test of a template that includes it.")
        used = None if compiled else number if number is not None else latest(session, key)
        compiled = compiled or load(session, key, number)
        rendered = preview(
            session,
            messaging,
            compiled,
            now,
            contact_id=contact_id,
            message_class=template.message_class,
            trigger=trigger,
            steps=steps,
            message_id=message_id,
        )
        sender = settings.load(session, settings.Sender).email or messaging.mail_from
    outgoing = Outgoing(
        once_key, message_id, TO_COLLEAGUES, member, sender, subject=f"[Test] {rendered.subject or template.name}", html=rendered.html if KINDS[compiled.kind].is_html else "", text=_as_mail(compiled.kind, rendered),
        headers=rendered.headers,
    )  # fmt: skip
    with db.write() as session:
        session.add(kept_body(outgoing, contact_id, message_id, now))
        session.flush()
        session.add(
            Message(
                id=message_id, once_key=once_key, contact_id=contact_id, channel=TO_COLLEAGUES, purpose="test", message_class=template.message_class,
                template=key, template_version=used, locale=rendered.locale, subject=outgoing.subject, status="claimed", provider=provider.name,
                planned_at=now, claimed_at=now, body_id=message_id, test=True,
            )
        )  # fmt: skip
    return note_answer(db, message_id, *hand_over(provider, outgoing), now)


def _as_mail(kind: str, rendered: Rendered) -> str:
    """The text of a test: what is written for another channel as lines below each other."""
    shape = KINDS[kind]
    unsaid = {shape.headline, *((shape.approved.id, shape.approved.values) if shape.approved else ())}
    lines = [rendered.parts.get(part.name, "") for part in further_parts(kind) if part.name not in unsaid]
    return "\n\n".join(line for line in (rendered.text, *lines) if line)


def hand_over(provider: Provider, outgoing: Outgoing) -> tuple[str, str, Answer]:
    """Hands a test over; returns the status and reason that come of it, and the answer."""
    try:
        return "sent", "", provider.send(outgoing)
    except InDoubt as doubt:
        return "uncertain", doubt.code, Answer()
    except ProviderFailure as failure:
        return "failed", failure.code, Answer()


def note_answer(db: Database, message_id: str, status: str, reason: str, answer: Answer, now: datetime) -> Message:
    """Writes down what came of a test."""
    with db.write() as session:
        message = session.get_one(Message, message_id)
        message.status, message.reason, message.provider_id = status, reason, answer.provider_id[:200]
        message.sent_at = now if status == "sent" else None
        session.add(message)
    return message


def check_label(key: str, name: str, message_class: str, folder: str | None = None, tags: Sequence[str] | None = None) -> None:
    """Raises Invalid, which lists every problem of what stands on a template's label."""
    issues = []
    if folder is not None and len(folder) > 120:
        issues.append(Issue(code="folder", text="Expected a folder of at most 120 characters.", field="folder"))
    if tags is not None and (len(tags) > MAX_TAGS or any(not tag.strip() or len(tag) > 60 for tag in tags)):
        text = "Expected at most {most} tags of 1 to 60 characters."
        issues.append(Issue(code="tags", text=text, values={"most": MAX_TAGS}, field="tags"))
    issues += key_problems(key)
    if not name.strip() or len(name) > 120:
        issues.append(Issue(code="name", text="Expected a name of 1 to 120 characters.", field="name"))
    if message_class not in CLASSES:
        issues.append(Issue(code="message_class", text="Expected the class marketing or transactional.", field="message_class"))
    refuse(issues)


def _shelve(template: Template, folder: str | None, tags: Sequence[str] | None) -> None:
    if folder is not None:
        template.folder = folder.strip()
    if tags is not None:
        template.tags = list(dict.fromkeys(tag.strip() for tag in tags))


def _choose(session: Session, template: Template, topic: str | None, sender: str | None, reply_to: str | None) -> None:
    """Raises Invalid, which lists every choice that the workspace has not. What it had once stays where it was."""
    topics, senders = settings.load(session, settings.Topics).offers(), settings.load(session, settings.Senders).offers()
    chosen = [
        (name, key, known) for name, key, known in (("topic", topic, topics), ("sender", sender, senders), ("reply_to", reply_to, senders))
    ]
    new = [(name, key, known) for name, key, known in chosen if key is not None and key != getattr(template, name)]
    issues = [
        Issue(code=name, text=_NOT_THERE[name], values={"key": key[:64]}, field=name)
        for name, key, known in new
        if key and key not in known
    ]
    if issues:
        raise Invalid("{problem}", issues, problem=issues[0])
    for name, key, _ in new:
        setattr(template, name, key)
    session.add(template)


_NOT_THERE = {
    "topic": "There is no topic “{key}”: add it under “Topics” in the settings first.",
    "sender": "There is no sender “{key}”: add it under “Further senders” in the settings first.",
    "reply_to": "There is no sender “{key}”: add it under “Further senders” in the settings first.",
}


def _locked(session: Session, key: str, revision: int) -> Template:
    template = session.get(Template, key, with_for_update=True)
    if template is None:
        raise NotFound("There is no template with this key.", key=key)
    if template.revision != revision:
        raise Conflict("Someone else saved this template in the meantime; reload it and try again.", revision=template.revision)
    return template


def _bounded(kind: str, variants: Mapping[str, Any]) -> None:
    """Raises Invalid unless this could be kept as a draft."""
    shape = KINDS.get(kind)
    good = shape is not None and 1 <= len(variants) <= 50 and all(
        isinstance(parts, Mapping)
        and all(
            (part := shape.part(name)) is not None and isinstance(text, str) and len(text) <= most_characters(part) and "\0" not in text
            for name, text in parts.items()
        )
        for parts in variants.values()
    )  # fmt: skip
    if not good:
        raise Invalid("This is too long, or not a text.")


def _put(
    session: Session, key: str, name: str, kind: str, message_class: str, variants: dict[str, Any], now: datetime, revision: int | None
) -> Template:
    template = session.get(Template, key, with_for_update=True)
    if template is None:
        template = Template(key=key, name=name, kind=kind, message_class=message_class, variants=variants, created_at=now, updated_at=now)
    else:
        if revision is not None and revision != template.revision:
            raise Conflict("Someone else saved this template in the meantime; reload it and try again.", revision=template.revision)
        if template.kind != kind:
            raise Conflict("A template keeps its kind; create another one.", kind=template.kind)
        template.name, template.message_class, template.variants = name, message_class, variants
        template.revision, template.updated_at, template.archived_at = template.revision + 1, now, None
    session.add(template)
    session.flush()
    return template


def _version(session: Session, template: Template, compiled: CompiledTemplate, now: datetime) -> int:
    state = digest(template.variants, template.kind, compiled.partials, template.link_parameters)
    statement = select(TemplateVersion).where(TemplateVersion.key == template.key).order_by(col(TemplateVersion.number).desc()).limit(1)
    newest = session.scalars(statement).first()
    if newest is not None and newest.digest == state:
        return newest.number
    number = newest.number + 1 if newest else 1
    session.add(
        TemplateVersion(
            key=template.key,
            number=number,
            digest=state,
            source=template.variants,
            compiled=compiled.to_json(),
            partials=dict(compiled.partials),
            link_parameters=template.link_parameters,
            created_at=now,
        )
    )
    session.flush()
    return number


def _pin_parameters(session: Session, template: Template, now: datetime) -> None:
    """A version of the text that the newest one has, with what is added to links now."""
    newest = session.get(TemplateVersion, (template.key, latest(session, template.key)))
    if newest is None:
        return
    kept = {"source": newest.source, "compiled": newest.compiled, "partials": newest.partials, "link_parameters": template.link_parameters}
    state = digest(newest.source, template.kind, newest.partials, template.link_parameters)
    session.add(TemplateVersion(key=template.key, number=newest.number + 1, digest=state, created_at=now, **kept))


def _contact(session: Session, contact_id: str) -> Mapping[str, Any]:
    contact = session.get(Contact, person_of(session, contact_id))
    if contact is None or contact.erased_at is not None:
        raise NotFound("There is no contact with this id.", contact_id=contact_id)
    return contact_values(contact)


def _member(session: Session, member_id: str) -> str:
    member = session.get(Member, member_id)
    if member is None or not member.active:
        raise NotFound("There is no such member of the team.", member_id=member_id)
    return member.email


def _not_too_many(session: Session, recipient: str, now: datetime) -> None:
    statement = select(func.count()).select_from(Message).join(Body, col(Body.id) == col(Message.body_id))
    tests = col(Message.once_key).between("test:0", "test:g")  # what follows is hex: true in the alphabetical order of any database
    recent = statement.where(tests, col(Message.planned_at) > now - timedelta(hours=1), col(Body.recipient) == recipient)
    if (session.scalar(recent) or 0) >= TESTS_PER_HOUR:
        raise Conflict("That is the maximum number of tests per hour; please wait a little.")


def kept_body(outgoing: Outgoing, contact_id: str, body_id: str, now: datetime) -> Body:
    """What is kept of a test."""
    return Body(
        id=body_id, contact_id=contact_id, recipient=outgoing.recipient, sender=outgoing.sender, subject=outgoing.subject,
        headers=dict(outgoing.headers), html=outgoing.html, text=outgoing.text, created_at=now,
    )  # fmt: skip
