"""What people change about a contact by hand: fields, tags, owner, consent, suppression; and forgetting them. And making a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builder_ui.contacts.bulk_actions import tag_all
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, POSTAL, REASONS, coded
from builder_ui.kit.reactpy_compat import Element, component, html, use_state
from builder_ui.segments import of_contact
from crm.consent import consent, mailbox, suppression
from crm.people import contacts, phones
from crm.privacy.erasure import erase_person
from engine import merging
from engine.enrolment.routing import routed
from engine.temporal.wakeups import Wakeups
from journeys import postal
from journeys.channels import ADDRESSED, ASKED, SENDABLE, TOPIC, address_of
from journeys.channels import CHANNELS as CONTACTED
from journeys.errors import Conflict, Invalid
from models import Contact, Member, Merge
from storage.json_values import clean_text
from storage.locks import person_of
from workspace import listed_names, settings
from workspace.audit import record
from workspace.members import list_members

FIELDS = {
    "first_name": "First name",
    "last_name": "Last name",
    "email": "E-mail",
    "phone": "Phone",
    "lifecycle_stage": "Stage",
    "locale": "Language",
    "timezone": "Time zone",
}
FURTHER = "Further phone numbers, separated by commas"
LANGUAGES = (
    "cs", "da", "de", "de-AT", "de-CH", "de-DE", "en", "en-GB", "en-US", "es", "fi", "fr", "fr-CH", "hu", "it", "it-CH",
    "nb", "nl", "pl", "pt", "ro", "sv", "tr", "uk",
)  # fmt: skip
"""Offered as a contact's language, beside the one that is known."""
STATES = ("granted", "withdrawn", "pending")


def view(context: PageContext, data: Any, acts: Acts) -> Element:
    """The forms of one contact; `data` is what its page has loaded."""
    t, contact = context.t, data.contact
    return html.div(
        {"className": "stack"},
        html.h2(t("Fields")),
        fields(context, contact, acts, ", ".join(data.phones[1:] if contact.phone else data.phones)),
        html.h2({"className": "apart"}, t("Tags")),
        Tags(context, contact.id, tuple(data.tags), acts),
        of_contact.change(context, contact.id, data.segments, data.lists, acts),
        html.h2({"className": "apart"}, t("Owner")),
        owner(context, contact, data.members, acts),
        html.h2({"className": "apart"}, t("Record a consent")),
        consent_form(
            context, contact, data.purposes | {one.purpose: one.purpose for one in data.consents if one.purpose not in data.purposes}, acts
        ),
        html.h2({"className": "apart"}, t("Suppressed addresses")),
        blocked(context, data, acts),
        parting(context, data.merge, acts),
        html.h2({"className": "apart"}, t("Delete contact data")) if context.may("contact.erase") else None,
        erasing(context, contact, acts) if context.may("contact.erase") else None,
    )


# Fields, tags, owner


def fields(context: PageContext, contact: Contact, acts: Acts, further: str) -> Element:
    """`further`: the phone numbers beside the main one, as people write a list."""
    t = context.t
    save = acts.act("contact.change", saving(contact.id, acts), "Contact saved.")
    return html.div(
        html.div(
            {"className": "fields"},
            [_field(context, contact, acts, name, t(title)) for name, title in FIELDS.items()],
            components.kept(acts, f"field.{phones.FIELD}", t(FURTHER), 320, further),
            components.kept(acts, "other.name", t("Another field"), 120, placeholder="plan"),
            components.kept(acts, "other.value", t("its value (leave empty to remove it)"), 1_000),
        ),
        html.h3(t("Postal address")),
        html.div({"className": "fields"}, _postal(context, contact, acts)),
        components.button(t("Save"), save, "check", "main"),
    )


def _postal(context: PageContext, contact: Contact | None, acts: Acts) -> list[Element]:
    """A field for each part of the postal address."""
    present = postal.parse(contact.postal_address if contact else None).parts
    return [
        components.kept(
            acts, f"field.{postal.FIELD}.{part}", context.t(title), 100 if part == "country" else postal.PARTS[part], present[part]
        )
        for part, title in POSTAL.items()
    ]


TYPED = (*FIELDS, *(f"{postal.FIELD}.{part}" for part in POSTAL))


def _field(context: PageContext, contact: Contact, acts: Acts, name: str, title: str) -> Element:
    present = getattr(contact, name) or ""
    if name != "locale":
        return components.kept(acts, f"field.{name}", title, 320, present)
    named = {code: context.t.language_of(code) for code in {*LANGUAGES, present} if code}
    options = {"": context.t("not known"), **dict(sorted(named.items(), key=lambda one: one[1]))}
    return components.kept_choice(acts, f"field.{name}", title, options, present)


