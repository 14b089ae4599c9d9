"""Every page of the product, one file each, and the one way to mount them."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from builder_ui import host, mail
from builder_ui.builder import gallery
from builder_ui.builder import page as builder
from builder_ui.pages import (
    account,
    audit,
    contact,
    contacts,
    journey,
    journeys,
    keys,
    outbox,
    outbox_item,
    rotations,
    run,
    secrets,
    setting,
    tasks,
    user,
    users,
)
from builder_ui.visit import House, Login, Post
from engine.live import Engine
from engine.wakeups import Wakeups

PAGES = (
    journeys.PAGE,
    journey.PAGE,
    run.PAGE,
    outbox.PAGE,
    outbox_item.PAGE,
    contacts.PAGE,
    contact.PAGE,
    tasks.PAGE,
    gallery.PAGE,
    builder.PAGE,
    account.PAGE,
    users.PAGE,
    user.PAGE,
    rotations.PAGE,
    keys.PAGE,
    secrets.PAGE,
    audit.PAGE,
    setting.PAGE,
)

__all__ = ["PAGES", "Login", "router"]


def router(
    engine: Engine,
    login: Login,
    wake: Callable[[Wakeups], None],
    public_url: str,
    language: str = "en",
    look_again_seconds: float = 30.0,
    post: Post = lambda _member, _purpose, _path: False,
    forget_keys: Callable[[], None] = lambda: None,
) -> APIRouter:
    """The pages as routes: `/`, `/ui/…`, `/_reactpy/…` and `/favicon.ico`. Include it last: it answers every address under `/ui`.

    `wake` tells Temporal what a commit brought and is called from worker threads; `language` is for people whose own is unknown. An open page
    asks every `look_again_seconds` whether its session still stands.
    """
    house = House(engine, login, wake, public_url.rstrip("/"), language, look_again_seconds, post, forget_keys)
    routes = host.routes(house, PAGES)
    routes.include_router(mail.routes(house))
    routes.include_router(account.routes(house))
    routes.include_router(audit.routes(house))
    routes.include_router(gallery.routes(house))
    routes.include_router(host.elsewhere(house, PAGES))
    return routes
