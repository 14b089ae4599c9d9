"""The sides of a contact are files in one list: the page walks it and knows none by name, and one from outside works everywhere on it."""

from __future__ import annotations

import ast
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.contacts import detail
from builder_ui.contacts.panels import PANELS, Panel
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.consent import suppression
from crm.people import notes
from crm.people.timeline import Wanted, mark_of, timeline
from crm.sales import tasks
from journeys.changes import CreateTask
from models import Contact, Event, Member, Message, PersonalMail, new_id
from storage.events import append_event
from tests.axes import ROOT, sources, unwanted
from tests.builder_ui.test_contacts import fill
from tests.builder_ui.test_pages import say
from tests.plans import statements

FOLDER = "builder_ui/contacts/panels/"


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> str:
    return f"{contact.first_name} takes it {'with milk' if opened else 'black'}"


def drawn(context: PageContext, contact: Contact, cup: str, acts: Acts) -> Element:
    return html.p(cup)


def warned(context: PageContext, contact: Contact, cup: str, acts: Acts) -> Element:
    return html.p("No more coffee")


COFFEE = Panel("coffee", "Coffee", load, drawn, drawn, warned, count=len, offered=lambda cup: "Ben" not in cup)


@pytest.fixture
def coffee(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel is named in the list."""
    monkeypatch.setattr(detail, "PANELS", (*PANELS, COFFEE))


@pytest.mark.usefixtures("coffee")
def test_a_panel_from_outside_has_its_box_its_tab_and_its_notice(log_in: Any, opened: Any, town: Any) -> None:
    client, address = log_in("viewer"), f"/ui/contacts/{town.people['Anna']}"
    beside = say(opened, client, address)
    assert "No more coffee" in beside
    assert "Coffee Anna takes it black" in beside
    assert "Coffee 19" in beside, "its tab with a number"
    assert "Anna takes it with milk" in say(opened, client, f"{address}?view=coffee")
    assert "Coffee 18" not in say(opened, client, f"/ui/contacts/{town.people['Ben']}"), "no tab where there is nothing to offer"


def test_a_view_that_is_closed_to_somebody_has_no_tab_and_is_not_loaded(
    monkeypatch: pytest.MonkeyPatch, log_in: Any, opened: Any, town: Any
) -> None:
    closed = Panel("coffee", "Coffee", load, None, drawn, may_open=lambda context, contact: context.may("contact.erase"))
    monkeypatch.setattr(detail, "PANELS", (*PANELS, closed))
    address = f"/ui/contacts/{town.people['Anna']}?view=coffee"
    assert "with milk" in say(opened, log_in("admin"), address)
    shown = say(opened, log_in("viewer"), address)
    assert "Coffee" not in shown
    assert "Anna takes it" not in shown
    assert "Search timeline" not in shown, "a placeholder, no text"
    assert "Everything" in shown, "the first view instead"


def test_what_its_stamp_says_draws_the_page_again(monkeypatch: pytest.MonkeyPatch, log_in: Any, opened: Any, town: Any) -> None:
    cups = ["one"]
    poured = Panel("coffee", "Coffee", lambda *_: cups[-1], drawn, stamp=lambda session, contact: cups[-1])
    monkeypatch.setattr(detail, "PANELS", (*PANELS, poured))
    with opened(log_in("viewer"), f"/ui/contacts/{town.people['Anna']}") as page:
        assert "Coffee one" in page.text
        cups.append("two")
        page.see()
        assert "Coffee two" in page.text


def test_every_file_of_the_folder_is_in_the_list_once() -> None:
    files = {file.stem for file in (ROOT / FOLDER).glob("*.py")} - {"__init__", "panel"}
    listed = [
        node.value.id
        for node in ast.walk(ast.parse((ROOT / FOLDER / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "PANEL" and isinstance(node.value, ast.Name)
    ]
    assert sorted(listed) == sorted(files)
    assert len({one.key for one in PANELS}) == len(PANELS)


def test_no_other_file_names_a_panel() -> None:
    names = {f"{FOLDER.replace('/', '.')}{file.stem}" for file in (ROOT / FOLDER).glob("*.py")} - {FOLDER.replace("/", ".") + "panel"}
    found = {
        file: [
            f"{node.lineno}: {ast.unparse(node)}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and names & _imported(node)
        ]
        for file, tree in sources(FOLDER).items()
    }
    found = {file: places for file, places in found.items() if places}
    assert found == {}, unwanted(found, "Let the panel answer instead, by a field of `Panel` that the page asks:")


def _imported(node: ast.ImportFrom) -> set[str]:
    return {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}


# Notes and calls


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_a_note_is_written_changed_and_deleted_by_its_author_and_taken_back(log_in: Any, opened: Any, town: Any) -> None:
    address = f"/ui/contacts/{town.people['Anna']}"
    with opened(log_in("marketer"), address) as page:
        page.press("Save note")
        page.see_until("A note needs a text.")
        fill(page, "Note", "Likes <b>tea</b>.")
        page.press("Save note")
        page.see_until("Note saved.")
        assert "Note · Mara Marti Likes <b>tea</b>." in squeezed(page.text)
        fill(page, "Text", "Likes coffee.")
        page.press("Save text")
        page.see_until("Text changed.")
        assert "Likes coffee." in page.text
        page.press("Undo")
        page.see_until("Undone.")
        assert "Likes <b>tea</b>." in page.text
        page.press("Delete")
        page.see_until("Deleted.")
        assert "tea" not in page.text
        page.press("Undo")
        page.see_until("Undone.")
        assert "Likes <b>tea</b>." in page.text
    others = say(opened, log_in("admin"), address)
    assert "tea" in others
    assert "Change text" not in others, "somebody else wrote it"
    assert "Write a note" not in say(opened, log_in("viewer"), address)


def test_a_call_is_logged_and_starts_what_waits_for_it(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    with opened(log_in("sales"), f"/ui/contacts/{anna}") as page:
        fill(page, "Minuten (optional)", "viele")
        page.press("Anruf festhalten")
        page.see_until("Geben Sie die Länge des Anrufs in Minuten ein")
        fill(page, "Minuten (optional)", "2,5")
        fill(page, "Ergebnis", "left_message")
        page.press("Anruf festhalten")
        page.see_until("Anruf festgehalten.")
        assert "Wir haben angerufen : Nachricht hinterlassen · 2 Minuten 30 Sekunden · Sven Sutter" in squeezed(page.text)
    with town.db.read() as session:
        event = session.scalars(select(Event).where(Event.contact_id == anna, Event.name == "Call Logged")).one()
        assert (event.routed, event.properties["outcome"], event.properties["duration_seconds"]) == (True, "left_message", 150)


def test_the_timeline_is_searched_and_an_entry_has_an_address(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    with town.db.write() as session:
        for n in range(3):
            notes.add_note(session, anna, f"Bottle {n}", f"member:{town.members['admin']}", town.now + timedelta(days=n))
        [_, middle, _] = timeline(session, anna, wanted=Wanted(("note",))).items
    client, address = log_in("admin"), f"/ui/contacts/{anna}"
    assert "Bottle 1" in say(opened, client, f"{address}?q=bottle+1")
    assert "Bottle 2" not in say(opened, client, f"{address}?q=bottle+1")
    day = (town.now + timedelta(days=1)).astimezone(ZoneInfo("Europe/Zurich")).date()
    on_it = say(opened, client, f"{address}?since={day}&until={day}")
    assert ("Bottle 1" in on_it, "Bottle 0" in on_it, "Bottle 2" in on_it) == (True, False, False)
    with opened(client, f"{address}?kind=note&before=@{mark_of(middle)}") as page:
        assert ("Bottle 2" in page.text, "Bottle 1" in page.text, "Bottle 0" in page.text) == (False, True, True)
        [here] = [node for node in page.nodes() if node.get("attributes", {}).get("className") == "event small here"]
        assert "Bottle 1" in str(here)
    assert "Enter a date." in say(opened, client, f"{address}?since=nonsense")


def test_orders_messages_and_tasks_stand_beside_the_timeline(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    with town.db.write() as session:
        for name, said in (
            ("Order Completed", {"order_id": "A-1", "total": 129.9, "currency": "CHF"}),
            ("Order Completed", {"order_id": "A-2"}),
            ("Order Refunded", {"order_id": "A-1"}),
        ):
            append_event(session, anna, "track", name, said, town.now)
        tasks.create(session, CreateTask(id=new_id(), title="Call back"), contact_id=anna, now=town.now, by="test")
    text = squeezed(say(opened, log_in("admin"), f"/ui/contacts/{anna}"))
    assert "Orders Order without an amount · A-2" in text
    assert "129.9 CHF · A-1 refunded" in text
    assert "Tasks Call back" in text
    assert "Messages Eine Frage, und wer dahinter steht Sent" in text
    assert "In journeys Welcome In progress at “Three days for a click”" in text


def test_what_a_page_asks_does_not_grow_with_what_happened(log_in: Any, opened: Any, town: Any) -> None:
    """10,000 events of one contact: the same statements as of one."""
    anna, client = town.people["Anna"], log_in("viewer")
    asked: list[int] = []
    for more in (0, 10_000):
        row = {"type": "track", "name": "Product Viewed", "properties": {}, "context": {}, "source": "test", "hops": 0, "routed": True}
        many = [
            {**row, "contact_id": anna, "message_id": f"{more}-{n}", "occurred_at": town.now, "received_at": town.now, "backfill": False}
            for n in range(more)
        ]
        with town.db.write() as session:
            for start in range(0, more, 500):
                session.execute(insert(Event), many[start : start + 500])
        with statements(town.db) as seen:
            say(opened, client, f"/ui/contacts/{anna}")
        asked.append(len([one for one in seen if one.startswith("SELECT")]))
    assert asked[1] <= asked[0] <= 64


def test_an_e_mail_is_looked_at_and_handed_over_once(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    with opened(log_in("marketer"), f"/ui/contacts/{anna}?view=mail") as page:
        page.press("Send e-mail")
        page.see_until("Enter a subject and a text, or choose a template.")
        fill(page, "Subject", "Your question")
        fill(page, "Text", "<i>Yes</i>, it is.")
        fill(page, "Signature", "Mara")
        page.press("Preview")
        page.see_until("This is what the contact would get.")
        assert "<i>Yes</i>, it is. -- Mara" in squeezed(page.text)
        page.press("Send e-mail")
        page.see_until("The e-mail is on its way")
    with town.db.read() as session:
        mail = session.scalars(select(PersonalMail)).one()
        assert (mail.contact_id, mail.author) == (anna, f"member:{town.members['marketer']}")
        assert session.get_one(Member, town.members["marketer"]).preferences["signature"] == "Mara"
    assert "Your question Planned" in squeezed(say(opened, log_in("viewer"), f"/ui/contacts/{anna}"))
    assert "Write e-mail" not in say(opened, log_in("viewer"), f"/ui/contacts/{anna}?view=mail")


def test_the_refusal_for_a_suppressed_address_stands_on_the_page(log_in: Any, opened: Any, town: Any) -> None:
    anna = town.people["Anna"]
    with town.db.write() as session:
        address = session.get_one(Contact, anna).email
        suppression.suppress(session, town.engine.address_keys, "email", address, "hard_bounce", town.engine.clock.now())
    with opened(log_in("marketer"), f"/ui/contacts/{anna}?view=mail") as page:
        fill(page, "Subject", "Your question")
        fill(page, "Text", "Yes, it is.")
        page.press("Send e-mail")
        page.see_until("This address is suppressed")
    with town.db.read() as session:
        assert session.scalars(select(PersonalMail)).all() == []


def test_of_one_in_doubt_a_person_says_whether_it_was_sent_and_nobody_is_offered_to_send_it_again(
    log_in: Any, opened: Any, town: Any
) -> None:
    anna = town.people["Anna"]
    with opened(log_in("marketer"), f"/ui/contacts/{anna}?view=mail") as page:
        fill(page, "Subject", "Your question")
        fill(page, "Text", "Yes, it is.")
        page.press("Send e-mail")
        page.see_until("The e-mail is on its way")
    with town.db.write() as session:
        letter = session.scalars(select(Message).where(Message.subject == "Your question")).one()
        letter.status, letter.reason = "uncertain", "no_answer"
        session.add(letter)
        id, journeys = letter.id, session.scalars(select(Message).where(Message.contact_id == anna, Message.run_id != None)).first()  # noqa: E711
        journeys.status = "uncertain"
        session.add(journeys)
        of_journey = journeys.id
    shown = say(opened, log_in("marketer"), f"/ui/messages/{id}")
    assert ("It was sent" in shown, "Send again" in shown) == (True, False)
    assert "Send again" in say(opened, log_in("marketer"), f"/ui/messages/{of_journey}")
