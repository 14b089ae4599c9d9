"""Settings that people change while the server runs: one typed shape each, with defaults that work.

What an operator sets once is in the process's environment, not here.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast
from weakref import WeakKeyDictionary

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy import Engine, or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.channels import CHANNELS, DEFAULT, SENDABLE, AnySendable, SendableChannel
from journeys.channels import TOPIC as OF_TOPICS
from journeys.errors import Invalid, Issue, NotFound
from journeys.link_parameters import NAMES, Pattern
from models import ConsentState, Template, TemplateVersion, WorkspaceSetting
from storage import company_marks, identifiers
from storage.freshness import bump, freshness, is_changing
from workspace import logo
from workspace.audit import record
from workspace.colours import LEAST_CONTRAST, LIGHT, contrast
from workspace.time_zones import is_zone
from workspace.web_addresses import web_address


def _known_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError("Expected a time zone such as Europe/Zurich.")
    return name


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("Expected one line without control characters.")
    return text


def _address(text: str) -> str:
    if text and isinstance(identifiers.normalise("email", text), identifiers.Refused):
        raise ValueError("Expected an e-mail address.")
    return _one_line(text)


CONSENT_NAME = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
"""What a statement of consent can be about."""
MOST_NAMES = 200
"""Purposes, or score groups, of one workspace: they are chosen from a list."""
LAST = 9_999
"""The place of a topic that is to come after all others."""
USUAL_CAP_CLASS = "default"
"""Of journeys that choose none; always there, with a cap or without."""

Zone = Annotated[str, AfterValidator(_known_zone)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _in_days(span: timedelta) -> str:
    """ISO 8601 without years and months, which have no fixed length: `P760D`, `PT20H`. Source: RFC 3339, appendix A."""
    hours, seconds = divmod(span.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    clock = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if count)
    days = f"{span.days}D" if span.days or not clock else ""
    return f"P{days}" + (f"T{clock}" if clock else "")


Span = Annotated[timedelta, PlainSerializer(_in_days, return_type=str, when_used="json"), Field(json_schema_extra={"format": "duration"})]
"""How long; in JSON an ISO 8601 duration of days and less."""


class Setting(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    noun: ClassVar[str] = ""
    """What journeys name out of this setting; empty: nothing."""

    def offers(self) -> frozenset[str]:
        """The names that a journey can use."""
        return frozenset()

    def problems(self, session: Session) -> list[Issue]:
        """What it names and the workspace does not have."""
        return []

    def stored(self, session: Session) -> None:
        """What the transaction that stores it has to tell others."""

    def audited(self) -> dict[str, Any]:
        """What the audit trail keeps of it."""
        return self.model_dump(mode="json")


class Sender(Setting):
    """Who writes. An empty `email` leaves it to the operator's `mail_from`."""

    name: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=120)
    email: Annotated[str, AfterValidator(_address)] = Field("", max_length=320)
    reply_to: Annotated[str, AfterValidator(_address)] = Field("", max_length=320)
    postal_address: str = Field("", max_length=500)
    """Stands in the footer of marketing mails (CAN-SPAM, § 5 DDG)."""

    def for_templates(self) -> dict[str, str]:
        """What templates read as `sender`."""
        return {"name": self.name, "email": self.email, "address": self.postal_address}


def _sender_key(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", text):
        raise ValueError("Expected lower case letters, digits, - and _, at most 64.")
    return text


class SenderAddress(Setting):
    """Somebody whom steps can send as. `key` stands in journeys and never changes; answers go to `reply_to`, or to `email` where it is empty."""

    key: Annotated[str, AfterValidator(_sender_key), StringConstraints(strip_whitespace=True)] = Field(max_length=64)
    name: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=120)
    email: Annotated[str, AfterValidator(_address)] = Field(min_length=3, max_length=320)
    reply_to: Annotated[str, AfterValidator(_address)] = Field("", max_length=320)


