"""A mail built from nothing by mouse in the block editor, and the same written by hand: one text, one message. Real Chromium, real server."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from activities.rendering import compile_template, render
from crm.segments import segments
from tests.builder_ui.browsing import Enter, complaints
from tests.builder_ui.test_templates_browser import begin, mail, source, stored

WRITTEN = """<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text font-size="28px" font-weight="700" line-height="1.25" align="center">New <i>boots</i></mj-text>
        <mj-button href="https://shop.example.org/?a=1&amp;b=2" background-color="#3356cc" border-radius="6px" font-size="16px" font-weight="600" inner-padding="13px 26px">Read on</mj-button>
      </mj-column>
    </mj-section>
    <mj-section>
      <mj-column>
        <mj-text font-size="16px" line-height="1.5">For {{ contact.first_name|default("you") }}</mj-text>
      </mj-column>
      <mj-column>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""


def drag(page: Page, what: Locator, to: Locator, down: float = 0.5) -> None:
    """With the mouse; `down`: how far down in the target it is let go, of its height."""
    what.scroll_into_view_if_needed()
    box = what.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    target = to.bounding_box()
    assert target is not None
    page.mouse.move(target["x"] + target["width"] / 2 - 9, target["y"] + target["height"] * down, steps=3)
    page.mouse.move(target["x"] + target["width"] / 2, target["y"] + target["height"] * down)
    page.mouse.up()


def add(page: Page, kind: str, to: Locator, down: float = 0.5) -> None:
    """Drags a kind of block out of the palette, which makes way for the new block's fields."""
    back = page.get_by_role("button", name="Add blocks")
    if back.count():
        back.click()
    drag(page, page.locator(f'[data-kind="{kind}"]'), to, down)
    expect(back).to_be_visible()


def test_a_mail_from_nothing_by_mouse_is_the_mail_written_by_hand(served: None, enter: Enter, town: Any) -> None:
    page = enter("marketer")
    heard = complaints(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    begin(page, "Blank e-mail", "by-mouse")
    page.get_by_label("Subject").fill("Boots")
    blocks = page.locator(".blk-one[aria-label=Text], .blk-one[aria-label=Button]")
    expect(blocks).to_have_count(1)

    blocks.first.click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".blk-said")).to_contain_text("Text deleted")
    add(page, "heading", page.get_by_text("Drop a block here"))
    heading = page.locator(".blk-one[aria-label=Text]").first
    heading.dblclick()
    page.keyboard.press("Control+a")
    page.keyboard.type("New ")
    page.get_by_role("button", name="Italic", exact=True).click()
    page.keyboard.type("boots")
    page.get_by_role("button", name="Centred").click()
    add(page, "button", heading, 0.9)
    page.get_by_role("textbox", name="Link", exact=True).fill("https://shop.example.org/?a=1&b=2")

    add(page, "columns2", page.locator(".blk-one[aria-label=Row]").first, 0.95)
    add(page, "text", page.get_by_text("Drop a block here").last)
    words = page.locator(".blk-one[aria-label=Text]").last
    words.dblclick()
    page.keyboard.press("Control+a")
    page.keyboard.type("For ")
    page.get_by_role("toolbar").get_by_role("button", name="Personalise").click()
    picker = page.locator(".blk-picker")
    picker.get_by_role("combobox").select_option("contact.first_name")
    picker.get_by_role("textbox").fill("you")
    picker.get_by_role("button", name="Insert", exact=True).click()
    expect(words.locator(".blk-chip")).to_have_text(re.compile("name"))
    page.keyboard.press("Escape")
    drag(page, words.locator(".blk-grip"), page.get_by_text("Drop a block here").first)

    expect(mail(page).get_by_text("For Anna")).to_be_visible()
    expect(mail(page).locator("i")).to_have_text("boots")
    widths = {}
    for look in ("Desktop", "Phone", "Dark"):
        page.locator("#app").get_by_role("button", name=look, exact=True).click()
        expect(page.locator(f".tpl-frame.{look.lower()}")).to_be_visible()
        expect(mail(page).get_by_role("link", name="Read on")).to_be_visible()
        widths[look] = mail(page).locator("body").evaluate("(body) => [body.clientWidth, body.scrollWidth <= body.clientWidth]")
    assert widths["Phone"][0] == 375
    assert all(fits for _, fits in widths.values())

    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".tpl-notice.good")).to_have_text("Saved as version 2.")
    expect(source(page)).to_contain_text("shop.example.org")
    built = stored(town, "by-mouse").variants["default"]["mjml"]
    assert built == WRITTEN
    values = {"contact": {"first_name": "Zoë"}, "unsubscribe_url": "https://e.org/u"}
    made = [render(compile_template({"en": {"subject": "S", "mjml": one}}, "email"), ["en"], values).html for one in (built, WRITTEN)]
    assert made[0] == made[1]

    page.get_by_role("button", name="Building blocks", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".blk-said")).to_have_text("Undone.")
    page.keyboard.press("Control+Shift+z")
    kept_again = page.locator(".tpl-blocks > span").first
    expect(kept_again).to_have_attribute("data-kept", "true")
    assert stored(town, "by-mouse").variants["default"]["mjml"] == WRITTEN
    assert heard == []


