"""Fields of a form out of the JSON Schema of a workspace setting, and the setting's value out of what comes back.

Which fields a property gets follows from its type: text, number, time, a choice, a list of choices, a week, or rows of a small object (the
rows there are, and one to fill in). A property nobody foresaw is a mistake of ours and says so in a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from builder_ui.builder.durations import UNITS, in_units, iso
from builder_ui.builder.widgets import as_number
from builder_ui.kit.forms import Field, Values
from builder_ui.kit.i18n import Translator
from builder_ui.kit.labels import ROLE_NAMES, WEEKDAYS
from journeys.channels import CHANNELS
from workspace import time_zones
from workspace.settings import Setting

Schema = Mapping[str, Any]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Control:
    """The fields of one property, and how its value is read from them."""

    fields: Sequence[Field]
    read: Callable[[Values], Any]


def controls(t: Translator, name: str, setting: Setting) -> dict[str, Control]:
    """Property -> control, in the order of the shape."""
    schema, value = type(setting).model_json_schema(), setting.model_dump(mode="json")
    places = schema.get("$defs", {})
    shown = ((key, one) for key, one in schema["properties"].items() if f"{name}.{key}" not in ELSEWHERE)
    return {key: control(t, f"{name}.{key}", key, one, value[key], places) for key, one in shown}


def control(t: Translator, title: str, path: str, schema: Schema, value: Any, places: Schema) -> Control:
    schema = places[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    items = schema.get("items", {})
    if schema.get("type") == "array" and "$ref" in items:
        return rows(t, title, path, places[items["$ref"].rpartition("/")[2]], value, schema.get("maxItems", 20))
    if schema.get("type") == "array" and "enum" in items:
        named = week_days if tuple(items["enum"]) == DAYS else several
        return named(t, title, path, items["enum"], value)
    if schema.get("type") == "array" and items.get("format") == "date":
        return dates(t, title, path, value)
    if schema.get("type") == "array" and items.get("type") == "string":
        return texts(t, title, path, value)
    if schema.get("type") == "object":
        return week(t, title, path, value)
    if schema.get("format") == "duration":
        return duration(t, title, path, value)
    return Control([plain(t, title, path, schema, value)], reader(path, schema))


def reader(path: str, schema: Schema) -> Callable[[Values], Any]:
    if schema["type"] == "boolean":
        return lambda values: values[path] == "on"
    if schema["type"] == "integer":
        return lambda values: as_number(values[path])
    return lambda values: values[path]


def plain(t: Translator, title: str, path: str, schema: Schema, value: Any) -> Field:
    label, hint = words(t, title)
    if schema["type"] == "boolean":
        return Field(path, label, "checkbox", "on" if value else "", hint=hint)
    if "enum" in schema:
        return Field(path, label, "select", str(value), [(one, t(choice(one))) for one in schema["enum"]], hint=hint)
    if schema["type"] == "integer":
        shown = "" if value is None else str(value)
        return Field(path, label, "number", shown, least=schema.get("minimum"), greatest=schema.get("maximum"), hint=hint)
    if schema.get("format") == "time":
        return Field(path, label, "time", "" if value is None else str(value)[:5], hint=hint)
    zone = {"offered": sorted(time_zones.known())} if path.endswith("zone") else {}
    most = schema.get("maxLength", 200)
    return Field(path, label, "textarea" if most == 500 else "text", "" if value is None else str(value), most=most, hint=hint, **zone)  # type: ignore[arg-type]


def several(t: Translator, title: str, path: str, choices: Sequence[str], value: Sequence[str]) -> Control:
    """A box for each choice."""
    heading = words(t, title)[0]
    fields = [
        Field(f"{path}.{one}", t(ROLE_NAMES[one]), "checkbox", "on" if one in value else "", group="" if n else heading)
        for n, one in enumerate(choices)
    ]
    return Control(fields, lambda values: [one for one in choices if values[f"{path}.{one}"] == "on"])


def week_days(t: Translator, title: str, path: str, choices: Sequence[str], value: Sequence[str]) -> Control:
    heading = words(t, title)[0]
    fields = [
        Field(f"{path}.{day}", t(WEEKDAYS[n]), "checkbox", "on" if day in value else "", group="" if n else heading)
        for n, day in enumerate(DAYS)
    ]
    return Control(fields, lambda values: [day for day in DAYS if values[f"{path}.{day}"] == "on"])


def dates(t: Translator, title: str, path: str, value: Sequence[str]) -> Control:
    label, hint = TITLES[title]
    shown = "\n".join(t.typed(date.fromisoformat(one)) for one in value)
    field = Field(path, t(label), "textarea", shown, hint=t(hint, day=t.typed(date(2026, 12, 24))))

    def read(values: Values) -> list[Any]:
        """What is no day stays as it was typed, for the setting's own check to name it."""
        return [t.read(one) or one for one in values[path].replace(",", " ").split()]

    return Control([field], read)


