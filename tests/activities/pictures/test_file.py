"""What is kept of an uploaded picture, and what is refused."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from activities.pictures import file
from activities.pictures.file import make
from journeys.errors import Invalid, TooLarge

PLACE = b"47.3769 N"


def written(picture: Image.Image, kind: str, **more: Any) -> bytes:
    out = BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


def photo(width: int = 90, height: int = 60) -> bytes:
    """On its side, with the place where it was taken."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, PLACE.decode()
    exif.get_ifd(0x8825)[29] = "2026:11:30"
    return written(Image.linear_gradient("L").resize((width, height)).convert("RGB"), "JPEG", exif=exif, comment=PLACE)


FRAMES = [Image.new("RGB", (80, 60), (shade, 0, 0)) for shade in (0, 90, 180)]
MOVING = {"save_all": True, "append_images": FRAMES[1:], "duration": 100}


def test_a_photo_stands_upright_and_tells_no_place() -> None:
    sent = photo()
    assert PLACE in sent
    made = make(sent)
    kept = opened(made.largest.content)
    assert (made.media_type, made.largest.width, made.largest.height, kept.size) == ("image/jpeg", 60, 90, (60, 90))
    assert PLACE not in made.largest.content
    assert not kept.getexif()


def test_sizes_are_those_that_are_smaller_and_nothing_is_larger_than_it_was() -> None:
    assert [(one.width, one.height) for one in make(photo(2_600, 1_300)).files] == [(600, 1_200), (1_200, 2_400)]
    assert [(one.width, one.height) for one in make(written(Image.new("RGB", (3_000, 300)), "PNG")).files] == [
        (600, 60),
        (1_200, 120),
        (2_400, 240),
    ]
    assert [one.width for one in make(written(Image.new("RGB", (600, 300)), "PNG")).files] == [600]


def test_an_animation_keeps_its_frames_and_loses_words_and_what_follows_it() -> None:
    made = make(written(FRAMES[0], "GIF", comment=PLACE, loop=0, **MOVING) + b"<script>")
    kept = opened(made.largest.content)
    assert (made.media_type, len(made.files), getattr(kept, "n_frames", 0), kept.info["loop"]) == ("image/gif", 1, 3, 0)
    assert PLACE not in made.largest.content
    assert b"<script>" not in made.largest.content


@pytest.mark.parametrize(
    ("picture", "more", "media_type"),
    [
        (Image.new("RGB", (8, 8)), {}, "image/jpeg"),
        (Image.new("RGB", (8, 8)), {"lossless": True}, "image/jpeg"),
        (Image.new("RGBA", (8, 8), (9, 9, 9, 255)), {"lossless": True}, "image/jpeg"),
        (Image.new("RGBA", (8, 8), (9, 9, 9, 90)), {}, "image/png"),
        (FRAMES[0], MOVING, "image/gif"),
    ],
)
def test_webp_becomes_what_every_mail_program_shows(picture: Image.Image, more: dict[str, Any], media_type: str) -> None:
    assert make(written(picture, "WEBP", **more)).media_type == media_type


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "RGBA"])
def test_every_sort_of_png_is_taken(mode: str) -> None:
    made = make(written(Image.new(mode, (9, 7)), "PNG"))
    assert opened(made.largest.content).size == (9, 7)


def test_print_colours_and_the_single_frame_of_a_gif_are_taken() -> None:
    assert opened(make(written(Image.new("CMYK", (9, 7)), "JPEG")).largest.content).mode == "RGB"
    assert make(written(FRAMES[0], "GIF")).media_type == "image/png"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "svg"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><!-- a --><!DOCTYPE svg><svg/>", "svg"),
        (b"<html><img></html>", "kind"),
        (b"<!---->" * 280, "kind"),  # would not end while each comment more doubled the time
        (b"", "kind"),
        (b"MZ\x90\x00", "kind"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 60, "broken"),
        (b"GIF89a", "broken"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "broken"),
        (photo()[:400], "broken"),
        (written(FRAMES[0], "GIF", **MOVING)[:300], "broken"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(content: bytes, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        make(content)
    assert refused.value.details["problem"] == problem


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = written(Image.new("1", (9_000, 5_000)), "PNG")
    assert len(bomb) < 20_000
    webp = b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00" + b"\xff\x3f\x00" * 2
    for content in (bomb, webp):
        with pytest.raises(TooLarge) as refused:
            make(content)
        assert refused.value.details["problem"] == "pixels"


def test_files_and_animations_have_a_limit() -> None:
    frames = [Image.new("L", (1, 1), n % 256) for n in range(file.MOST_FRAMES + 1)]
    film = written(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for content, problem in ((film, "frames"), (photo() + b"x" * file.MOST_BYTES, "bytes")):
        with pytest.raises(TooLarge) as refused:
            make(content)
        assert refused.value.details["problem"] == problem