def show_for(page: Page, name: str) -> None:
    page.locator(".tpl-person summary").click()
    page.get_by_label("Search by name or e-mail").fill("")
    page.get_by_label("Search by name or e-mail").press_sequentially(name)
    page.get_by_role("button", name=re.compile(f"^{name}")).click()


def test_a_rule_set_by_mouse_shows_its_block_to_whom_it_holds_for(served: None, enter: Enter, town: Any) -> None:
    page = enter("marketer")
    heard = complaints(page)
    with town.db.write() as session:
        segments.create(session, "Everybody who has ordered at least twice since last spring", None, "test", town.now)
    page.set_viewport_size({"width": 1440, "height": 900})
    begin(page, "Blank e-mail", "by-rule")
    page.get_by_label("Subject").fill("Boots")
    page.locator('[data-kind="text"]').click()
    page.get_by_label("Show this block").select_option("rule")
    editor = page.get_by_role("dialog")
    editor.get_by_role("button", name="Use the rule").click()
    expect(editor.get_by_role("alert")).to_be_visible()
    editor.get_by_role("button", name="Add a condition: Field").click()
    editor.get_by_label("Field", exact=True).fill("first_name")
    editor.get_by_label("Value", exact=True).fill('Ca"rla')
    editor.get_by_role("button", name="Add a condition: Segment").click()
    expect(editor.get_by_label("Segment", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    assert editor.evaluate("one => one.scrollWidth <= one.clientWidth"), "on a phone it is not cut off, however long a name is"
    page.set_viewport_size({"width": 1440, "height": 900})
    editor.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Show this block")).to_be_visible()

    page.get_by_label("Show this block").select_option("rule")
    editor.get_by_role("button", name="Add a condition: Field").click()
    editor.get_by_label("Field", exact=True).fill("first_name")
    editor.get_by_label("Value", exact=True).fill("Carla")
    editor.get_by_role("button", name="Use the rule").click()
    expect(editor).to_have_count(0)
    said = page.locator(".blk-rule")
    expect(said).to_contain_text("Carla")
    words = mail(page).get_by_text("Write your text here")
    show_for(page, "Carla")
    expect(said).to_contain_text("Shown in the preview.")
    expect(words).to_be_visible()
    show_for(page, "Anna")
    expect(said).to_contain_text("Not shown in the preview.")
    expect(words).to_have_count(0)

    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".tpl-notice.good")).to_have_text("Saved as version 2.")
    mjml = stored(town, "by-rule").variants["default"]["mjml"]
    assert '{% if rule({"combinator": "and", "rules": [{"field": "first_name", "operator": "=", "value": "Carla"}]}) %}' in mjml
    source(page)
    page.get_by_role("button", name="Building blocks", exact=True).click()
    page.locator(".blk-one.group").first.click(position={"x": 5, "y": 5})
    page.get_by_role("button", name="Change the rule").click()
    expect(editor.get_by_label("Value", exact=True)).to_have_value("Carla")
    page.keyboard.press("Escape")
    expect(editor).to_have_count(0)
    assert stored(town, "by-rule").variants["default"]["mjml"] == mjml
    page.get_by_role("button", name="Always show it").click()
    expect(words).to_be_visible()
    assert heard == []
