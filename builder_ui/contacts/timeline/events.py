"""Events on a contact's timeline: ours in words, others by their name and their first few values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builder_ui.contacts.devices import KINDS
from builder_ui.contacts.timeline.told import Told
from builder_ui.kit import labels
from builder_ui.kit.context import PageContext
from builder_ui.kit.labels import coded, short
from builder_ui.kit.reactpy_compat import Element, html
from journeys.rules.terms import lead_source


def tell_event(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """The event's name and its first few values; ids say nothing to people."""
    if row["type"] == "system" and row["name"] in OURS:
        return OURS[row["name"]](context, told, row)
    said = [
        f"{name}: {short(labels.found(context.t, value), 60)}"
        for name, value in row["properties"].items()
        if not (isinstance(value, dict | list) or value in (None, "") or name.endswith("_id") or name in INNER.get(row["type"], ()))
    ]
    line = " · ".join([*said[:6], *came_from(context, told, row)])
    return html._(html.b(row["name"]), html.p({"className": "quiet"}, line) if line else None, left_out(context, row))


def came_from(context: PageContext, told: Told, row: Mapping[str, Any]) -> list[str]:
    """The key or the file that an event came with, as it is called today."""
    name = told.sources.get(row["source"])
    return [context.t("Source: {source}", source=name)] if name else []


def tell_read(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
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
        html.a({"href": f"/ui/messages/{id}"}, told.messages.get(id) or t("a message")) if id else None,
        html.p({"className": "quiet"}, t("link to {address}", address=short(link))) if link else None,
    )


BOUNCES = {
    "hard": "Bounced: the address does not exist",
    "soft": "Bounced for now",
    "streak": "Bounced several times in a row: the address is blocked",
}


INTENTS = {"stop": "Wants no more messages on this channel", "start": "Wants messages on this channel again"}


def tell_about(context: PageContext, told: Told, row: Mapping[str, Any], text: str, *more: Element) -> Element:
    """What became of a message, with a link to it."""
    id = str(row["properties"].get("message_id") or "")
    link = html.a({"href": f"/ui/messages/{id}"}, told.messages.get(id) or context.t("a message")) if id else None
    return html._(html.b(context.t(text)), ": " if link else None, link, *more)


def tell_reply(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """What the contact wrote back, in their words."""
    intent = INTENTS.get(str(row["properties"].get("intent") or ""))
    text = html.p({"key": "text"}, short(str(row["properties"].get("text") or ""), 500))
    return tell_about(
        context, told, row, "Reply", text, html.p({"key": "intent", "className": "quiet"}, context.t(intent)) if intent else None
    )


def tell_auto_reply(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """What a mail program answered in the contact's place."""
    return tell_about(context, told, row, "Automatic reply", html.p({"key": "text"}, short(str(row["properties"].get("text") or ""), 500)))


def tell_bounce(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    return tell_about(context, told, row, BOUNCES.get(str(row["properties"].get("bounce") or ""), "Bounced"))


def tell_change(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """Which fields and tags, and from what to what where it is known."""
    t, properties = context.t, row["properties"]
    changes = properties.get("changes") if isinstance(properties.get("changes"), Mapping) else {}
    lines = [
        changed_line(context, str(name), labels.field_name(t, str(name), told.titles), changes.get(name))
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


def tell_entry(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """Into which journey, and which version of it."""
    t, properties = context.t, row["properties"]
    key = str(properties.get("journey") or "")
    name = next((name for known, name in told.journeys.values() if known == key), key)
    link = html.a({"href": f"/ui/runs/{properties['run_id']}"}, name) if properties.get("run_id") else html.b(name)
    return html._(link, " ", t("entered (version {number})", number=properties.get("version", "–")))


def tell_device(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """A device came or went, and why it went."""
    t, properties = context.t, row["properties"]
    kind = coded(t, KINDS, str(properties.get("kind", "")))
    if row["name"] == "Device Added":
        return html.span(t("Registered a device for push messages: {device}", device=kind))
    why = coded(t, labels.DEVICE_REASONS, str(properties.get("reason", "")))
    return html.span(t("Device for push messages removed: {device} ({reason})", device=kind, reason=why))


COMPANY_TEXTS = {"Company Joined": "Joined the company", "Company Left": "Left the company", "Company Changed": "The company changed"}


def tell_company(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """Which company the contact belongs to, or no longer does; what of it changed."""
    t, properties = context.t, row["properties"]
    id = str(properties.get("company_id") or "")
    link = html.a({"href": f"/ui/companies/{id}"}, str(properties.get("name") or id[-6:])) if id else None
    names = [labels.field_name(t, str(name), told.titles) for name in list(properties.get("fields", ()))[:20]]
    changed = ", ".join(names) if row["name"] == "Company Changed" else ""
    return html._(
        html.b(t(COMPANY_TEXTS[row["name"]])), " ", link, html.p({"className": "quiet"}, short(changed, 300)) if changed else None
    )


def tell_segment(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """Which segment the contact entered or left."""
    t, properties = context.t, row["properties"]
    key = str(properties.get("segment") or "")
    text = "Entered the segment" if row["name"] == "Segment Entered" else "Left the segment"
    return html._(html.b(t(text)), " ", html.a({"href": f"/ui/segments/{key}"}, str(properties.get("name") or key)))


TOUCHES = {"first": "First touch", "last": "Last touch", "both": "First and last touch"}


def tell_source(context: PageContext, told: Told, row: Mapping[str, Any]) -> Element:
    """Which touch changed, how the contact came, and what was known of it."""
    t, properties = context.t, row["properties"]
    kind = coded(t, lead_source.KINDS, str(properties.get("kind", "")))
    known = (
        (title, properties.get(name.removeprefix("utm_")))
        for name, title in lead_source.ATTRIBUTES.items()
        if name not in ("kind", "source_id")
    )
    said = " · ".join(f"{t(title)}: {short(str(value), 60)}" for title, value in known if value)
    return html._(
        html.b(coded(t, TOUCHES, str(properties.get("touch", "")))), ": ", kind, html.p({"className": "quiet"}, said) if said else None
    )


OURS: Mapping[str, Callable[[PageContext, Told, Mapping[str, Any]], Element]] = {
    "Message Opened": tell_read,
    "Message Clicked": tell_read,
    "Message Replied": tell_reply,
    "Message Auto-Replied": tell_auto_reply,
    "Message Bounced": tell_bounce,
    "Contact Changed": tell_change,
    "Device Added": tell_device,
    "Device Removed": tell_device,
    "Journey Entered": tell_entry,
    **dict.fromkeys(COMPANY_TEXTS, tell_company),
    "Segment Entered": tell_segment,
    "Segment Left": tell_segment,
    "Lead Source Changed": tell_source,
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
