"""A marketer's day in a real browser, from an empty canvas to people on their way, by mouse and by keyboard; and the days on which things go wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import delete
from sqlmodel import select

from api.tracking.write_keys import add_key
from crm.people.profile import add_tag
from engine.versions import publish
from models import LoginSession, Run
from tests.builder_ui.browsing import eventually
from tests.builder_ui.drawing import (
    at_rest,
    begin,
    choose,
    connect,
    drag_onto,
    drag_to,
    edges,
    fill_in,
    find,
    follow,
    go_live,
    into_form,
    offer,
    pick,
    press,
    saved,
    settle,
    skip,
    step,
    stored,
    tab_to,
    write,
)

WRITE_KEY = "pfw_day_0123456789abcdef"


@pytest.fixture
def page(site: Any, chrome: Browser) -> Iterator[Page]:
    """Mara, the marketer, has come in; whatever the page complains about fails the day."""
    context = site.context(chrome)
    with site.served():
        page = site.log_in(context, "marketer")
        heard: list[str] = []
        page.on("console", lambda message: heard.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: heard.append(str(error)))
        yield page
        context.close()
    assert heard == []


@pytest.fixture(scope="module", autouse=True)
def shop(site: Any) -> None:
    """The shop may send events."""
    with site.town.db.write() as session:
        add_key(session, "server", "Shop", site.town.engine.clock.now(), WRITE_KEY)


# --- a good day ------------------------------------------------------------------------------------------------------------


def test_a_day_with_the_mouse(page: Page, site: Any) -> None:
    draw_by_mouse(page, site)
    go_live(page, 1)
    people_enter(page, site)
    look_at_one_of_them(page)
    change_it(page, site)
    hold_it_and_let_it_go_on(page, site)


def draw_by_mouse(page: Page, site: Any) -> None:
    """A cart is left behind: wait, ask whether it is a good customer, write to the one and score the other."""
    begin(page, "carts")
    pick(page, "Who enters")
    page.get_by_role("button", name="Add: Event happens").click()
    page.locator("#pfb-entry-entry-triggers-0-event").fill("Cart Left")
    page.locator("#pfb-entry-entry-triggers-0-event").press("Enter")
    expect(step(page, "Who enters")).to_contain_text("Cart Left")

    drag_onto(page, "Wait", "$entry:next")
    expect(step(page, "Wait")).to_be_visible()
    pick(page, "Wait")
    write(page, "How long", "2")
    expect(step(page, "Wait")).to_contain_text("2 days")

    drag_onto(page, "If / else", "wait:next")
    pick(page, "If / else")
    saved(page)
    page.get_by_role("button", name="Add a condition: Tag").click()
    saved(page)
    write(page, "Tag", "gold")
    expect(page.locator(".pfb-sentence")).to_contain_text("has the tag gold")
    expect(step(page, "If / else")).to_contain_text("gold")

    drag_onto(page, "Send e-mail", "if_else:yes")
    pick(page, "Send e-mail")
    write(page, "Name", "Reminder")
    expect(step(page, "Reminder")).to_be_visible()
    page.locator("#pfb-send_email-template").select_option("welcome-1-hello")

    # Half of the others get points: a split, one arm of which is led round by its handles.
    page.get_by_role("button", name="Add a step after “no”").click()
    page.get_by_role("combobox", name="Search steps").fill("split")
    page.keyboard.press("Enter")
    expect(step(page, "Split")).to_be_visible()
    saved(page)
    page.keyboard.press("Escape")
    see_everything(page)
    drag_to(page, "Change score", 90, 700)
    score = step(page, "Change score")
    expect(score).to_be_visible()
    saved(page)
    see_everything(page)
    connect(page, "Split", "a", "Change score")
    connect(page, "Change score", "next", "Exit")
    connect(page, "Split", "b", "Exit")
    pick(page, "Change score")
    write(page, "Points", "10")
    settle(page)
    saved(page)
    drawn = edges(stored(site.town, "carts"))
    assert {("wait", "next", "if_else"), ("if_else", "yes", "send_email"), ("if_else", "no", "split")} <= drawn
    assert {("split", "a", "change_score"), ("split", "b", "exit"), ("change_score", "next", "exit")} <= drawn


ALL_IN_VIEW = """() => {
  const pane = document.querySelector('.react-flow').getBoundingClientRect();
  return [...document.querySelectorAll('.react-flow__node')].every((node) => {
    const { top, bottom, left, right } = node.getBoundingClientRect();
    return top >= pane.top && bottom <= pane.bottom && left >= pane.left && right <= pane.right;
  });
}"""


def see_everything(page: Page) -> None:
    for _ in range(2):  # everything, or only what can be read of it: then once more
        at_rest(page)
        page.locator(".react-flow__controls-fitview").click()
        at_rest(page)
        if page.evaluate(ALL_IN_VIEW):
            return


def people_enter(page: Page, site: Any) -> None:
    """Events come in through the tracking API, and the numbers on the canvas follow without a reload."""
    page.get_by_role("button", name="Metrics").click()
    expect(figure(page, "Wait", "0 waiting here now")).to_be_visible()
    town = site.town
    town.now = town.engine.clock.now()
    for first in ("Wanda", "Xaver"):
        town.person(first, "Winter", timezone="Europe/Zurich")
        leaves_a_cart(site, first)
    expect(figure(page, "Wait", "2 waiting here now")).to_be_visible()
    with town.db.read() as session:
        runs = session.scalars(select(Run.id).where(Run.journey_id == town.journey("carts").id).order_by(Run.id)).all()
    assert list(site.woken.wakeups.starts)[-2:] == list(runs)
    town.walk(runs[0], town.now + timedelta(days=365))
    expect(figure(page, "Wait", "1 waiting here now")).to_be_visible()
    expect(figure(page, "Wait", "2 entered so far")).to_be_visible()
    expect(figure(page, "If / else", "1 entered so far")).to_be_visible()


def leaves_a_cart(site: Any, first: str) -> None:
    answer = httpx.post(
        f"{site.settings.public_url}/v1/track",
        json={"userId": first.lower(), "event": "Cart Left", "properties": {"cart_id": f"cart-{first}"}},
        auth=(WRITE_KEY, ""),
        timeout=30,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text


def look_at_one_of_them(page: Page) -> None:
    page.goto("/ui/contacts")
    page.get_by_role("searchbox").fill("xaver")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name="Xaver Winter").click()
    expect(page.get_by_role("heading", name="Xaver Winter", level=1)).to_be_visible()
    expect(page.get_by_text("Cart Left").first).to_be_visible()
    page.locator('#app a[href^="/ui/runs/"]').first.click()
    expect(page.get_by_role("link", name="Journey carts").first).to_be_visible()
    expect(page.get_by_role("heading", name="Xaver Winter", level=1)).to_be_visible()


def change_it(page: Page, site: Any) -> None:
    """The wait is longer from now on: version 2."""
    page.goto("/ui/journeys/carts/edit")
    expect(step(page, "Wait")).to_be_visible()
    pick(page, "Wait")
    write(page, "How long", "3")
    expect(step(page, "Wait")).to_contain_text("3 days")
    saved(page)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="This will change")).to_be_visible()
    expect(page.get_by_text("Contacts in it now: 1.")).to_be_visible()
    page.get_by_role("button", name="Publish now").click()
    expect(page.get_by_text("Version 2 is live.")).to_be_visible()
    assert site.town.journey("carts").live_version == 2


def hold_it_and_let_it_go_on(page: Page, site: Any) -> None:
    page.goto("/ui/journeys/carts")
    page.get_by_text("Pause", exact=True).click()
    page.get_by_role("button", name="Pause now").click()
    expect(page.get_by_text("Paused", exact=True).first).to_be_visible()
    assert site.town.journey("carts").state == "paused"
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Live", exact=True).first).to_be_visible()
    assert site.town.journey("carts").state == "live"


# --- the days after --------------------------------------------------------------------------------------------------------

BASKETS: dict[str, Any] = {
    "spec": 1,
    "key": "baskets",
    "name": "Baskets",
    "entry": {"triggers": [{"type": "event", "event": "Basket Left"}]},
    "start": "good",
    "nodes": {
        "good": {"kind": "if_else", "name": "Good customer?", "rule": {"tag": "gold"}},
        "patience": {"kind": "wait", "name": "Two days", "duration": "P2D"},
        "reminder": {"kind": "send_email", "name": "Reminder", "template": "welcome-1-hello"},
        "exit": {"kind": "exit"},
    },
    "edges": [
        {"from": "good", "outlet": "yes", "to": "patience"},
        {"from": "good", "outlet": "no", "to": "exit"},
        {"from": "patience", "outlet": "next", "to": "reminder"},
        {"from": "reminder", "outlet": "sent", "to": "exit"},
    ],
}


def test_the_days_after(page: Page, site: Any) -> None:
    """The journey is live. People come, are looked at one by one; it is changed, they are moved, and everything is taken back."""
    town = site.town
    town.now = town.engine.clock.now()
    with town.db.write() as session:
        publish.create_journey(session, BASKETS, "test", town.now)
        publish.publish(town.engine, session, "baskets", "test", "", town.now)
    numbers_grow(page, town)
    behind_a_number(page)
    the_way_of_one(page)
    another_wait(page, town)
    what_differs(page)
    go_live(page, 2)
    those_who_wait_are_moved(page, town)
    and_put_back(page, town)
    back_to_the_first(page, town)


def numbers_grow(page: Page, town: Any) -> None:
    """Three come in, two of them good customers; the canvas counts them while it is looked at."""
    page.goto("/ui/journeys/baskets/edit")
    page.get_by_role("button", name="Metrics").click()
    expect(figure(page, "Who enters", "0 entered so far")).to_be_visible()
    for first in ("Yara", "Yves", "Yoko"):
        id = town.person(first, "Yilmaz", timezone="Europe/Zurich")
        if first != "Yoko":
            with town.db.write() as session:
                add_tag(session, id, "gold", town.now, "test")
        for run in town.happens(first, "Basket Left"):
            town.walk(run, town.now)
    expect(figure(page, "Who enters", "3 entered so far")).to_be_visible()
    expect(figure(page, "Who enters", "2 in the journey now")).to_be_visible()
    expect(figure(page, "Two days", "2 waiting here now")).to_be_visible()
    expect(figure(page, "Good customer?", "3 entered so far")).to_be_visible()


def figure(page: Page, name: str, said: str) -> Locator:
    """A number on a card, as it is read out."""
    return step(page, name).locator(".pfb-counts").get_by_role("link", name=said)


def behind_a_number(page: Page) -> None:
    """The number is a link, and behind it are the contacts."""
    figure(page, "Two days", "2 waiting here now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting at “Two days”")
    expect(page.get_by_role("link", name="Yara Yilmaz")).to_be_visible()
    expect(page.get_by_role("link", name="Yves Yilmaz")).to_be_visible()
    expect(page.get_by_role("link", name="Yoko Yilmaz")).to_have_count(0)


def the_way_of_one(page: Page) -> None:
    """From the list to the contact's path on the canvas: the times, what was decided, and when it goes on."""
    page.get_by_role("row").filter(has=page.get_by_role("link", name="Yves Yilmaz")).get_by_role("link", name="Show on the canvas").click()
    drawing = page.locator(".pfb-sheet")
    decided = drawing.locator(".react-flow__node").filter(has_text="Good customer?")
    expect(decided).to_contain_text(re.compile(r"\d\d:\d\d: yes"))
    here = drawing.locator(".react-flow__node").filter(has_text="Two days")
    expect(here).to_contain_text("Here now")
    expect(here).to_contain_text(re.compile(r"Continues .*\d\d:\d\d"))
    story = page.get_by_role("region", name="What happened")
    expect(story).to_contain_text("Yves Yilmaz")
    expect(story).to_contain_text("has the tag gold")
    page.get_by_role("button", name="Show visit 2 on the canvas").click()
    expect(here.locator(".pfb-selected")).to_be_visible()
    page.get_by_role("button", name="Back to canvas").click()
    expect(page.locator(".pfb-sheet")).to_have_count(0)