def texts(t: Translator, title: str, path: str, value: Sequence[str]) -> Control:
    """Names without blanks, one a line."""
    label, hint = words(t, title)
    field = Field(path, label, "textarea", "\n".join(value), hint=hint)
    return Control([field], lambda values: values[path].replace(",", " ").split())


def week(t: Translator, title: str, path: str, value: Mapping[str, Sequence[str]]) -> Control:
    """From and until for each weekday; a day without either is free."""
    heading = words(t, title)[0]
    fields = []
    for n, day in enumerate(WEEKDAYS):
        start, end = value.get(str(n)) or value.get(n) or ("", "")  # type: ignore[call-overload]
        fields.append(Field(f"{path}.{n}.0", t("{day} from", day=t(day)), "time", start[:5], group="" if n else heading))
        fields.append(Field(f"{path}.{n}.1", t("{day} until", day=t(day)), "time", end[:5]))

    def read(values: Values) -> dict[str, list[str]]:
        pairs = {str(n): [values[f"{path}.{n}.0"], values[f"{path}.{n}.1"]] for n in range(7)}
        return {n: pair for n, pair in pairs.items() if any(pair)}

    return Control(fields, read)


def duration(t: Translator, title: str, path: str, value: Any) -> Control:
    """A number and a unit."""
    count, unit, _ = in_units(value)
    label, hint = words(t, title)
    fields = [
        Field(path, label, "number", "" if count is None else f"{count:g}", least=1, hint=hint),
        Field(f"{path}.unit", t("Unit"), "select", unit, [(code, t(name)) for code, name, _ in UNITS]),
    ]
    return Control(fields, lambda values: iso(as_number(values[path]), values[f"{path}.unit"]))


def rows(t: Translator, title: str, path: str, item: Schema, value: Sequence[Mapping[str, Any]], most: int) -> Control:
    """One group a row and an empty one below; a row in which everything that it needs is emptied is taken out."""
    heading = words(t, title)[0]
    parts: list[dict[str, Control]] = []
    for n in range(min(len(value) + 1, most)):
        present = value[n] if n < len(value) else {key: one.get("default") for key, one in item["properties"].items()}
        parts.append(
            {key: control(t, f"{title}.{key}", f"{path}.{n}.{key}", one, present.get(key), {}) for key, one in item["properties"].items()}
        )
    fields: list[Field] = []
    for n, part in enumerate(parts):
        said = f"{heading} {n + 1}" if n < len(value) else t("New entry")
        fields += headed([field for one in part.values() for field in one.fields], said)

    def read(values: Values) -> list[dict[str, Any]]:
        found = [{key: one.read(values) for key, one in part.items()} for part in parts]
        return [one for one in found if any(one[key] not in (None, "") for key in item["required"])]

    return Control(fields, read)


def headed(fields: Sequence[Field], heading: str) -> list[Field]:
    return [replace(fields[0], group=heading), *fields[1:]]


