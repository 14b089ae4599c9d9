"""Coupon codes in messages: taken when one is filled in for a send, the same after a crash at any commit, none for a look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from activities.providers import Answer, Outbox, Outgoing
from activities.rendering.render import SAMPLE
from activities.sending import coupon_codes
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import coupons, library, preview
from activities.tracking import Tracking
from crm.coupons import pools
from journeys.errors import Conflict, Invalid
from models import Coupon

MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>{% if contact.plan %}{{ coupon('vip') }}{% endif %} <a href=\"https://shop.example/?c={{ coupon('spring')|urlencode }}\">"
    "{{ coupon('spring') }}</a></mj-text></mj-column></mj-section></mj-body></mjml>"
)
JOURNEY: dict[str, Any] = {
    "spec": 1, "key": "gift", "name": "Gift", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "mail",
    "settings": {"message_class": "transactional"},
    "nodes": {"mail": {"kind": "send_email", "template": "gift"}, "end": {"kind": "exit"}},
    "edges": [{"from": "mail", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
}  # fmt: skip


class Death(BaseException):
    """SIGKILL, as near as a test gets."""


class Post(Outbox):
    """The outbox, which notes what it was handed, and dies once after it if it shall."""

    def __init__(self, world: Any) -> None:
        super().__init__(world.db, lambda: world.now)
        self.handed: list[Outgoing] = []
        self.deadly = False

    def send(self, message: Outgoing) -> Answer:
        self.handed.append(message)
        answer = Outbox.send(self, message)
        if self.deadly:
            self.deadly = False
            raise Death
        return answer


def messaging(**more: Any) -> MessageSettings:
    return MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Operator <op@example.com>", **more)


def save(world: Any, mjml: str = MJML) -> None:
    texts = {"default": {"subject": "{{ coupon('spring') }}", "mjml": mjml}}
    library.save(world.db, "gift", texts, name="Gift", kind="email", message_class="transactional", actor="test", now=world.now)


@pytest.fixture(name="shop")
def fixture_shop(world: Any) -> Any:
    with world.db.write() as session:
        for key in ("spring", "vip"):
            pools.put(session, key, "test", world.now, name=key, low_at=0)
    pools.add_codes(world.db, "spring", [f"SPRING-{n}" for n in range(1, 20)], "test")
    save(world)
    world.post = Post(world)
    through(world)
    world.publish(JOURNEY)
    return world


def through(world: Any, **more: Any) -> None:
    """A worker that has just started."""
    world.effects = Effects(world.engine, {"email": MessageHandler(messaging(**more), world.post, "email")}, Breakers(world.db))


def begin(world: Any, **fields: Any) -> str:
    return str(world.run(world.happens(world.contact(**fields), "Signed Up")))


def states(world: Any) -> dict[str, str]:
    with world.db.read() as session:
        return {one.code: one.state for one in session.scalars(select(Coupon)) if one.state != "free"}


def test_each_message_shows_a_code_of_its_own_everywhere(shop: Any) -> None:
    for _ in range(2):
        shop.walk(begin(shop))
    first, second = shop.post.handed
    assert (first.subject, second.subject) == ("SPRING-1", "SPRING-2")
    assert "SPRING-1</a>" in first.html
    assert "SPRING-1" in first.text
    assert states(shop) == {"SPRING-1": "reserved", "SPRING-2": "reserved"}
    coupon_codes.settle(shop.engine)
    assert states(shop) == {"SPRING-1": "sent", "SPRING-2": "sent"}


TEXTED: dict[str, Any] = {**JOURNEY, "nodes": {**JOURNEY["nodes"], "mail": {"kind": "send_sms", "text": "{% if contact.plan %}{{ coupon('vip') }}{% endif %}Yours: {{ coupon('spring') }}"}}}  # fmt: skip


def test_a_text_that_stands_in_a_journey_shows_codes_and_keeps_their_pool(shop: Any) -> None:
    wrong = {**TEXTED, "nodes": {**TEXTED["nodes"], "mail": {"kind": "send_sms", "text": "{{ coupon('sprng') }}"}}}
    with pytest.raises(Invalid, match="Did you mean “spring”"):
        shop.publish(wrong)
    shop.publish(TEXTED)
    shop.effects = Effects(shop.engine, {"sms": MessageHandler(messaging(), shop.post, "sms")}, Breakers(shop.db))
    shop.walk(begin(shop, phone="+41791234567"))
    assert [one.text for one in shop.post.handed] == ["Yours: SPRING-1"]
    assert states(shop) == {"SPRING-1": "reserved"}
    with shop.db.write() as session:
        library.archive(session, "gift", "test", shop.now)
        with pytest.raises(Conflict, match=r"Live journeys take codes from this pool: Gift\."):
            coupons.remove(shop.engine, session, "vip", "test")


def test_a_message_without_a_code_is_skipped_by_name_and_gives_others_back(shop: Any) -> None:
    run = begin(shop, attributes={"plan": "pro"})
    shop.walk(run)
    [message] = shop.messages(run)
    assert (message.status, message.reason, shop.post.handed) == ("skipped", "coupon_none", [])
    coupon_codes.settle(shop.engine)
    assert states(shop) == {}


@contextmanager
def dying_before_commit(world: Any, number: int) -> Iterator[None]:
    left = number

    def commit(_connection: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Death

    event.listen(world.db.engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(world.db.engine, "commit", commit)


def test_whenever_the_process_dies_the_message_has_one_code(shop: Any) -> None:
    survived = False
    for number in range(1, 30):
        run = begin(shop)
        try:
            with dying_before_commit(shop, number):
                shop.walk(run)
            survived = True
        except Death:
            through(shop)
            shop.later(minutes=2)
            shop.walk(run)
        if survived:
            break
    assert number > 3, "reserve, claim and answer are commits of their own"
    run = begin(shop)
    shop.post.deadly = True
    with pytest.raises(Death):
        shop.walk(run)
    through(shop)
    shop.later(minutes=2)
    shop.walk(run)
    by_message: dict[str, set[str]] = {}
    for one in shop.post.handed:
        by_message.setdefault(one.message_id, set()).add(one.subject)
    assert len(by_message) == number + 1
    assert all(len(codes) == 1 for codes in by_message.values()), "a repeat shows the same code"
    coupon_codes.settle(shop.engine)
    assert states(shop) == {code: "sent" for codes in by_message.values() for code in codes}
    assert len(states(shop)) == number + 1, "no two messages share a code, and none is lost"


def test_a_look_a_test_and_staging_take_no_code(shop: Any) -> None:
    with shop.db.read() as session:
        shown = preview.proof(
            session,
            messaging(),
            "email",
            "transactional",
            {"default": {"subject": "{{ coupon('spring') }}", "mjml": MJML}},
            "default",
            shop.now,
        )
    assert shown.rendered is not None
    assert (shown.errors, shown.rendered.subject) == ([], SAMPLE)
    through(shop, hands_out_coupons=False)
    shop.walk(begin(shop))
    assert shop.post.handed[0].subject == SAMPLE
    assert states(shop) == {}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{{ coupon('sprng') }}", "There is no coupon pool “sprng”. Did you mean “spring”?"),
        ("{{ coupon() }}", "Write coupon"),
        ("{{ coupon(contact.pool) }}", "Write coupon"),
        ("{{ coupon }}", "Write coupon"),
        ("{% set c = coupon %}{{ c('spring') }}", "Write coupon"),
        ("{{ coupon(*['spring']) }}", "Write coupon"),
        ("{{ coupon('spring', 'vip') }}", "Write coupon"),
    ],
)
def test_a_template_names_a_pool_that_there_is(shop: Any, written: str, said: str) -> None:
    with pytest.raises(Invalid, match=said.replace("?", r"\?")):
        save(shop, MJML.replace("{{ coupon('spring') }}", written))


def test_a_pool_that_a_template_names_is_not_deleted(shop: Any) -> None:
    with shop.db.write() as session, pytest.raises(Conflict, match="Gift"):
        coupons.remove(shop.engine, session, "vip", "test")
