"""The language of journeys in words: triggers, steps, what happened in a run, and the codes that rows store.

Codes of rows map to message ids here and nowhere else; a code nobody knows is shown as it is. Steps are described from their own
fields, so a new kind needs nothing here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from babel.dates import format_date
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from builder_ui.kit import times
from builder_ui.kit.i18n import Translator
from journeys import channels, postal
from journeys.catalogue import FIELD_TITLES
from journeys.cron import OPEN
from journeys.document import Entry, Exit, Goal
from journeys.nodes import Node, Palette
from journeys.nodes.wait_until import Window
from journeys.rules import Group, Rule, Term, dates, parse_rule, sentence
from journeys.runkeys import Key, paths_of
from journeys.triggers import Trigger

Names = Mapping[str, str]
"""Node id -> the name people know it by."""

POSTAL = {
    "name": "Name on the address, if not the contact's",
    "line1": "Street and number",
    "line2": "Address line 2",
    "postal_code": "Postal code",
    "city": "Place",
    "region": "State or province",
    "country": "Country",
}
"""Part of the postal address -> title."""
ROLE_NAMES = {
    "admin": "Admin",
    "marketer": "Marketing",
    "engineer": "Engineering",
    "tester": "Testing",
    "sales": "Sales",
    "viewer": "Viewer",
}
JOURNEY_STATES = {
    "draft": ("Draft", "quiet", "pencil"),
    "live": ("Live", "good", "play"),
    "paused": ("Paused", "warn", "pause"),
    "stopped": ("Stopped", "quiet", "square"),
}
RUN_STATES = {
    "active": ("In progress", "good", "route"),
    "held": ("Held", "warn", "pause"),
    "stuck": ("Stuck", "bad", "alert"),
    "quarantined": ("Quarantined", "bad", "alert"),
    "ended": ("Finished", "quiet", "flag"),
    "held_out": ("Control group", "quiet", "ban"),
}
MESSAGE_STATES = {
    "planned": ("Planned", "quiet", "clock"),
    "held": ("Held", "warn", "pause"),
    "claimed": ("Being sent", "quiet", "hourglass"),
    "sent": ("Sent", "good", "check"),
    "bounced": ("Bounced", "bad", "alert"),
    "failed": ("Failed", "bad", "alert"),
    "skipped": ("Not sent", "warn", "ban"),
    "uncertain": ("Uncertain", "warn", "alert"),
}
TASK_STATES = {
    "open": ("Open", "quiet", "circle"),
    "taken": ("Taken", "good", "hand"),
    "finished": ("Done", "quiet", "check"),
    "cancelled": ("Cancelled", "quiet", "ban"),
}
DEVICE_REASONS = {
    "gone": "its push service does not know it any more",
    "left": "switched off on the device",
    "moved": "somebody else uses it now",
    "limit": "too many devices",
    "removed": "removed by a member of the team",
    "unseen": "not seen for a year",
}
"""Why a device was removed."""
CHANNELS = {
    **{name: channel.label for name, channel in channels.CHANNELS.items()},
    channels.TRACKING: "Tracking",
    channels.TOPIC: "Topic",
    "team": "Notice to the team",
    "chat": "Team chat",
    "webhook": "Webhook",
}
REFUSALS = {
    "journey_not_live": "The journey was not live.",
    "filter": "The contact does not match the entry filter.",
    "condition": "The contact did not match the trigger's condition.",
    "same_trigger": "The same event had started a run already.",
    "no_key": "The event carries no value for the key of the run.",
    "key_seen": "There already was a run with the same key.",
    "already_entered": "The contact had been in this journey before, and contacts may enter it only once.",
    "still_inside": "The contact was still inside this journey.",
    "too_soon": "The contact had entered too recently.",
    "cap": "The limit of entries was reached.",
    "too_many_hops": "Too many journeys in a row had led to this entry; they may trigger each other endlessly.",
    "missed": "The scheduled time passed while no worker was running or the journey was paused, too long ago to catch up.",
    "no_contact": "The contact does not exist any more.",
}
REASONS = {
    "completed": "reached the end",
    "exit": "an exit rule came true",
    "goal": "the goal was reached",
    "stopped": "the journey was stopped",
    "removed": "removed from the journey",
    "ended_by_person": "ended manually",
    "erased": "the contact was erased",
    "merged": "the contact was merged with another",
    "paused": "the journey is paused",
    "held_out": "control group: counted, but not enrolled",
    "no_address": "no usable address",
    "no_reachable_device": "no account reaches its devices",
    "push_no_device": "no device left",
    "address_incomplete_name": "address incomplete: the name is missing",
    "address_incomplete_line1": "address incomplete: street and number are missing",
    "address_incomplete_postal_code": "address incomplete: the postal code is missing or does not fit the country",
    "address_incomplete_city": "address incomplete: the place is missing",
    "address_incomplete_region": "address incomplete: the state or province is missing",
    "address_incomplete_country": "address incomplete: the country is missing",
    "no_consent": "no consent",
    "consent_expired": "the consent has expired",
    "unverified_sender": "the sender is not verified",
    "topic_declined": "does not want to hear about this topic",
    "no_contact": "the contact does not exist any more",
    "quiet_hours": "quiet hours",
    "frequency_cap": "frequency cap reached",
    "pause_requested": "the contact asked for a pause",
    "held_too_long_pause_requested": "not sent: the contact asked for a longer pause",
    "spacing": "too soon after a message on another channel",
    "global_hold_out": "in the workspace's control group",
    "message_hold_out": "in the control group of this message",
    "held_too_long_spacing": "held back too long by rules between channels",
    "outside_reply_window": "no approved template, and the contact's last message is too long ago for free text",
    "same_mailbox": "another contact with this address gets this message",
    "held_too_long_same_mailbox": "it is unknown whether the same message to another contact with this address arrived",
    "sent_by_other_run": "another run of this contact, from before two contacts were merged, has already sent it",
    "other_run_in_flight": "another run of this contact, from before two contacts were merged, is just sending it",
    "coupon_none": "no coupon code was left",
    "coupon_expired": "the coupon codes have expired",
    "coupon_no_pool": "the coupon pool does not exist any more",
    "account_removed": "the provider account was removed",
    "sender_stopped": "marketing of this sender's domain is stopped or slowed",
    "daily_limit": "the daily limit is reached",
    "held_too_long_in_line": "held back too long by more important messages",
    "held_too_long_daily_limit": "held back too long by daily limits",
    "account_stopped": "the provider account is not accepting messages",
    "in_line": "waiting for other messages",
    "send_again": "will be sent again (manual decision)",
    "confirmed": "counted as sent (manual decision)",
    "left": "left as is (manual decision)",
    "no_answer": "no response",
    "not_needed": "not needed any more",
    "perhaps_sent": "may have been sent before a backup was restored",
    "assumed_sent": "counts as sent after a backup was restored",
    "no_sender": "the sender chosen in the step does not exist any more",
    "no_body": "its text is not kept any more",
    "made_up": "a made-up contact of the demo gets messages in the outbox only",
    "run_ended": "the run had ended",
    "run_moved_on": "the run had moved on",
    "held_too_long_quiet_hours": "held back too long by quiet hours",
    "held_too_long_frequency_cap": "held back too long by frequency caps",
    "database_behind": "the database is older than the run; an administrator has to check it",
    "suppressed_hard_bounce": "the address is blocked after a bounce",
    "suppressed_bounce_streak": "the address is blocked after several bounces in a row",
    "suppressed_complaint": "the address is blocked after a complaint",
    "suppressed_unsubscribe": "the address has unsubscribed",
    "suppressed_manual": "the address is blocked",
    "render_missing_value": "the template uses a value that this contact does not have",
    "render_wrong_value": "a value does not have the type the template needs",
    "render_unsafe_link": "a link would lead to an address that is not allowed",
    "render_empty_value": "a value of the approved template would be empty",
    "render_too_long": "rendering took too long or produced too much text",
    "render_too_large": "rendering took too much memory",
    "render_card_full": "there is too much on the card",
    "render_bad_picture": "a picture on the card cannot be read",
    "render_foreign_picture": "a picture on the card is not in the library",
    "render_template_error": "the template cannot be rendered",
    "suppressed_import": "the address was blocked by an import",
    "suppressed_invalid": "the address is blocked because it does not exist",
    "suppressed_objection": "the contact objects to direct marketing",
    "Invalid": "something was not accepted",
    "not_bought": "not bought",
    "qualified": "qualified",
    "not_yet": "not yet",
    "missed": "no one called",
    "active": "active again",
    "silent": "stayed silent",
}
"""The last ones are ends that journeys of the gallery name themselves."""
LEFT_OUT = {
    "filled": "already filled",
    "needs_server_key": "needs a server key",
    "too_much": "maximum number of fields reached",
    "unusable": "cannot be stored",
}
"""Why something that a call says about a contact was left out (`crm.people.visitors`, `crm.people.profile`)."""
CONSENT_STATES = {"granted": "granted", "withdrawn": "withdrawn", "pending": "not confirmed yet", "unknown": "never asked"}
TASK_CHANGES = {
    "created": "Task created",
    "taken": "Task taken",
    "finished": "Task finished",
    "reassigned": "Task reassigned",
    "cancelled": "Task cancelled",
    "escalated": "Task overdue and escalated",
}
OUTLETS = {
    "yes": "yes",
    "no": "no",
    "next": "continue",
    "sent": "sent",
    "skipped": "not sent",
    "failed": "error",
    "happened": "it happened",
    "opened": "opened",
    "clicked": "clicked",
    "timed_out": "time is up",
    "otherwise": "otherwise",
    "overdue": "overdue",
    "passed": "already past",
    "ok": "answered",
    "seen": "was seen again",
    "done": "done",
    "won": "won",
    "lost": "lost",
    "qualified": "qualified",
    "unqualified": "unqualified",
    "not_qualified": "not qualified",
    "not_yet": "not yet",
    "thanked": "thanked",
    "reached": "reached",
    "not_reached": "not reached",
}
"""What a step leaves through; the last ones are usual outcomes of tasks, and branches of the gallery and the demo."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def address(field: str, stored: str) -> str:
    """What a field of the contact holds, as people read it: addresses as their channel writes them, others as they are."""
    return next((one.shown(stored) for one in channels.BUILT_IN if one.address_field == field), stored)


