"""What a form asks, as people draw it: its fields in their order, the boxes by which somebody consents, and what happens then.

A definition is a value: it is checked as a whole, and every version that was ever shown stays (`models.FormVersion`). Texts are in both languages;
where one is missing the other is shown. Nothing here reads what was filled in (`crm.forms.reading`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from crm.people.profile import is_read_only
from journeys.catalogue import USUAL_TITLES, Catalogue, FieldSpec, Type
from journeys.channels import DEFAULT, SENDABLE
from journeys.errors import Invalid, Issue
from workspace.settings import CONSENT_NAME
from workspace.web_addresses import web_address

MOST_FIELDS, MOST_BOXES, MOST_CHOICES, MOST_HOSTS, MOST_HIDDEN = 40, 10, 100, 20, 20
NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
HOST = re.compile(r"(?=.{1,255}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?")
RESERVED = frozenset({"ticket", "language", "shown", "website", "page", "referrer", "landing_page", "anonymous_id"})
"""Names of the form's own hidden fields."""
NOT_ASKED = frozenset({"owner", "lifecycle_stage", "postal_address"})
"""Contact fields that are not for contacts to say, or that take more than one line."""
LONGEST = {"text": 500, "email": 320, "tel": 40, "number": 40, "date": 10, "textarea": 4_000}
"""Input -> characters that are taken."""

Input = Literal["text", "textarea", "email", "tel", "number", "date", "choice", "choices", "checkbox"]
WITH_CHOICES = ("choice", "choices")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("Expected one line without control characters.")
    return text


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("Expected a name of lower-case letters, digits, _ and dots, at most 64, such as size.")
    return _free(text)


def _free(text: str) -> str:
    """A name under which a browser sends something, and the form itself nothing."""
    if text in RESERVED or text.startswith(("topic.", "utm_")):
        raise ValueError("This name is used by the form itself; choose another one.")
    return text


def _key(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", text):
        raise ValueError("Expected a key of lower-case letters, digits and _, at most 32, such as newsletter.")
    return text


def host_of(text: str) -> str:
    """`shop.example`, or `localhost:8000`, as browsers write it.

    Raises:
        ValueError: it is none.
    """
    host = text.strip().lower().removesuffix(":443").removesuffix(":80")
    if not HOST.fullmatch(host):
        raise ValueError("Expected a host such as www.example.com, without https:// and without a path.")
    return host


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Part):
    """A text in both languages."""

    en: str = Field("", max_length=4_000)
    de: str = Field("", max_length=4_000)

    def said(self, language: str) -> str:
        return (self.de or self.en) if language == "de" else (self.en or self.de)

    def __bool__(self) -> bool:
        return bool(self.en or self.de)


class Choice(Part):
    """One of several answers. `value` is stored, and is shown where it has no label."""

    value: Annotated[str, AfterValidator(_printable), StringConstraints(strip_whitespace=True)] = Field(min_length=1, max_length=120)
    label: Text = Text()

    def said(self, language: str) -> str:
        return self.label.said(language) or self.value


class FormField(Part):
    """One field. `kind` contact: the answer is written into the contact's field of that `name`, where it is empty; question: it stands in the event as
    `answers.NAME`."""

    kind: Literal["contact", "question"] = "contact"
    name: Annotated[str, AfterValidator(_name)] = Field(min_length=1, max_length=64)
    label: Text = Text()
    help: Text = Text()
    required: bool = False
    input: Input = "text"
    choices: tuple[Choice, ...] = Field((), max_length=MOST_CHOICES)

    @model_validator(mode="after")
    def _whole(self) -> FormField:
        if self.kind == "question" and "." in self.name:
            raise ValueError("The name of a question has no dot.")
        if self.kind == "question" and self.name in ("email", "phone"):  # by them somebody is found
            raise ValueError("This name is used by the form itself; choose another one.")
        if self.input in WITH_CHOICES and not self.choices:
            raise ValueError("Write at least one answer to choose.")
        if len({one.value for one in self.choices}) < len(self.choices):
            raise ValueError("Each answer can appear only once.")
        return self

    @property
    def longest(self) -> int:
        return LONGEST.get(self.input, 120)

    @property
    def fill(self) -> str:
        """What browsers know to fill in (HTML, autofill field names)."""
        return _AUTOFILL.get(self.name, "on") if self.kind == "contact" else "off"


_AUTOFILL = {
    "email": "email", "phone": "tel", "first_name": "given-name", "last_name": "family-name", "company": "organization",
    "job_title": "organization-title", "city": "address-level2", "postal_code": "postal-code", "street": "street-address", "country": "country-name",
    "birthday": "bday", "website": "url", "locale": "language",
}  # fmt: skip


