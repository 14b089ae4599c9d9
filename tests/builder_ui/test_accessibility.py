"""Every page as people who do not see, or see little, meet it: axe-core finds no serious mistake, on a desk in English, on a phone in German,
light and dark. With `--screens FOLDER` each look is kept as a picture.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlmodel import select

from activities.pictures import library as picture_library
from builder_ui.forms.ready import READY
from builder_ui.routes import PAGES
from builder_ui.tour import STEPS
from crm.companies import companies
from crm.coupons import pools as coupon_store
from crm.forms import forms, submissions
from crm.forms.definition import read_definition
from crm.forms.reading import read
from crm.forms.submissions import Sent
from crm.imports import uploads
from crm.jobs import WANTED, add_job
from crm.people.contacts import ContactFilter
from crm.scoring import models as scoring_models
from crm.segments import segments
from engine.companies import roller
from engine.enrolment.unrouted import entry_of, owe
from engine.jobs.worker import do_page
from models import ApiKey, Event, Import, Job, Member, OutboxItem, Restore
from storage.events import append_event
from tests.activities.pictures.test_file import photo
from tests.toy_provider import a_pigeon
from workspace import notices, sessions
from workspace.api_keys import add_key
from workspace.intake import Intake

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
WORST = ("serious", "critical")
LOOKS = {
    "desk": {"locale": "en-GB", "viewport": {"width": 1400, "height": 880}},
    "phone": {"locale": "de-CH", "viewport": {"width": 390, "height": 844}},
}
LANGUAGES = {"desk": "EN", "phone": "DE"}


def mail(town: Any) -> str:
    with town.db.read() as session:
        return str(session.scalars(select(OutboxItem.id).order_by(OutboxItem.id)).first())


def import_of(town: Any) -> str:
    """A file whose columns are still to be chosen."""
    with town.db.write() as session:
        row = session.scalars(select(Import)).first()
        if row is None:
            sent = uploads.read_sent("people.csv", b"E-Mail;Vorname;Stadt\r\nnora@example.org;Nora;Bern\r\n")
            row = uploads.take(session, sent, f"member:{town.members['admin']}", town.engine.clock.now(), town.engine.clock.now())
        return str(row.id)


def move(town: Any) -> str:
    """Where those who wait are moved; there are two versions from then on."""
    return town.without_two_days() if town.journey("welcome").live_version == 1 else "/ui/journeys/welcome/migrate?from=1&to=2"


def diff(town: Any) -> str:
    move(town)
    return "/ui/journeys/welcome/diff?from=1&to=2"


def work(town: Any) -> str:
    """Something to see among the long work."""
    with town.db.write() as session:
        input = {WANTED: ContactFilter(tag="vip").kept(), "tag": "fair", "added": True}
        add_job(session, "bulk_tag", "contacts", input, f"member:{town.members['marketer']}", town.engine.clock.now())
    return "/ui/settings/work"


def waiting_event(town: Any) -> str:
    """An event that could not start the journey it should have started."""
    with town.db.write() as session:
        event_id = session.scalar(select(Event.id).where(Event.type != "system").limit(1))
        owe(session, event_id, entry_of(town.journey("welcome").id), "journey_not_loaded", town.engine.clock.now())
    return "/ui/settings/events"


def invitation(town: Any) -> str:
    with town.db.write() as session:
        return str(sessions.mint(session, town.members["sales"], "reset", town.engine.clock.now()))


def refused(town: Any) -> str:
    """The page of a key of which every kind of problem is told."""
    with town.db.write() as session:
        key = session.scalar(select(ApiKey.id).where(ApiKey.name == "Refused")) or add_key(session, "server", "Refused", town.now)[0].id
    intake = Intake(town.db, lambda: town.now)
    intake.note(key, "refused", "Message Sent", "event", "reserved_name")
    intake.note(key, "left_out", "Identified", "email", "invalid_email")
    intake.note(key, "kept", "Order Completed", "total", "number")
    intake.flush()
    return f"/ui/settings/keys/{key}"


def told(town: Any) -> str:
    """Notices that went out, one of them in vain."""
    now = town.engine.clock.now()
    with town.db.write() as session:
        if not notices.listed(session):
            notices.test(session, "test", town.members["admin"], now)
            notices.account_stopped(session, "smtp.default", "smtp_535", now, now)
            for row, route in zip(notices.due(session, now), ("webhook", "mail"), strict=True):
                notices.settle(session, row, [(route, town.members["admin"] if route == "mail" else "")], now)
            first, second = notices.to_deliver(session, now)
            notices.give_up(session, first, "failed", "http_404")
            notices.give_up(session, second, "sent", "")
    return "/ui/settings/notices"


def restored(town: Any) -> str:
    """The list of messages above which a restore waits for a decision."""
    with town.db.read() as session:
        was_restored = session.scalar(select(Restore.id)) is not None
    if not was_restored:
        town.restored("Rita", "Samir", "Tom")
    return "/ui/messages"


def pictures(town: Any) -> str:
    """Three pictures, one of them described."""
    with town.db.read() as session:
        there = picture_library.find(session, limit=1)
    for n, (width, height) in enumerate([] if there else [(640, 420), (300, 300), (900, 200)]):
        alt = {"en": "A gradient", "de": "Ein Farbverlauf"} if n == 0 else {}
        picture_library.add(town.db, photo(height, width), f"picture {n + 1}.jpg", "test", town.engine.clock.now(), alt)
    return "/ui/pictures"


def coupon_pools(town: Any) -> str:
    """A pool with codes, and one that is running out of them."""
    with town.db.write() as session:
        there = coupon_store.names(session)
        for key, about in (("spring", {"fallback": "Ask us"}), ("birthday", {"per_contact": True, "expires_at": town.now})):
            coupon_store.put(session, key, "test", town.now, name=key.title(), low_at=5, **about)
    if not there:
        coupon_store.generate(town.db, "spring", 20, "test", prefix="SPRING-")
        coupon_store.add_codes(town.db, "birthday", ["HAPPY-1"], "test")
    return "/ui/coupons"


def segment(town: Any, view: str = "") -> str:
    """Three segments: one by a rule, one that asks for it, and a list kept by hand with one person on it."""
    now = town.engine.clock.now()
    leads = {"combinator": "and", "rules": [{"field": "lifecycle_stage", "operator": "=", "value": "lead"}]}
    asking = {"combinator": "and", "rules": [{"segment": "leads", "member": False}]}
    with town.db.write() as session:
        there = segments.keys(session)
        for key, rule in {"leads": leads, "others": asking, "jury": None}.items():
            if key not in there:
                segments.create(session, key.title(), rule, "test", now, key=key, description="For example")
        segments.put_in(session, "jury", [town.people["Anna"]], "test", now)
        waiting = list(session.scalars(select(Job.id).where(Job.kind == segments.FILL, Job.state == "running")))
    for job in waiting:
        do_page(town.engine, job)
    return f"/ui/segments/leads{view.format(contact=town.people['Anna'])}"


def form(town: Any, view: str = "") -> str:
    """A live form that three people and a program filled in, one of whom is known already, and a draft."""
    now, db = town.engine.clock.now(), town.db
    with db.write() as session:
        if "contact" not in forms.keys(session):
            made = forms.create(
                session,
                "Contact us",
                {**READY["contact"].definition, "hosts": ["www.example.org"], "plain": True},
                "test",
                now,
                key="contact",
            )
            forms.create(session, "Call me back", READY["call"].definition, "test", now, key="call")
            forms.move(session, "contact", "live", "test", now)
            asked = read_definition(made.definition)
            for number, address in enumerate(("a@example.org", "b@example.org", "anna@mail.example.org")):
                values = {"email": [address], "first_name": ["Ada"], "last_name": ["Hess"], "message": ["Hello there"], "news": ["yes"]}
                sent = Sent(made, asked, 1, read(asked, values, (), "en"), f"n{number}", "en", "https://www.example.org/contact")
                submissions.submit(session, sent, now)
            submissions.spam(session, made, now)
    return f"/ui/forms/contact{view}"


def segment_list(town: Any) -> str:
    return segment(town).rpartition("/")[0]


LEADS: dict[str, Any] = {
    "rules": [
        {"id": "lead", "name": "Is a lead", "group": "fit", "points": 45, "rule": {"field": "lifecycle_stage", "operator": "=", "value": "lead"}},
        {
            "id": "orders",
            "group": "engagement",
            "points": 10,
            "event": "Order Completed",
            "where": {"combinator": "and", "rules": [{"field": "total", "operator": ">=", "value": 50}]},
            "most_per": {"points": 20, "per": "day"},
            "decay": {"kind": "half_life", "days": 30},
        },
    ],
    "thresholds": [
        {"id": "warm", "name": "Warm", "group": "fit", "at_least": 40, "actions": [{"kind": "create_task", "title": "Call", "sla": "PT2H"}, {"kind": "notify_of_score"}]}
    ],
    "grading": {},
}  # fmt: skip


def scoring(town: Any) -> str:
    """A model that has scored everybody, and was changed once."""
    now = town.engine.clock.now()
    with town.db.write() as session:
        there = [one.key for one in scoring_models.listed(session)]
        if not there:
            scoring_models.create(session, "Leads", LEADS, "test", now, key="leads", description="For example")
            changed = {**LEADS, "rules": [{**LEADS["rules"][0], "points": 50}, LEADS["rules"][1]]}
            scoring_models.change(session, "leads", "test", now, definition=changed)
        waiting = list(session.scalars(select(Job.id).where(Job.kind == scoring_models.SCORE, Job.state == "running")))
    for job in waiting:
        do_page(town.engine, job)
    return "/ui/scoring/leads"


def scored(town: Any) -> str:
    """Anna, who has points by the model's rules."""
    scoring(town)
    return str(town.people["Anna"])


