"""What people change about a contact by hand: fields, tags, owner, consent, suppression; and forgetting them. And making a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builder_ui.contacts.bulk_actions import tag_all
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, coded
from builder_ui.kit.reactpy_compat import Element, component, html, use_state
from crm.consent import consent, mailbox, suppression
from crm.people import contacts
from crm.privacy.erasure import erase_person
from engine import merging
from engine.enrolment.routing import routed
from engine.temporal.wakeups import Wakeups
from journeys.channels import ADDRESSED, ASKED, SENDABLE, address_of
from journeys.errors import Conflict, Invalid
from models import Contact, Member, Merge
from storage.json_values import clean_text
from storage.locks import person_of
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
LANGUAGES = (
    "cs", "da", "de", "de-AT", "de-CH", "de-DE", "en", "en-GB", "en-US", "es", "fi", "fr", "fr-CH", "hu", "it", "it-CH",
    "nb", "nl", "pl", "pt", "ro", "sv", "tr", "uk",
)  # fmt: skip
"""Offered as a contact's language, beside the one that is known."""
STATES = ("granted", "withdrawn", "pending")


def view(visit: PageContext, data: Any, acts: Acts) -> Element:
    """The forms of one contact; `data` is what its page has loaded."""
    speech, contact = visit.speech, data.contact
    return html.div(
        {"className": "stack"},
        html.h2(speech("Fields")),
        fields(visit, contact, acts),
        html.h2({"className": "apart"}, speech("Tags")),
        Tags(visit, contact.id, tuple(data.tags), acts),
        html.h2({"className": "apart"}, speech("Owner")),
        owner(visit, contact, data.members, acts),
        html.h2({"className": "apart"}, speech("Record a consent")),
        consent_form(
            visit, contact, data.purposes | {one.purpose: one.purpose for one in data.consents if one.purpose not in data.purposes}, acts
        ),
        html.h2({"className": "apart"}, speech("Addresses that get nothing")),
        blocked(visit, data, acts),
        parting(visit, data.merge, acts),
        html.h2({"className": "apart"}, speech("Delete contact data")) if visit.may("contact.erase") else None,
        erasing(visit, contact, acts) if visit.may("contact.erase") else None,
    )


# Fields, tags, owner


def fields(visit: PageContext, contact: Contact, acts: Acts) -> Element:
    speech = visit.speech
    save = acts.act("contact.change", saving(contact.id, acts), "Contact saved.")
    return html.div(
        html.div(
            {"className": "fields"},
            [_field(visit, contact, acts, name, speech(title)) for name, title in FIELDS.items()],
            components.kept(acts, "other.name", speech("Another field"), 120, placeholder="plan"),
            components.kept(acts, "other.value", speech("its value (leave empty to remove it)"), 1_000),
        ),
        components.button(speech("Save"), save, "check", "main"),
    )


def _field(visit: PageContext, contact: Contact, acts: Acts, name: str, title: str) -> Element:
    present = getattr(contact, name) or ""
    if name != "locale":
        return components.kept(acts, f"field.{name}", title, 320, present)
    named = {code: visit.speech.language_of(code) for code in {*LANGUAGES, present} if code}
    options = {"": visit.speech("not known"), **dict(sorted(named.items(), key=lambda one: one[1]))}
    return components.kept_choice(acts, f"field.{name}", title, options, present)


def typed(acts: Acts) -> dict[str, str | None]:
    """The fields that were typed into; empty ones clear."""
    found: dict[str, str | None] = {
        name: clean_text(acts.drafts[f"field.{name}"]).strip() or None for name in FIELDS if f"field.{name}" in acts.drafts
    }
    other = clean_text(acts.drafts.get("other.name", "")).strip()
    if other:
        found[other] = clean_text(acts.drafts.get("other.value", "")).strip() or None
    return found


def saving(contact_id: str, acts: Acts) -> Do:
    def do(visit: PageContext) -> Wakeups:
        now = visit.house.now()
        with visit.engine.db.write() as session:
            try:
                event = contacts.update(session, contact_id, typed(acts), now, visit.by)
            except Invalid as error:
                raise in_words(visit, error) from None
            wakeups = routed(visit.engine, session, [event], now)
        for name in [*(f"field.{name}" for name in FIELDS), "other.name", "other.value"]:
            acts.drafts.pop(name, None)
        return wakeups

    return do