class Box(Part):
    """A box by which somebody consents; nobody else ticks it. `topics`: with it the workspace's topics are offered."""

    key: Annotated[str, AfterValidator(_key), AfterValidator(_free)] = Field(min_length=1, max_length=32)
    channel: str = Field(DEFAULT, max_length=32)
    purpose: str = Field("marketing", pattern=CONSENT_NAME.pattern, max_length=64)
    wording: Text
    required: bool = False
    topics: bool = False

    @field_validator("channel")
    @classmethod
    def _reachable(cls, channel: str) -> str:
        if channel not in SENDABLE:
            raise ValueError("Choose a channel by which messages can be sent.")
        return channel

    @field_validator("wording")
    @classmethod
    def _said(cls, wording: Text) -> Text:
        if not wording:
            raise ValueError("Write what people agree to, in at least one language.")
        return wording

    @property
    def by_mail(self) -> bool:
        """Whether the mailbox confirms it."""
        return self.channel == DEFAULT


class Hidden(Part):
    """A value that every event of the form has, as `hidden.NAME`; no browser can change it."""

    name: Annotated[str, AfterValidator(_key)] = Field(min_length=1, max_length=32)
    value: Annotated[str, AfterValidator(_printable)] = Field("", max_length=200)


class PopUp(Part):
    """When an embedded form opens by itself. Whichever comes first opens it: so many seconds, so far scrolled, or the pointer leaves the page."""

    after_seconds: int | None = Field(None, ge=0, le=3_600)
    after_scroll_percent: int | None = Field(None, ge=1, le=100)
    on_exit: bool = False
    paths: tuple[Annotated[str, AfterValidator(_printable), StringConstraints(pattern=r"^/", max_length=200)], ...] = Field(
        (), max_length=20
    )
    """Beginnings of paths on which it opens; empty: on all."""
    days_between: int = Field(7, ge=0, le=365)
    """So many days it does not open again for who closed it; for who sent it in, never again."""


class Definition(Part):
    """Everything that a form says and does."""

    title: Text = Text()
    intro: Text = Text()
    button: Text = Text()
    language: Literal["", "en", "de"] = ""
    """In which it is shown; empty: in the browser's."""
    fields: tuple[FormField, ...] = Field((), max_length=MOST_FIELDS)
    boxes: tuple[Box, ...] = Field((), max_length=MOST_BOXES)
    success: Text = Text()
    """What is shown once it was sent in; empty: a sentence of ours."""
    redirect: str = Field("", max_length=2_000)
    """Where the browser goes instead; its host is one of `hosts`."""
    hosts: tuple[Annotated[str, AfterValidator(host_of)], ...] = Field((), max_length=MOST_HOSTS)
    """Sites that may embed it."""
    framed: bool = False
    """Whether those may show its page in a frame, too."""
    plain: bool = False
    """Whether it is taken from a plain form in a website, without a page of ours having been shown before: then nothing says how long it took."""
    hidden: tuple[Hidden, ...] = Field((), max_length=MOST_HIDDEN)
    min_seconds: int = Field(2, ge=0, le=60)
    """Who is quicker is a program."""
    popup: PopUp | None = None

    @field_validator("redirect")
    @classmethod
    def _web(cls, redirect: str) -> str:
        return web_address(redirect, schemes=("https", "http"))

    @model_validator(mode="after")
    def _fits(self) -> Definition:
        names = [one.name for one in self.fields] + [one.key for one in self.boxes]
        if len(set(names)) < len(names):
            raise ValueError("Each field and each box needs a name of its own.")
        if len({one.name for one in self.hidden}) < len(self.hidden):
            raise ValueError("Each hidden value needs a name of its own.")
        if len({(one.channel, one.purpose) for one in self.boxes}) < len(self.boxes):
            raise ValueError("Two boxes ask for the same purpose on the same channel.")
        if self.redirect and not self.is_at_home(self.redirect):
            raise ValueError("The page that people are sent to must be on one of the sites of the form: add its host there.")
        return self

    def is_at_home(self, url: str) -> bool:
        """Whether an address is on one of the sites of the form."""
        try:
            parts = urlsplit(url)
        except ValueError:  # `http://[`
            return False
        host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
        return parts.scheme in ("http", "https") and host in self.hosts

    def field(self, name: str) -> FormField | None:
        return next((one for one in self.fields if one.name == name), None)

    @property
    def asks_mail(self) -> bool:
        """Whether the mailbox is asked to confirm something."""
        return any(one.by_mail for one in self.boxes)