class Senders(Setting):
    """Whom steps can send as instead of the workspace's usual sender."""

    noun: ClassVar[str] = "sender"

    senders: tuple[SenderAddress, ...] = Field((), max_length=50)

    @field_validator("senders")
    @classmethod
    def _once(cls, senders: tuple[SenderAddress, ...]) -> tuple[SenderAddress, ...]:
        if len({one.key for one in senders}) < len(senders):
            raise ValueError("Each name can appear only once.")
        return senders

    def offers(self) -> frozenset[str]:
        return frozenset(one.key for one in self.senders)

    def problems(self, session: Session) -> list[Issue]:
        """A sender that a template chooses stays: its messages would be from nobody."""
        gone = sorted(load(session, Senders).offers() - self.offers())
        used = session.scalars(
            select(Template.key)
            .where(or_(col(Template.sender).in_(gone), col(Template.reply_to).in_(gone)))
            .order_by(Template.key)
            .limit(10)
        ).all()
        text = "Templates choose what you are removing: {templates}. Choose another sender there first."
        return [Issue(code="setting", text=text, values={"templates": ", ".join(used)}, field="senders")] if gone and used else []

    def find(self, key: str) -> SenderAddress | None:
        """The sender of that key; None: there is none any more."""
        return next((one for one in self.senders if one.key == key), None)


class SeedAddress(Setting):
    """A mailbox that the team watches. `note`: at which provider, or whose it is."""

    email: Annotated[str, AfterValidator(_address)] = Field(min_length=3, max_length=320)
    note: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=120)


class SeedList(Setting):
    """Mailboxes at several providers that get a copy of a message when somebody sends it there, to see where it lands."""

    seeds: tuple[SeedAddress, ...] = Field((), max_length=25)

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[SeedAddress, ...]) -> tuple[SeedAddress, ...]:
        if len({one.email.strip().lower() for one in seeds}) < len(seeds):
            raise ValueError("Each address can appear only once.")
        return seeds


class ChannelQuietHours(Setting):
    """Quiet hours of one channel: in place of the workspace's, or, by law, beside whatever a workspace or a journey chooses."""

    channel: SendableChannel = SENDABLE[-1]
    start: time
    end: time
    by_law: bool = False


def _by_law() -> tuple[ChannelQuietHours, ...]:
    """What the channels say themselves."""
    hours = ((name, CHANNELS[name].quiet_by_law) for name in SENDABLE)
    return tuple(ChannelQuietHours(channel=name, start=span[0], end=span[1], by_law=True) for name, span in hours if span)


class QuietHours(Setting):
    """No marketing from `start` to `end` in the contact's zone; across midnight if `end` is earlier. Equal: never quiet."""

    enabled: bool = True
    start: time = time(21)
    end: time = time(8)
    zone: Zone = "Europe/Zurich"
    """Where the contact's own zone is unknown."""
    days: tuple[Weekday, ...] = ()
    """Whole days that are quiet, such as Sunday."""
    channels: tuple[ChannelQuietHours, ...] = Field(default_factory=_by_law, max_length=20)


class FrequencyCap(Setting):
    """At most `count` messages of a cap class, on a channel, for a purpose in any `per`; empty: of all, on all, for all."""

    cap_class: Annotated[str, AfterValidator(_one_line)] = Field(USUAL_CAP_CLASS, max_length=64)
    count: int = Field(ge=1, le=1_000)
    per: Span = Field(gt=timedelta(0), le=timedelta(days=366))
    channel: AnySendable = ""
    purpose: Annotated[str, AfterValidator(lambda text: _purpose(text) if text else "")] = Field("", max_length=64)


class FrequencyCaps(Setting):
    noun: ClassVar[str] = "cap_class"

    caps: tuple[FrequencyCap, ...] = Field(
        (FrequencyCap(count=1, per=timedelta(hours=20)), FrequencyCap(count=4, per=timedelta(days=7))), max_length=20
    )

    def offers(self) -> frozenset[str]:
        """Journeys that choose no class are in the usual one, whether it has a cap or not."""
        return frozenset({USUAL_CAP_CLASS, *(cap.cap_class for cap in self.caps if cap.cap_class)})


class ChannelRule(Setting):
    """No marketing on `channel` within `after` of an event of a message on `of_channel`."""

    channel: SendableChannel = SENDABLE[-1]
    after: Span = Field(gt=timedelta(0), le=timedelta(days=31))
    event: Literal["sent", "opened", "clicked"] = "opened"
    of_channel: SendableChannel = DEFAULT