def in_words(visit: PageContext, error: Invalid) -> Invalid:
    """The refusal with what is wrong where, in the visitor's language."""
    places = [
        f"{visit.speech(FIELDS.get(issue.field or '', issue.field or ''))}: {issue.say(visit.speech.translate)}" for issue in error.issues
    ]
    return Invalid("{problems}", problems=" ".join(places)) if places else error


@component
def Tags(visit: PageContext, contact_id: str, tags: tuple[str, ...], acts: Acts) -> Element:
    """The tags, each with a way to take it away, and what was done last with its way back."""
    undo, set_undo = use_state(("", False))
    speech = visit.speech

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
                            "aria-label": speech("Remove tag: {tag}", tag=tag),
                            "onClick": change(False, tag),
                        },
                        "×",
                    ),
                )
                for tag in tags
            ],
            components.button(speech("Undo"), change(not undo[1], undo[0], back=True)) if undo[0] else None,
        ),
        html.div(
            {"className": "fields"},
            components.kept(acts, "tag", speech("New tag"), 120),
            components.button(speech("Add tag"), change(True), "flag"),
        ),
    )


def owner(visit: PageContext, contact: Contact, members: dict[str, str], acts: Acts) -> Element:
    speech = visit.speech
    acts.drafts.setdefault("owner", contact.owner or "")
    field = components.kept_choice(acts, "owner", speech("Owner"), {"": speech("nobody"), **members})
    save = acts.act("contact.change", owning(contact.id, acts), "The contact has a new owner.")
    return html.div({"className": "fields"}, field, components.button(speech("Save the owner"), save, "user"))


def owning(contact_id: str, acts: Acts) -> Do:
    def do(visit: PageContext) -> Wakeups:
        wanted = acts.drafts.get("owner", "") or None
        with visit.engine.db.write() as session:
            if wanted and session.get(Member, wanted) is None:
                raise Invalid("There is no such member of the team.")
            now = visit.house.now()
            return routed(visit.engine, session, [contacts.update(session, contact_id, {"owner": wanted}, now, visit.by)], now)

    return do


# What they allowed


def consent_form(visit: PageContext, contact: Contact, purposes: Mapping[str, str], acts: Acts) -> Element:
    speech = visit.speech
    say = acts.act("consent.record", stating(contact.id, acts), "Consent recorded.")
    return html.div(
        html.div(
            {"className": "fields"},
            components.kept_choice(acts, "said.channel", speech("Channel"), {code: coded(speech, CHANNELS, code) for code in ASKED}),
            components.kept_choice(acts, "said.purpose", speech("Purpose"), {key: speech(text) for key, text in purposes.items()}),
            components.kept_choice(acts, "said.state", speech("Answer"), {code: speech(CONSENT_STATES[code]) for code in STATES}),
            components.kept(acts, "said.source", speech("Source"), 200, placeholder=speech("by phone, form at the fair …")),
        ),
        html.div({"className": "lines"}, components.kept_lines(acts, "said.wording", speech("Wording"), 4_000)),
        components.button(speech("Record consent"), say, "check-square", "main"),
    )


def stating(contact_id: str, acts: Acts) -> Do:
    """A statement by hand: its source and wording are the proof, so there is none without a source."""

    def do(visit: PageContext) -> Wakeups:
        said = {name: acts.drafts.get(f"said.{name}", "").strip() for name in ("channel", "purpose", "state", "source", "wording")}
        channel, purpose, now = said["channel"] or ASKED[0], said["purpose"] or "marketing", visit.house.now()
        if not said["source"]:
            raise Invalid("Enter where the contact said so; without a source, consent proves nothing.")
        if channel not in ASKED:
            raise Invalid("There is no such channel.")
        with visit.engine.db.write() as session:
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
                proof={"by": visit.by},
            )
            record(session, visit.by, "contact.consent", f"contact:{whose}", {"channel": channel, "purpose": purpose, "state": state}, now)
            wakeups = routed(visit.engine, session, [event], now)
        for name in ("source", "wording"):
            acts.drafts.pop(f"said.{name}", None)
        return wakeups

    return do


