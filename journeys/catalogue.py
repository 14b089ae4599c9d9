"""The catalogue: which contact fields and events are known, and of what type.

Built in are the contact's columns, the e-commerce spec v2 of the Segment family and our own system events; a workspace adds what it
declares and what its traffic taught (`crm.catalogue`). Forms, rules and checks draw on it. Unknown events are warnings, because they may
come tomorrow; unknown fields are errors, because nothing else announces a typing mistake.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

Type = Literal["string", "number", "boolean", "datetime", "date", "list", "object", "any"]
"""`any`: known by name, not by type (a path inside an object, or a field that came in several types)."""

Origin = Literal["built_in", "declared", "learned"]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A contact field, or a property of an event. `title` is an English text for translation; `values` are known values, for forms."""

    name: str
    type: Type = "any"
    title: str = ""
    origin: Origin = "built_in"
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class EventSpec:
    """An event; `properties` maps a dotted path to its type."""

    name: str
    properties: Mapping[str, Type] = field(default_factory=dict)
    title: str = ""
    origin: Origin = "built_in"

    def property(self, path: str) -> FieldSpec | None:
        """The property at `path`; below a known object everything is known, with type `any`."""
        return _at(path, {name: FieldSpec(name, kind) for name, kind in self.properties.items()})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Known fields and events by name. Immutable: `with_fields` and `with_events` give a larger one."""

    fields: Mapping[str, FieldSpec]
    events: Mapping[str, EventSpec]

    def __hash__(self) -> int:
        """By the names: whatever else differs, equality tells."""
        return hash((frozenset(self.fields), frozenset(self.events)))

    @staticmethod
    def built_in() -> Catalogue:
        """What every workspace knows from the start."""
        return _built_in()

    def with_fields(self, *specs: FieldSpec) -> Catalogue:
        """With more fields; an equal name is replaced."""
        return Catalogue({**self.fields, **{spec.name: spec for spec in specs}}, self.events)

    def with_events(self, *specs: EventSpec) -> Catalogue:
        """With more events; an equal name gets the new properties beside the old ones."""
        merged = {spec.name: _merged(self.events.get(spec.name), spec) for spec in specs}
        return Catalogue(self.fields, {**self.events, **merged})

    def field(self, name: str) -> FieldSpec | None:
        """The field called `name` (dotted paths below a known object are known, with type `any`), None if unknown."""
        if name == _COMPANY_ITSELF:
            return self.fields.get(name)
        return _at(name, self.fields)

    def is_filled_in(self, name: str) -> bool:
        """Whether texts can be filled with the field `name`. Fields of the contact's company are for rules alone; below an object `company` that contacts have
        of their own, as Segment's clients send one, lie fields of theirs."""
        own = self.fields.get(_COMPANY_ITSELF)
        return not name.startswith(f"{_COMPANY_ITSELF}.") or (own is not None and own.type in ("object", "any"))

    def event(self, name: str) -> EventSpec | None:
        """The event called `name`, None if unknown. Names of other systems (`ALIASES`) are unknown; see `suggest_event`."""
        return self.events.get(name)

    def suggest_field(self, name: str) -> str | None:
        """The known field that `name` was probably meant to be."""
        return FIELD_ALIASES.get(name) or closest(name, self.fields)

    def suggest_event(self, name: str) -> str | None:
        """The known event that `name` was probably meant to be: another system's name for it, or a near spelling."""
        return canonical_event(name) or closest(name, self.events)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to `name`, case and separators aside; None if nothing is near."""
    folded = {_folded(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.72)
    return folded[found[0]] if found else _of_one_letter(_folded(name), folded)


def _of_one_letter(name: str, folded: Mapping[str, str]) -> str | None:
    """The known name of one letter that `name` has beside one more; by their likeness the two are never near."""
    return next((known for one, known in folded.items() if len(one) == 1 and len(name) == 2 and one in name), None)


def canonical_event(name: str) -> str | None:
    """The spec's name for an event as Shopify, Klaviyo or Google call it (`Placed Order` -> `Order Completed`), None if it is no such name."""
    return ALIASES.get(name)


def _folded(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum() or character == ".")


def _at(name: str, known: Mapping[str, FieldSpec]) -> FieldSpec | None:
    spec = known.get(name)
    if spec is not None:
        return spec
    above = name
    while "." in above:
        above = above.rpartition(".")[0]
        parent = known.get(above)
        if parent is not None:
            return FieldSpec(name, "any", origin=parent.origin) if parent.type in ("object", "any") else None
    inside = f"{name}."
    return FieldSpec(name, "object") if any(other.startswith(inside) for other in known) else None


def _merged(old: EventSpec | None, new: EventSpec) -> EventSpec:
    if old is None:
        return new
    return EventSpec(new.name, {**old.properties, **new.properties}, new.title or old.title, old.origin)