class ChannelRules(Setting):
    """How far messages on one channel keep from what happened on another."""

    rules: tuple[ChannelRule, ...] = Field((), max_length=20)


class HoldOut(Setting):
    """A share of all contacts that gets no marketing from any journey, to measure what marketing does. `draw` decides who: the same name, the same people."""

    percent: int = Field(0, ge=0, le=50)
    draw: Annotated[str, AfterValidator(_one_line)] = Field("1", max_length=64)


class Listed(Setting):
    """A name that journeys use, and what people read instead of it."""

    key: Annotated[str, AfterValidator(_one_line), StringConstraints(strip_whitespace=True)] = Field(min_length=1, max_length=64)
    """Stands in consents, scores and journeys, and so never changes."""
    english: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=120)
    german: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=120)

    def label(self, language: str) -> str:
        """What people read in a language; in the other one where only that is written; empty where neither is."""
        return (self.german or self.english) if language == "de" else (self.english or self.german)


def _purpose(text: str) -> str:
    if not CONSENT_NAME.fullmatch(text):
        raise ValueError("Expected a purpose such as marketing: lower case letters, digits and _ . : -, at most 64.")
    return text


def _topic_key(text: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_-]{0,63}", text):
        raise ValueError("Expected a key such as product_news: lower case letters, digits, - and _, at most 64.")
    return text


class Purpose(Listed):
    """A purpose as statements of consent name it."""

    key: Annotated[str, AfterValidator(_purpose), StringConstraints(strip_whitespace=True)] = Field(min_length=1, max_length=64)


class NameList(Setting):
    """Names that the workspace gives out; `usual` is what a document means that chooses none."""

    usual: ClassVar[str] = ""
    stays: ClassVar[str] = ""

    names: tuple[Listed, ...] = Field((), max_length=MOST_NAMES)

    @field_validator("names")
    @classmethod
    def _whole(cls, names: tuple[Listed, ...]) -> tuple[Listed, ...]:
        keys = {one.key for one in names}
        if len(keys) < len(names):
            raise ValueError("Each name can appear only once.")
        if cls.usual not in keys:
            raise ValueError(cls.stays)
        return names

    def offers(self) -> frozenset[str]:
        return frozenset(one.key for one in self.names)


class Purposes(NameList):
    """What contacts are asked for their consent to, and what journeys can send for."""

    noun: ClassVar[str] = "purpose"
    usual: ClassVar[str] = "marketing"
    stays: ClassVar[str] = "The purpose “marketing” cannot be removed: journeys without a purpose use it."

    names: tuple[Purpose, ...] = Field(tuple(Purpose(key=key) for key in ("marketing", "newsletter", "service")), max_length=MOST_NAMES)


class Topic(Listed):
    """Something that contacts hear about: what they read, and whether it is offered to them still."""

    key: Annotated[str, AfterValidator(_topic_key), StringConstraints(strip_whitespace=True)] = Field(min_length=1, max_length=64)
    english_description: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=300)
    german_description: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=300)
    order: int = Field(LAST, ge=1, le=LAST)
    """Lower numbers come first; counted anew in tens when it is stored."""
    archived: bool = False
    """Nobody is asked about it any more, and what was said stands."""

    def label(self, language: str) -> str:
        return super().label(language) or self.key.replace("_", " ")

    def description(self, language: str) -> str:
        """One sentence about it, in the other language where only that is written."""
        one, other = self.german_description, self.english_description
        return (one or other) if language == "de" else (other or one)