def blocked(visit: PageContext, data: Any, acts: Acts) -> Element:
    speech, contact = visit.speech, data.contact
    reasons = {channel: one.reason for channel, one in data.suppressed.items()}
    lines = [
        html.div(
            {"className": "actions", "key": channel},
            html.b(f"{coded(speech, CHANNELS, channel)} · {address}"),
            receives(visit, reasons.get(channel)),
            block(visit, contact.id, channel, acts) if reasons.get(channel, "unsubscribe") == "unsubscribe" else None,
            unblock(visit, contact.id, channel, acts) if channel in reasons and visit.may("suppression.lift") else None,
        )
        for channel in SENDABLE
        if channel in ADDRESSED and (address := address_of(contact, channel))
    ]
    return html.div({"className": "stack"}, lines) if lines else html.p({"className": "quiet"}, speech("No address is known."))


def receives(visit: PageContext, reason: str | None) -> Element:
    """What an address gets: everything, no marketing because somebody who has it said no, or nothing."""
    speech = visit.speech
    if reason is None:
        return components.badge(speech("may get messages"), "good", "check")
    return components.badge(speech("gets no marketing") if reason == "unsubscribe" else speech("gets nothing"), "bad", "ban")


def block(visit: PageContext, contact_id: str, channel: str, acts: Acts) -> Element:
    speech = visit.speech
    return components.ask(
        speech("Suppress"),
        speech("Nothing is sent to this address any more, no matter whose it is."),
        speech("Suppress the address"),
        acts.act("suppression.add", suppressing(contact_id, channel), "The address is suppressed."),
        "ban",
        "danger",
    )


def unblock(visit: PageContext, contact_id: str, channel: str, acts: Acts) -> Element:
    speech = visit.speech
    why = components.kept(acts, f"why.{channel}", speech("What has changed since (recorded in the audit trail)"), 500)
    lift = acts.act("suppression.lift", lifting(contact_id, channel, acts), "The address may get messages again.")
    return components.form(speech("Unsuppress"), "check", [why], speech("Unsuppress the address"), lift)


def suppressing(contact_id: str, channel: str) -> Do:
    def do(visit: PageContext) -> None:
        now, keys = visit.house.now(), visit.engine.address_keys
        with visit.engine.db.write() as session:
            row = suppression.suppress(session, keys, channel, _address(session, contact_id, channel), "manual", now, source=visit.by)
            record(
                session,
                visit.by,
                "suppression.add",
                f"suppression:{row.address_hash[:16]}",
                {"channel": channel, "reason": row.reason},
                now,
            )

    return do


def lifting(contact_id: str, channel: str, acts: Acts) -> Do:
    def do(visit: PageContext) -> None:
        why = clean_text(acts.drafts.get(f"why.{channel}", "")).strip()
        if len(why) < 3:
            raise Invalid("Enter what has changed since; it is recorded in the audit trail.")
        with visit.engine.db.write() as session:
            address = _address(session, contact_id, channel)
            mailbox.lift(session, visit.engine.address_keys, channel, address, visit.by, why, visit.house.now())

    return do


def _address(session: Any, contact_id: str, channel: str) -> str:
    contact = contacts.get(session, contact_id)
    address = address_of(contact, channel)
    if not address:
        raise Conflict("The contact no longer has this address.")
    return address


# Parting


def parting(visit: PageContext, merge: Merge | None, acts: Acts) -> Element:
    """The newest merge can be taken back; those before it once that is done."""
    speech = visit.speech
    if merge is None or merge.id is None:
        return None
    return html._(
        html.h2({"className": "apart"}, speech("Merged contacts")),
        html.p(speech("Contact {id} became part of this one.", id=merge.loser_id[-6:]), " ", components.moment(speech, merge.merged_at)),
        components.ask(
            speech("Undo the merge"),
            speech(
                "Identifiers, fields, tags, scores, consents, runs and messages go back. What has happened since "
                "stays here; where consent has changed since, the stricter state applies to both; runs that the merge"
                " ended stay ended."
            ),
            speech("Undo the merge now"),
            acts.act("contact.change", unmerging(merge.id), "The merge was undone."),
            "people",
        ),
    )