def company(town: Any, view: str = "") -> str:
    """Two companies, one of them with two people, an order and fields."""
    with town.db.write() as session:
        now = town.engine.clock.now()
        known = companies.find(session, companies.Said("acme"))
        if known is None:
            wanted = {"industry": "Tools", "employees": 12, "plan": "pro"}
            known = companies.create(session, "Acme AG", "test", now, external_id="acme", domains=["acme.example"], fields=wanted).id
            companies.create(session, "Acme Deutschland GmbH", "test", now, domains=["acme.de"])
            for name in ("Anna", "Ben"):
                companies.assign_many(session, [town.people[name]], known, "test", now)
            append_event(session, town.people["Anna"], "track", "Order Completed", {"revenue": 249.5, "currency": "EUR"}, now)
    roller.settle(town.engine)
    return f"/ui/companies/{known}{view}"


EXAMPLES: dict[str, Callable[[Any], str]] = {
    "/ui/forms": lambda town: form(town).rpartition("/")[0],
    "/ui/forms/{key}": form,
    "/ui/new-form": lambda town: "/ui/new-form",
    "/ui/scoring": lambda town: scoring(town).rpartition("/")[0],
    "/ui/scoring/{key}": scoring,
    "/ui/companies": lambda town: company(town).rpartition("/")[0],
    "/ui/companies/{id}": company,
    "/ui/segments": segment_list,
    "/ui/segments/{key}": segment,
    "/ui/new-segment": lambda town: "/ui/new-segment?from=at_risk",
    "/ui/settings/accounts/{account}": lambda town: a_pigeon(town),
    "/ui/journeys/{key}": lambda town: "/ui/journeys/welcome",
    "/ui/journeys/{key}/edit": lambda town: "/ui/journeys/cart_abandonment/edit",
    "/ui/journeys/{key}/people": lambda town: "/ui/journeys/welcome/people?node=hello&what=sent",
    "/ui/journeys/{key}/drawing": lambda town: "/ui/journeys/welcome/drawing?version=1",
    "/ui/journeys/{key}/migrate": move,
    "/ui/journeys/{key}/diff": diff,
    "/ui/runs/{id}": lambda town: f"/ui/runs/{town.run_of('Anna')}",
    "/ui/messages/{id}": lambda town: f"/ui/messages/{town.message()}",
    "/ui/outbox/{id}": lambda town: f"/ui/outbox/{mail(town)}",
    "/ui/contacts/{id}": lambda town: f"/ui/contacts/{town.people['Anna']}",
    "/ui/contacts/import/{id}": lambda town: f"/ui/contacts/import/{import_of(town)}",
    "/ui/tasks": lambda town: "/ui/tasks?owner=all",
    "/ui/search": lambda town: "/ui/search?q=anna",
    "/ui/settings/users/{id}": lambda town: f"/ui/settings/users/{town.members['sales']}",
    "/ui/settings/keys/{id}": refused,
    "/ui/settings/work": work,
    "/ui/settings/events": waiting_event,
    "/ui/settings/notices": told,
    "/ui/settings/workspace/{name}": lambda town: "/ui/settings/workspace/quiet_hours",
    "/ui/coupons": coupon_pools,
    "/ui/pictures": pictures,
    "/ui/templates/{key}": lambda town: "/ui/templates/welcome-1-hello",
}
"""The path of a page -> an address of it in the town that has something to show. A path with arguments fails without one."""