class Topics(Setting):
    """What messages are about. A contact hears of all of them until it declines one; transactional messages have none."""

    noun: ClassVar[str] = "topic"

    topics: tuple[Topic, ...] = Field((), max_length=50)

    @field_validator("topics")
    @classmethod
    def _in_order(cls, topics: tuple[Topic, ...]) -> tuple[Topic, ...]:
        if len({one.key for one in topics}) < len(topics):
            raise ValueError("Each name can appear only once.")
        ordered = sorted(topics, key=lambda one: one.order)
        return tuple(one.model_copy(update={"order": 10 * place}) for place, one in enumerate(ordered, 1))

    def offers(self) -> frozenset[str]:
        """What journeys can name: archived ones, too, since those that run go on."""
        return frozenset(one.key for one in self.topics)

    @property
    def asked(self) -> tuple[Topic, ...]:
        """Those that contacts are asked about."""
        return tuple(one for one in self.topics if not one.archived)

    def find(self, key: str) -> Topic | None:
        return next((one for one in self.topics if one.key == key), None)

    def problems(self, session: Session) -> list[Issue]:
        """A topic that a template names or somebody answered for is archived, not removed: its answers would have no name any more."""
        text = "The topic “{key}” is used by templates or answers of contacts: archive it instead of removing it."
        removed = sorted(load(session, Topics).offers() - self.offers())
        return [Issue(code="setting", text=text, values={"key": key}, field="topics") for key in removed if is_topic_used(session, key)]


def is_topic_used(session: Session, key: str) -> bool:
    """Whether a template is about it or a contact has said anything about it."""
    by_template = select(Template.key).where(Template.topic == key).limit(1)
    by_contact = select(ConsentState.contact_id).where(ConsentState.channel == OF_TOPICS, ConsentState.purpose == key).limit(1)
    return session.scalar(by_template) is not None or session.scalar(by_contact) is not None


class ExpiringConsent(Setting):
    """A purpose whose consents end `after` so long without a sign of interest."""

    purpose: Annotated[str, AfterValidator(_purpose)] = Field("marketing", min_length=1, max_length=64)
    after: Span = Field(ge=timedelta(days=30), le=timedelta(days=3_660))


class ConsentExpiry(Setting):
    """Purposes whose consents end by themselves (`crm.consent.expiry`); none does until it is named here."""

    purposes: tuple[ExpiringConsent, ...] = Field((), max_length=50)

    @field_validator("purposes")
    @classmethod
    def _each_once(cls, purposes: tuple[ExpiringConsent, ...]) -> tuple[ExpiringConsent, ...]:
        if len({one.purpose for one in purposes}) < len(purposes):
            raise ValueError("Each name can appear only once.")
        return purposes

    def after(self, purpose: str) -> timedelta | None:
        return next((one.after for one in self.purposes if one.purpose == purpose), None)

    def problems(self, session: Session) -> list[Issue]:
        known = load(session, Purposes).offers()
        text = "There is no consent purpose “{key}”: add it under “Consent purposes” first."
        return [
            Issue(code="setting", text=text, values={"key": one.purpose}, field=f"purposes.{place}.purpose")
            for place, one in enumerate(self.purposes)
            if one.purpose not in known
        ]


def _mail_domain(text: str) -> str:
    found = identifiers.normalise("email", f"info@{text.strip().removeprefix('@')}")
    if isinstance(found, identifiers.Refused):
        raise ValueError("Expected a domain such as example.com.")
    return found.rpartition("@")[2]


class Companies(Setting):
    """How companies come about, and the currency that their revenue is told in."""

    by_domain: bool = False
    """A contact with an e-mail address belongs to the company of its domain, made if need be; free-mail domains are none
    (`crm.companies.free_mailers`)."""
    free_mailers: tuple[Annotated[str, AfterValidator(_mail_domain)], ...] = Field((), max_length=500)
    """Further domains that say nothing about a company."""
    currency: str = Field("EUR", pattern=r"^[A-Z]{3}$")
    """ISO 4217."""

    def stored(self, session: Session) -> None:
        company_marks.switch(session, self.by_domain)


class ScoreGroups(NameList):
    """What points are collected for, each by itself."""

    noun: ClassVar[str] = "score"
    usual: ClassVar[str] = "engagement"
    stays: ClassVar[str] = "The score “engagement” cannot be removed: steps without a score change it."

    names: tuple[Listed, ...] = Field(tuple(Listed(key=key) for key in ("engagement", "fit")), max_length=MOST_NAMES)