# --- What is built in ------------------------------------------------------------------------------------------------

CONTACT_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("email", "string", "e-mail address"),
    FieldSpec("phone", "string", "phone number"),
    FieldSpec("postal_address", "string", "postal address"),
    FieldSpec("first_name", "string", "first name"),
    FieldSpec("last_name", "string", "last name"),
    FieldSpec("locale", "string", "language", values=("en", "de", "fr", "it")),
    FieldSpec("timezone", "string", "time zone"),
    FieldSpec(
        "lifecycle_stage",
        "string",
        "lifecycle stage",
        values=("subscriber", "lead", "mql", "sql", "opportunity", "customer", "evangelist"),
    ),
    FieldSpec("owner", "string", "owner"),
    FieldSpec("push_devices", "string", "devices for push messages", values=("web", "android", "ios")),
    FieldSpec("grade", "string", "grade", values=tuple(letter + number for letter in "ABCD" for number in "1234")),
    FieldSpec("created_at", "datetime", "date created"),
    FieldSpec("last_seen_at", "datetime", "date last seen"),
)

_COMPANY_ITSELF = "company"
"""A contact's own field, a text in most workspaces, and not the object of what `company.…` reads."""
COMPANY_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("company.id", "string", "id of the company"),
    FieldSpec("company.name", "string", "name of the company"),
    FieldSpec("company.domain", "string", "domain of the company"),
    FieldSpec("company.owner", "string", "owner of the company"),
    FieldSpec("company.created_at", "datetime", "date the company was created"),
    FieldSpec("company.members", "number", "contacts of the company"),
    FieldSpec("company.revenue", "number", "revenue of the company"),
    FieldSpec("company.currency", "string", "currency of the company's revenue"),
    FieldSpec("company.score", "number", "score of the company"),
    FieldSpec("company.last_activity_at", "datetime", "last activity of the company"),
)
"""Of the company that a contact belongs to: rules read them, nobody writes them to a contact and no text can be filled with them."""

USUAL_TITLES: Mapping[str, str] = {
    "birthday": "birthday",
    "city": "city",
    "company": "company",
    "country": "country",
    "employees": "number of employees",
    "gender": "gender",
    "industry": "industry",
    "job_title": "job title",
    "marketing_at_most": "marketing at most every",
    "marketing_paused_until": "marketing paused until",
    "postal_code": "postal code",
    "street": "street",
    "website": "website",
}
"""Fields that many contacts have beside the built-in ones: what people call them where a workspace has no title of its own.
Source: the reserved traits of Segment's identify call, in this product's spelling."""

FIELD_TITLES: Mapping[str, str] = {**USUAL_TITLES, **{spec.name: spec.title for spec in (*CONTACT_FIELDS, *COMPANY_FIELDS)}}
"""Name of a field -> an English text for translation."""

FIELD_ALIASES: Mapping[str, str] = {
    "firstName": "first_name",
    "lastName": "last_name",
    "createdAt": "created_at",
    "timeZone": "timezone",
    "lifecycleStage": "lifecycle_stage",
    "e-mail": "email",
    "mail": "email",
    "language": "locale",
    "mobile": "phone",
}

CONTEXT_FIELDS: Mapping[str, FieldSpec] = {
    spec.name: spec
    for spec in (
        FieldSpec("context.campaign.name", "string", "campaign (UTM)"),
        FieldSpec("context.campaign.source", "string", "campaign source (UTM)"),
        FieldSpec("context.campaign.medium", "string", "campaign medium (UTM)"),
        FieldSpec("context.campaign.term", "string", "campaign term (UTM)"),
        FieldSpec("context.campaign.content", "string", "campaign content (UTM)"),
        FieldSpec("context.page.url", "string", "address of the page"),
        FieldSpec("context.page.path", "string", "path of the page"),
        FieldSpec("context.page.referrer", "string", "referring page"),
        FieldSpec("context.page.title", "string", "title of the page"),
        FieldSpec("context.device.type", "string", "type of device"),
        FieldSpec("context.locale", "string", "language of the device"),
    )
}
"""What conditions can ask of the circumstances of an event (`journeys.rules.fields.EVENT_CONTEXT`), beside its properties."""