FURTHER: dict[str, Callable[[Any], str]] = {
    "/ui/journeys/{key}/edit-path": lambda town: f"/ui/journeys/welcome/edit?run={town.run_of('Anna')}",
    "/ui/journeys/{key}-versions": lambda town: f"{move(town).partition('/migrate')[0]}?tab=versions",
    "/ui/journeys/{key}-back": lambda town: f"{move(town).partition('/migrate')[0]}?tab=versions&back=1",
    "/ui/journeys/{key}-days": lambda town: "/ui/journeys/welcome?tab=days",
    "/ui/journeys/{key}-stuck": lambda town: "/ui/journeys/birthday?tab=stuck",
    "/ui/messages-restored": restored,
    "/ui/contacts-filters": lambda town: "/ui/contacts?stage=lead",
    "/ui/settings/workspace/sender": lambda town: "/ui/settings/workspace/sender",
    "/ui/settings/workspace/appearance": lambda town: "/ui/settings/workspace/appearance",
    "/ui/nowhere": lambda town: "/ui/nowhere",
    "/ui/forms/{key}-submissions": lambda town: form(town, "?view=submissions"),
    "/ui/forms/{key}-days": lambda town: form(town, "?view=days"),
    "/ui/forms/{key}-embed": lambda town: form(town, "?view=embed"),
    "/ui/scoring/{key}-history": lambda town: f"{scoring(town)}?view=history",
    "/ui/contacts/{id}-mail": lambda town: f"/ui/contacts/{town.people['Anna']}?view=mail",
    "/ui/contacts/{id}-scores": lambda town: f"/ui/contacts/{scored(town)}?view=scores",
    "/ui/companies/{id}-timeline": lambda town: company(town, "?view=timeline"),
    "/ui/companies/{id}-edit": lambda town: company(town, "?view=edit&find=acme"),
    "/ui/contacts/{id}-company": lambda town: f"/ui/contacts/{town.people['Anna']}?view=company&company=acme",
    "/ui/settings/workspace/companies": lambda town: "/ui/settings/workspace/companies",
    "/ui/segments/{key}-why": lambda town: segment(town, "?view=why&contact={contact}"),
    "/ui/segments/{key}-overlap": lambda town: segment(town, "?view=overlap&with=jury"),
    "/ui/segments/{key}-rule": lambda town: segment(town, "?view=rule"),
}
"""Name -> an address; other looks of the same pages."""