class WorkCalendar(Setting):
    """When the team works: weekday (0 = Monday) -> (start, end) in `zone`, public holidays of `country` (ISO) and `region` (canton, state),
    and other days off as ISO dates. The defaults are those of `journeys.rules.facts.Calendar`."""

    zone: Zone = "Europe/Zurich"
    hours: dict[Annotated[int, Field(ge=0, le=6)], tuple[time, time]] = {day: (time(8), time(17)) for day in range(5)}
    country: str = Field("", pattern=r"^([A-Z]{2})?$")
    region: str = Field("", max_length=10)
    days_off: tuple[date, ...] = Field((), max_length=1_000)

    @field_validator("hours")
    @classmethod
    def _forwards(cls, hours: dict[int, tuple[time, time]]) -> dict[int, tuple[time, time]]:
        if not hours or any(start >= end for start, end in hours.values()):
            raise ValueError("Expected at least one working day, and every day to start before it ends.")
        return hours

    @model_validator(mode="after")
    def _known_holidays(self) -> WorkCalendar:
        public_holidays(self.country, self.region, range(2026, 2027))
        return self


def public_holidays(country: str, region: str, years: range) -> frozenset[str]:
    """ISO dates of the public holidays of a country, or of one of its regions; none where no country is named.

    Raises:
        ValueError: no holidays are known for it.
    """
    if not country:
        return frozenset()
    import holidays  # takes half a second to import; most processes never need it

    try:
        found: Any = holidays.country_holidays(country, subdiv=region or None, years=years)
    except NotImplementedError:
        raise ValueError("No public holidays are known for this country and region.") from None
    days: list[date] = list(found)
    return frozenset(day.isoformat() for day in days)


def _site(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9.-]{1,255}(:[0-9]{1,5})?", text):
        raise ValueError("Expected a host such as www.example.com, without https:// and without a path.")
    return text


class Tracking(Setting):
    """What is tracked about messages at most; a contact's consent can only lower it. `opens_need_consent`: CNIL 2026-042."""

    level: Literal["none", "clicks", "full"] = "full"
    opens_need_consent: bool = False
    sites: tuple[Annotated[str, AfterValidator(_site)], ...] = Field((), max_length=50)
    """Hosts of the workspace's own sites with the script `site.js`: a link of a message that leads there says who follows it."""


def _sites(text: str) -> str:
    found = list(dict.fromkeys(one.strip().lower() for one in text.split(",") if one.strip()))
    if any(not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", one) for one in found):
        raise ValueError("Enter hosts such as example.com, separated by commas.")
    return ", ".join(found)


class LinkParameters(Setting):
    """What is added to the links of messages whose template says nothing of its own: patterns of `journeys.link_parameters`; all empty: nothing."""

    source: Pattern = ""
    medium: Pattern = ""
    campaign: Pattern = ""
    content: Pattern = ""
    excluded: Annotated[str, AfterValidator(_sites)] = Field("", max_length=1_000)
    """Hosts of which links, also those below them, stay as they are, separated by commas."""

    def patterns(self) -> dict[str, str]:
        return self.model_dump(include=set(NAMES))

    def sites(self) -> frozenset[str]:
        return frozenset(one for one in self.excluded.split(", ") if one)


def _colour(text: str) -> str:
    if text and not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise ValueError("Enter a colour such as #1f5fbf.")
    return text.lower()


Page = Annotated[str, AfterValidator(partial(web_address, schemes=("https",)))]
"""Where a link on a page leads."""
Logo = Annotated[str, AfterValidator(logo.checked)]


FONTS = {
    "sans": "Helvetica, Arial, sans-serif",
    "system": "-apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif",
    "wide": "Verdana, Geneva, sans-serif",
    "round": "Trebuchet MS, Tahoma, sans-serif",
    "serif": "Georgia, Times New Roman, serif",
    "mono": "Courier New, Courier, monospace",
}
"""Fonts that every mail program has, so that nothing is loaded from anybody. Name -> as CSS says it."""
Font = Literal["sans", "system", "wide", "round", "serif", "mono"]


class Appearance(Setting):
    """The brand: how the pages look that contacts come to from a message (unsubscribe, preferences), and what templates read as `brand`. Empty: the
    sender's name, our colours, no logo, no link."""

    name: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=120)
    colour: Annotated[str, AfterValidator(_colour)] = Field("", max_length=7)
    """Of buttons and links, `#rrggbb`."""
    website: Page = Field("", max_length=300)
    imprint: Page = Field("", max_length=300)
    """Who is responsible (§ 5 DDG)."""
    privacy: Page = Field("", max_length=300)
    """What is done with personal data (Art. 13 GDPR)."""
    text: Annotated[str, AfterValidator(_colour)] = Field("", max_length=7)
    """Of mails, `#rrggbb`."""
    background: Annotated[str, AfterValidator(_colour)] = Field("", max_length=7)
    """Around the paper of mails."""
    font: Font = "sans"
    heading_font: Literal["", "sans", "system", "wide", "round", "serif", "mono"] = ""
    """Empty: as the text."""
    logo: Logo = Field("", max_length=100_000)
    """`data:image/png;base64,…`, at most `logo.MOST_BYTES`."""

    @field_validator("text")
    @classmethod
    def _readable(cls, text: str) -> str:
        if text and contrast(text, LIGHT) < LEAST_CONTRAST:
            raise ValueError("Text in this colour cannot be read on white: take a darker one.")
        return text

    @model_validator(mode="after")
    def _readable_around(self) -> Appearance:
        ink, ground = self.text or "#1f2933", self.background
        if ground and contrast(ink, ground) < LEAST_CONTRAST:
            raise ValueError("Text cannot be read on this background: take a lighter one.")
        return self

    def audited(self) -> dict[str, Any]:
        said = self.model_dump(mode="json")
        return {**said, "logo": sha256(self.logo.encode()).hexdigest() if self.logo else ""}