def unmerging(merge_id: int) -> Do:
    def do(visit: PageContext) -> Wakeups:
        with visit.engine.db.write() as session:
            return merging.part(visit.engine, session, merge_id, visit.by, visit.house.now())[1]

    return do


# Forgetting


def erasing(visit: PageContext, contact: Contact, acts: Acts) -> Element:
    speech = visit.speech
    word = speech("ERASE")
    forget = acts.act(
        "contact.erase",
        forgetting(contact.id, acts),
        "The contact's data is deleted. Files and notes that mention the contact are still being searched; see “Background jobs”.",
    )
    fields = [
        html.p(
            speech(
                "Profile, addresses and everything that was sent are permanently deleted; open runs end. Withdrawn consent stays withdrawn."
            )
        ),
        components.kept(acts, "erase", speech("Type {word} to continue", word=word), 20, autoComplete="off"),
    ]
    return components.form(speech("Erase"), "alert", fields, speech("Delete permanently"), forget, "danger")


def forgetting(contact_id: str, acts: Acts) -> Do:
    def do(visit: PageContext) -> Wakeups:
        if acts.drafts.get("erase", "").strip() != visit.speech("ERASE"):
            raise Invalid("The word was not typed; nothing was deleted.")
        engine = visit.engine
        done = erase_person(engine.db, contact_id, visit.house.now(), by=visit.by, keys=engine.address_keys)
        acts.drafts.clear()
        return Wakeups(bells=set(done.rung))

    return do


# A new one


def load_new(visit: PageContext) -> dict[str, str]:
    with visit.engine.db.read() as session:
        return {member.id: member.name for member in list_members(session, only_active=True)}


def view_new(visit: PageContext, members: dict[str, str], acts: Acts) -> Element:
    speech = visit.speech
    head = components.head(speech("New contact"), back=("/ui/contacts", speech("Contacts")))
    made = acts.drafts.get("made")
    return html._(
        head,
        html.p(html.a({"className": "button main", "href": f"/ui/contacts/{made}"}, speech("View contact"))) if made else None,
        html.section(
            {"className": "panel"},
            html.div(
                {"className": "fields"},
                [components.kept(acts, f"field.{name}", speech(title), 320) for name, title in FIELDS.items()],
                components.kept(acts, "user_id", speech("User id"), 320),
            ),
            html.p(
                {"className": "quiet"},
                speech("An e-mail address, a phone number or a user id is required. A new contact has not given any consent yet."),
            ),
            components.button(speech("Create contact"), acts.act("contact.change", making(acts), "Contact created."), "user-plus", "main"),
        ),
    )


def making(acts: Acts) -> Do:
    def do(visit: PageContext) -> Wakeups:
        acts.drafts.pop("made", None)
        user_id = clean_text(acts.drafts.get("user_id", "")).strip()
        wanted = {name: value for name, value in typed(acts).items() if value}
        if not user_id and not wanted.get("email") and not wanted.get("phone"):
            raise Invalid("An e-mail address, a phone number or a user id is required.")
        now = visit.house.now()
        with visit.engine.db.write() as session:
            try:
                contact, events = contacts.create(session, [("user_id", user_id)] if user_id else [], wanted, now, visit.by)
            except Conflict as error:
                acts.drafts["made"] = str(error.details.get("contact_id", ""))
                raise Invalid("A contact with this address or id already exists.") from None
            except Invalid as error:
                raise in_words(visit, error) from None
            record(session, visit.by, "contact.create", f"contact:{contact.id}", {}, now)
            wakeups = routed(visit.engine, session, events, now)
        acts.drafts["made"] = contact.id
        return wakeups

    return do


NEW = Page("/ui/contacts/new", "New contact", "contacts", "contact.change", load_new, view_new)
