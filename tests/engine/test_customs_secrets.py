"""Secrets of custom activities: the value reaches the function and nothing else, and what fails is tried again as the decorator says."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import inspect, text
from temporalio.exceptions import ApplicationError

from activities.custom.handler import CustomActivityHandler
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from commands.providers import accounts_of
from engine.engine import Engine
from journeys.calls import activity_of
from journeys.custom import CustomActivity, GiveUp, NoSecret, Result, Retry, Secret, activity
from journeys.errors import Invalid
from journeys.nodes import Palette
from settings import Settings
from worker import _reveal, build_performers, custom_performers
from workspace import secrets

VALUE = "sk_live_4711"
SHOP = activity_of("custom:shop@1")
JOURNEY = {
    "spec": 1,
    "key": "shop",
    "name": "Shop",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "a",
    "nodes": {"a": {"kind": "custom.shop", "input": {"key": "shop_key"}}, "end": {"kind": "exit"}},
    "edges": [{"from": "a", "to": "end"}],
}


class Shop(BaseModel):
    key: Secret


def shop(does: Callable[[Shop], Any], **options: Any) -> CustomActivity:
    @activity(name="shop", title="Shop", **options)
    def function(ctx, input: Shop) -> Any:
        return does(input)

    return function


def test_a_journey_that_names_no_secret_of_the_workspace_is_not_published(sqlite_world) -> None:
    with pytest.raises(Invalid, match="no secret “shop_key”"):
        started(sqlite_world, shop(raises), stored=False)


def started(world: Any, custom: CustomActivity, *, fake: bool = False, stored: bool = True) -> str:
    world.engine = Engine(world.db, world.engine.clock, Palette.built_in().with_kinds(custom.node), world.engine.address_keys)
    performers = custom_performers([custom], fake, None if fake else lambda name: _reveal(world.engine, name))
    world.effects = Effects(world.engine, performers, Breakers(world.db))
    if stored:
        with world.db.write() as session:
            secrets.put(session, world.engine.address_keys, "shop_key", VALUE, "test", world.now)
    world.publish(JOURNEY)
    run: str = world.run(world.happens(world.contact(), "Signed Up"))
    return run


def everything(world: Any) -> str:
    """All that the database holds, as text."""
    with world.db.read() as session:
        names = inspect(session.connection()).get_table_names()
        return json.dumps([[str(row) for row in session.execute(text(f'SELECT * FROM "{name}"'))] for name in names])


def test_the_value_reaches_the_function_and_nothing_else(world, caplog) -> None:
    got: list[str] = []
    caplog.set_level(logging.DEBUG)
    run = started(world, shop(lambda given: got.append(given.key.value)))
    moved = world.perform(run, activity=SHOP)
    assert got == [VALUE]
    assert moved.instruction["op"] == "end"
    assert "shop_key" in everything(world)
    assert VALUE not in everything(world) + caplog.text + repr(moved)


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (lambda given: Result("next", {"key": given.key.value}), "secret_in_answer"),
        (lambda given: Result("next", {"deep": [{f"Bearer {given.key.value}": 1}]}), "secret_in_answer"),
        (lambda given: Result("next", {"key": given.key}), "bad_data"),
        (lambda given: raises(GiveUp(f"refused {given.key.value}")), "secret_in_answer"),
        (lambda given: raises(ValueError(given.key.value)), "ValueError"),
    ],
)
def test_a_function_that_tells_the_value_is_stuck_and_tells_nobody(sqlite_world, caplog, does, reason) -> None:
    caplog.set_level(logging.DEBUG)
    run = started(sqlite_world, shop(does, retries=0))
    sqlite_world.perform(run, activity=SHOP)
    assert (sqlite_world.row(run).status, sqlite_world.row(run).reason) == ("stuck", reason)
    assert VALUE not in everything(sqlite_world) + caplog.text


def raises(error: BaseException) -> Any:
    raise error


def test_a_form_with_a_model_keeps_only_the_name(sqlite_world) -> None:
    run = started(sqlite_world, shop(lambda given: Result("next", {"form": given})))
    sqlite_world.perform(run, activity=SHOP)
    [message] = sqlite_world.messages(run)
    assert message.answer["data"]["form"] == {"key": "shop_key"}


def test_without_the_secret_the_function_is_not_called(sqlite_world) -> None:
    called: list[Shop] = []
    run = started(sqlite_world, shop(called.append))
    with sqlite_world.db.write() as session:
        secrets.remove(session, "shop_key", "test")
    sqlite_world.perform(run, activity=SHOP)
    assert (sqlite_world.row(run).reason, called) == ("no_secret:shop_key", [])


def test_staging_has_the_name_only(sqlite_world) -> None:
    seen: list[str] = []
    run = started(sqlite_world, shop(raises, fake=lambda given: seen.append(given.key.name)), fake=True)
    assert sqlite_world.perform(run, activity=SHOP).instruction["op"] == "end"
    asking = started(sqlite_world, shop(raises, fake=lambda given: seen.append(given.key.value)), fake=True)
    sqlite_world.perform(asking, activity=SHOP)
    assert (seen, sqlite_world.row(asking).reason) == (["shop_key"], "no_secret:shop_key")


def test_the_workers_of_staging_cannot_fetch_a_value(sqlite_world, tmp_path) -> None:
    custom = shop(raises)
    started(sqlite_world, custom)
    for workspace, can in (("staging", False), ("live", True)):
        settings = Settings(home=tmp_path, workspace=workspace, database_url="sqlite:///unused.db")
        performer = build_performers(settings, sqlite_world.engine, [custom], accounts_of(settings, sqlite_world.engine))[custom.channel]
        assert isinstance(performer, CustomActivityHandler)
        assert (performer.fake, performer.reveal is not None) == (not can, can)
        assert performer.reveal is None or performer.reveal("shop_key") == VALUE


def test_pauses_grow_as_the_decorator_says(sqlite_world) -> None:
    retry = Retry(timedelta(seconds=10), 3.0, timedelta(seconds=60), attempts=4)
    run = started(sqlite_world, shop(lambda given: raises(OSError()), retry=retry))
    pauses = []
    for _ in range(3):
        with pytest.raises(ApplicationError) as later:
            sqlite_world.perform(run, activity=SHOP)
        pauses.append(later.value.next_retry_delay)
    assert pauses == [timedelta(seconds=seconds) for seconds in (10, 30, 60)]
    sqlite_world.perform(run, activity=SHOP)
    assert (sqlite_world.row(run).status, sqlite_world.row(run).reason) == ("stuck", "OSError")


def test_what_is_useless_to_repeat_is_not_repeated(sqlite_world) -> None:
    run = started(sqlite_world, shop(lambda given: raises(FileNotFoundError()), retry=Retry(non_retryable=(OSError,))))
    sqlite_world.perform(run, activity=SHOP)
    assert (sqlite_world.row(run).status, sqlite_world.row(run).reason) == ("stuck", "FileNotFoundError")


def test_an_async_function_runs_and_is_cut_off_at_its_time_limit(sqlite_world) -> None:
    import asyncio

    cut: list[str] = []

    @activity(name="shop", title="Shop", timeout=timedelta(seconds=1), retries=0)
    async def function(ctx, input: Shop) -> Result:
        if cut:
            return Result("next", {"n": len(input.key.value)})
        try:
            await asyncio.Event().wait()
        finally:
            cut.append("off")
        raise AssertionError

    run = started(sqlite_world, function)
    sqlite_world.perform(run, activity=SHOP)
    assert (sqlite_world.row(run).reason, cut) == ("TimeoutError", ["off"])
    again = sqlite_world.run(sqlite_world.happens(sqlite_world.contact(), "Signed Up"))
    assert sqlite_world.perform(again, activity=SHOP).instruction["op"] == "end"
    assert sqlite_world.messages(again)[0].answer["data"]["n"] == len(VALUE)


def test_the_value_is_in_no_copy_of_it() -> None:
    import copy
    import pickle

    secret = Secret("shop_key", VALUE)
    assert VALUE not in repr(secret) + str(secret) + f"{Shop(key=secret)!r}{Shop(key=secret).model_dump_json()}"
    for other in (copy.deepcopy(secret), pickle.loads(pickle.dumps(secret))):
        assert other == secret
        with pytest.raises(NoSecret):
            other.value