class Access(Setting):
    """How long a log-in holds, and who has to log in with a second factor."""

    idle: Span = Field(timedelta(hours=12), ge=timedelta(minutes=15), le=timedelta(days=14))
    """A browser that nobody uses is logged out after so long."""
    proof: Span = Field(timedelta(minutes=15), ge=timedelta(minutes=1), le=timedelta(hours=12))
    """So long after a proof (log-in, password, code) nobody is asked for another before keys, secrets, members and erasure."""
    second_factor: Literal["nobody", "admins", "everybody"] = "nobody"


class Notices(Setting):
    """Who is told of what waits for a person (stuck runs, a provider account that takes nothing), and how."""

    mail: bool = True
    """A mail to each active member who has one of the `roles`."""
    roles: tuple[Literal["admin", "marketer", "engineer", "tester"], ...] = ("admin", "marketer", "engineer", "tester")
    """Those that may mend runs. Where nobody has one of them, admins are told."""
    at_most_every: Span = Field(timedelta(hours=1), ge=timedelta(minutes=5), le=timedelta(days=7))
    """Of the stuck runs of one journey."""
    webhook: Annotated[str, AfterValidator(partial(web_address, schemes=("https", "http")))] = Field("", max_length=2_000)
    """Called with each notice; empty: none. Where it leads is judged when it is called (`activities.webhooks.address_guard`)."""
    webhook_secret: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=64)
    """The name of the secret that signs those calls; empty: they are not signed."""
    tasks: bool = False
    """Members are told in the team chat of tasks that they get, and of theirs that are overdue."""


class DoubleOptIn(Setting):
    """How an address is asked to confirm that its owner wants messages."""

    template: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=64)
    """The key of a transactional e-mail template that has `confirm_url`; empty: the one that is built in."""
    expires: Span = Field(timedelta(days=7), ge=timedelta(hours=1), le=timedelta(days=60))
    """How long the link in the mail works."""
    remind: bool = True
    """Once, half way to the link's end."""
    purge: Span = Field(timedelta(days=30), ge=timedelta(days=1), le=timedelta(days=366))
    """So long after it was asked an address that did not confirm is deleted."""
    mails_a_day: int = Field(3, ge=1, le=20)
    """To one address, whoever asks."""
    asks_a_network: int = Field(20, ge=1, le=10_000)
    """In an hour, from one network (/24, /48)."""
    asks_a_form: int = Field(600, ge=1, le=1_000_000)
    """In an hour, through one form or key."""

    @model_validator(mode="after")
    def _lasting(self) -> DoubleOptIn:
        if self.purge < self.expires:
            raise ValueError("Unconfirmed addresses must be kept at least as long as the link works.")
        return self

    def problems(self, session: Session) -> list[Issue]:
        if not self.template or _can_confirm(session, self.template):
            return []
        text = "“{key}” is not a transactional e-mail template with {{{{ confirm_url }}}} in every language."
        return [Issue(code="setting", text=text, values={"key": self.template}, field="template")]


