"""Every page of the product, one file each, and the one way to mount them."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from activities.accounts import Accounts
from activities.rendering.turns import Turns
from builder_ui import exports, tour
from builder_ui.app import host
from builder_ui.builder import page
from builder_ui.companies import detail as company
from builder_ui.companies import list as companies
from builder_ui.companies import new as new_company
from builder_ui.contacts import detail as contact
from builder_ui.contacts import duplicates, edit, import_forms, import_steps, imports
from builder_ui.contacts import list as contacts
from builder_ui.forms import detail as form
from builder_ui.forms import list as forms
from builder_ui.forms import new as new_form
from builder_ui.journeys import compare, drilldown, gallery, migrate, run
from builder_ui.journeys import detail as journey
from builder_ui.journeys import list as journeys
from builder_ui.kit.context import AppContext, Login, MailLink, Post
from builder_ui.messages import detail as message
from builder_ui.messages import list as messages
from builder_ui.outbox import detail as outbox_item
from builder_ui.outbox import list as outbox
from builder_ui.outbox import mail
from builder_ui.sales import tasks
from builder_ui.scoring import list as scoring_models
from builder_ui.scoring import model as scoring_model
from builder_ui.search import page as search
from builder_ui.search import suggest
from builder_ui.segments import detail as segment
from builder_ui.segments import list as segments
from builder_ui.segments import new as new_segment
from builder_ui.settings import (
    account,
    audit,
    intake,
    jobs,
    keys,
    logo,
    notices,
    provider_account,
    provider_accounts,
    rotations,
    secrets,
    sending_domains,
    setting,
    user,
    users,
    waiting_events,
)
from builder_ui.templates import coupon_forms, coupons, frames, listing, makers, picture_forms, pictures
from builder_ui.templates import page as template
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from storage.files import Room

PAGES = (
    journeys.PAGE,
    journey.PAGE,
    migrate.PAGE,
    run.PAGE,
    messages.PAGE,
    message.PAGE,
    outbox.PAGE,
    outbox_item.PAGE,
    contacts.PAGE,
    imports.PAGE,
    import_steps.PAGE,
    edit.NEW,
    duplicates.PAGE,
    contact.PAGE,
    companies.PAGE,
    new_company.PAGE,
    company.PAGE,
    segments.PAGE,
    new_segment.PAGE,
    segment.PAGE,
    forms.PAGE,
    new_form.PAGE,
    form.PAGE,
    scoring_models.PAGE,
    scoring_model.NEW,
    scoring_model.PAGE,
    tasks.PAGE,
    search.PAGE,
    gallery.PAGE,
    page.PAGE,
    listing.PAGE,
    makers.PAGE,
    pictures.PAGE,
    coupons.PAGE,
    template.PAGE,
    account.PAGE,
    users.PAGE,
    user.PAGE,
    rotations.PAGE,
    keys.PAGE,
    intake.PAGE,
    secrets.PAGE,
    audit.PAGE,
    setting.PAGE,
    notices.PAGE,
    sending_domains.PAGE,
    jobs.PAGE,
    waiting_events.PAGE,
    provider_accounts.PAGE,
    provider_account.PAGE,
    compare.DIFF,
    compare.DRAWING,
    drilldown.PAGE,
)

__all__ = ["PAGES", "Login", "Post", "router"]


def router(
    engine: Engine,
    login: Login,
    wake: Callable[[Wakeups], None],
    public_url: str,
    language: str = "en",
    look_again_seconds: float = 30.0,
    *,
    max_upload_bytes: int = 4_194_304,
    room: Room | None = None,
    post: Post | None = None,
    accounts: Accounts | None = None,
    mail_link: MailLink = lambda _member, _purpose, _path: False,
    forget_keys: Callable[[], None] = lambda: None,
    turns: Turns | None = None,
) -> APIRouter:
    """The pages as routes: `/`, `/ui/…`, `/_reactpy/…` and `/favicon.ico`. Include it last: it answers every address under `/ui`.

    `wake` tells Temporal what a commit brought and is called from worker threads; `language` is for people whose own is unknown. An open page
    asks every `look_again_seconds` whether its session still stands. Files of more than
    `max_upload_bytes` are refused where they come whole; those that come in parts have `room`.
    """
    app = AppContext(
        engine,
        login,
        wake,
        public_url.rstrip("/"),
        language,
        look_again_seconds,
        max_upload_bytes,
        room or Room(),
        post,
        mail_link,
        forget_keys,
        turns=turns or Turns(),
        accounts=accounts,
    )
    serving = host.Host(app, PAGES, tour.shown)
    routes = host.routes(serving)
    rooms = (mail, account, audit, logo, gallery, import_forms, makers, picture_forms, coupon_forms, frames, suggest, tour, exports)
    # As they are: `include_router` would hide them from a walk over the routes.
    for router in (*(room.routes(app) for room in rooms), host.shells(serving)):
        routes.routes += router.routes
    return routes
