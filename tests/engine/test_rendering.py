"""Sending while templates are filled in elsewhere: what happens to a message when that process ends, or has too much to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError

from activities.providers import Outbox
from activities.rendering import RenderLimits, RenderPool
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.failures import BUSY
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from journeys.calls import activity_of
from models import OutboxItem

TEXTS = {
    "plain": "Hello {{ contact.first_name }}",
    "long": "{{ contact.first_name }}" * 10_000,
    "work": "{% for n in range(9000) %}{{ range(9000)|sum }}{% endfor %}",
    "large": "".join(f"{{% set a{n} = contact.notes.split('a') %}}" for n in range(35)),
}
"""Ordinary; takes a second to read; spends its budget; takes more memory than there is."""


PATIENT = RenderLimits(processes=2, cpu_seconds=600, deadline_seconds=600, wait_seconds=600)


@pytest.fixture
def pool() -> Iterator[RenderPool]:
    pool = RenderPool(PATIENT)
    yield pool
    pool.close()


@pytest.fixture
def small() -> Iterator[RenderPool]:
    """With little memory."""
    pool = RenderPool(replace(PATIENT, memory_bytes=24 * 2**20))
    yield pool
    pool.close()


def sends(world: Any, renderer: RenderPool, name: str, notes: str = "") -> str:
    """A run that stands before a mail with the text of that name."""
    messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>", renderer=renderer)
    performer = MessageHandler(messaging, Outbox(world.db, lambda: world.now), "email")
    world.effects = Effects(world.engine, {"email": performer}, Breakers(world.db))
    about: dict[str, Any] = {"name": name, "kind": "email", "message_class": "transactional"}
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>"
    variants = {"default": {"subject": "Hi", "mjml": mjml, "text": TEXTS[name]}}
    library.save(world.db, name, variants, actor="test", now=world.now, **about)
    world.publish(
        {
            "spec": 1, "key": name, "name": name, "entry": {"triggers": [{"type": "event", "event": name}]}, "start": "mail",
            "settings": {"message_class": "transactional"},
            "nodes": {"mail": {"kind": "send_email", "template": name}, "end": {"kind": "exit"}},
            "edges": [{"from": "mail", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
        }
    )  # fmt: skip
    return str(world.run(world.happens(world.contact(first_name="Ada", attributes={"notes": notes}), name)))


def outcome(world: Any, run: str) -> tuple[str, str]:
    [message] = world.messages(run)
    return message.status, message.reason


def outbox(world: Any) -> int:
    with world.db.read() as session:
        return len(session.scalars(select(OutboxItem)).all())


def test_a_process_killed_while_it_fills_a_message_in_costs_nothing(world: Any, pool: RenderPool) -> None:
    run = sends(world, pool, "long")
    pool.render_text("x", {})
    [pid] = pool.pids
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(world.perform, run)
        while pid not in pool.working:
            pass
        os.kill(pid, signal.SIGKILL)
        if stalled(sent):  # a slow machine: another process took so long to begin that the claim was too old
            world.perform(run)
    assert pid not in pool.pids
    assert outcome(world, run) == ("sent", "")
    assert outbox(world) == 1


def stalled(sent: Future[Any]) -> bool:
    """Whether the call came back to be tried again, as Temporal would."""
    error = sent.exception()
    if error is not None and not (isinstance(error, ApplicationError) and "stalled" in str(error)):
        raise error
    return error is not None


@pytest.mark.parametrize(("name", "notes", "reason"), [("work", "", "render_too_long"), ("large", "a" * 200_000, "render_too_large")])
def test_what_goes_over_a_limit_is_skipped_with_its_reason(world: Any, small: RenderPool, name: str, notes: str, reason: str) -> None:
    run = sends(world, small, name, notes)
    world.perform(run)
    assert outcome(world, run) == ("skipped", reason)
    assert outbox(world) == 0


def test_what_uses_its_cpu_time_up_is_skipped_and_the_next_message_goes(world: Any) -> None:
    pool = RenderPool(RenderLimits(processes=1, cpu_seconds=0.2, deadline_seconds=600, wait_seconds=600))
    hostile = sends(world, pool, "long")
    world.perform(hostile)
    assert outcome(world, hostile) == ("skipped", "render_too_long")
    ordinary = sends(world, pool, "plain")
    world.perform(ordinary)
    assert outcome(world, ordinary) == ("sent", "")
    pool.close()


def test_a_message_comes_back_when_nobody_can_fill_it_in(world: Any) -> None:
    """Nothing is recorded against it: the machine has too much to do."""
    pool = RenderPool(RenderLimits(processes=1, cpu_seconds=600, deadline_seconds=600, wait_seconds=0))
    run = sends(world, pool, "plain")
    pool.render_text("x", {})
    [pid] = pool.pids
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(pool.render_text, "x", {})
        while pid not in pool.working:
            pass
        with pytest.raises(ApplicationError) as caught:
            world.perform(run)
        os.kill(pid, signal.SIGCONT)
        other.result()
    assert (caught.value.type, caught.value.message) == (BUSY, "render_busy")
    assert world.messages(run) == []
    world.perform(run)
    assert outcome(world, run) == ("sent", "")
    pool.close()


def test_ordinary_messages_go_while_hostile_ones_stand(world: Any, small: RenderPool) -> None:
    """Twenty mails are all sent before the first of three hostile ones is through, which once went over a limit."""
    hostile = [sends(world, small, "large", "a" * 200_000)]
    world.perform(hostile[0])
    assert outcome(world, hostile[0]) == ("skipped", "render_too_large")
    hostile = [world.run(world.happens(world.contact(attributes={"notes": "a" * 200_000}), "large")) for _ in range(3)]
    sends(world, small, "plain")
    ordinary = [world.run(world.happens(world.contact(first_name=f"N{n}"), "plain")) for n in range(20)]
    small.render_text("x", {})
    [pid] = small.pids
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(3) as threads:
        standing = [threads.submit(world.perform, run, None, activity_of("email")) for run in hostile]
        while pid not in small.working:
            pass
        for run in ordinary:
            world.perform(run)
        assert [outcome(world, run)[0] for run in ordinary] == ["sent"] * 20
        assert not any(one.done() for one in standing)
        os.kill(pid, signal.SIGCONT)
        for one in standing:
            one.result()
    assert [outcome(world, run) for run in hostile] == [("skipped", "render_too_large")] * 3