def _can_confirm(session: Session, key: str) -> bool:
    template = session.get(Template, key)
    if template is None or template.archived_at is not None or (template.kind, template.message_class) != (DEFAULT, "transactional"):
        return False
    newest = select(TemplateVersion).where(TemplateVersion.key == key).order_by(col(TemplateVersion.number).desc()).limit(1)
    version = session.scalar(newest)
    return version is not None and all("confirm_url" in one.get("fields", ()) for one in version.compiled.values())


class Complaints(Setting):
    """What else follows when somebody reports a message as spam; its address gets nothing more on that channel in any case."""

    everywhere: bool = False
    """It is an objection to marketing on every channel."""


class SendingLimits(Setting):
    """From how many bounces and complaints on a provider account is warned of, slowed and stopped (`workspace.sending_rates`). Of 1,000 messages."""

    days: int = Field(7, ge=1, le=60)
    """The last days count, today among them."""
    least: int = Field(500, ge=100, le=1_000_000)
    """Fewer messages say nothing."""
    complaints_warn: int = Field(1, ge=1, le=1_000)
    complaints_stop: int = Field(3, ge=1, le=1_000)
    bounces_warn: int = Field(20, ge=1, le=1_000)
    bounces_stop: int = Field(50, ge=1, le=1_000)
    slow_per_minute: int = Field(60, ge=1, le=6_000)
    """How many marketing messages a slowed account sends."""

    @model_validator(mode="after")
    def _warns_first(self) -> SendingLimits:
        if self.complaints_warn > self.complaints_stop or self.bounces_warn > self.bounces_stop:
            raise ValueError("The warning must not come after the stop.")
        return self


class Retention(Setting):
    """How long what was stored about contacts is kept; older data is deleted or emptied by a daily job (`crm.privacy.retention`)."""

    bodies: Span = Field(timedelta(days=90), ge=timedelta(days=30), le=timedelta(days=3_660))
    """Texts of messages."""
    hits: Span = Field(timedelta(days=760), ge=timedelta(days=30), le=timedelta(days=3_660))
    """Single opens and clicks, with the program that fetched; that a message was opened stays."""
    refusals: Span = Field(timedelta(days=180), ge=timedelta(days=30), le=timedelta(days=3_660))
    """Why somebody did not enter a journey."""
    runs: Span = Field(timedelta(days=760), ge=timedelta(days=90), le=timedelta(days=3_660))
    """What a run remembered, counted from its end; its row stays."""
    events: Span = Field(timedelta(days=760), ge=timedelta(days=90), le=timedelta(days=3_660))
    """What contacts did. Conditions and segments no longer know of it."""
    submissions: Span = Field(timedelta(days=760), ge=timedelta(days=30), le=timedelta(days=3_660))
    """What was filled in in forms; the fields of the contact, the consents and the events stay as long as those do."""


SETTINGS: dict[str, type[Setting]] = {
    "sender": Sender,
    "senders": Senders,
    "seed_list": SeedList,
    "quiet_hours": QuietHours,
    "frequency_caps": FrequencyCaps,
    "channel_rules": ChannelRules,
    "hold_out": HoldOut,
    "calendar": WorkCalendar,
    "tracking": Tracking,
    "link_parameters": LinkParameters,
    "purposes": Purposes,
    "topics": Topics,
    "consent_expiry": ConsentExpiry,
    "score_groups": ScoreGroups,
    "companies": Companies,
    "access": Access,
    "notices": Notices,
    "appearance": Appearance,
    "double_opt_in": DoubleOptIn,
    "retention": Retention,
    "complaints": Complaints,
    "sending_limits": SendingLimits,
}
"""Name of the row -> its shape."""

S = TypeVar("S", bound=Setting)


TOPIC = "settings"
_kept: WeakKeyDictionary[Engine, tuple[int, dict[type[Setting], Setting]]] = WeakKeyDictionary()
"""Database -> the number of its settings that this process has read last, and what was read."""