def postal_problem(t: Translator, contact: Any) -> str:
    """What the contact's postal address lacks; empty if nothing, or if there is none."""
    problems = (
        one.problem(address) for one in channels.BUILT_IN if one.address_field == postal.FIELD and (address := one.address_of(contact))
    )
    return next((coded(t, REASONS, problem) for problem in problems if problem), "")


def coded(t: Translator, table: Mapping[str, str], code: str) -> str:
    """The words for a stored code. One that nobody has words for, such as an author's own outlet, is shown without its underscores."""
    return t(table[code]) if code in table else code.replace("_", " ")


def mistake(t: Translator, error: str) -> str:
    """What a stuck run stumbled over: the place in the code, and the sentence if the error is one of ours."""
    place, colon, sentence = error.partition("): ")
    return f"{place}{colon}{t(sentence)}" if colon else error


@dataclass(frozen=True, slots=True)
class Phrases:
    """What triggers make their sentences of (`journeys.triggers.Phrases`)."""

    t: Translator

    def __call__(self, text: str, **values: object) -> str:
        return self.t(text, **values)

    def number(self, value: float) -> str:
        return self.t.number(value)

    def span(self, span: timedelta) -> str:
        return self.t.span(span)

    def rule(self, one: Rule) -> str:
        return rule(self.t, one)

    def times(self, cron: str) -> str:
        return schedule(self.t, cron)