def choice(one: str) -> str:
    """What people read for a value out of a list; a message id."""
    return CHANNELS[one].label if one in CHANNELS else CHOICES[one]


def words(t: Translator, title: str) -> tuple[str, str]:
    """(label, hint) of a property."""
    label, hint = TITLES[title]
    return t(label), t(hint) if hint else ""


ELSEWHERE = frozenset({"appearance.logo"})
"""Properties that are files: they have a form of their own (`pages.logo`)."""
CHOICES = {
    "": "all channels",
    "sent": "was sent",
    "opened": "was opened",
    "clicked": "was clicked",
    "none": "nothing",
    "clicks": "clicks",
    "full": "clicks and opens",
    "sans": "Helvetica, Arial (plain)",
    "system": "the reader's own (system font)",
    "wide": "Verdana (wide)",
    "round": "Trebuchet (rounded)",
    "serif": "Georgia, Times (with serifs)",
    "mono": "Courier (typewriter)",
    "nobody": "no one",
    "admins": "administrators",
    "everybody": "everyone",
}
TITLES: Mapping[str, tuple[str, str]] = {
    "sender.name": ("Name", "Shown before the address in the reader's inbox."),
    "sender.email": ("E-mail address", "Leave empty to use the address set by the server."),
    "sender.reply_to": ("Replies go to", "Leave empty to use the sender's address."),
    "sender.postal_address": ("Postal address", "Shown in the footer of marketing e-mails, as the law requires."),
    "senders.senders": ("Sender", ""),
    "senders.senders.key": ("Key", "Used in journeys; never changes. Leave empty, together with the address, to remove this sender."),
    "senders.senders.name": ("Name", "Shown before the address in the reader's inbox."),
    "senders.senders.email": ("E-mail address", ""),
    "senders.senders.reply_to": ("Replies go to", "Leave empty to use the sender's address."),
    "seed_list.seeds": ("Address", ""),
    "seed_list.seeds.email": ("E-mail address", "Leave empty to remove this address."),
    "seed_list.seeds.note": ("Note", "For example the mailbox provider."),
    "appearance.name": ("Name", "Leave empty to use the sender's name."),
    "appearance.colour": (
        "Colour of buttons and links",
        "For example #1f5fbf; blue if left empty. Links are made darker or lighter where contrast is too low.",
    ),
    "appearance.text": ("Colour of text in e-mails", "For example #1f2933; it must be readable on white."),
    "appearance.background": ("Colour around e-mails", "For example #f3f4f6; the text must be readable on it."),
    "appearance.font": ("Font of e-mails", "Fonts that every mail program has."),
    "appearance.heading_font": ("Font of headings", "Leave empty to use the font of the text."),
    "appearance.website": ("Website", "Where the logo and the name link to."),
    "appearance.imprint": ("Imprint", "Link to your imprint."),
    "appearance.privacy": ("Privacy notice", "Link to your privacy notice."),
    "quiet_hours.enabled": ("Keep quiet hours", "Marketing waits until they are over; transactional messages are sent at once."),
    "quiet_hours.start": ("From", "In the contact's own time zone."),
    "quiet_hours.end": ("Until", "Earlier than the start: past midnight."),
    "quiet_hours.zone": ("Time zone for contacts without one", ""),
    "quiet_hours.days": ("Quiet days", ""),
    "quiet_hours.channels": ("Hours of a channel", ""),
    "quiet_hours.channels.channel": ("Channel", ""),
    "quiet_hours.channels.start": ("From", "Leave both times empty to remove this entry."),
    "quiet_hours.channels.end": ("Until", ""),
    "quiet_hours.channels.by_law": (
        "Required by law",
        "Applies in addition to all other quiet hours, including those of a journey. Otherwise these hours replace the ones above on this channel.",
    ),
    "channel_rules.rules": ("Rule", ""),
    "channel_rules.rules.channel": ("No marketing on the channel", ""),
    "channel_rules.rules.after": ("For a period of", "Leave empty to remove this rule."),
    "channel_rules.rules.event": ("After another message", ""),
    "channel_rules.rules.of_channel": ("Channel of the other message", ""),
    "hold_out.percent": (
        "Share of all contacts, in percent",
        "0 to 50. These contacts get no marketing from any journey; transactional messages are sent.",
    ),
    "hold_out.draw": ("Name of the draw", "The same name always draws the same contacts. Change it to draw others."),
    "frequency_caps.caps": ("Cap", ""),
    "frequency_caps.caps.cap_class": (
        "Class",
        "Journeys refer to the class by its name; the usual one is “default”. Leave empty for a cap over all classes.",
    ),
    "frequency_caps.caps.channel": ("Channel", ""),
    "frequency_caps.caps.purpose": ("Purpose", "Leave empty for all purposes."),
    "frequency_caps.caps.count": ("Maximum number of messages", "Leave empty to remove this cap."),
    "frequency_caps.caps.per": ("In any period of", ""),
    "calendar.zone": ("Time zone", ""),
    "calendar.hours": ("When your team works", ""),
    "calendar.country": ("Public holidays of the country", "Two capital letters such as CH; empty: no holidays."),
    "calendar.region": ("Region", "Canton or state, such as ZH or BY."),
    "calendar.days_off": ("Other days off", "One date a line, such as {day}."),
    "purposes.names": ("Purpose", ""),
    "purposes.names.key": ("Key", "Used in consents and journeys; never changes. Leave empty to remove this purpose."),
    "purposes.names.english": ("What contacts read in English", "On the preference page."),
    "purposes.names.german": ("What contacts read in German", ""),
    "consent_expiry.purposes": ("Purpose", ""),
    "consent_expiry.purposes.purpose": ("Consent purpose", "Key of a purpose of the page “Consent purposes”."),
    "consent_expiry.purposes.after": ("Expires after", "At least 30 days. Leave empty to let consents for this purpose stand."),
    "topics.topics": ("Topic", ""),
    "topics.topics.key": (
        "Key",
        "Used in templates, journeys and answers; never changes. Leave empty to remove a topic that nothing uses, and archive the others.",
    ),
    "topics.topics.english": ("What contacts read in English", ""),
    "topics.topics.german": ("What contacts read in German", ""),
    "topics.topics.english_description": ("Description in English", "One sentence below the name; may be empty."),
    "topics.topics.german_description": ("Description in German", ""),
    "topics.topics.order": ("Order", "Topics with lower numbers come first."),
    "topics.topics.archived": ("Archived", "Nobody is asked about it any more; existing answers still count."),
    "double_opt_in.template": (
        "Template",
        "Key of a transactional e-mail template with {{ confirm_url }}; leave empty to use the built-in one.",
    ),
    "double_opt_in.expires": ("The link works for", "At least an hour, at most 60 days."),
    "double_opt_in.remind": ("Remind once", "Half way until the link expires."),
    "double_opt_in.purge": ("Delete unconfirmed addresses after", "Not before their links expire; at most a year."),
    "double_opt_in.mails_a_day": ("Maximum e-mails to one address a day", "However often it is entered."),
    "double_opt_in.asks_a_network": ("Maximum sign-ups an hour from one network", ""),
    "double_opt_in.asks_a_form": ("Maximum sign-ups an hour through one form", ""),
    "complaints.everywhere": (
        "No more marketing on any channel",
        "A complaint about an e-mail also stops text messages and all others: it counts as an objection.",
    ),
    "sending_limits.days": ("Period in days", "Including today; at most 60."),
    "sending_limits.least": ("Smallest number of messages", "Fewer say too little to judge an account; at least 100."),
    "sending_limits.complaints_warn": ("Complaints: warn from", "Of 1,000 messages. Gmail wants fewer than 1."),
    "sending_limits.complaints_stop": (
        "Complaints: stop from",
        "Of 1,000 messages. Gmail and Yahoo refuse senders from 3 on. Halfway from the warning, the account is slowed.",
    ),
    "sending_limits.bounces_warn": ("Hard bounces: warn from", "Of 1,000 messages."),
    "sending_limits.bounces_stop": ("Hard bounces: stop from", "Of 1,000 messages. Halfway from the warning, the account is slowed."),
    "sending_limits.slow_per_minute": ("Marketing messages a minute of a slowed account", ""),
    "retention.bodies": ("Texts of messages", "At least 30 days. To whom a message went stays."),
    "retention.hits": ("Single opens and clicks", "At least 30 days. That a message was opened stays."),
    "retention.refusals": ("Refused entries into journeys", "At least 30 days."),
    "retention.submissions": ("Submissions of forms", "At least 30 days. Fields, consents and events stay."),
    "retention.runs": ("What ended runs remember", "At least 90 days. Where they were and how they ended stays."),
    "retention.events": (
        "Events",
        "At least 90 days. Conditions no longer know older ones; contacts in a journey keep theirs until they leave.",
    ),
    "companies.by_domain": (
        "Make companies from e-mail domains",
        "A contact with the address ada@acme.example belongs to the company acme.example, unless somebody said otherwise. Free mailers and throw-away addresses are known and left out. It holds for addresses that come in from now on.",
    ),
    "companies.free_mailers": ("Further domains that are no company", "One a line."),
    "companies.currency": ("Currency of revenue", "Three letters such as CHF. Orders without a currency count in it."),
    "score_groups.names": ("Score", ""),
    "score_groups.names.key": ("Key", "Used in scores and journeys; never changes. Leave empty to remove this score."),
    "score_groups.names.english": ("Name in English", ""),
    "score_groups.names.german": ("Name in German", ""),
    "tracking.level": ("Tracking level", "A contact's consent can only reduce it."),
    "link_parameters.source": (
        "UTM source",
        "For example newsletter. Leave empty to add none. {journey}, {journey_name}, {template}, {template_name}, {channel} and {step} are filled in.",
    ),
    "link_parameters.medium": ("UTM medium", "For example {channel}."),
    "link_parameters.campaign": ("UTM campaign", "For example {journey}."),
    "link_parameters.content": ("UTM content", "For example {template}."),
    "link_parameters.excluded": ("Sites left alone", "Hosts separated by commas, such as instagram.com; those below them as well."),
    "access.idle": ("Log out after inactivity of", "At least 15 minutes, at most 14 days."),
    "access.proof": (
        "Ask again for password or code after",
        "Before changing keys, secrets or users, and before deleting contact data; at least a minute, at most 12 hours.",
    ),
    "access.second_factor": ("Who needs an authenticator app", "Members without one see only their account until it is set up."),
    "notices.mail": ("Notify by e-mail", ""),
    "notices.roles": ("Recipients", ""),
    "notices.at_most_every": ("Stuck runs of a journey: at most every", "Runs that get stuck in between are included in the next e-mail."),
    "notices.webhook": ("Webhook URL", "Called for each notice; for a chat, a pager or your own monitoring. Leave empty for none."),
    "notices.tasks": (
        "Tell members about their tasks in the team chat",
        "New and overdue tasks, as direct messages with buttons to finish them. Needs a provider account for “Team chat”.",
    ),
    "notices.webhook_secret": ("Signing secret", "Its name on the page “Secrets”. Leave empty to send unsigned calls."),
    "tracking.sites": (
        "Own websites",
        "Hosts with the script site.js, such as www.example.com: a tracked link that leads there says who follows it, for ten minutes.",
    ),
    "tracking.opens_need_consent": ("Opens are counted only with consent", "Required by France's data protection authority."),
}
"""setting.property -> (label, hint); message ids."""
