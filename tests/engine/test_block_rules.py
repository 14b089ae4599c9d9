"""Blocks shown by a rule: what is sent, what the preview shows and what the simulator writes agree about each contact."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities.rehearsal import rehearsal
from activities.rendering import INLINE, rules
from activities.templates import library, preview
from crm.catalogue import declare_field
from engine.interpreter.simulate import Script, simulate
from journeys.compile import compile_journey
from journeys.errors import Invalid
from journeys.reading import read
from tests.engine.test_coupons import JOURNEY, Post, messaging, through

ASKED: dict[str, dict[str, Any]] = {
    "field": {"field": "plan", "operator": "=", "value": "pro"},
    "event": {"event": "Order Completed", "within": "P30D", "where": {"rules": [{"field": "total", "operator": ">", "value": 100}]}},
    "none": {"combinator": "or", "not": True, "rules": [{"tag": "vip"}, {"field": "plan", "operator": "=", "value": "pro"}]},
}
PEOPLE: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]], set[str]]] = {
    "pro": ({"plan": "pro"}, [], {"field"}),
    "buyer": ({"plan": "free"}, [("Order Completed", {"total": 120})], {"event", "none"}),
    "small buyer": ({}, [("Order Completed", {"total": 80})], {"none"}),
}
"""Who somebody is, what they did, and which rules hold for them."""


def mjml(held: str) -> str:
    """A block for each rule; the one under the rule `held` asks for a value that nobody has."""
    blocks = "".join(
        f"{{% if {rules.written(rule)} %}}<mj-text>block {name}{' {{ trigger.lacks }}' if name == held else ''}</mj-text>{{% endif %}}"
        for name, rule in ASKED.items()
    )
    return f"<mjml><mj-body><mj-section><mj-column><mj-text>all</mj-text>{blocks}</mj-column></mj-section></mj-body></mjml>"


@pytest.fixture(name="shop")
def fixture_shop(world: Any) -> Any:
    with world.db.write() as session:
        declare_field(session, "plan", "string", world.now)
    world.post = Post(world)
    through(world)
    return world


def save(world: Any, held: str = "") -> None:
    texts = {"default": {"subject": "S", "mjml": mjml(held)}}
    library.save(world.db, "gift", texts, name="Gift", kind="email", message_class="transactional", actor="test", now=world.now)


def blocks_in(text: str) -> set[str]:
    return {name for name in ASKED if f"block {name}" in text}


@pytest.mark.parametrize("who", PEOPLE)
def test_what_is_sent_and_what_a_preview_shows_agree(shop: Any, who: str) -> None:
    fields, did, holding = PEOPLE[who]
    save(shop)
    shop.publish(JOURNEY)
    contact = shop.contact(attributes=fields)
    for name, properties in did:
        shop.happens(contact, name, properties)
    shop.walk(shop.run(shop.happens(contact, "Signed Up")))
    [sent] = shop.post.handed
    with shop.db.read() as session:
        found = preview.proof(
            session, messaging(), "email", "transactional", {"default": {"subject": "S", "mjml": mjml("")}}, "default", shop.now, contact
        )
    assert found.rendered is not None
    assert blocks_in(sent.html) == blocks_in(sent.text) == blocks_in(found.rendered.html) == holding
    assert {name for name, rule in ASKED.items() if found.answers[rules.key_of(rules.text_of(rule))]} == holding


@pytest.mark.parametrize("who", PEOPLE)
def test_the_simulator_writes_the_blocks_that_a_real_message_has(shop: Any, who: str) -> None:
    """It keeps no text, so a block tells by what it lacks that it is there."""
    fields, did, holding = PEOPLE[who]
    history = [{"after": timedelta(minutes=1), "name": name, "properties": properties} for name, properties in did]
    about = {"email": "a@example.org", **fields}
    script = {"contact": about, "consents": [("email", "marketing", "granted")], "start": shop.now, "history": history, "trigger": {}}
    for name in ASKED:
        save(shop, name)
        program = compile_journey(read(JOURNEY), shop.engine.palette)
        with shop.db.read() as session:
            fill = rehearsal(session, program, messaging().tracking, "en", INLINE)
        [call] = simulate(program, Script.model_validate(script), fill=fill).calls
        assert (call["outlet"] == "skipped") == (name in holding), (name, call)


def test_saving_knows_the_names_of_the_workspace(shop: Any) -> None:
    asked = (
        {"segment": "nobody"},
        {"score": "luck", "operator": ">", "value": 1},
        {"consent": "email", "purpose": "fun", "value": "granted"},
    )
    texts = {"default": {"text": "".join("{% if " + rules.written(rule) + " %}x{% endif %}" for rule in asked)}}
    with pytest.raises(Invalid) as caught:
        library.save(shop.db, "texted", texts, name="Texted", kind="sms", message_class="transactional", actor="test", now=shop.now)
    assert [issue.code for issue in caught.value.issues] == ["unknown_segment", "unknown_score", "unknown_purpose"]