def trigger(t: Translator, one: Trigger) -> str:
    """What lets contacts in, as a sentence."""
    return one.sentence(Phrases(t))


def schedule(t: Translator, line: str) -> str:
    """`every Monday and Thursday at 09:00`; a line that nobody has words for as it is."""
    found = times.read(line)
    if found is None or OPEN in line:
        return line
    at = found.at.strftime("%H:%M")
    match found.repeat:
        case "day":
            return t("every day at {at}", at=at)
        case "week" if len(found.weekdays) == 1:
            return t("every {weekday} at {at}", weekday=t(WEEKDAYS[found.weekdays[0]]), at=at)
        case "week":
            return t("{weekdays} at {at}", weekdays=days(t, found.weekdays), at=at)
        case "month":
            return t("on day {day} of each month at {at}", day=found.day, at=at)
        case _:
            return t("every year on {date} at {at}", date=_yearly(t, found), at=at)


def _yearly(t: Translator, found: times.Times) -> str:
    pattern = "d. MMMM" if t.language == "de" else "d MMMM"
    return format_date(date(2024, found.month or 1, min(found.day or 1, 29 if found.month == 2 else 30)), pattern, locale=t.locale)


def entry(t: Translator, one: Entry) -> list[str]:
    """Everything that decides who comes in."""
    said = [trigger(t, each) for each in one.triggers]
    if one.filter is not None:
        said.append(t("Only if this holds: {rule}", rule=rule(t, one.filter)))
    said.append(_reentry(t, one))
    if one.holdout_percent:
        said.append(t("{percent} % are held out as a control group", percent=t.number(one.holdout_percent)))
    if one.cap:
        said.append(t("At most {count} entries in {span}", count=t.number(one.cap.count), span=t.span(one.cap.per)))
    return said


def _reentry(t: Translator, one: Entry) -> str:
    policy = one.reentry
    match policy.policy:
        case "never":
            return t("Each contact only once")
        case "after_exit":
            return t("Again after exiting")
        case "after_window":
            return t("Again after {span}", span=t.span(policy.window or timedelta(0)))
        case "per_key":
            return t("Once for each *{key}*", key=keyed(t, policy.key))