def another_wait(page: Page, town: Any) -> None:
    """The wait is thrown away, and a shorter one set in its place: another step, so that nobody knows where those who wait belong."""
    step(page, "Two days").click()
    page.keyboard.press("Delete")
    expect(step(page, "Two days")).to_have_count(0)
    drag_onto(page, "Wait", "good:yes")
    pick(page, "Wait")
    write(page, "How long", "1")
    write(page, "Name", "One day")
    expect(step(page, "One day")).to_contain_text("1 day")
    saved(page)
    assert {("good", "yes", "wait"), ("wait", "next", "reminder")} <= edges(stored(town, "baskets"))


def what_differs(page: Page) -> None:
    """The draft beside what is live, step by step, before it goes out."""
    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Compare versions").click()
    expect(step(page, "One day").locator(".pfb-t-added")).to_contain_text("new")
    expect(step(page, "Two days").locator(".pfb-t-removed")).to_contain_text("gone")
    page.get_by_role("complementary", name="Differences").get_by_role("button", name=re.compile("The step One day was added")).click()
    expect(step(page, "One day").locator(".pfb-selected")).to_be_visible()
    page.goto("/ui/journeys/baskets/edit")
    expect(step(page, "One day")).to_be_visible()


def those_who_wait_are_moved(page: Page, town: Any) -> None:
    """From the versions: a place for everybody, a look at what would happen, then the thing itself, watched until it is done."""
    versions(page)
    version(page, 1).get_by_role("link", name="Move contacts").click()
    page.get_by_label(re.compile("Two days")).select_option(label="One day")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_text("2 wait at Two days → One day")).to_be_visible()
    assert where(town) == {"Yara": (1, "patience"), "Yves": (1, "patience")}, "a dry run moves nobody"
    page.get_by_text("Move 2 contacts").click()
    page.get_by_role("button", name="Move now").click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("2 were moved.")
    assert where(town) == {"Yara": (2, "wait"), "Yves": (2, "wait")}