def typed(acts: Acts) -> dict[str, str | None]:
    """The fields that were typed into; empty ones clear."""
    found: dict[str, str | None] = {
        name: clean_text(acts.drafts[f"field.{name}"]).strip() or None for name in (*TYPED, phones.FIELD) if f"field.{name}" in acts.drafts
    }
    other = clean_text(acts.drafts.get("other.name", "")).strip()
    if other:
        found[other] = clean_text(acts.drafts.get("other.value", "")).strip() or None
    return found


def saving(contact_id: str, acts: Acts) -> Do:
    def do(context: PageContext) -> Wakeups:
        now = context.app.now()
        with context.engine.db.write() as session:
            try:
                event = contacts.update(session, contact_id, typed(acts), now, context.by)
            except Invalid as error:
                raise in_words(context, error) from None
            wakeups = routed(context.engine, session, [event], now)
        for name in [*(f"field.{name}" for name in (*TYPED, phones.FIELD)), "other.name", "other.value"]:
            acts.drafts.pop(name, None)
        return wakeups

    return do


def in_words(context: PageContext, error: Invalid) -> Invalid:
    """The refusal with what is wrong where, in the visitor's language."""
    titles = {**FIELDS, phones.FIELD: FURTHER, postal.FIELD: "Postal address"}
    places = [f"{context.t(titles.get(issue.field or '', issue.field or ''))}: {issue.say(context.t.translate)}" for issue in error.issues]
    return Invalid("{problems}", problems=" ".join(places)) if places else error


@component
def Tags(context: PageContext, contact_id: str, tags: tuple[str, ...], acts: Acts) -> Element:
    """The tags, each with a way to take it away, and what was done last with its way back."""
    undo, set_undo = use_state(("", False))
    t = context.t

    def change(added: bool, tag: str = "", back: bool = False) -> Callable[..., Any]:
        async def handler(*event: Any) -> None:
            name = tag or acts.drafts.get("tag", "").strip()
            changed: list[str] = []
            done = "Tag added." if added else "Tag removed."
            await acts.act("contact.change", tag_all((contact_id,), name, added, changed), done)(*event)
            set_undo((name, added) if changed and not back else ("", False))

        return handler

    return html.div(
        {"className": "stack"},
        html.div(
            {"className": "chips"},
            [
                html.span(
                    {"className": "chip", "key": tag},
                    tag,
                    html.button(
                        {
                            "type": "button",
                            "className": "button plain",
                            "aria-label": t("Remove tag: {tag}", tag=tag),
                            "onClick": change(False, tag),
                        },
                        "×",
                    ),
                )
                for tag in tags
            ],
            components.button(t("Undo"), change(not undo[1], undo[0], back=True)) if undo[0] else None,
        ),
        html.div(
            {"className": "fields"},
            components.kept(acts, "tag", t("New tag"), 120),
            components.button(t("Add tag"), change(True), "flag"),
        ),
    )


def owner(context: PageContext, contact: Contact, members: dict[str, str], acts: Acts) -> Element:
    t = context.t
    acts.drafts.setdefault("owner", contact.owner or "")
    field = components.kept_choice(acts, "owner", t("Owner"), {"": t("no one"), **members})
    save = acts.act("contact.change", owning(contact.id, acts), "The contact has a new owner.")
    return html.div({"className": "fields"}, field, components.button(t("Save the owner"), save, "user"))


def owning(contact_id: str, acts: Acts) -> Do:
    def do(context: PageContext) -> Wakeups:
        wanted = acts.drafts.get("owner", "") or None
        with context.engine.db.write() as session:
            if wanted and session.get(Member, wanted) is None:
                raise Invalid("There is no such member of the team.")
            now = context.app.now()
            return routed(context.engine, session, [contacts.update(session, contact_id, {"owner": wanted}, now, context.by)], now)

    return do


# What they allowed


def consent_form(context: PageContext, contact: Contact, purposes: Mapping[str, str], acts: Acts) -> Element:
    t = context.t
    with context.engine.db.read() as session:
        topics = {key: t("Topic: {name}", name=name) for key, name in listed_names.topics(session, t.language)}
    also = (TOPIC,) if topics else ()
    say = acts.act("consent.record", stating(contact.id, acts), "Consent recorded.")
    return html.div(
        html.div(
            {"className": "fields"},
            components.kept_choice(acts, "said.channel", t("Channel"), {code: coded(t, CHANNELS, code) for code in (*ASKED, *also)}),
            components.kept_choice(
                acts, "said.purpose", t("Purpose or topic"), {**{key: t(text) for key, text in purposes.items()}, **topics}
            ),
            components.kept_choice(acts, "said.state", t("Answer"), {code: t(CONSENT_STATES[code]) for code in STATES}),
            components.kept(acts, "said.source", t("Source"), 200, placeholder=t("by phone, form at the fair …")),
        ),
        html.div({"className": "lines"}, components.kept_lines(acts, "said.wording", t("Wording"), 4_000)),
        components.button(t("Record consent"), say, "check-square", "main"),
    )


