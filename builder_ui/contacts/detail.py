"""One contact from all sides: who they are, what they allowed, and everything that happened, in one timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.contacts import devices as device_view
from builder_ui.contacts import edit
from builder_ui.kit import components, labels
from builder_ui.kit.actor_names import called, meant_for, member_names
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, MESSAGE_STATES, OUTLETS, REASONS, REFUSALS, RUN_STATES, TASK_CHANGES, coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments import of_contact
from crm.catalogue import field_titles
from crm.consent import expiry, mailbox
from crm.consent.consent import history
from crm.people import devices, phones
from crm.people.contacts import get, names_of
from crm.people.timeline import KINDS, Item, TimelinePage, timeline
from crm.people.unmerge import newest as newest_merge
from crm.segments.members import Membership
from engine.runs.operations import RunFilter, list_runs
from journeys import postal
from journeys.channels import ADDRESSED, TOPIC
from models import Consent, ConsentState, Contact, Device, Event, Journey, Merge, Message, Score, Tag
from storage import origin
from workspace import listed_names

KIND_NAMES = {
    "event": "Events",
    "message": "Messages",
    "run": "Journeys",
    "consent": "Consents",
    "refusal": "Refusals",
    "task": "Tasks",
    "score": "Scores",
    "merge": "Merges",
}
ICONS = {
    "event": "bell",
    "message": "mail",
    "run": "route",
    "consent": "check-square",
    "refusal": "ban",
    "task": "clipboard-check",
    "score": "gauge",
    "merge": "people",
}
IDENTITIES = {"user_id": "User id", "anonymous_id": "Anonymous id", "email": "E-mail", "phone": "Phone", postal.FIELD: "Postal address"}


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    contact: Contact
    page: TimelinePage
    identities: list[tuple[str, str]]
    tags: list[str]
    scores: dict[str, float]
    consents: list[ConsentState]
    runs: list[dict[str, Any]]
    journeys: dict[str, tuple[str, str]]
    """Journey id -> (key, name)."""
    members: dict[str, str]
    steps: dict[tuple[str, str], str]
    """(version id, node id) -> what people call the step."""
    said: list[Consent]
    """Every statement about consent, oldest first; only where they are shown."""
    merge: Merge | None
    """The merge that can be undone."""
    purposes: dict[str, str]
    """Consent purpose -> what people call it; message ids."""
    suppressed: dict[str, mailbox.Refused]
    """Channel -> why the contact's address gets nothing there, and since when."""
    ended: list[dict[str, Any]]
    """Runs that are over, newest first."""
    messages: dict[str, str]
    """Message id -> its subject, of the messages that events on this page are about."""
    sources: dict[str, str]
    """Source of an event -> what people call the key or the file it came with."""
    phones: list[str]
    """All numbers, the main one first."""
    titles: dict[str, str]
    """Field -> its title in this workspace, where it has one."""
    devices: list[Device]
    """Where push messages reach the contact."""
    segments: list[Membership]
    lists: dict[str, str]
    """Key -> name of the segments that are kept by hand."""


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        contact = get(session, context.arguments["id"])
        kind = context.query.get("kind", "")
        kinds = (kind,) if kind else KINDS
        page = timeline(session, contact.id, before=context.query.get("before"), text=context.query.get("q", "")[:100], kinds=kinds)
        return Data(
            contact,
            page,
            names_of(session, contact.id),
            list(session.scalars(select(Tag.tag).where(Tag.contact_id == contact.id).order_by(Tag.tag))),
            dict(session.execute(select(Score.score_group, Score.value).where(Score.contact_id == contact.id)).all()),
            list(session.scalars(select(ConsentState).where(ConsentState.contact_id == contact.id))),
            list_runs(session, RunFilter(contact_id=contact.id, status="open", limit=20)),
            {id: (key, name) for id, key, name in session.execute(select(Journey.id, Journey.key, Journey.name))},
            member_names(session),
            _steps(context, session, page),
            history(session, contact.id)[-500:] if context.query.get("view") == "consents" else [],
            newest_merge(session, contact.id),
            listed_names.labels(session, "purposes", context.t.language),
            suppressions(context, session, contact),
            list_runs(session, RunFilter(contact_id=contact.id, status="ended", limit=10)),
            subjects(session, page),
            origin.names_of(session, {one.data["source"] for one in page.items if one.kind == "event"}),
            phones.of(session, contact),
            field_titles(session),
            devices.of_contact(session, contact.id),
            of_contact.load(session, contact.id),
            of_contact.lists(session) if context.query.get("view") == "edit" else {},
        )