def and_put_back(page: Page, town: Any) -> None:
    result = page.get_by_role("region", name="Result")
    result.get_by_text("Roll back", exact=True).click()
    result.get_by_role("button", name="Move back").click()
    expect(result).to_contain_text("2 were moved back.")
    assert where(town) == {"Yara": (1, "patience"), "Yves": (1, "patience")}


def back_to_the_first(page: Page, town: Any) -> None:
    """Version 1 is published once more, as version 3."""
    versions(page)
    version(page, 1).get_by_role("link", name="Roll back").click()
    expect(page.get_by_role("heading", name="Roll back to version 1?")).to_be_visible()
    page.get_by_role("button", name="Roll back now").click()
    expect(page.get_by_role("status")).to_contain_text("The earlier version is live again, as a new version.")
    expect(page.get_by_role("heading", name="Version 3", exact=True)).to_be_visible()
    assert town.journey("baskets").live_version == 3
    assert stored(town, "baskets").nodes["patience"]["duration"] == "P2D"
    assert where(town) == {"Yara": (1, "patience"), "Yves": (1, "patience")}


def versions(page: Page) -> None:
    page.goto("/ui/journeys/baskets?tab=versions")


def version(page: Page, number: int) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=f"Version {number}", exact=True))


def where(town: Any) -> dict[str, tuple[int, str]]:
    """First name -> (version, step) of those inside."""
    names = {id: first for first, id in town.people.items()}
    with town.db.read() as session:
        journey = publish.get_journey(session, "baskets")
        inside = session.scalars(select(Run).where(Run.journey_id == journey.id, Run.status == "active"))
        return {names[run.contact_id]: (run.version_number, run.node) for run in inside}