def keyed(t: Translator, key: Key) -> str:
    """The properties of a run's key: the first that an event has counts."""
    first, *others = paths_of(key) or ("",)
    for other in others:
        first = t("{one}, else {other}", one=first, other=other)
    return first


def way_out(t: Translator, one: Exit) -> str:
    """What ends a run at once."""
    if one.event is None:
        return t("as soon as this holds: {rule}", rule=rule(t, one.rule)) if one.rule is not None else ""
    said = t("as soon as *{event}* happens", event=one.event)
    if one.match_key:
        said = t("{sentence} for the same {key}", sentence=said, key=keyed(t, one.match_key))
    return t("{sentence}, where {rule}", sentence=said, rule=rule(t, one.where)) if one.where is not None else said


def goal(t: Translator, one: Goal) -> str:
    """What the journey is for."""
    said = t("*{event}* within {span}", event=one.event, span=t.span(one.window))
    return t("{sentence}, where {rule}", sentence=said, rule=rule(t, one.where)) if one.where is not None else said


def rule(t: Translator, one: Rule, names: Names | None = None) -> str:
    return sentence(one, t.translate, {**(names or {}), "": "…"}, t.written)  # a step that is still to be chosen has no id


def names_of(t: Translator, nodes: Mapping[str, Node]) -> dict[str, str]:
    """Node id -> what people call the step."""
    return told_apart({id: (node.name, t(node.label)) for id, node in nodes.items()})