def suppressions(context: PageContext, session: Any, contact: Contact) -> dict[str, mailbox.Refused]:
    keys = context.engine.address_keys
    pairs = [(channel, mailbox.address_of(contact, channel)) for channel in ADDRESSED]
    found = {channel: mailbox.refused(session, keys, channel, address) for channel, address in pairs if address}
    return {channel: one for channel, one in found.items() if one}


def subjects(session: Any, page: TimelinePage) -> dict[str, str]:
    events = [one.data["properties"] for one in page.items if one.kind == "event" and one.data["type"] == "system"]
    ids = {id for properties in events if isinstance(id := properties.get("message_id"), str)}
    return dict(session.execute(select(Message.id, Message.subject).where(col(Message.id).in_(ids))).all()) if ids else {}


def _steps(context: PageContext, session: Any, page: TimelinePage) -> dict[tuple[str, str], str]:
    versions = {one.data["version_id"] for one in page.items if one.kind == "run"}
    programs = {id: context.engine.program(session, id) for id in sorted(versions)}
    return {(id, node_id): name for id, program in programs.items() for node_id, name in labels.names_of(context.t, program.nodes).items()}


def stamp(context: PageContext) -> object:
    """Whatever happens to a contact is an event or a step of a run; messages change by themselves."""
    with context.engine.db.read() as session:
        id = get(session, context.arguments["id"]).id
        newest = session.scalar(select(func.max(Event.id)).where(Event.contact_id == id)), of_contact.load(session, id)
        fates = session.execute(
            select(Message.status, Message.opened_at, Message.clicked_at)
            .where(Message.contact_id == id)
            .order_by(col(Message.id).desc())
            .limit(20)
        )
        runs = [(run["id"], run["step"], run["status"]) for run in list_runs(session, RunFilter(contact_id=id, limit=20))]
        return newest, [tuple(fate) for fate in fates], runs


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, contact = context.t, data.contact
    views = [("", t("Timeline"), None), ("consents", t("Consents"), len(data.consents))]
    if data.devices:
        views.append(("devices", t("Devices"), len(data.devices)))
    if context.may("contact.change") and contact.erased_at is None:
        views.append(("edit", t("Change"), None))
    shown = {"consents": consent_view, "devices": devices_view, "edit": edit.view}.get(context.query.get("view", ""), story)
    return html._(
        components.head(
            called(contact) or t("Contact {id}", id=contact.id[-6:]),
            contact.email if called(contact) != contact.email else None,
            back=("/ui/contacts", t("Contacts")),
            state=components.badge(contact.lifecycle_stage, "quiet", "user") if contact.lifecycle_stage else None,
            actions=heading_actions(context, data),
        ),
        html.p({"className": "notice bad"}, components.icon("ban"), t("This contact was erased.")) if contact.erased_at else None,
        [blocked(context, channel, why) for channel, why in data.suppressed.items()],
        html.div({"className": "bar"}, components.tabs(context, "view", views, t("Views"))),
        html.div(
            {"className": "columns"},
            html.section({"className": "panel"}, shown(context, data, acts)),
            html.section({"className": "panel side-panel"}, components.facts(profile(context, data))),
        ),
    )


def heading_actions(context: PageContext, data: Data) -> list[Element]:
    t, id = context.t, data.contact.id
    offered: list[Element] = []
    if context.may("contact.change"):
        address = f"/ui/tasks?owner=all&contact={id}"
        offered.append(html.a({"className": "button", "href": address}, components.icon("check-square"), t("New task")))
    if context.may("contact.export"):
        offered.append(html.a({"className": "button", "href": f"/ui/contacts/{id}/data.json"}, t("Export all data")))
    return offered