def test_a_day_without_a_mouse(page: Page, site: Any) -> None:
    """The same journey: nothing is clicked, everything is reached with Tab, typed or chosen with Enter."""
    keys = page.keyboard
    skip(page)
    tab_to(page, page.get_by_role("link", name="New journey"))
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Blank journey")).to_be_visible()
    card = page.get_by_role("article").filter(has=page.get_by_role("heading", name="Blank journey"))
    skip(page)
    fill_in(page, card.get_by_label("Name"), "Carts by keyboard")
    keys.press("Enter")
    expect(step(page, "Exit")).to_be_visible()

    skip(page)
    press(page, "Skip to canvas")
    expect(step(page, "Who enters")).to_be_focused()
    into_form(page, "$entry")
    press(page, "Add: Event happens")
    expect(page.locator("#pfb-entry-entry-triggers-0-event")).to_be_focused()
    keys.type("Cart Left")
    keys.press("Enter")
    expect(step(page, "Who enters")).to_contain_text("Cart Left")
    choose_by_keyboard(page, "How often a contact may enter", "Each contact only once")
    press(page, "Settings")
    choose_by_keyboard(page, "Consent purpose", "News and offers")
    follow(page, "Start", "Wait (new)")
    expect(step(page, "Wait")).to_be_focused()
    into_form(page, "wait")
    fill_in(page, page.get_by_label("How long"), "2")
    keys.press("Enter")
    expect(step(page, "Wait")).to_contain_text("2 days")
    follow(page, "continue", "If / else (new)")
    expect(step(page, "If / else")).to_be_focused()
    into_form(page, "if_else")
    press(page, "Add a condition: Tag")
    expect(page.locator(".pfb-term :focus")).to_have_count(1)
    fill_in(page, page.get_by_label("Tag", exact=True), "gold")
    keys.press("Enter")
    expect(page.locator(".pfb-sentence")).to_contain_text("has the tag gold")
    follow(page, "yes", "Send e-mail (new)")
    expect(step(page, "Send e-mail")).to_be_focused()
    into_form(page, "send_email")
    choose_by_keyboard(page, "Template", "Welcome 1")
    into_form(page, "if_else")
    follow(page, "no", "Split (new)")
    expect(step(page, "Split")).to_be_focused()
    into_form(page, "split")
    follow(page, "a", "Change score (new)")
    expect(step(page, "Change score")).to_be_focused()
    into_form(page, "change_score")
    fill_in(page, page.get_by_label("Points"), "10")
    keys.press("Enter")
    follow(page, "continue", "Exit")
    find(page, "Split")
    into_form(page, "split")
    follow(page, "b", "Exit")
    eventually(page, lambda: ("split", "b", "exit") in edges(stored(site.town, "carts_by_keyboard")))
    saved(page)
    drawn = edges(stored(site.town, "carts_by_keyboard"))
    assert {("split", "a", "change_score"), ("split", "b", "exit"), ("change_score", "next", "exit")} <= drawn
    assert {("wait", "next", "if_else"), ("if_else", "yes", "send_email"), ("if_else", "no", "split")} <= drawn

    keys.press("Control+Enter")
    press(page, "Publish now")
    expect(page.get_by_text("Version 1 is live.")).to_be_visible()
    assert site.town.journey("carts_by_keyboard").live_version == 1