_PRODUCT: Mapping[str, Type] = {
    **dict.fromkeys(("product_id", "sku", "category", "name", "brand", "variant", "coupon", "url", "image_url", "currency"), "string"),
    **dict.fromkeys(("price", "quantity", "position", "value"), "number"),
}
_IN_CART: Mapping[str, Type] = {**_PRODUCT, "cart_id": "string"}
_ORDER: Mapping[str, Type] = {
    **dict.fromkeys(("order_id", "checkout_id", "cart_id", "affiliation", "coupon", "currency"), "string"),
    **dict.fromkeys(("total", "subtotal", "revenue", "value", "shipping", "tax", "discount"), "number"),
    "products": "list",
}
_STEP: Mapping[str, Type] = {"checkout_id": "string", "step": "number", "shipping_method": "string", "payment_method": "string"}
_LIST: Mapping[str, Type] = {"list_id": "string", "category": "string", "products": "list"}
_PROMOTION: Mapping[str, Type] = {"promotion_id": "string", "creative": "string", "name": "string", "position": "string"}
_COUPON: Mapping[str, Type] = {
    **dict.fromkeys(("order_id", "cart_id", "coupon_id", "coupon_name", "reason"), "string"),
    "discount": "number",
}
_MESSAGE: Mapping[str, Type] = {
    **dict.fromkeys(("message_id", "run_id", "journey", "node", "template", "channel", "message_class"), "string"),
    "machine": "boolean",
}
_REPORTED: Mapping[str, Type] = {**_MESSAGE, "reason": "string"}
_BOUNCE: Mapping[str, Type] = {**_REPORTED, "bounce": "string"}
"""`bounce` is hard (the address is dead), soft (it takes nothing now), or streak (the last of several soft ones, so that it counts as dead)."""
_REPLY: Mapping[str, Type] = {**_MESSAGE, "text": "string", "intent": "string", "from": "string"}
"""`intent` is stop or start where the words say so, else empty. `from`: the address that wrote. `message_id` and what follows from it: the message that is answered, if any."""
_TOUCH: Mapping[str, Type] = dict.fromkeys(
    ("touch", "kind", "source_id", "source", "medium", "campaign", "term", "content", "referrer", "landing_page"), "string"
)
"""`touch`: which has changed, `first`, `last` or `both`; what follows is how that one came. `source` to `content` are the UTM parameters."""
_TASK: Mapping[str, Type] = dict.fromkeys(("task_id", "run_id", "node", "owner"), "string")
_COMPANY: Mapping[str, Type] = {**dict.fromkeys(("company_id", "name"), "string"), "fields": "list"}
"""`fields`: what rules ask of it that is different now, such as `company.plan`."""
_RUN: Mapping[str, Type] = {**dict.fromkeys(("journey", "run_id"), "string"), "version": "number"}

_OWN: Mapping[str, Mapping[str, Type]] = {
    "Message Sent": _MESSAGE,
    "Message Delivered": _REPORTED,
    "Message Opened": _MESSAGE,
    "Message Clicked": {**_MESSAGE, "link": "string"},
    "Message Replied": _REPLY,
    "Message Auto-Replied": {**_MESSAGE, "text": "string"},
    "Message Bounced": _BOUNCE,
    "Message Complained": _REPORTED,
    "Message Skipped": _REPORTED,
    "Contact Changed": {"fields": "list", "changes": "object", "tags_added": "list", "tags_removed": "list"},
    "Device Added": dict.fromkeys(("kind", "app"), "string"),
    "Device Removed": dict.fromkeys(("kind", "reason"), "string"),
    "Score Changed": {"group": "string", "before": "number", "after": "number"},
    "Score Threshold Reached": {
        **dict.fromkeys(("model", "threshold", "name", "group"), "string"),
        "value": "number",
        "done": "list",
        "failed": "list",
    },
    "Consent Changed": {"channel": "string", "purpose": "string", "state": "string"},
    "Lead Source Changed": _TOUCH,
    "Subscription Confirmed": dict.fromkeys(("channel", "purpose", "form", "language"), "string"),
    "Task Finished": {**_TASK, "outcome": "string"},
    "Task Overdue": {**_TASK, "escalated_to": "string"},
    "Note Added": dict.fromkeys(("note_id", "author"), "string"),
    "Call Logged": {**dict.fromkeys(("note_id", "author", "direction", "outcome"), "string"), "duration_seconds": "number"},
    "Segment Entered": dict.fromkeys(("segment", "name"), "string"),
    "Segment Left": dict.fromkeys(("segment", "name"), "string"),
    "Company Joined": {**_COMPANY, "domain": "string"},
    "Company Left": {**_COMPANY, "domain": "string"},
    "Company Changed": _COMPANY,
    "Journey Entered": _RUN,
    "Journey Ended": {**_RUN, "reason": "string"},
    "Journey Start Delayed": {"journey": "string", "run_id": "string", "data": "object"},
}
"""Events that the server writes itself, always with the type `system`."""