def names_in(t: Translator, palette: Palette, nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The same for steps as they are drawn, complete or not."""
    return told_apart({id: (own_name(raw), kind_of(t, palette, raw)) for id, raw in nodes.items()})


def own_name(raw: Mapping[str, Any]) -> str:
    name = raw.get("name")
    return name[:120] if isinstance(name, str) else ""


def kind_of(t: Translator, palette: Palette, raw: Mapping[str, Any]) -> str:
    """What people call the kind of a step; one that nobody knows as it is written."""
    kind = raw.get("kind")
    return t(palette[kind].label) if isinstance(kind, str) and kind in palette else str(kind)[:60]


def told_apart(steps: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Node id -> its own name, else the label of its kind, with a number from the second of a label on. `steps`: id -> (own name or empty, label).

    Who is the second is a matter of the ids (`wait` before `wait_2`), so that every page calls a step the same and none is called
    otherwise because another was put before it. Ids themselves are for engineers.
    """
    taken, last = {own for own, _ in steps.values() if own}, Counter[str]()
    found = {}
    for id in sorted(steps, key=_natural):
        own, label = steps[id]
        found[id] = own or _free(label, taken, last)
    return {id: found[id] for id in steps}


def _free(label: str, taken: set[str], last: Counter[str]) -> str:
    while True:
        last[label] += 1
        name = label if last[label] == 1 else f"{label} {last[label]}"
        if name not in taken:
            taken.add(name)
            return name


def _natural(id: str) -> list[str | int]:
    """`wait_2` comes before `wait_10`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", id)]


def fields(t: Translator, node: Node, names: Names) -> list[tuple[str, str]]:
    """(title, value) of what the author set on a step, in the order of its form."""
    shown = []
    for name, field in type(node).model_fields.items():
        value = getattr(node, name)
        if name != "name" and name in node.model_fields_set and value not in (None, "", (), {}, False):
            shown.append((t(field.title or name), value_in_words(t, _by_name(field, value, names), names)))
    return shown


def _by_name(field: FieldInfo, value: Any, names: Names) -> Any:
    """Members, templates, rotations and journeys by their names where the field names some; `names` has them as `member:<id>`, `template:<key>` and
    so on. What is not there stays a key."""
    extra = field.json_schema_extra
    noun = NAMED.get(str(extra.get("widget"))) if isinstance(extra, dict) else None
    if noun is None:
        return value
    return [names.get(f"{noun}:{one}", one) for one in value] if isinstance(value, tuple) else names.get(f"{noun}:{value}", value)


NAMED = {"user": "member", "recipients": "member", "template": "template", "pool": "pool", "journey": "journey"}
"""Widget of a field -> before what a name is found in `Names`."""


def value_in_words(t: Translator, value: Any, names: Names) -> str:
    """Any value of a step's field, for people."""
    match value:
        case bool():
            return t("yes") if value else t("no")
        case timedelta():
            return t.span(value)
        case int() | float():
            return t.number(value)
        case Group() | Term():
            return rule(t, value, names)
        case Window():
            return f"{value.start}–{value.end}, {days(t, value.weekdays)}"
        case BaseModel():
            return _part(t, value, names)
        case Mapping():
            return ", ".join(f"{key}: {value_in_words(t, one, names)}" for key, one in value.items())
        case tuple() | list():
            return ", ".join(value_in_words(t, one, names) for one in value)
        case date():
            return t.written(value)
        case _:
            return text_moment(t, str(value))


def _part(t: Translator, value: BaseModel, names: Names) -> str:
    """A part of a step, such as a branch or a window of time: its name before a colon, then what else was set."""
    said = [_member(t, value, name, names) for name in type(value).model_fields if name not in ("type", "name")]
    text = ", ".join(one for one in said if one)
    name = getattr(value, "name", "")
    return f"{coded(t, OUTLETS, name)}: {text}" if name else text


def _member(t: Translator, value: BaseModel, name: str, names: Names) -> str:
    one = getattr(value, name)
    if one in (None, "", (), {}, False):
        return ""
    if name == "weekdays":
        return days(t, one)
    said = value_in_words(t, one, names)
    if name == "where":
        return t("where {rule}", rule=said)
    return said if name in ("rule", "event") else f"{t(type(value).model_fields[name].title or name)} {said}"


def days(t: Translator, weekdays: Sequence[int]) -> str:
    """Days of the week; three and more in a row by the first and the last of them."""
    days = sorted(weekdays)
    if len(days) == len(WEEKDAYS):
        return t("every day")
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return t("{first} to {last}", first=t(WEEKDAYS[days[0]]), last=t(WEEKDAYS[days[-1]]))
    return ", ".join(t(WEEKDAYS[day]) for day in days)


def term(t: Translator, row: Mapping[str, Any], names: Names) -> tuple[str, str]:
    """One row of `journeys.rules.explain`: the question as a sentence, and what was found."""
    try:
        asked = rule(t, parse_rule(row["term"]), names)
    except (ValidationError, ValueError, TypeError, KeyError):
        asked = str(row.get("path", "?"))
    return asked, found(t, row.get("actual"))


def found(t: Translator, actual: Any) -> str:
    """What a term found: a value, or how often an event happened and when last."""
    match actual:
        case None:
            return t("nothing is known")
        case bool():
            return t("yes") if actual else t("no")
        case {"value": value, "of": _}:
            return f"{found(t, value)} ({found(t, {key: one for key, one in actual.items() if key not in ('value', 'of')})})"
        case {"value": value, "at": str(at)}:
            return f"{found(t, value)} ({text_moment(t, at)})"
        case {"reached": 0, "steps": int()}:
            return t("none of the steps")
        case {"reached": int(reached), "steps": int(steps), "newest_at": str(at)}:
            return t("{reached} of {steps} steps, last {at}", reached=reached, steps=steps, at=text_moment(t, at))
        case {"count": 0}:
            return t("never")
        case {"count": 1, "newest_at": str(at)}:
            return t("once, {at}", at=text_moment(t, at))
        case {"count": int(count), "newest_at": str(at)}:
            return t("{count} times, last {at}", count=count, at=text_moment(t, at))
        case {"count": int(count)}:
            return t("{count} times", count=count)
        case {"keys": keys}:
            return ", ".join(str(key) for key in keys)
        case list():
            return ", ".join(text_moment(t, str(one)) for one in actual)
        case int() | float():
            return t.number(actual)
        case str() if actual in CONSENT_STATES:
            return t(CONSENT_STATES[actual])
        case _:
            return text_moment(t, str(actual))


def field_name(t: Translator, name: str, titles: Mapping[str, str] | None = None) -> str:
    """What people call a field of a contact, as a heading. `titles`: those of the workspace's own fields."""
    title = (titles or {}).get(name) or FIELD_TITLES.get(name)
    said = t(title) if title else name
    return said[:1].upper() + said[1:] if title else name


def attribute(t: Translator, value: Any) -> str:
    """What is stored in a field of a contact. Numbers stay as they are: they may be a year or a postcode."""
    match value:
        case bool():
            return t("yes") if value else t("no")
        case Mapping():
            return ", ".join(f"{name}: {attribute(t, one)}" for name, one in value.items())
        case list():
            return ", ".join(attribute(t, one) for one in value)
        case _:
            return text_moment(t, str(value))


def short(value: Any, most: int = 120) -> str:
    """A value as text of at most so many characters."""
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def text_moment(t: Translator, text: str) -> str:
    """A day or an instant stored as ISO text, as the person writes it; anything else as it is."""
    at = dates.read(text)
    return text if at is None else t.written(at)