def choose_by_keyboard(page: Page, label: str, text: str) -> None:
    """One of a list in the form, by typing what it is called."""
    field = page.locator(".pfb-panel").get_by_label(re.compile(f"^{label}"))
    tab_to(page, field)
    page.keyboard.type(text)
    expect(field.locator("option:checked")).to_contain_text(text)


COVERED = """() => {
  const boxes = [...document.querySelectorAll('.react-flow__node')].map((node) => node.getBoundingClientRect());
  const covers = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return boxes.filter((a, n) => boxes.slice(n + 1).some((b) => covers(a, b))).map((box) => [box.x, box.y, box.width, box.height]);
}"""


def test_a_step_from_the_palette_covers_no_other(page: Page, site: Any) -> None:
    """Where no way is open, a click has no place to hang the step on: it finds a free one."""
    page.goto("/ui/journeys/cart_abandonment/edit")
    expect(page.locator(".react-flow__node").first).to_be_visible()
    before = len(stored(site.town, "cart_abandonment").nodes)
    for number in (1, 2, 3):
        offer(page, "Exit").click()
        expect(page.locator(".react-flow__node")).to_have_count(before + 1 + number)
        at_rest(page)
        assert page.evaluate(COVERED) == []
    saved(page)
    assert len(stored(site.town, "cart_abandonment").nodes) == before + 3


# --- bad days -----------------------------------------------------------------------------------------------------------------


