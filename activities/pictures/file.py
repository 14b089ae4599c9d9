"""What becomes of a file that is uploaded as a picture: told by its content, freed of what it says about its maker, made in several widths.

Nothing of the file as it was sent is kept but the frames of an animated GIF: pictures are drawn anew, so that no place (EXIF, XMP), comment or
second format behind the first one goes out. Stores nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageOps

from activities.pictures import gif
from journeys.errors import Invalid, TooLarge

WIDTHS = (600, 1_200)
"""Pixels. 600 is the width of most mails, 1,200 the same on screens with twice the pixels."""
LARGEST = 2_400
"""Pixels: the longer side of what is kept at most."""
MOST_BYTES = 10_000_000
"""Of a file as it is sent; what the server takes in one request may be less (`PFADWERK_MAX_BODY_BYTES`)."""
MOST_PIXELS = 40_000_000
"""Of a picture, of all frames of an animation together five times that: what decoding may cost. A camera of 40 megapixels fits."""
MOST_FRAMES = 500
QUALITY = 86
"""Of JPEG: what is lost cannot be seen, and files have half the size of 95. Source: Pillow, "Image file formats", JPEG quality."""

KINDS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WEBP"),
)
"""How a file of each kind begins."""
TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif"}
ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif"}
_SVG = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?>(?:<!--.*?-->|<!DOCTYPE[^>]*>)\s*)*+<svg\b", re.DOTALL | re.IGNORECASE)
_PILLOW = {"PNG": ("PNG",), "JPEG": ("JPEG", "MPO"), "GIF": ("GIF",), "WEBP": ("WEBP",)}

Image.MAX_IMAGE_PIXELS = None
"""Pillow's own limit would warn first and refuse much later; `MOST_PIXELS` is asked for before anything is decoded."""

_one_at_a_time = threading.Lock()
"""A large picture takes some 200 MB while it is drawn."""


@dataclass(frozen=True, slots=True)
class File:
    """The picture in one width."""

    width: int
    height: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Made:
    """What is kept: the widths that are smaller than the picture, and the picture itself, from small to large."""

    media_type: str
    files: tuple[File, ...]

    @property
    def largest(self) -> File:
        return self.files[-1]

    @property
    def bytes(self) -> int:
        return sum(len(one.content) for one in self.files)


def kind_of(content: bytes) -> str:
    """PNG, JPEG, GIF or WEBP, by the first bytes; what the name or the sender says counts for nothing.

    Raises:
        Invalid: another kind; says why SVG is none of ours.
    """
    found = next((kind for start, kind in KINDS if start.match(content)), None)
    if found is None and _SVG.match(content[:2_000]):
        raise Invalid("SVG cannot be used: it can hold scripts, and most mail programs do not show it. Export it as PNG.", problem="svg")
    if found is None:
        raise Invalid("This is not a picture that mail programs show: expected PNG, JPEG, GIF or WebP.", problem="kind")
    return found