def stating(contact_id: str, acts: Acts) -> Do:
    """A statement by hand: its source and wording are the proof, so there is none without a source."""

    def do(context: PageContext) -> Wakeups:
        said = {name: acts.drafts.get(f"said.{name}", "").strip() for name in ("channel", "purpose", "state", "source", "wording")}
        channel, purpose, now = said["channel"] or ASKED[0], said["purpose"] or "marketing", context.app.now()
        if not said["source"]:
            raise Invalid("Enter where the contact said so; without a source, consent proves nothing.")
        if channel not in (*ASKED, TOPIC):
            raise Invalid("There is no such channel.")
        with context.engine.db.write() as session:
            if (settings.load(session, settings.Topics).find(purpose) is not None) != (channel == TOPIC):
                raise Invalid("Choose a topic together with “Topic”, and a purpose with a channel.")
            state = said["state"] or STATES[0]
            whose = person_of(session, contact_id)
            event = consent.record_consent(
                session,
                whose,
                channel,
                purpose,
                state,
                now,
                evidence=consent.Evidence.DATED,
                source=said["source"],
                wording=said["wording"],
                proof={"by": context.by},
            )
            record(session, context.by, "contact.consent", f"contact:{whose}", {"channel": channel, "purpose": purpose, "state": state})
            wakeups = routed(context.engine, session, [event], now)
        for name in ("source", "wording"):
            acts.drafts.pop(f"said.{name}", None)
        return wakeups

    return do


def blocked(context: PageContext, data: Any, acts: Acts) -> Element:
    t, contact = context.t, data.contact
    reasons = {channel: one.reason for channel, one in data.suppressed.items()}
    lines = [
        html.div(
            {"className": "actions", "key": channel},
            html.b(f"{coded(t, CHANNELS, channel)} · {CONTACTED[channel].shown(address)}"),
            components.badge(coded(t, REASONS, problem), "bad", "ban") if (problem := CONTACTED[channel].problem(address)) else None,
            receives(context, reasons.get(channel)),
            block(context, contact.id, channel, acts) if reasons.get(channel, "unsubscribe") == "unsubscribe" else None,
            unblock(context, contact.id, channel, acts) if channel in reasons and context.may("suppression.lift") else None,
        )
        for channel in SENDABLE
        if channel in ADDRESSED and (address := address_of(contact, channel))
    ]
    return html.div({"className": "stack"}, lines) if lines else html.p({"className": "quiet"}, t("No address is known."))


def receives(context: PageContext, reason: str | None) -> Element:
    """What an address gets: everything, no marketing because somebody who has it said no, or nothing."""
    t = context.t
    if reason is None:
        return components.badge(t("may get messages"), "good", "check")
    return components.badge(t("gets no marketing") if reason == "unsubscribe" else t("gets nothing"), "bad", "ban")


def block(context: PageContext, contact_id: str, channel: str, acts: Acts) -> Element:
    t = context.t
    return components.ask(
        t("Suppress"),
        t("Nothing is sent to this address any more, whichever contact it belongs to."),
        t("Suppress the address"),
        acts.act("suppression.add", suppressing(contact_id, channel), "The address is suppressed."),
        "ban",
        "danger",
    )


def unblock(context: PageContext, contact_id: str, channel: str, acts: Acts) -> Element:
    t = context.t
    why = components.kept(acts, f"why.{channel}", t("What has changed since (recorded in the audit trail)"), 500)
    lift = acts.act("suppression.lift", lifting(contact_id, channel, acts), "The address may get messages again.")
    return components.form(t("Unsuppress"), "check", [why], t("Unsuppress the address"), lift)


def suppressing(contact_id: str, channel: str) -> Do:
    def do(context: PageContext) -> None:
        now, keys = context.app.now(), context.engine.address_keys
        with context.engine.db.write() as session:
            row = suppression.suppress(session, keys, channel, _address(session, contact_id, channel), "manual", now, source=context.by)
            record(
                session,
                context.by,
                "suppression.add",
                f"suppression:{row.address_hash[:16]}",
                {"channel": channel, "reason": row.reason},
            )

    return do


def lifting(contact_id: str, channel: str, acts: Acts) -> Do:
    def do(context: PageContext) -> None:
        why = clean_text(acts.drafts.get(f"why.{channel}", "")).strip()
        if len(why) < 3:
            raise Invalid("Enter what has changed since; it is recorded in the audit trail.")
        with context.engine.db.write() as session:
            address = _address(session, contact_id, channel)
            mailbox.lift(session, context.engine.address_keys, channel, address, context.by, why, context.app.now())

    return do