def story(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    kinds = [("", t("Everything"), None), *[(kind, t(name), None) for kind, name in KIND_NAMES.items()]]
    everything = not context.query.get("kind")
    items = [item(context, data, one) for one in data.page.items if not (everything and (is_noise(one) or is_unmet(one)))]
    return html._(
        html.div(
            {"className": "bar"}, components.tabs(context, "kind", kinds, t("Kind")), components.search(context, t("Search timeline"))
        ),
        html.ol({"className": "timeline"}, items) if items else components.empty("clock", nothing(context), None),
        components.pager(context, data.page.next_before),
    )


def nothing(context: PageContext) -> str:
    return context.t("No results.") if context.query.get("q") or context.query.get("kind") else context.t("No activity yet.")


def _ends(context: PageContext, session: Session, one: ConsentState) -> Element:
    """When a consent ends by itself, or that it has; empty where it does not."""
    now = context.app.now()
    end = (
        expiry.ends_at(session, one.contact_id, one.purpose, one.said_at, now) if one.state == "granted" and one.channel != TOPIC else None
    )
    if end is None:
        return ""
    return components.moment(context.t, end) if end > now else components.badge(context.t("expired"), "warn", "hourglass")


def consent_view(context: PageContext, data: Data, acts: Acts) -> Element:
    """What holds now, and under it every statement with its wording and proof, newest first."""
    t = context.t
    columns = (t("Channel"), t("Purpose"), t("Now"), t("Since"), t("Expires"))
    with context.engine.db.read() as session:
        ends = [_ends(context, session, one) for one in data.consents]
    expiring = {(one.channel, one.purpose): end for one, end in zip(data.consents, ends, strict=True)}
    now = [
        [
            coded(t, CHANNELS, one.channel),
            one.purpose,
            html.b(coded(t, CONSENT_STATES, one.state)),
            components.moment(t, one.said_at),
            expiring[one.channel, one.purpose],
        ]
        for one in sorted(data.consents, key=lambda one: (one.channel, one.purpose))
    ]
    return html._(
        components.table(t("Current consent"), columns, now, "consents") if now else components.empty("check-square", t("no answer"), None),
        html.h2({"className": "apart"}, t("All consent records")) if data.said else None,
        html.ol({"className": "timeline"}, [statement(context, one) for one in reversed(data.said)]),
    )


def devices_view(context: PageContext, data: Data, acts: Acts) -> Element:
    return device_view.view(context, data.contact.id, data.devices, acts)


LIFTS = {
    "unsubscribe": "New consent from this mailbox removes the suppression, such as a confirmed form or the preference page. An administrator can remove it, too.",
    "objection": "Only the contact can withdraw this; an administrator records it under Change, with the evidence.",
    "complaint": "New consent does not remove the suppression. An administrator can, under Change, if the contact asks for it.",
}
LIFTS_OTHERS = "Only this address is suppressed. An administrator can unsuppress it under Change once the address works again."


def blocked(context: PageContext, channel: str, why: mailbox.Refused) -> Element:
    """What is blocked, why, since when, and what lifts it."""
    t, marketing = context.t, why.reason == "unsubscribe"
    text = (
        "This address gets no marketing on the channel {channel}: {reason}"
        if marketing
        else "This address is suppressed on the channel {channel}: {reason}"
    )
    said = t(text, channel=coded(t, CHANNELS, channel), reason=coded(t, REASONS, f"suppressed_{why.reason}"))
    since = html._(" ", t("Since"), " ", components.moment(t, why.since), ".") if why.since else None
    ordered = html._(" ", t("Transactional messages still arrive.")) if marketing else None
    lifts = t(LIFTS.get(why.reason, LIFTS_OTHERS))
    return html.div(
        {"className": "notice bad", "key": channel},
        components.icon("ban"),
        html.div(html.p(said, ".", since, ordered), html.p({"className": "quiet"}, lifts)),
    )


def statement(context: PageContext, one: Consent) -> Element:
    t = context.t
    proof = {name: value for name, value in one.proof.items() if name != "applied"}
    late = one.proof.get("applied") is False
    return html.li(
        {"className": "event small", "key": str(one.id)},
        html.span({"className": "step-icon"}, components.icon(ICONS["consent"])),
        html.div(
            {"className": "event-body"},
            html.div(
                {"className": "event-head"},
                html.div(
                    tell_consent(context, None, one.model_dump()),
                    html.p({"className": "quiet"}, t("Proof: {proof}", proof="; ".join(f"{k}: {short(v, 60)}" for k, v in proof.items())))
                    if proof
                    else None,
                    html.p({"className": "quiet"}, t("Too late to count: there was a more recent answer.")) if late else None,
                ),
                components.moment(t, one.said_at),
            ),
        ),
    )


# Who they are


def profile(context: PageContext, data: Data) -> list[tuple[str, Element]]:
    t, contact = context.t, data.contact
    pairs: list[tuple[str, Element]] = [(t("In journeys"), open_runs(context, data))]
    if data.ended:
        pairs.append((t("Finished journeys"), html.ul([ended_run(context, data, run) for run in data.ended])))
    if data.segments:
        pairs.append((t("Segments"), of_contact.links(context, contact.id, data.segments)))
    pairs += [(coded(t, IDENTITIES, kind), named(kind, value)) for kind, value in identifiers(data)]
    if problem := labels.postal_problem(t, contact):
        pairs.append((t("Address check"), components.badge(problem, "bad sentence", "ban")))
    pairs.append((t("Allowed"), html.ul([consent(context, one) for one in data.consents]) if data.consents else t("no answer")))
    if data.tags:
        pairs.append(
            (
                t("Tags"),
                html.span(
                    {"className": "tags"},
                    [html.a({"className": "tag", "key": tag, "href": f"/ui/contacts?tag={tag}"}, tag) for tag in data.tags],
                ),
            )
        )
    pairs += [(t("Score {group}", group=group), t.number(value)) for group, value in data.scores.items()]
    if contact.owner:
        pairs.append((t("Owner"), data.members.get(contact.owner, contact.owner)))
    pairs += [
        (title, value)
        for title, value in (
            (t("Language"), t.language_of(contact.locale) if contact.locale else ""),
            (t("Time zone"), contact.timezone),
        )
        if value
    ]
    known = sorted(contact.attributes.items())[:40]
    pairs += [(labels.field_name(t, name, data.titles), short(labels.attribute(t, value))) for name, value in known]
    pairs.append((t("Created"), components.moment(t, contact.created_at)))
    seen = contact.last_seen_at
    pairs.append((t("Last seen"), components.relative(context, seen) if seen else t("never, according to tracking")))
    return pairs


def identifiers(data: Data) -> list[tuple[str, str]]:
    """(kind, value) of everything the contact is known and reached by, each once."""
    address = data.contact.postal_address
    post = [(postal.FIELD, labels.address(postal.FIELD, address))] if address else []
    return list(dict.fromkeys([*data.identities, *(("phone", number) for number in data.phones), *post]))


def named(kind: str, value: str) -> Element:
    """An identifier; a phone calls, a mail program writes."""
    scheme = {"phone": "tel", "email": "mailto"}.get(kind)
    return html.a({"href": f"{scheme}:{value}"}, value) if scheme else value


def ended_run(context: PageContext, data: Data, run: Mapping[str, Any]) -> Element:
    t = context.t
    return html.li(
        {"key": run["id"]},
        html.a({"href": f"/ui/runs/{run['id']}"}, data.journeys.get(run["journey_id"], ("", "?"))[1]),
        html.span({"className": "quiet"}, " ", components.moment(t, run["ended_at"]), " · ", coded(t, REASONS, run["reason"])),
    )


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


def state(context: PageContext, run: dict[str, Any]) -> Element:
    return components.badge(context.t(RUN_STATES[run["status"]][0]), *RUN_STATES[run["status"]][1:])


def consent(context: PageContext, one: ConsentState) -> Element:
    t = context.t
    return html.li(
        {"key": f"{one.channel}.{one.purpose}"},
        coded(t, CHANNELS, one.channel),
        f" ({one.purpose}): ",
        html.b(coded(t, CONSENT_STATES, one.state)),
    )


def short(value: Any, most: int = 120) -> str:
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


# What happened


def item(context: PageContext, data: Data, one: Item) -> Element:
    content = TELLERS[one.kind](context, data, one.data)
    return html.li(
        {"className": "event small", "key": f"{one.kind}.{'.'.join(map(str, one.key))}"},
        html.span({"className": "step-icon"}, components.icon(ICONS[one.kind])),
        html.div(
            {"className": "event-body"}, html.div({"className": "event-head"}, html.div(content), components.moment(context.t, one.at))
        ),
    )


def is_noise(one: Item) -> bool:
    """What another line says better: the comings and goings of steps, and the event that repeats a message."""
    if one.kind == "run":
        return one.data["what"] in ("entered", "placed", "calling", "performed", "exited") or one.data["outlet"] in ("next", "sent")
    return one.kind == "event" and one.data["type"] == "system" and one.data["name"] in TOLD_ELSEWHERE


TOLD_ELSEWHERE = frozenset(
    {
        "Message Sent",
        "Message Skipped",
        "Message Failed",
        "Task Finished",
        "Task Overdue",
        "Consent Changed",
        "Score Changed",
        "Journey Ended",
    }
)
"""Events of ours beside which there is a message, a task, a consent, a score or a line of a run that says the same."""


def is_unmet(one: Item) -> bool:
    """An event that did not fit a trigger: there may be one at every page somebody looks at, so it stands among the refusals alone."""
    return one.kind == "refusal" and one.data["reason"] == "condition"


def tell_event(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """The event's name and its first few values; ids say nothing to people."""
    if row["type"] == "system" and row["name"] in OURS:
        return OURS[row["name"]](context, data, row)
    said = [
        f"{name}: {short(labels.found(context.t, value), 60)}"
        for name, value in row["properties"].items()
        if not (isinstance(value, dict | list) or value in (None, "") or name.endswith("_id") or name in INNER.get(row["type"], ()))
    ]
    told = " · ".join([*said[:6], *came_from(context, data, row)])
    return html._(html.b(row["name"]), html.p({"className": "quiet"}, told) if told else None, left_out(context, row))


def came_from(context: PageContext, data: Data, row: Mapping[str, Any]) -> list[str]:
    """The key or the file that an event came with, as it is called today."""
    name = data.sources.get(row["source"])
    return [context.t("Source: {source}", source=name)] if name else []


def tell_read(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """An open or a click: of which message, by whom or what, and where the click led."""
    t, properties = context.t, row["properties"]
    clicked, machine = row["name"] == "Message Clicked", bool(properties.get("machine"))
    text = "Clicked" if clicked else "Opened"
    if machine:
        text = "Clicked (probably by a machine)" if clicked else "Opened (probably by a machine)"
    link = str(properties.get("link") or "")
    id = str(properties.get("message_id") or "")
    return html._(
        html.b(t(text)),
        ": ",
        html.a({"href": f"/ui/messages/{id}"}, data.messages.get(id) or t("a message")) if id else None,
        html.p({"className": "quiet"}, t("link to {address}", address=short(link))) if link else None,
    )


BOUNCES = {
    "hard": "Bounced: the address does not exist",
    "soft": "Bounced for now",
    "streak": "Bounced several times in a row: the address is blocked",
}
INTENTS = {"stop": "Wants no more messages on this channel", "start": "Wants messages on this channel again"}


def tell_about(context: PageContext, data: Data, row: Mapping[str, Any], text: str, *more: Element) -> Element:
    """What became of a message, with a link to it."""
    id = str(row["properties"].get("message_id") or "")
    link = html.a({"href": f"/ui/messages/{id}"}, data.messages.get(id) or context.t("a message")) if id else None
    return html._(html.b(context.t(text)), ": " if link else None, link, *more)


def tell_reply(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """What the contact wrote back, in their words."""
    intent = INTENTS.get(str(row["properties"].get("intent") or ""))
    text = html.p({"key": "text"}, short(str(row["properties"].get("text") or ""), 500))
    return tell_about(
        context, data, row, "Reply", text, html.p({"key": "intent", "className": "quiet"}, context.t(intent)) if intent else None
    )


def tell_auto_reply(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """What a mail program answered in the contact's place."""
    return tell_about(context, data, row, "Automatic reply", html.p({"key": "text"}, short(str(row["properties"].get("text") or ""), 500)))


def tell_bounce(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    return tell_about(context, data, row, BOUNCES.get(str(row["properties"].get("bounce") or ""), "Bounced"))


def tell_change(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """Which fields and tags, and from what to what where it is known."""
    t, properties = context.t, row["properties"]
    changes = properties.get("changes") if isinstance(properties.get("changes"), Mapping) else {}
    lines = [
        changed_line(context, str(name), labels.field_name(t, str(name), data.titles), changes.get(name))
        for name in list(properties.get("fields", ()))[:20]
    ]
    for text, key in (("Tag added: {tags}", "tags_added"), ("Tag removed: {tags}", "tags_removed")):
        if tags := properties.get(key):
            lines.append(t(text, tags=", ".join(map(str, tags))))
    return html._(
        html.b(t("Contact changed")),
        html.ul({"className": "quiet"}, [html.li({"key": str(n)}, short(line, 300)) for n, line in enumerate(lines)]) if lines else None,
        left_out(context, row),
    )


def changed_line(context: PageContext, field: str, name: str, pair: Any) -> str:
    """`name` as people call the field."""
    t = context.t
    if not (isinstance(pair, list) and len(pair) == 2):
        return name
    before, after = ("–" if value is None else labels.address(field, labels.attribute(t, value)) for value in pair)
    return f"{name}: {short(before)} → {short(after)}"


def tell_entry(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """Into which journey, and which version of it."""
    t, properties = context.t, row["properties"]
    key = str(properties.get("journey") or "")
    name = next((name for known, name in data.journeys.values() if known == key), key)
    link = html.a({"href": f"/ui/runs/{properties['run_id']}"}, name) if properties.get("run_id") else html.b(name)
    return html._(link, " ", t("entered (version {number})", number=properties.get("version", "–")))


def tell_device(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """A device came or went, and why it went."""
    t, properties = context.t, row["properties"]
    kind = coded(t, device_view.KINDS, str(properties.get("kind", "")))
    if row["name"] == "Device Added":
        return html.span(t("Registered a device for push messages: {device}", device=kind))
    why = coded(t, labels.DEVICE_REASONS, str(properties.get("reason", "")))
    return html.span(t("Device for push messages removed: {device} ({reason})", device=kind, reason=why))


def tell_segment(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    """Which segment the contact entered or left."""
    t, properties = context.t, row["properties"]
    key = str(properties.get("segment") or "")
    text = "Entered the segment" if row["name"] == "Segment Entered" else "Left the segment"
    return html._(html.b(t(text)), " ", html.a({"href": f"/ui/segments/{key}"}, str(properties.get("name") or key)))


OURS: Mapping[str, Callable[[PageContext, Data, Mapping[str, Any]], Element]] = {
    "Message Opened": tell_read,
    "Message Clicked": tell_read,
    "Message Replied": tell_reply,
    "Message Auto-Replied": tell_auto_reply,
    "Message Bounced": tell_bounce,
    "Contact Changed": tell_change,
    "Device Added": tell_device,
    "Device Removed": tell_device,
    "Journey Entered": tell_entry,
    "Segment Entered": tell_segment,
    "Segment Left": tell_segment,
}
"""Events of ours that say more in words than as names and values."""


def left_out(context: PageContext, row: Mapping[str, Any]) -> Element:
    """What the sender of a call wanted and did not get; a client's own property of this name is none of our business."""
    refused = row["properties"].get("refused")
    if row["type"] not in TELLS_REFUSED or not isinstance(refused, Mapping):
        return None
    t, table = context.t, labels.LEFT_OUT
    told = [f"{name} ({coded(t, table, reason if reason in table else 'unusable')})" for name, reason in refused.items()]
    return html.p({"className": "quiet"}, t("Not taken over: {what}", what=short(", ".join(told), 300)))


TELLS_REFUSED = frozenset({"identify", "group", "alias", "system"})
INNER = {"system": ("journey", "node", "channel", "machine")}
"""Properties of our own events that another line of the timeline shows better."""


def tell_message(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    t = context.t
    subject = row["subject"] or coded(t, CHANNELS, row["channel"])
    if row["test"]:
        return html._(
            components.badge(t("Test"), "quiet", "mail"),
            " ",
            html.a({"href": f"/ui/messages/{row['id']}"}, subject),
            html.p({"className": "quiet"}, t("A test for the team, filled in with this contact's values. The contact did not get it.")),
        )
    return html._(
        html.a({"href": f"/ui/outbox/{row['id']}"}, subject) if row["body_id"] and context.may("message.read_body") else html.b(subject),
        " ",
        components.badge(t(MESSAGE_STATES[row["status"]][0]), *MESSAGE_STATES[row["status"]][1:]),
        html.p({"className": "quiet"}, coded(t, REASONS, row["reason"])) if row["reason"] else None,
    )


RUN_WORDS = {
    "left": "left the step “{node}” through “{outlet}”",
    "waiting": "waits at the step “{node}”",
    "heard": "received what the step “{node}” was waiting for",
    "exited": "exits early",
    "ended": "ended: {reason}",
    "migrated": "moved to another version",
    "migrated_back": "moved back to the earlier version",
    "merged": "came with a contact that was merged into this one",
    "parted": "restored when a merge was undone",
}


def tell_run(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    t = context.t
    words_of_it = {
        "node": data.steps.get((row["version_id"], row["node"]), row["node"]),
        "outlet": coded(t, OUTLETS, row["outlet"]),
        "reason": coded(t, REASONS, row["detail"].get("reason", "")),
    }
    said = t(RUN_WORDS[row["what"]], **words_of_it) if row["what"] in RUN_WORDS else row["what"]
    return html._(html.a({"href": f"/ui/runs/{row['run_id']}"}, data.journeys.get(row["journey_id"], ("", "?"))[1]), " ", said)


def tell_consent(context: PageContext, data: Data | None, row: Mapping[str, Any]) -> Element:
    t = context.t
    return html._(
        html.b(coded(t, CHANNELS, row["channel"]), f" ({row['purpose']}): ", coded(t, CONSENT_STATES, row["state"])),
        html.p(
            {"className": "quiet"},
            t("Source: {source}", source=row["source"]),
            f" · {short(row['wording'])}" if row["wording"] else None,
        ),
    )


def tell_refusal(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    t = context.t
    key, name = data.journeys.get(row["journey_id"], ("", "?"))
    asked = [labels.term(t, term, {}) for term in row["detail"].get("rule", []) if not term.get("result")]
    return html._(
        html.span(t("did not enter"), " ", html.a({"href": f"/ui/journeys/{key}?tab=refused"}, name)),
        html.p(
            {"className": "quiet"},
            coded(t, REFUSALS, row["reason"]),
            " ",
            "; ".join(f"{question.replace('*', '')} — {answer}" for question, answer in asked),
        ),
    )


def tell_task(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    t = context.t
    who = data.members.get(row["by"].removeprefix("member:"), "")
    outcome = coded(t, OUTLETS, row["detail"].get("outcome", ""))
    gone = meant_for(t, data.members, row["detail"].get("instead_of"))
    note = row["note"] if row["what"] == "finished" else ""
    return html._(
        html.b(coded(t, TASK_CHANGES, row["what"])),
        f": {row['title']}",
        html.p({"className": "quiet"}, " · ".join(part for part in (who, outcome, gone) if part)) if who or outcome or gone else None,
        html.p({"className": "note"}, note) if note else None,
    )


def tell_score(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    t = context.t
    signed = ("+" if row["points"] > 0 else "") + t.number(row["points"])
    return html._(
        html.b(t("Score {group}", group=row["score_group"]), f": {signed}"),
        html.p(
            {"className": "quiet"},
            t("now {value}", value=t.number(row["value"])),
            f" · {row['reason']}" if row["reason"] else None,
        ),
    )


def tell_merge(context: PageContext, data: Data, row: Mapping[str, Any]) -> Element:
    t = context.t
    return html._(
        html.b(t("Merged with another contact")),
        html.p({"className": "quiet"}, t("It was contact {id} ({reason}).", id=row["loser_id"][-6:], reason=row["reason"])),
    )


TELLERS: Mapping[str, Callable[[PageContext, Data, Mapping[str, Any]], Element]] = {
    "event": tell_event,
    "message": tell_message,
    "run": tell_run,
    "consent": tell_consent,
    "refusal": tell_refusal,
    "task": tell_task,
    "score": tell_score,
    "merge": tell_merge,
}


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return called(get(session, context.arguments["id"]))


PAGE = Page("/ui/contacts/{id}", "Contact", "contacts", "contact.read", load, view, stamp, every_seconds=3.0, name=name)
