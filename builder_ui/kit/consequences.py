"""What an act would bring about, in sentences: who enters, who gets which message now, who does not and why, where the others wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from activities.forecasts import Forecaster, Occurrence, Publication
from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.labels import REASONS, REFUSALS, coded, names_of
from builder_ui.kit.reactpy_compat import Element, html
from crm.people.contacts import MAX_COUNTED
from engine.interpreter.forecast import Forecast, Step, ids_named
from journeys.nodes import Node

STAYS = {
    "no_target": "their step has no target",
    "in_flight": "a message or call is in progress for them",
    "ended": "they have left in the meantime",
    "moved_on": "they have moved on since",
}
"""Why a run is not moved."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence with `*names*`, and the key under which the forecast names the first contacts it is about."""

    text: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """How the sentences are said: in whose language, and with which names of steps."""

    t: Translator
    names: Mapping[str, str]

    def node(self, id: str) -> str:
        return self.names.get(id, id).replace("*", "")

    def count(self, found: Forecast, number: int) -> str:
        """Of a sample: about how many of all, or its share where nobody counted all."""
        if found.at_least:
            values = {"count": self.t.number(number), "all": self.t.number(found.judged)}
            return self.t("{count} of {all}", **values)
        if found.is_exact:
            return self.t.number(number)
        return self.t("about {count}", count=self.t.number(round(number * found.scale)))


def counted(t: Translator, found: Forecast, number: int) -> str:
    """A number of a forecast; of a sample about how many that are of all."""
    return Wording(t, {}).count(found, number)


def forecaster(context: PageContext) -> Forecaster:
    """Who looks ahead for a page."""
    post = context.app.post
    assert post is not None, "a server whose pages look ahead shows messages"
    return Forecaster(context.engine, post.messaging)


def entering(t: Translator, nodes: Mapping[str, Node], found: Forecast) -> list[Line]:
    """What an enrolment would come to, after the sentence of who would enter."""
    words = Wording(t, names_of(t, nodes))
    return [*_sampled(words, found), *_refused(words, found), *_held_out(words, found), *_at_once(words, found)]


def moving(t: Translator, nodes: Mapping[str, Node], found: Forecast) -> list[Line]:
    """What a migration, or taking one back, would come to at once."""
    words = Wording(t, names_of(t, nodes))
    stay = [
        Line(
            t("{count} would stay where they are: {reason}", count=words.count(found, number), reason=t(STAYS[reason])),
            f"refused:{reason}",
        )
        for reason, number in sorted(found.refused.items())
        if reason != "no_target"  # said with the steps
    ]
    return [*_sampled(words, found), *stay, *_at_once(words, found)]


def _sampled(words: Wording, found: Forecast) -> Iterator[Line]:
    if found.at_least:
        values = {"judged": words.t.number(found.judged), "all": words.t.number(MAX_COUNTED)}
        yield Line(words.t("Checked {judged} of more than {all} contacts, chosen at random.", **values))
    elif not found.is_exact:
        yield Line(
            words.t(
                "Checked {judged} of {all} contacts, chosen at random; the figures are estimates.",
                judged=words.t.number(found.judged),
                all=words.t.number(found.population),
            )
        )


def _refused(words: Wording, found: Forecast) -> Iterator[Line]:
    for reason, number in sorted(found.refused.items()):
        text = f"{words.count(found, number)} ×: {coded(words.t, REFUSALS, reason)}"
        yield Line(text, f"refused:{reason}")


def _held_out(words: Wording, found: Forecast) -> Iterator[Line]:
    if found.held_out:
        yield Line(words.t("{count} would be in the control group and get nothing.", count=words.count(found, found.held_out)))


