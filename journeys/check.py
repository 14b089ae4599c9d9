"""Every problem of a draft at once, each with the node and field where it can be mended. Pure; changes nothing.

Errors keep a journey from being published; warnings do not. The shape of the drawing is checked in `graph`, rules in
`rules`; here is what takes more than one of them, and what the document names outside itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from journeys import conflicts, unfinished
from journeys.answers import unanswered
from journeys.catalogue import Catalogue, closest
from journeys.channels import CHANNELS
from journeys.compile import document_rules
from journeys.document import Exit, Journey
from journeys.errors import Issue, Label
from journeys.graph import Graph, build
from journeys.known import Known, KnownTemplate
from journeys.labels import EMPTY, FieldLabel
from journeys.names import names_of, names_of_document
from journeys.nodes import Palette
from journeys.nodes.notify_team import OWNER
from journeys.nodes.send import Send
from journeys.results import STEPS, Missing, Results, look_up
from journeys.rules import Rule, check_rule, terms
from journeys.rules.check import Scope, leads_nowhere
from journeys.rules.terms.message import REPLY
from journeys.stray import stray_issues
from journeys.triggers import Trigger

LONG_WAIT = timedelta(days=366)
ORDER_KEY = "order_id"
NOTHING_KNOWN = Known()


def check(journey: Journey, palette: Palette, catalogue: Catalogue, known: Known = NOTHING_KNOWN) -> list[Issue]:
    """All issues, those of the document first, then node by node in the order of the document; an empty list is a sound journey."""
    graph = build(journey, palette)
    found = [
        *graph.issues,
        *_entry(journey, catalogue),
        *_exits(journey, catalogue),
        *_goal(journey, catalogue),
        *_settings(journey, known),
        *_imprint(journey, graph, known),
        *_rules(journey, graph, catalogue),
        *_nodes(journey, graph, catalogue, known),
    ]
    held = unfinished.parts_of(journey.ui)
    found = [*unfinished.issues(journey), *conflicts.issues(journey), *(issue for issue in found if not unfinished.replaced(issue, held))]
    places = {node_id: place for place, node_id in enumerate(journey.nodes)}
    return sorted(found, key=lambda issue: places.get(issue.node_id, -1) if issue.node_id is not None else -1)


# --- The document itself -------------------------------------------------------------------------------------------


def _entry(journey: Journey, catalogue: Catalogue) -> Iterator[Issue]:
    entry = journey.entry
    if not entry.triggers:
        yield Issue(code="no_trigger", text="No one can enter: the journey needs a trigger.", field="entry.triggers")
    for i, trigger in enumerate(entry.triggers):
        yield from _trigger(trigger, f"entry.triggers.{i}", catalogue)
    yield from _once_only(journey, catalogue)
    if entry.reentry.policy == "per_key" and not entry.reentry.key:
        text = "One run per key needs the name of the key, such as cart_id."
        yield Issue(code="no_key", text=text, field="entry.reentry.key")
    if entry.reentry.policy == "after_window" and not entry.reentry.window:
        yield Issue(code="no_window", text="Re-entry after some time needs a length of time.", field="entry.reentry.window")
    if entry.cap is not None and not entry.cap.per:
        yield Issue(code="no_window", text="An entry cap needs a length of time.", field="entry.cap.per")


def _once_only(journey: Journey, catalogue: Catalogue) -> Iterator[Issue]:
    """A hint where each contact enters once and no more, though what lets in happens again and again: every order has a number of its own."""
    if journey.entry.reentry.policy != "never":
        return
    for trigger in journey.entry.triggers:
        event = catalogue.event(trigger.event_name) if trigger.event_name is not None else None
        if event is not None and ORDER_KEY in event.properties:
            text = (
                "Each contact enters only once: a second “{event}” of the same contact does nothing. If each one "
                "should start the journey, choose “Once for each value of a property” with {key}."
            )
            values = {"event": event.name, "key": ORDER_KEY}
            yield Issue(code="once_only", text=text, values=values, field="entry.reentry.policy", severity="warning")
            return


def _trigger(trigger: Trigger, path: str, catalogue: Catalogue) -> Iterator[Issue]:
    yield from trigger.problems(path)
    for field, noun, name in trigger.references():
        known = _known_event if noun == "event" else _field
        yield from known(name, None, f"{path}.{field}", catalogue)
    for field, event, where in trigger.event_rules():
        yield from check_rule(where, catalogue, None, f"{path}.{field}", scope="event", event=event)


def _exits(journey: Journey, catalogue: Catalogue) -> Iterator[Issue]:
    for i, leaving in enumerate(journey.exit_when):
        path = f"exit_when.{i}"
        if leaving.event is None and leaving.rule is None:
            text = "“{field}” is still empty: name an event, or write a rule instead."
            yield Issue(code=EMPTY, text=text, values={"field": Label("Event")}, field=f"{path}.event")
        if leaving.event is not None and leaving.rule is not None:
            yield Issue(code="bad_exit", text="An exit is either an event or a rule.", field=path)
        if leaving.event is not None:
            yield from _event(leaving.event, leaving.where, path, catalogue)
        yield from _match_key(leaving, journey, path)


def _match_key(leaving: Exit, journey: Journey, path: str) -> Iterator[Issue]:
    if leaving.match_key is None:
        return
    if leaving.event is None:
        text = "Only an event can be compared with the run's key."
        yield Issue(code="bad_exit", text=text, field=f"{path}.match_key")
    if journey.entry.reentry.policy != "per_key":
        text = "Runs of this journey have no key to compare with: set re-entry to one run per key."
        yield Issue(code="no_key", text=text, field=f"{path}.match_key")


def _goal(journey: Journey, catalogue: Catalogue) -> Iterator[Issue]:
    if journey.goal is None:
        return
    yield from _event(journey.goal.event, journey.goal.where, "goal", catalogue)
    if not journey.goal.window:
        yield Issue(code="no_window", text="A goal needs a conversion window.", field="goal.window")
    event = catalogue.event(journey.goal.event)
    value = journey.goal.value
    if event is not None and value is not None and event.property(value) is None:
        text = "The event “{event}” has no known property “{name}”."
        values = {"event": event.name, "name": value}
        yield Issue(code="unknown_property", text=text, values=values, field="goal.value", severity="warning")


def _settings(journey: Journey, known: Known) -> Iterator[Issue]:
    name = journey.settings.timezone
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        text = "There is no time zone “{name}”."
        yield Issue(code="unknown_timezone", text=text, values={"name": name[:80]}, field="settings.timezone")
    for path, noun, given in names_of_document(journey):
        yield from _named(noun, given, None, path, known)


# --- Rules ---------------------------------------------------------------------------------------------------------


def _rules(journey: Journey, graph: Graph, catalogue: Catalogue) -> Iterator[Issue]:
    triggers, steps = _trigger_events(journey), _results(graph)
    for _, path, rule in document_rules(journey):
        # A trigger asks its rule of many contacts before there is any run.
        scope: Scope = "contact" if path.startswith("entry.triggers.") else "run"
        yield from check_rule(
            rule, catalogue, None, path, scope=scope, triggers=triggers, steps=steps if path.startswith("exit_when") else None
        )
        yield from _own_messages(rule, None, path, graph)
    for node_id, node in graph.nodes.items():
        for path, rule in node.rules():
            yield from check_rule(rule, catalogue, node_id, path, triggers=triggers, steps=steps)
            yield from _own_messages(rule, node_id, path, graph)
        for path, event, where in node.event_rules():
            yield from check_rule(where, catalogue, node_id, path, scope="event", event=event)


def _results(graph: Graph) -> dict[str, Results | None]:
    """What each step leaves for later ones; anything, if it could not be read."""
    return {**dict.fromkeys(graph.unread), **{node_id: node.results() for node_id, node in graph.nodes.items()}}


def _trigger_events(journey: Journey) -> list[str] | None:
    """The events that can start a run; None when it can also start otherwise, with values nobody knows beforehand."""
    triggers = journey.entry.triggers
    events = [trigger.event_name for trigger in triggers if trigger.event_name is not None]
    return events if events and len(events) == len(triggers) else None


def _own_messages(rule: Rule, node_id: str | None, path: str, graph: Graph) -> Iterator[Issue]:
    """A term on a message of this run must name a step that sends one."""
    for place, term in terms(rule):
        key, step = term.message_step() or ("", None)
        if step is not None and step not in graph.unread:
            yield from _sends(step, node_id, ".".join((path, *place, key)), graph)


def _sends(step: str, node_id: str | None, field: str, graph: Graph) -> Iterator[Issue]:
    node = graph.nodes.get(step)
    if not step:
        yield FieldLabel("Message of the step", chosen=True).empty(node_id, field)
    elif not isinstance(node, Send):
        text = "There is no step “{node}”." if node is None else "The step “{node}” sends no message."
        yield Issue(code="unknown_message", text=text, values={"node": step}, node_id=node_id, field=field)


def _event(name: str, where: Rule | None, path: str, catalogue: Catalogue) -> Iterator[Issue]:
    yield from _known_event(name, None, f"{path}.event", catalogue)
    if where is not None:
        yield from check_rule(where, catalogue, None, f"{path}.where", scope="event", event=name)


# --- Nodes ---------------------------------------------------------------------------------------------------------


def _nodes(journey: Journey, graph: Graph, catalogue: Catalogue, known: Known) -> Iterator[Issue]:
    steps, unasked = _results(graph), unanswered(journey, graph)
    for node_id, node in graph.nodes.items():
        yield from stray_issues(node, journey.nodes[node_id], node_id)
        for path, noun, name in names_of(node):
            yield from _reference(noun, name, node_id, path, journey, catalogue, known, steps)
        if isinstance(node, Send):
            yield from _message(node, node_id, journey, known)
            if node_id in unasked:
                yield from _only_answers(node, node_id, known)
        if node.minimum_wait() > LONG_WAIT:
            text = "This waits for more than a year."
            yield Issue(code="long_wait", text=text, node_id=node_id, severity="warning")


def _reference(
    noun: str,
    name: str,
    node_id: str,
    path: str,
    journey: Journey,
    catalogue: Catalogue,
    known: Known,
    steps: Mapping[str, Results | None],
) -> Iterable[Issue]:
    if noun == "field" and name.startswith(STEPS) and _is_read(path):
        found = look_up(name, steps)
        return [leads_nowhere(found, node_id, path)] if isinstance(found, Missing) else ()
    if noun == "field":
        return _field(name, node_id, path, catalogue)
    if noun == "event":
        return _known_event(name, node_id, path, catalogue)
    if noun == "node":
        return _other_node(name, node_id, path, journey)
    if noun == "recipient":
        return () if name == OWNER or "@" in name else _named("member", name, node_id, path, known)
    if noun == "journey" and name == journey.key:
        text = "This refers to the journey itself."
        return [Issue(code="own_journey", text=text, node_id=node_id, field=path)]
    if noun == "pool" and name in known.idle_pools:
        text = "No one in the rotation “{name}” is active, so no one would ever get a contact. Add an active member."
        return [Issue(code="idle_pool", text=text, values={"name": name}, node_id=node_id, field=path)]
    return _named(noun, name, node_id, path, known)


def _is_read(path: str) -> bool:
    """Whether the field is asked; what is set or cleared is one of the contact."""
    return path.endswith(".from") or not path.startswith(("set.", "clear."))


def _message(node: Send, node_id: str, journey: Journey, known: Known) -> Iterator[Issue]:
    marketing = (node.message_class or journey.settings.message_class) == "marketing"
    if node.hold_out and not marketing:
        text = "Transactional messages have no control group: everybody gets this one."
        yield Issue(code="idle_hold_out", text=text, node_id=node_id, field="hold_out", severity="warning")
    if _needs_unsubscribe(node):
        yield from _standing(node, node_id, known, marketing=marketing)
    keys = [key for _, noun, key in node.references() if noun == "template"]
    for template in ((known.templates or {}).get(key) for key in keys):
        if template is None:
            continue
        if template.channel == "partial":
            text = "This is a partial: choose a template that includes it."
            yield Issue(code="wrong_channel", text=text, node_id=node_id, field="template")
            continue
        if template.channel != node.effect_channel:
            text = "This template is for another channel ({channel})."
            yield Issue(code="wrong_channel", text=text, values={"channel": template.channel}, node_id=node_id, field="template")
        if marketing and _needs_unsubscribe(node) and not template.unsubscribe:
            text = "A marketing e-mail needs an unsubscribe link, and this template has none: add {{{{ unsubscribe_url }}}}."
            yield Issue(code="no_unsubscribe", text=text, node_id=node_id, field="template")


def _only_answers(node: Send, node_id: str, known: Known) -> Iterator[Issue]:
    """A hint where free text goes out to people who may not have written."""
    channel = CHANNELS.get(node.effect_channel or "")
    window = channel.reply_window if channel is not None else None
    keys = [key for _, noun, key in node.references() if noun == "template"]
    if window is not None and any(one.only_answers for key in keys if (one := (known.templates or {}).get(key)) is not None):
        text = (
            "This template has only a free text, which is sent within {hours} hours after the contact's last message and to nobody else. "
            "Add an approved template, or wait for “{event}” before this step."
        )
        values = {"hours": round(window.total_seconds() / 3600), "event": REPLY}
        yield Issue(code="only_answers", text=text, values=values, node_id=node_id, field="template", severity="warning")


def _standing(node: Send, node_id: str, known: Known, *, marketing: bool) -> Iterator[Issue]:
    """Whether whom the mail is from may send it: nobody sends as somebody unproven, and no marketing leaves a domain with red marks."""
    for role, field, key in _senders(node, known):
        if known.standings.get(key) == "unverified":
            text = "The sender “{name}” is not verified: enter the account's DKIM record in the DNS of its domain, then check it in the settings."
            yield Issue(code="unverified_sender", text=text, values={"name": key}, node_id=node_id, field=field)
        elif role == "sender" and marketing and known.standings.get(key) == "red":
            text = "The domain of the sender has red marks, so it carries no marketing. See “Sending domains” in the settings."
            yield Issue(code="red_sender", text=text, node_id=node_id, field=field)


def _senders(node: Send, known: Known) -> Iterator[tuple[str, str, str]]:
    """(sender or reply_to, the step's field that leads there, key): as the step says, else as its template does; an empty key is the usual sender."""
    said = {role: key for role, key in node.senders() if key}
    keys = [key for _, noun, key in node.references() if noun == "template"]
    template = next((one for key in keys if (one := (known.templates or {}).get(key)) is not None), KnownTemplate())
    for role, chosen in (("sender", template.sender), ("reply_to", template.reply_to)):
        if role in said or chosen or role == "sender":
            yield role, role if role in said or not chosen else "template", said.get(role) or chosen


def _imprint(journey: Journey, graph: Graph, known: Known) -> Iterator[Issue]:
    """What is missing of the workspace that its marketing must show, each once.

    Source: 15 USC 7704(a)(5)(A)(iii) (CAN-SPAM), § 5 DDG; GDPR Art. 13(1)(a) and 21 (who advertises by post, and where to object).
    """
    sends = (node for node in graph.nodes.values() if isinstance(node, Send) and _is_marketing(node, journey))
    names = {name for node in sends for name in known.lacking.get(node.effect_channel or "", ())}
    yield from (Issue(code=f"no_{name}", text=_LACKING[name]) for name in sorted(names))


_LACKING = {
    "imprint": "Every marketing e-mail must link to your imprint: enter its address under “Brand and public pages” in the settings.",
    "postal_address": "Marketing by e-mail and by post must show your postal address: enter it under “Sender” in the settings.",
}


def _is_marketing(node: Send, journey: Journey) -> bool:
    return (node.message_class or journey.settings.message_class) == "marketing"


def _needs_unsubscribe(node: Send) -> bool:
    channel = CHANNELS.get(node.effect_channel or "")
    return channel is not None and channel.needs_unsubscribe


def _other_node(name: str, node_id: str, path: str, journey: Journey) -> Iterator[Issue]:
    if name not in journey.nodes:
        yield unknown("node", name, closest(name, journey.nodes), node_id, path)


def _field(name: str, node_id: str | None, path: str, catalogue: Catalogue) -> Iterator[Issue]:
    if not name.startswith("trigger.") and catalogue.field(name) is None:
        yield unknown("field", name, catalogue.suggest_field(name), node_id, path)


def _known_event(name: str, node_id: str | None, path: str, catalogue: Catalogue) -> Iterator[Issue]:
    if catalogue.event(name) is None:
        yield unknown("event", name, catalogue.suggest_event(name), node_id, path, severity="warning")


def _named(noun: str, name: str, node_id: str | None, path: str, known: Known) -> Iterator[Issue]:
    names = known.of(noun)
    if names is not None and name not in names:
        yield unknown(noun, name, closest(name, names), node_id, path)


def unknown(noun: str, name: str, near: str | None, node_id: str | None, path: str, severity: str = "error") -> Issue:
    """The issue of a name that nothing has; `near`: the one that was probably meant."""
    text, text_with_near = _UNKNOWN[noun]
    values = {"name": name, **({"near": near} if near else {})}
    return Issue(
        code=f"unknown_{noun}",
        text=text_with_near if near else text,
        values=values,
        node_id=node_id,
        field=path,
        severity="warning" if severity == "warning" else "error",
    )


_UNKNOWN = {
    "field": ("There is no contact field “{name}”.", "There is no contact field “{name}”. Did you mean “{near}”?"),
    "event": ("The event “{name}” has never been seen.", "The event “{name}” has never been seen. Did you mean “{near}”?"),
    "node": ("There is no step “{name}”.", "There is no step “{name}”. Did you mean “{near}”?"),
    "template": ("There is no template “{name}”.", "There is no template “{name}”. Did you mean “{near}”?"),
    "pool": (
        "There is no rotation “{name}”. Choose another, or create a rotation with this key in the settings.",
        "There is no rotation “{name}”. Did you mean “{near}”?",
    ),
    "journey": ("There is no journey “{name}”.", "There is no journey “{name}”. Did you mean “{near}”?"),
    "secret": ("There is no secret “{name}”.", "There is no secret “{name}”. Did you mean “{near}”?"),
    "purpose": ("There is no consent purpose “{name}”.", "There is no consent purpose “{name}”. Did you mean “{near}”?"),
    "member": (
        "There is no active member “{name}” in the team. Choose someone.",
        "There is no active member “{name}” in the team. Did you mean “{near}”?",
    ),
    "cap_class": (
        "There is no frequency cap for the class “{name}”.",
        "There is no frequency cap for the class “{name}”. Did you mean “{near}”?",
    ),
    "sender": ("There is no sender “{name}” any more.", "There is no sender “{name}”. Did you mean “{near}”?"),
    "topic": (
        "There is no topic “{name}”. Choose another, or add it in the settings.",
        "There is no topic “{name}”. Did you mean “{near}”?",
    ),
    "segment": ("There is no segment “{name}”.", "There is no segment “{name}”. Did you mean “{near}”?"),
    "coupon_pool": ("There is no coupon pool “{name}”.", "There is no coupon pool “{name}”. Did you mean “{near}”?"),
    "score": ("There is no score “{name}”.", "There is no score “{name}”. Did you mean “{near}”?"),
}
"""Whole sentences, because languages bend nouns differently."""
