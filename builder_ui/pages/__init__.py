"""Every page of the product, one file each, and the one way to mount them."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from builder_ui import find, host, mail, tour
from builder_ui.builder import gallery
from builder_ui.builder import page as builder
from builder_ui.pages import contact, contacts, journey, journeys, migrate, outbox, outbox_item, run, search, tasks
from builder_ui.visit import House, Login
from engine.live import Engine
from engine.wakeups import Wakeups

PAGES = (
    journeys.PAGE,
    journey.PAGE,
    migrate.PAGE,
    run.PAGE,
    outbox.PAGE,
    outbox_item.PAGE,
    contacts.PAGE,
    contact.PAGE,
    tasks.PAGE,
    search.PAGE,
    gallery.PAGE,
    builder.PAGE,
)

__all__ = ["PAGES", "Login", "router"]


def router(
    engine: Engine,
    login: Login,
    wake: Callable[[Wakeups], None],
    public_url: str,
    language: str = "en",
    look_again_seconds: float = 30.0,
) -> APIRouter:
    """The pages as routes: `/`, `/ui/…`, `/_reactpy/…` and `/favicon.ico`. Include it last: it answers every address under `/ui`.

    `wake` tells Temporal what a commit brought and is called from worker threads; `language` is for people whose own is unknown. An open page
    asks every `look_again_seconds` whether its session still stands.
    """
    house = House(engine, login, wake, public_url.rstrip("/"), language, look_again_seconds)
    routes = host.routes(house, PAGES, tour.shown)
    routes.include_router(mail.routes(house))
    routes.include_router(gallery.routes(house))
    routes.include_router(find.routes(house))
    routes.include_router(tour.routes(house))
    routes.include_router(host.elsewhere(house, PAGES))
    return routes