def _at_once(words: Wording, found: Forecast) -> Iterator[Line]:
    """From messages to where they stop."""
    t = words.t
    if found.halted:
        yield Line(t("{count} would wait until the journey is resumed: it is paused.", count=words.count(found, found.halted)))
    if found.begins and not found.due_now and not found.halted:
        yield Line(t("No one would get a message right away."))
    for step in found.steps.values():
        yield from _message(words, found, step)
    for account in found.stopped if found.due_now else ():
        text = "The account {account} does not accept messages at the moment: what would go through it leaves when it does."
        yield Line(t(text, account=account))
    for node, number in found.calls.items():
        text = "*{name}* would be called for {count}; its answer is not known in advance, so the first path is assumed."
        yield Line(t(text, name=words.node(node), count=words.count(found, number)))
    for node, number in found.waits.items():
        yield Line(t("{count} would then wait at *{name}*.", count=words.count(found, number), name=words.node(node)))
    for reason, number in sorted(found.ended.items()):
        text = "{count} would exit the journey right away: {reason}"
        yield Line(t(text, count=words.count(found, number), reason=coded(t, REASONS, reason)), f"ended:{reason}")
    for node, number in found.stuck.items():
        yield Line(
            t("{count} would get stuck after *{name}*.", count=words.count(found, number), name=words.node(node))
            if node
            else t("{count} would get stuck at the start.", count=words.count(found, number)),
            f"stuck:{node}",
        )


def _message(words: Wording, found: Forecast, step: Step) -> Iterator[Line]:
    t, name = words.t, words.node(step.node)
    if step.now:
        yield Line(t("{count} would get *{name}* right away.", count=words.count(found, step.now), name=name), f"now:{step.node}")
    for reason, number in sorted(step.held.items()):
        values = {"count": words.count(found, number), "name": name, "reason": coded(t, REASONS, reason)}
        values |= {"at": t.moment(step.first_until), "to_at": t.moment(step.last_until)}
        same = values["at"] == values["to_at"]
        text = (
            "{count} would get *{name}* on {at} at the earliest: {reason}"
            if same
            else "{count} would get *{name}* between {at} and {to_at} at the earliest: {reason}"
        )
        yield Line(t(text, **values), f"held:{step.node}:{reason}")
    for reason, number in sorted(step.skipped.items()):
        text = t("{count} would not get *{name}*: {reason}", count=words.count(found, number), name=name, reason=coded(t, REASONS, reason))
        yield Line(text, f"skipped:{step.node}:{reason}")


def publishing(t: Translator, nodes: Mapping[str, Node], found: Publication) -> Iterator[tuple[str, Forecast | None, list[Line]]]:
    """Paragraphs of what a publication brings: (sentence, the forecast its lines are of, lines)."""
    yield t("Publishing itself enrols no one and sends nothing."), None, []
    if found.state == "paused":
        yield t("The journey stays paused: contacts who enter wait until it is resumed."), None, []
    for one in found.coming:
        times = {"from_at": t.moment(one.at), "to_at": t.moment(one.last_at)}
        yield t(one.heading, **times), one.forecast, [_begin(t, one), *entering(t, nodes, one.forecast)]


def _begin(t: Translator, one: Occurrence) -> Line:
    found = one.forecast
    values = {"count": t.number(found.begins + found.held_out), "all": t.number(found.population)}
    text = "Of the first {all} who match, {count} would enter." if one.at_least else "{count} of {all} who match would enter."
    return Line(t(text, **values))


def names(context: PageContext, session: Session, *found: Forecast) -> dict[str, str]:
    """What the contacts that are named are called; nobody for whoever may not see contacts."""
    return contact_names(session, ids_named(found)) if context.may("contact.read") else {}


def listed(t: Translator, lines: list[Line], found: Forecast | None, called: Mapping[str, str]) -> Element:
    """The sentences, each with its first contacts to unfold."""
    return html.ul({"className": "consequences"}, [_item(t, n, line, found, called) for n, line in enumerate(lines)])


def _item(t: Translator, n: int, line: Line, found: Forecast | None, called: Mapping[str, str]) -> Element:
    ids = [id for id in (found.named.get(line.about, []) if found else []) if id in called]
    links = [html.li({"key": id}, contact_link(t, id, called[id] or None)) for id in ids]
    who = html.details(html.summary(t("Show the first ones")), html.ul(links)) if links else None
    return html.li({"key": str(n)}, components.marked(line.text), who)


def plainly(lines: list[Line]) -> list[str]:
    """The sentences without marks, for where there are no elements."""
    return [components.plain(line.text) for line in lines]