DOORS: dict[str, Callable[[Any], str]] = {
    "/login": lambda town: "/login",
    "/login/{token}": lambda town: "/login/spent",
    "/password": lambda town: "/password",
    "/password/{token}": invitation,
    "/ui/journeys-stranger": lambda town: "/ui/journeys",
}
"""Name -> an address, for those who are not in yet."""


def address(path: str, town: Any) -> str:
    assert path in EXAMPLES or path in FURTHER or "{" not in path, (
        f"expected an example of {path} in EXAMPLES, so that the page is looked at"
    )
    return {**EXAMPLES, **FURTHER}[path](town) if path in EXAMPLES or path in FURTHER else path


@pytest.fixture(scope="module", params=LOOKS)
def look(request: pytest.FixtureRequest, site: Any, chrome: Browser) -> Iterator[tuple[str, Page]]:
    """How somebody looks at all the pages, and the browser's window."""
    context = site.context(chrome, **LOOKS[request.param], reduced_motion="reduce")
    with site.served():
        page = context.new_page()
        page.goto(site.link("admin"))
        page.get_by_role("button").click()
        expect(page.locator("#app h1").first).to_be_visible()
        if request.param == "phone":
            page.get_by_role("button", name="Menu").click()
        page.get_by_role("button", name=LANGUAGES[request.param], exact=True).click()
        expect(page.locator("html")).to_have_attribute("lang", LANGUAGES[request.param].lower())
        yield request.param, page
        context.close()