def load(session: Session, shape: type[S]) -> S:
    """The setting of this shape as stored, else its defaults. A stored value of an older shape falls back to defaults field by field."""
    if is_changing(session, TOPIC):
        return _read(session, shape)
    database, number = session.get_bind().engine, freshness(session, TOPIC)
    known = _kept.get(database)
    if known is None or known[0] != number:
        known = _kept[database] = number, {}
    if shape not in known[1]:
        known[1][shape] = _read(session, shape)
    return cast(S, known[1][shape])


def _read(session: Session, shape: type[S]) -> S:
    row = session.get(WorkspaceSetting, _name_of(shape))
    if row is None:
        return shape()
    known = {name: value for name, value in row.value.items() if name in shape.model_fields}
    while True:
        try:
            return shape.model_validate(known)
        except ValidationError as error:
            wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]} & set(known)
            known = {name: value for name, value in known.items() if wrong and name not in wrong}


def get(session: Session, name: str) -> Setting:
    """The setting called `name`.

    Raises:
        NotFound: there is no such setting.
    """
    return load(session, _shape(name))


def put(session: Session, name: str, value: object, by: str, now: datetime) -> Setting:
    """Stores a setting and audits it (old and new value).

    Raises:
        NotFound: there is no such setting.
        Invalid: the value does not fit; every problem is listed.
    """
    shape = _shape(name)
    try:
        setting = shape.model_validate(value)
    except ValidationError as error:
        raise Invalid("The setting {name} cannot be used.", _issues(error), name=name) from None
    if missing := setting.problems(session):
        raise Invalid("The setting {name} cannot be used.", missing, name=name)
    before = load(session, shape)
    data = setting.model_dump(mode="json")
    row = session.get(WorkspaceSetting, name) or WorkspaceSetting(name=name, updated_at=now)
    row.value, row.updated_at, row.updated_by = data, now, by[:120]
    session.add(row)
    setting.stored(session)
    record(session, by, "setting.put", f"setting:{name}", {"before": before.audited(), "after": setting.audited()})
    bump(session, TOPIC)
    session.flush()
    return setting


def _shape(name: str) -> type[Setting]:
    if name not in SETTINGS:
        raise NotFound("Expected a setting out of {names}.", names=list(SETTINGS))
    return SETTINGS[name]


def _name_of(shape: type[Setting]) -> str:
    return next(name for name, known in SETTINGS.items() if known is shape)


_SENTENCES = {
    "string_too_long": "At most {max_length} characters.",
    "string_too_short": "At least {min_length} characters.",
    "string_pattern_mismatch": "Expected two capital letters such as CH.",
    "greater_than": "Expected more than {gt}.",
    "greater_than_equal": "Expected at least {ge}.",
    "less_than_equal": "Expected at most {le}.",
    "too_long": "Expected at most {max_length} entries.",
    "time_parsing": "Expected a time such as 21:00.",
    "time_type": "Expected a time such as 21:00.",
    "time_delta_parsing": "Enter a length of time.",
    "time_delta_type": "Enter a length of time.",
    "date_from_datetime_parsing": "Expected a date.",
    "date_parsing": "Expected a date.",
    "int_parsing": "Expected a whole number.",
    "int_type": "Expected a whole number.",
    "int_from_float": "Expected a whole number.",
    "missing": "Expected a value.",
}
"""pydantic's kind of problem -> our sentence (message ids); its own words for the others."""


def _issues(error: ValidationError) -> list[Issue]:
    return [_issue(dict(problem)) for problem in error.errors(include_input=False, include_url=False)]


def _issue(problem: dict[str, Any]) -> Issue:
    said = str(problem["msg"]).removeprefix("Value error, ")
    values = {name: value for name, value in problem.get("ctx", {}).items() if isinstance(value, str | int | float | timedelta)}
    text = _SENTENCES.get(problem["type"]) or (said if problem["type"] == "value_error" else "{message}")
    place = ".".join(str(part) for part in problem["loc"])
    return Issue(code="setting", text=text, values={**{k: str(v) for k, v in values.items()}, "message": said}, field=place)