def test_what_is_done_while_the_server_is_away_is_kept(site: Any, chrome: Browser) -> None:
    context = site.context(chrome)
    with site.served():
        page = site.log_in(context, "marketer")
        page.goto("/ui/journeys/survey/edit")
        pick(page, "Make a voucher")
    expect(page.get_by_text("The connection is lost.")).to_be_visible()
    write(page, "Name", "Written in the tunnel")
    page.get_by_label("Address", exact=True).fill("https://vouchers.example.org/other")
    offer(page, "Wait").click()
    expect(page.locator(".pfb-board")).to_have_attribute("data-kept", "false")
    with site.served():
        expect(step(page, "Written in the tunnel")).to_be_visible(timeout=30_000)
        saved(page)
        document = stored(site.town, "survey")
        assert document.nodes["voucher"]["name"] == "Written in the tunnel"
        assert "wait" in document.nodes
        context.close()


def test_garbage_from_the_clipboard_changes_nothing(page: Page, site: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/ui/journeys/re_engagement/edit")
    expect(page.locator(".react-flow__node").first).to_be_visible()
    before = stored(site.town, "re_engagement")
    for text in ('{"nodes": [1, 2', "🦔" * 5_000, '{"pfadwerk": 1, "nodes": {"x": {"kind": "nonsense"}}, "edges": [["x"]]}', "[]", "null"):
        page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
        page.locator(".react-flow__pane").click(position={"x": 30, "y": 300})
        page.keyboard.press("Control+v")
        expect(page.get_by_text("The clipboard holds no steps.")).to_have_count(1)
    assert stored(site.town, "re_engagement") == before


def test_a_field_takes_no_novel(page: Page, site: Any) -> None:
    page.goto("/ui/journeys/welcome/edit")
    pick(page, "Welcome 1")
    field = page.get_by_label("Name", exact=True)
    expect(field).to_have_value("Welcome 1")
    most = int(field.get_attribute("maxlength") or "0")
    assert 0 < most <= 200
    # The browser's own limit does not hold for what scripts or browser extensions put there; the server's does.
    field.evaluate("(field) => field.removeAttribute('maxlength')")
    field.fill("x" * 10_000)
    field.press("Enter")
    expect(page.locator(".pfb-panel .pfb-wrong").first).to_contain_text(re.compile("character|long", re.IGNORECASE))
    page.get_by_role("button", name="Undo").click()
    expect(step(page, "Welcome 1")).to_be_visible()
    saved(page)
    assert stored(site.town, "welcome").nodes["hello"]["name"] == "Welcome 1"


def test_whose_session_has_ended_reads_it_and_goes_on_after_logging_in(site: Any, chrome: Browser) -> None:
    context = site.context(chrome)
    with site.served():
        page = site.log_in(context, "marketer")
        page.goto("/ui/journeys/mql_to_sql/edit")
        expect(page.locator(".react-flow__node").first).to_be_visible()
        with site.town.db.write() as session:
            session.execute(delete(LoginSession))
        before = stored(site.town, "mql_to_sql")
        choose(page, page.locator(".react-flow__node-step").first.get_attribute("data-id") or "")
        write(page, "Name", "Too late")
        expect(page.locator(".pfb-status")).to_contain_text("You are logged out. Log in in another tab, then continue here.")
        assert stored(site.town, "mql_to_sql") == before
        other = context.new_page()
        other.goto("/ui/journeys")
        expect(other.get_by_role("heading", name="You are not logged in")).to_be_visible()
        other.close()
    with site.served():  # the break does at once what the next look at the session would do
        site.log_in(context, "marketer")
        expect(page.locator("#offline")).to_be_hidden(timeout=60_000)
        saved(page)
        assert "Too late" in [node.get("name") for node in stored(site.town, "mql_to_sql").nodes.values()]
        context.close()


def test_who_may_only_look_hears_so(site: Any, chrome: Browser) -> None:
    context = site.context(chrome)
    with site.served():
        page = site.log_in(context, "viewer")
        page.goto("/ui/journeys/cart_abandonment/edit")
        expect(page.get_by_text("View only")).to_be_visible()
        expect(page.get_by_role("button", name="Publish")).to_have_count(0)
        expect(page.get_by_role("navigation", name="Steps to add")).to_have_count(0)
        page.goto("/ui/journeys/cart_abandonment")
        expect(page.get_by_text("Pause", exact=True)).to_have_count(0)
        context.close()