@pytest.mark.parametrize("path", [*(page.path for page in PAGES), *FURTHER])
def test_no_page_keeps_anybody_out(path: str, look: tuple[str, Page], site: Any, pytestconfig: pytest.Config) -> None:
    name, page = look
    page.emulate_media(color_scheme="light")
    page.goto(address(path, site.town))
    expect(page.locator("#app h1, main h1").first).to_be_visible()
    expect(page.locator("#app > *, main > *").first).to_be_visible()
    if path.endswith("-path"):
        expect(page.locator(".pfb-visit").first).to_be_attached()
        expect(page.locator(".pfb-sheet .react-flow__node").first).to_be_attached()
    elif "/edit" in path:
        expect(page.locator(".react-flow__node").first).to_be_in_viewport()
    elif path == "/ui/templates/{key}":
        holds(page, pytestconfig, path, name)
        page.locator(".blk-one[aria-label=Text]").first.click()
        expect(page.locator(".blk-acts")).to_be_visible()
    holds(page, pytestconfig, path, name)


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("name", LOOKS)
def test_no_door_keeps_anybody_out(path: str, name: str, site: Any, chrome: Browser, pytestconfig: pytest.Config) -> None:
    context = site.context(chrome, **LOOKS[name], reduced_motion="reduce")
    with site.served():
        page = context.new_page()
        page.goto(DOORS[path](site.town))
        expect(page.locator("h1")).to_be_visible()
        holds(page, pytestconfig, path, name)
        context.close()


def test_the_tour_keeps_nobody_out(look: tuple[str, Page], site: Any, pytestconfig: pytest.Config) -> None:
    name, page = look
    with site.town.db.write() as session:
        session.get_one(Member, site.town.members["admin"]).preferences = {}
    try:
        page.emulate_media(color_scheme="light")
        page.goto("/ui/journeys")
        for number in range(len(STEPS)):
            expect(page.get_by_role("dialog").get_by_role("heading")).to_be_focused()
            expect(page.locator("#app h1").first).to_be_visible()
            holds(page, pytestconfig, f"tour-{number + 1}", name)
            page.get_by_role("dialog").get_by_role("button").first.click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    finally:
        with site.town.db.write() as session:
            session.get_one(Member, site.town.members["admin"]).preferences = {"tour": "done"}


def holds(page: Page, config: pytest.Config, path: str, look: str) -> None:
    """Nothing serious is wrong with what is shown, in the light or in the dark."""
    page.emulate_media(color_scheme="light")
    found = audit(page)
    keep(page, config, path, look, "light")
    page.emulate_media(color_scheme="dark")
    found += audit(page, "color-contrast")
    keep(page, config, path, look, "dark")
    for line in (line for impact, line in found if impact not in WORST):
        print(line)
    assert [line for impact, line in found if impact in WORST] == []


def audit(page: Page, *rules: str) -> list[tuple[str, str]]:
    """What axe finds: (impact, what is wrong and where). Mails in their frames are their senders' business."""
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE)
    options: dict[str, Any] = {"resultTypes": ["violations"], "iframes": False}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    result = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        (violation["impact"], f"{violation['impact']}: {violation['id']}: {node['target']} {node['html'][:160]} {_why(node)}")
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


def _why(node: Any) -> str:
    return "; ".join(check["message"] for check in [*node["any"], *node["all"], *node["none"]])[:240]


def keep(page: Page, config: pytest.Config, path: str, look: str, scheme: str) -> None:
    """A picture of the page as it is shown, three quarters of its size, if pictures are wanted."""
    folder = config.getoption("--screens")
    if folder:
        name = path.removeprefix("/ui/").removeprefix("/").replace("{", "").replace("}", "").replace("/", "-")
        page.wait_for_timeout(400)  # what moves comes to rest
        clip = {"x": 0, "y": 0, **LOOKS[look]["viewport"], "scale": 0.75}
        picture = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "png", "clip": clip})
        (Path(folder) / f"{name}-{look}-{scheme}.png").write_bytes(b64decode(picture["data"]))