def make(content: bytes) -> Made:
    """Everything that is kept of an uploaded file. WebP, which some mail programs do not show, becomes PNG, JPEG or (if it moves) GIF.

    Raises:
        Invalid: no picture, or a broken one. TooLarge: more bytes, pixels or frames than are taken.
    """
    if len(content) > MOST_BYTES:
        raise TooLarge("The picture has more than {limit} MB.", limit=MOST_BYTES // 1_000_000, problem="bytes")
    kind = kind_of(content)
    with _one_at_a_time:
        try:
            return _made(content, kind)
        except (Invalid, TooLarge):
            raise
        except Exception:  # noqa: BLE001 - decoders raise whatever comes to them over a broken file
            raise Invalid("This picture is broken and cannot be shown.", problem="broken") from None


def _opened(content: bytes, kind: str) -> Image.Image:
    return Image.open(BytesIO(content), formats=_PILLOW[kind])


def _made(content: bytes, kind: str) -> Made:
    if kind == "WEBP":
        _few_enough(*_webp_size(content))  # its decoder makes room for the whole canvas when it opens the file
    picture = _opened(content, kind)
    frames = int(getattr(picture, "n_frames", 1)) if kind in ("GIF", "WEBP") else 1
    _few_enough(picture.width, picture.height, frames)
    _opened(content, kind).verify()
    if frames > 1:
        return _animated(picture, content, kind)
    picture.draft("RGB", (LARGEST, LARGEST))  # a JPEG that is much larger is decoded smaller from the start
    return _still(picture)


def _few_enough(width: int, height: int, frames: int = 1) -> None:
    if width * height > MOST_PIXELS or width * height * frames > 5 * MOST_PIXELS:
        raise TooLarge("The picture has more than {limit} million pixels.", limit=MOST_PIXELS // 1_000_000, problem="pixels")
    if frames > MOST_FRAMES:
        raise TooLarge("An animation can have at most {limit} frames.", limit=MOST_FRAMES, problem="frames")


def _webp_size(content: bytes) -> tuple[int, int]:
    """Source: RFC 9649, sections 2.7 (VP8X), 3.4 (VP8L), and RFC 6386, section 9.1 (VP8)."""
    kind, head = content[12:16], content[20:30]
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF


def _animated(picture: Image.Image, content: bytes, kind: str) -> Made:
    """A GIF keeps its frames as they are; a WebP's are drawn as those of a GIF."""
    if kind == "WEBP":
        out = BytesIO()
        picture.save(out, "GIF", save_all=True)
        content = out.getvalue()
    if len(content) > MOST_BYTES:
        raise TooLarge("The picture has more than {limit} MB.", limit=MOST_BYTES // 1_000_000, problem="bytes")
    return Made(TYPES["GIF"], (File(picture.width, picture.height, gif.plain(content)),))


def _still(picture: Image.Image) -> Made:
    upright = ImageOps.exif_transpose(picture) or picture
    kind = "JPEG" if picture.format in ("JPEG", "MPO") or (picture.format == "WEBP" and not _is_clear(upright)) else "PNG"
    drawn = _fitted(_colours(upright, kind), LARGEST, LARGEST)
    smaller = [_fitted(drawn, width, drawn.height) for width in WIDTHS if width < drawn.width]
    return Made(TYPES[kind], tuple(File(one.width, one.height, _written(one, kind)) for one in (*smaller, drawn)))


def _is_clear(picture: Image.Image) -> bool:
    """Whether what lies behind shows anywhere."""
    return picture.has_transparency_data and picture.convert("RGBA").getchannel("A").histogram()[255] < picture.width * picture.height


def _colours(picture: Image.Image, kind: str) -> Image.Image:
    """In a mode that the kind can hold and that can be made smaller well, without anything written beside the pixels but the colour profile."""
    clear = kind == "PNG" and _is_clear(picture)
    drawn = (picture.convert("L") if picture.mode.startswith("I;16") else picture).convert("RGBA" if clear else "RGB")
    profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA", "P") else None
    drawn.info = {"icc_profile": profile} if profile and len(profile) < 100_000 else {}
    return drawn


def _fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    """At most so wide and so high; never larger than it is."""
    scale = min(1.0, width / picture.width, height / picture.height)
    if scale == 1.0:
        return picture
    smaller = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.LANCZOS)
    smaller.info = dict(picture.info)
    return smaller


def _written(picture: Image.Image, kind: str) -> bytes:
    out, profile = BytesIO(), picture.info.get("icc_profile")
    if kind == "JPEG":
        picture.save(out, "JPEG", quality=QUALITY, optimize=True, progressive=True, icc_profile=profile)
        return out.getvalue()
    picture.save(out, "PNG", optimize=picture.width * picture.height < 1_000_000, icc_profile=profile)
    return min((out.getvalue(), *_few_colours(picture, profile)), key=len)


def _few_colours(picture: Image.Image, profile: bytes | None) -> Iterator[bytes]:
    """Logos and drawings have few colours; with a list of them a file has a third of the bytes and the same pixels."""
    if picture.getcolors(256) is not None and picture.mode == "RGB":
        listed, out = picture.quantize(256, dither=Image.Dither.NONE), BytesIO()
        if listed.convert("RGB").tobytes() == picture.tobytes():
            listed.save(out, "PNG", optimize=True, icc_profile=profile)
            yield out.getvalue()