def _address(session: Any, contact_id: str, channel: str) -> str:
    contact = contacts.get(session, contact_id)
    address = address_of(contact, channel)
    if not address:
        raise Conflict("The contact no longer has this address.")
    return address


# Parting


def parting(context: PageContext, merge: Merge | None, acts: Acts) -> Element:
    """The newest merge can be taken back; those before it once that is done."""
    t = context.t
    if merge is None or merge.id is None:
        return None
    return html._(
        html.h2({"className": "apart"}, t("Merged contacts")),
        html.p(t("Contact {id} was merged into this one.", id=merge.loser_id[-6:]), " ", components.moment(t, merge.merged_at)),
        components.ask(
            t("Undo the merge"),
            t(
                "Identifiers, fields, tags, scores, consents, runs and messages go back. What has happened since "
                "stays here; where consent has changed since, the stricter state applies to both; runs that the merge"
                " ended stay ended."
            ),
            t("Undo the merge now"),
            acts.act("contact.change", unmerging(merge.id), "The merge was undone."),
            "people",
        ),
    )


def unmerging(merge_id: int) -> Do:
    def do(context: PageContext) -> Wakeups:
        with context.engine.db.write() as session:
            return merging.part(context.engine, session, merge_id, context.by, context.app.now())[1]

    return do


# Forgetting


def erasing(context: PageContext, contact: Contact, acts: Acts) -> Element:
    t = context.t
    word = t("ERASE")
    forget = acts.act(
        "contact.erase",
        forgetting(contact.id, acts),
        "The contact's data is deleted. Files and notes that mention the contact are still being searched; see “Background jobs”.",
    )
    fields = [
        html.p(
            t("Profile, addresses and everything that was sent are permanently deleted; open runs end. Withdrawn consent stays withdrawn.")
        ),
        components.kept(acts, "erase", t("Type {word} to continue", word=word), 20, autoComplete="off"),
    ]
    return components.form(t("Erase"), "alert", fields, t("Delete permanently"), forget, "danger")


def forgetting(contact_id: str, acts: Acts) -> Do:
    def do(context: PageContext) -> Wakeups:
        if acts.drafts.get("erase", "").strip() != context.t("ERASE"):
            raise Invalid("The word was not typed; nothing was deleted.")
        engine = context.engine
        done = erase_person(engine.db, contact_id, context.app.now(), by=context.by, keys=engine.address_keys)
        acts.drafts.clear()
        return Wakeups(runs=set(done.to_wake))

    return do


# A new one


def load_new(context: PageContext) -> dict[str, str]:
    with context.engine.db.read() as session:
        return {member.id: member.name for member in list_members(session, only_active=True)}


def view_new(context: PageContext, members: dict[str, str], acts: Acts) -> Element:
    t = context.t
    head = components.head(t("New contact"), back=("/ui/contacts", t("Contacts")))
    made = acts.drafts.get("made")
    return html._(
        head,
        html.p(html.a({"className": "button main", "href": f"/ui/contacts/{made}"}, t("View contact"))) if made else None,
        html.section(
            {"className": "panel"},
            html.div(
                {"className": "fields"},
                [components.kept(acts, f"field.{name}", t(title), 320) for name, title in FIELDS.items()],
                components.kept(acts, "user_id", t("User id"), 320),
            ),
            html.h3(t("Postal address")),
            html.div({"className": "fields"}, _postal(context, None, acts)),
            html.p(
                {"className": "quiet"},
                t("An e-mail address, a phone number or a user id is required. A new contact has not given any consent yet."),
            ),
            components.button(t("Create contact"), acts.act("contact.change", making(acts), "Contact created."), "user-plus", "main"),
        ),
    )


def making(acts: Acts) -> Do:
    def do(context: PageContext) -> Wakeups:
        acts.drafts.pop("made", None)
        user_id = clean_text(acts.drafts.get("user_id", "")).strip()
        wanted = {name: value for name, value in typed(acts).items() if value}
        if not user_id and not wanted.get("email") and not wanted.get("phone"):
            raise Invalid("An e-mail address, a phone number or a user id is required.")
        now = context.app.now()
        with context.engine.db.write() as session:
            try:
                contact, events = contacts.create(session, [("user_id", user_id)] if user_id else [], wanted, now, context.by)
            except Conflict as error:
                acts.drafts["made"] = str(error.details.get("contact_id", ""))
                raise Invalid("A contact with this address or id already exists.") from None
            except Invalid as error:
                raise in_words(context, error) from None
            record(session, context.by, "contact.create", f"contact:{contact.id}", {})
            wakeups = routed(context.engine, session, events, now)
        acts.drafts["made"] = contact.id
        return wakeups

    return do


NEW = Page("/ui/contacts/new", "New contact", "contacts", "contact.change", load_new, view_new)