EVENTS: Mapping[str, Mapping[str, Type]] = {
    # Segment's e-commerce spec v2, shared by RudderStack and PostHog
    "Products Searched": {"query": "string"},
    "Product List Viewed": _LIST,
    "Product List Filtered": {**_LIST, "filters": "list", "sorts": "list"},
    "Promotion Viewed": _PROMOTION,
    "Promotion Clicked": _PROMOTION,
    "Product Clicked": _PRODUCT,
    "Product Viewed": _PRODUCT,
    "Product Added": _IN_CART,
    "Product Removed": _IN_CART,
    "Cart Viewed": {"cart_id": "string", "products": "list"},
    "Checkout Started": _ORDER,
    "Checkout Step Viewed": _STEP,
    "Checkout Step Completed": _STEP,
    "Payment Info Entered": {**_STEP, "order_id": "string"},
    "Order Completed": _ORDER,
    "Order Updated": _ORDER,
    "Order Refunded": _ORDER,
    "Order Cancelled": _ORDER,
    "Coupon Entered": _COUPON,
    "Coupon Applied": _COUPON,
    "Coupon Denied": _COUPON,
    "Coupon Removed": _COUPON,
    "Product Added to Wishlist": {**_PRODUCT, "wishlist_id": "string", "wishlist_name": "string"},
    "Product Removed from Wishlist": {**_PRODUCT, "wishlist_id": "string", "wishlist_name": "string"},
    "Wishlist Product Added to Cart": {**_IN_CART, "wishlist_id": "string", "wishlist_name": "string"},
    "Product Shared": {**_PRODUCT, "share_via": "string", "share_message": "string", "recipient": "string"},
    "Cart Shared": {"cart_id": "string", "products": "list", "share_via": "string", "share_message": "string", "recipient": "string"},
    "Product Reviewed": {"product_id": "string", "review_id": "string", "review_body": "string", "rating": "string"},
    # Segment's B2B spec
    "Signed Up": {"type": "string", "first_name": "string", "last_name": "string", "email": "string", "plan": "string"},
    "Signed In": {"username": "string"},
    "Trial Started": {"trial_start_date": "datetime", "trial_end_date": "datetime", "trial_plan_name": "string"},
    "Trial Ended": {"trial_start_date": "datetime", "trial_end_date": "datetime", "trial_plan_name": "string"},
    "Form Submitted": {
        **dict.fromkeys(("form", "form_id", "page", "language"), "string"),
        **dict.fromkeys(("answers", "hidden"), "object"),
        "version": "number",
        "boxes": "list",
    },
    **_OWN,
}

SYSTEM_EVENTS = frozenset(_OWN)
"""What only the server may write."""

_RESERVED = frozenset(name.casefold() for name in SYSTEM_EVENTS)


def is_reserved(name: str) -> bool:
    """Whether a name, spelt as it is stored (`spelling.one_line`), is that of an event which only the server writes; capitals do not matter."""
    return name.casefold() in _RESERVED


def is_genuine(type: str, name: str) -> bool:
    """Whether an event is what its name says: one of ours is told by its type, because anybody can spell."""
    return type == "system" or name not in SYSTEM_EVENTS


ALIASES: Mapping[str, str] = {
    # Klaviyo
    "Placed Order": "Order Completed",
    "Started Checkout": "Checkout Started",
    "Added to Cart": "Product Added",
    "Removed from Cart": "Product Removed",
    "Viewed Product": "Product Viewed",
    "Viewed Collection": "Product List Viewed",
    "Submitted Search": "Products Searched",
    "Refunded Order": "Order Refunded",
    "Cancelled Order": "Order Cancelled",
    # Shopify: webhook topics, then web pixel events
    "checkouts/create": "Checkout Started",
    "orders/create": "Order Completed",
    "orders/updated": "Order Updated",
    "orders/cancelled": "Order Cancelled",
    "refunds/create": "Order Refunded",
    "product_viewed": "Product Viewed",
    "collection_viewed": "Product List Viewed",
    "search_submitted": "Products Searched",
    "product_added_to_cart": "Product Added",
    "product_removed_from_cart": "Product Removed",
    "cart_viewed": "Cart Viewed",
    "checkout_started": "Checkout Started",
    "payment_info_submitted": "Payment Info Entered",
    "checkout_completed": "Order Completed",
    # Google Analytics 4
    "view_item": "Product Viewed",
    "view_item_list": "Product List Viewed",
    "add_to_cart": "Product Added",
    "remove_from_cart": "Product Removed",
    "view_cart": "Cart Viewed",
    "begin_checkout": "Checkout Started",
    "add_payment_info": "Payment Info Entered",
    "purchase": "Order Completed",
    "refund": "Order Refunded",
    "add_to_wishlist": "Product Added to Wishlist",
    "sign_up": "Signed Up",
}
"""Names that other systems give to events of the spec."""


@cache
def _built_in() -> Catalogue:
    return Catalogue(
        {spec.name: spec for spec in (*CONTACT_FIELDS, *COMPANY_FIELDS)},
        {name: EventSpec(name, dict(properties)) for name, properties in EVENTS.items()},
    )