def read_definition(raw: Mapping[str, Any]) -> Definition:
    """Raises:
    Invalid: lists every problem, with its place (`fields.0.name`)."""
    try:
        return Definition.model_validate(raw)
    except ValidationError as error:
        issues = [_issue(dict(problem)) for problem in error.errors(include_input=False, include_url=False)]
        raise Invalid("{problem}", issues, problem=issues[0]) from None


_SENTENCES = {
    "missing": "Expected a value.",
    "string_too_short": "Expected a value.",
    "string_too_long": "At most {max_length} characters.",
    "too_long": "Expected at most {max_length} entries.",
    "greater_than_equal": "Expected at least {ge}.",
    "less_than_equal": "Expected at most {le}.",
    "int_parsing": "Expected a whole number.",
    "int_type": "Expected a whole number.",
}


def _issue(problem: Mapping[str, Any]) -> Issue:
    said = str(problem["msg"]).removeprefix("Value error, ")
    text = _SENTENCES.get(problem["type"]) or (said if problem["type"] == "value_error" else "{message}")
    values = {name: value for name, value in problem.get("ctx", {}).items() if isinstance(value, str | int | float)}
    return Issue(code="form", text=text, values={**values, "message": said}, field=".".join(str(part) for part in problem["loc"]))


def problems(definition: Definition, catalogue: Catalogue, purposes: frozenset[str]) -> Iterator[Issue]:
    """What it names and the workspace does not have, and what it lacks to be of use."""
    for place, one in enumerate(definition.fields):
        yield from _field_problems(one, place, catalogue)
    for place, box in enumerate(definition.boxes):
        if box.purpose not in purposes:
            text = "There is no consent purpose “{key}”: add it under “Consent purposes” first."
            yield Issue(code="form", text=text, values={"key": box.purpose}, field=f"boxes.{place}.purpose")
    email = definition.field("email")
    if definition.asks_mail and (email is None or not email.required or email.kind != "contact"):
        text = "A box for e-mails needs the field “e-mail address”, and it must be required: what was ticked is confirmed by e-mail."
        yield Issue(code="form", text=text, field="fields")


def _field_problems(one: FormField, place: int, catalogue: Catalogue) -> Iterator[Issue]:
    if one.kind == "question":
        if not one.label:
            yield Issue(code="form", text="Write the question, in at least one language.", field=f"fields.{place}.label")
        return
    spec = spec_of(catalogue, one.name)
    if spec is None or not is_asked(spec):
        text = "“{name}” is no field that a form can ask for."
        yield Issue(code="form", text=text, values={"name": one.name}, field=f"fields.{place}.name")
    elif one.input not in inputs_of(spec):
        text = "The field “{name}” cannot be filled in like this."
        yield Issue(code="form", text=text, values={"name": one.name}, field=f"fields.{place}.input")


_TYPES: Mapping[str, Type] = {"birthday": "date", "employees": "number"}
USUAL: Mapping[str, FieldSpec] = {
    name: FieldSpec(name, _TYPES.get(name, "string"), title) for name, title in USUAL_TITLES.items() if not name.startswith("marketing_")
}
"""Fields that many contacts have: a form may ask for them before the workspace knows them, and makes them known."""


def spec_of(catalogue: Catalogue, name: str) -> FieldSpec | None:
    """What is known about a contact field."""
    return catalogue.field(name) or USUAL.get(name)


def is_asked(spec: FieldSpec) -> bool:
    """Whether people may be asked for a contact field, and it can be stored: what only the server writes cannot, such as the fields of the company."""
    return (
        not (spec.name in NOT_ASKED or is_read_only(spec.name))
        and spec.type != "object"
        and bool(NAME.fullmatch(spec.name))
        and spec.name not in RESERVED
    )


def inputs_of(spec: FieldSpec) -> tuple[Input, ...]:
    """How a contact field can be filled in; the usual way first."""
    if spec.name in ("email", "phone"):
        return ("email",) if spec.name == "email" else ("tel",)
    return _INPUTS.get(spec.type, ("text", "textarea", "choice", "choices", "checkbox", "number", "date"))


_INPUTS: Mapping[str, tuple[Input, ...]] = {
    "string": ("text", "textarea", "choice"),
    "number": ("number", "choice"),
    "boolean": ("checkbox",),
    "date": ("date",),
    "datetime": ("date",),
    "list": ("choices",),
}
