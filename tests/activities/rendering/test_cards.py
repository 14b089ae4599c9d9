"""Postcards: what may stand on a front, where it stands, what the back always says, and that nothing is fetched or left unbounded."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import pytest
from PIL import Image

from activities.rendering import RenderFailed, RenderPool, compile_template, render
from activities.rendering.cards import A6, US, Card, faults, sources
from activities.rendering.cards.card import MM
from activities.rendering.cards.layout import Picture, Rectangle, Words, sides
from activities.rendering.cards.pdf import print_card
from activities.rendering.cards.picture import show_card
from activities.sending.cards import addressed, card_of
from journeys.errors import Invalid

SENDER = {"name": "Bergladen AG", "email": "post@bergladen.example", "address": "Musterweg 1\n3000 Bern"}
VALUES = {"contact": {"first_name": "Zoë"}, "sender": SENDER, "unsubscribe_url": "https://m.example/u/" + "a" * 60}
FRONT, BACK = "<h1>Hallo {{ contact.first_name }}</h1><p>20 <b>%</b></p>", "Liebe {{ contact.first_name }},\nbis bald"


def picture(size: tuple[int, int] = (60, 40), format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "#336699").save(file, format)
    return file.getvalue()


def written(card: Card, side: str = "front") -> list[str]:
    return [one.text for one in getattr(sides(card, A6), side) if isinstance(one, Words)]


def compiled(front: str = FRONT, back: str = BACK) -> Any:
    return compile_template({"de": {"front": front, "text": back}}, "postcard")


def test_a_template_becomes_a_card_with_both_sides_filled_in() -> None:
    rendered = render(compiled(), ["de"], VALUES)
    assert rendered.html == "<h1>Hallo Zoë</h1><p>20 <b>%</b></p>"
    assert (rendered.text, rendered.subject) == ("Liebe Zoë,\nbis bald", "Liebe Zoë, bis bald")
    card = card_of(cast(Any, None), rendered)
    assert written(card) == ["Hallo Zoë", "20 ", "%"]
    assert written(card, "back")[:2] == ["Liebe Zoë,", "bis bald"]


def test_values_cannot_become_tags() -> None:
    values = {**VALUES, "contact": {"first_name": "<img src='https://evil.example/x.png'><b>"}}
    card = card_of(cast(Any, None), render(compiled(), ["de"], values))
    assert "<img" in "".join(written(card))
    assert not any(isinstance(one, Picture) for one in sides(card, A6).front)


@pytest.mark.parametrize(("kind", "is_there"), [("marketing", True), ("transactional", False)])
def test_marketing_cards_say_how_to_object_whatever_their_author_wrote(kind: str, is_there: bool) -> None:
    """GDPR Art. 21: the words and a code that leads to the page stand on the back by themselves."""
    card = card_of(cast(Any, None), render(compiled(), ["de"], VALUES, message_class=kind))
    drawn = sides(card, A6).back
    text = " ".join(one.text for one in drawn if isinstance(one, Words))
    assert ("Keine Werbung per Post mehr?" in text and "post@bergladen.example" in text.replace("- ", "-")) is is_there
    assert any(isinstance(one, Rectangle) for one in drawn) is is_there, "the code"
    assert card.sender == "Bergladen AG, Musterweg 1, 3000 Bern"
    assert card.objection_url == (VALUES["unsubscribe_url"] if is_there else "")


@pytest.mark.parametrize(
    ("front", "code"),
    [
        ("<script>alert(1)</script>", "tag_forbidden"), ("<iframe src='x'></iframe>", "tag_forbidden"), ("<svg></svg>", "tag_forbidden"),
        ("<p onclick='x'>a</p>", "attribute_forbidden"), ("<link href='file:///etc/passwd'>", "tag_forbidden"),
        ("<img src='file:///etc/passwd'>", "foreign_picture"), ("<img src='https://evil.example/x.png'>", "foreign_picture"),
        ("<img src='http://169.254.169.254/m/x.png'>", "foreign_picture"), ("<img src='//evil.example/x.png'>", "foreign_picture"),
        ("<img src='data:image/svg+xml;base64,AAAA'>", "foreign_picture"), ("<img src='data:text/html,x'>", "foreign_picture"),
        ("<img src='https://m.example/m/../etc/passwd'>", "foreign_picture"),
        ("<p style='background-image: url(https://evil.example)'>a</p>", "style_forbidden"), ("<p style='width: 10vw'>a</p>", "style_forbidden"),
        ("<p style='color: url(x)'>a</p>", "style_forbidden"), ("<p>a", "tag_unclosed"), ("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///'>]>", "not_allowed"),
    ],
)  # fmt: skip
def test_what_a_front_may_not_hold_is_refused_with_its_place(front: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        compiled(front)
    assert [(issue.code, issue.values["line"], issue.field) for issue in caught.value.issues][:1] == [(code, 1, "variants.de.front")]


@pytest.mark.parametrize(
    "front",
    [
        "<p style='text-align: center; color: #0a5d4d; font-size: 14pt'>a</p>",
        "<img src='https://m.example/m/" + "a" * 32 + "/600.jpg' style='width: 50%'>",
        "<img src='/m/" + "a" * 32 + "/600.png'><ul><li>a</li></ul>",
        "<div style='position: absolute; left: 8mm; top: 5mm; width: 40mm; background-color: white; padding: 2mm'><h2>a</h2><p>b</p></div>",
        "{% if contact.vip %}<p>a</p>{% else %}<p style='color: {{ contact.colour }}'>b</p>{% endif %}",
    ],
)
def test_what_a_front_may_hold(front: str) -> None:
    assert list(compiled(front).warnings) == []


def test_what_is_filled_in_is_checked_once_it_is_known() -> None:
    for front in ("<img src='https://evil.example/x.png'>", "<p style='color: {{ x }}'>a</p>".replace("{{ x }}", "url(file:///)")):
        with pytest.raises(RenderFailed):
            sides(Card(front, "x"), A6)
    with pytest.raises(RenderFailed) as caught:
        sides(Card("<img src='/m/" + "a" * 32 + "/1.png'>", "x"), A6)
    assert caught.value.code == "foreign_picture", "it is not in the library any more"


@pytest.mark.parametrize(
    "content",
    [b"", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n" + b"\0" * 60, picture()[:40], b"<svg/>", b"GIF89a"],
)
def test_a_picture_that_is_none_costs_its_card_and_nothing_else(content: bytes) -> None:
    with pytest.raises(RenderFailed) as caught:
        sides(Card("<img src='p'>".replace("p", INSIDE), "x", pictures={INSIDE: content}), A6)
    assert caught.value.code in ("bad_picture", "foreign_picture")


INSIDE = "data:image/png;base64,AAAA"


def bomb() -> bytes:
    """A small file that says it is 30,000 by 30,000 pixels."""
    file = bytearray(picture((1, 1)))
    file[16:24] = (30_000).to_bytes(4, "big") * 2
    file[29:33] = zlib.crc32(bytes(file[12:29])).to_bytes(4, "big")
    return bytes(file)


def test_a_picture_larger_than_its_file_is_not_unpacked() -> None:
    with pytest.raises(RenderFailed) as caught:
        sides(Card(f"<img src='{INSIDE}'>", "x", pictures={INSIDE: bomb()}), A6)
    assert caught.value.code == "bad_picture"


@pytest.mark.parametrize("paper", [A6, US], ids=["a6", "us"])
def test_everything_stands_on_the_card_and_the_post_keeps_its_part(paper: Any) -> None:
    card = Card("<p>" + "Wort " * 60 + "</p>", "Zeile\n" * 8, "Keine Werbung? " * 6, "https://m.example/" + "u" * 80, "Absender")
    found = sides(card, paper)
    edge = (paper.bleed + paper.margin) * MM - 0.1
    right, bottom = ((paper.bleed + length - paper.margin) * MM + 0.1 for length in (paper.width, paper.height))
    for one in found.front:
        assert edge <= one.x <= right
        assert one.y <= bottom
    post = (paper.bleed + paper.margin + paper.words) * MM + 0.1
    assert all(one.x <= post and edge <= one.y <= bottom for one in found.back)


@pytest.mark.parametrize(
    ("card", "side"),
    [
        (Card("<p>" + "x " * 3_000 + "</p>", "x"), "front"), (Card("<h1>a</h1>" * 40, "x"), "front"), (Card("<p>a</p>", "Zeile\n" * 60), "back"),
        (Card("<p>a</p>", "x", "Keine Werbung? " * 80, "https://m.example/u"), "back"), (Card("<p>a</p>", "x" * 20_000), "back"),
        (Card("<p>a</p>", "x", "y", "https://m.example/" + "u" * 4_000), "code"),
    ],
)  # fmt: skip
def test_what_finds_no_room_is_no_card(card: Card, side: str) -> None:
    with pytest.raises(RenderFailed) as caught:
        sides(card, A6)
    assert (caught.value.code, caught.value.name) == ("card_full", side)


def test_the_ground_of_a_paragraph_ends_above_the_next_one() -> None:
    drawn = sides(Card("<h1 style='background-color: #224466'>Gg</h1><p>Next</p>", "b"), A6).front
    [ground] = [one for one in drawn if isinstance(one, Rectangle)]
    [following] = [one for one in drawn if isinstance(one, Words) and one.text == "Next"]
    assert following.y - following.size >= ground.y + ground.height


def test_long_words_are_broken_and_unknown_signs_are_seen() -> None:
    lines = written(Card("<p>" + "Donaudampfschifffahrtsgesellschaft" * 4 + "</p><p>日本 \u202eabc</p>", "x"))
    assert len(lines) > 2
    assert "�� abc" in "".join(lines)


def test_the_pdf_has_two_pages_of_the_paper_with_its_bleed_and_is_always_the_same() -> None:
    card = Card(
        f"<img src='{INSIDE}' style='position: absolute; left: 0; top: 0; width: 148mm; height: 105mm; object-fit: cover'>", "Hallo"
    )
    card = replace(card, pictures={INSIDE: picture((900, 600), "JPEG")})
    made = print_card(card, A6)
    assert made == print_card(card, A6)
    assert made.startswith(b"%PDF-")
    boxes = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", made)
    assert len(boxes) == 2
    assert [round(float(one) / MM) for one in boxes[0]] == [154, 111]
    assert made.count(b"/TrimBox") == 2
    [full] = [one for one in sides(card, A6).front if isinstance(one, Picture)]
    assert (full.x, full.y, round(full.width / MM), round(full.height / MM)) == (0, 0, 154, 111), "it goes on into the bleed"
    for action in (b"/JavaScript", b"/OpenAction", b"/URI", b"/EmbeddedFile", b"/Launch"):
        assert action not in made


def test_the_pictures_for_a_page_have_the_proportion_of_the_paper() -> None:
    for paper in (A6, US):
        for side in show_card(Card("<p>a</p>", "b", to=("Ada", "Weg 1")), paper):
            image = Image.open(io.BytesIO(side))
            assert image.width / image.height == pytest.approx((paper.width + 2 * paper.bleed) / (paper.height + 2 * paper.bleed), rel=0.01)


def test_the_address_stands_as_its_country_writes_it() -> None:
    card = addressed(Card("", ""), "postcard", "Ada | Weg 1 | Hinterhaus | 8001 | Zürich | | CH", "de")
    assert card.to == ("Ada", "Hinterhaus", "Weg 1", "8001 Zürich", "SCHWEIZ")
    assert written(replace(card, front="<p>a</p>", back="b", sender="S"), "back")[-6:] == ["S", *card.to]


@pytest.fixture(scope="module")
def pool() -> Iterator[RenderPool]:
    with closing(RenderPool()) as pool:
        yield pool


def test_the_processes_that_render_draw_and_print_too(pool: RenderPool) -> None:
    card = Card("<p>a</p>", "b", pictures={INSIDE: picture()})
    assert pool.card("print", card, US) == [print_card(card, US)]
    assert len(pool.card("show", card)) == 2
    with pytest.raises(RenderFailed) as caught:
        pool.card("print", Card("<h1>a</h1>" * 40, "x"))
    assert caught.value.code == "card_full"


def test_a_front_names_its_pictures_once() -> None:
    assert sources("<img src='a'><img alt='x' src=\"b\"><img src='a'>") == ["a", "b"]
    assert list(faults("<p>a</p>")) == []
