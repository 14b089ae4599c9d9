"""Takes a mail apart, whoever wrote it, within bounds: bytes of a head, headers, parts, depth, characters of a text.

By hand, because the standard library's parser has no bounds: nested parts cost it their number times the lines, and end in a `RecursionError`.
It does not judge what a mail means (`activities.inbound.mail`). Sources: RFC 5322 (headers), RFC 2045-2047 (MIME, encoded words).
"""

from __future__ import annotations

import codecs
import encodings
import pkgutil
import quopri
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header
from email.message import Message as Head
from encodings.aliases import aliases

from lxml import etree  # type: ignore[import-untyped]

MOST_DEPTH = 8
MOST_PARTS = 40
MOST_HEAD_BYTES = 65_536
MOST_HEADERS = 300
MOST_VALUE = 2_000
"""Characters of one header."""
MOST_CHARACTERS = 64_000
"""Characters of a text."""
STRANGE_CODECS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "utf7"})
"""Python decodes them, and no mail program writes them; some cost the square of what is read."""
CHARSETS = frozenset(aliases) | {module.name for module in pkgutil.iter_modules(encodings.__path__)}
"""What Python may be asked for: it remembers every other name that it looked for in vain, and strangers choose the names."""

_NAME = re.compile(rb"([!-9;-~]{1,76})[ \t]*:")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_SKIPPED = frozenset({"script", "style", "head", "title", "blockquote"})
_BLOCKS = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "table"})

Headers = Mapping[str, Sequence[str]]
"""Name in lower case -> its values, in their order."""


@dataclass(frozen=True, slots=True)
class Part:
    """A mail or a part of one. `kind` is its media type in lower case; `parts` are those of a multipart, within the bounds."""

    headers: Headers
    kind: str
    body: bytes = field(repr=False)
    parts: Sequence[Part] = ()
    report_type: str = ""
    charset: str = ""
    is_attached: bool = False

    def header(self, name: str) -> str:
        """The first of that name; empty where there is none."""
        return next(iter(self.headers.get(name, ())), "")

    def walk(self) -> Iterator[Part]:
        """This part and all inside, in the order in which they stand."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def content(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = self.header("content-transfer-encoding").strip().lower()
        if encoding == "base64":
            return _unbased(self.body)
        return quopri.decodestring(self.body) if encoding == "quoted-printable" else self.body

    def text(self) -> str:
        """The text of a text part, of HTML what a person reads without the quotes; at most `MOST_CHARACTERS`."""
        text = decoded(self.content()[: 4 * MOST_CHARACTERS], self.charset)[:MOST_CHARACTERS].replace("\r\n", "\n")
        return _read_html(text) if self.kind == "text/html" else text


def split(raw: bytes) -> Part:
    """The mail as parts. What goes beyond the bounds is left out; nothing is too broken for an answer."""
    return _split(raw, [MOST_PARTS], MOST_DEPTH)


def _split(raw: bytes, left: list[int], depth: int) -> Part:
    """`left` counts down over the whole mail."""
    left[0] -= 1
    head, body = _halves(raw)
    headers = read_headers(head)
    head_of = _content_head(headers)
    kind = head_of.get_content_type()
    boundary = _parameter(head_of, "boundary")
    parts: list[Part] = []
    if kind.startswith("multipart/") and boundary and depth > 0:
        for piece in _pieces(body, boundary):
            if left[0] <= 0:
                break
            parts.append(_split(piece, left, depth - 1))
    attached = next(iter(headers.get("content-disposition", ())), "").strip().lower().startswith("attachment")
    return Part(headers, kind, body, tuple(parts), _parameter(head_of, "report-type").lower(), _parameter(head_of, "charset"), attached)


def _halves(raw: bytes) -> tuple[bytes, bytes]:
    """Head and body; a mail or part may have no head."""
    if raw.startswith((b"\n", b"\r\n")):
        return b"", raw.lstrip(b"\r\n")
    found = _END_OF_HEAD.search(raw)
    return (raw[: found.start()], raw[found.end() :]) if found else (raw, b"")


def read_headers(head: bytes) -> dict[str, list[str]]:
    """Headers, unfolded, cut to size; of a report's block of fields, too. A line that is none is passed over."""
    found: dict[str, list[str]] = {}
    last: list[str] | None = None
    for line in head[:MOST_HEAD_BYTES].split(b"\n")[: 10 * MOST_HEADERS]:
        line = line.rstrip(b"\r")
        if line[:1] in (b" ", b"\t"):
            if last is not None:
                last[-1] = (last[-1] + " " + _plain(line.strip()))[:MOST_VALUE]
        elif match := _NAME.match(line):
            name = match[1].decode().lower()
            last = found.setdefault(name, []) if name in found or len(found) < MOST_HEADERS else None
            if last is not None:
                last.append(_plain(line[match.end() :].strip())[:MOST_VALUE])
        else:
            last = None
    return found


def blocks(body: bytes) -> list[dict[str, list[str]]]:
    """The blocks of fields of a machine-readable report, at most twenty."""
    return [fields for one in re.split(rb"\r?\n[ \t]*\r?\n", body[:MOST_HEAD_BYTES])[:20] if (fields := read_headers(one))]


def words(value: str) -> str:
    """A header as a person reads it: encoded words decoded."""
    try:
        pieces = decode_header(value[:MOST_VALUE])
        return "".join(decoded(text, code or "") if isinstance(text, bytes) else text for text, code in pieces)[:MOST_VALUE]
    except (MessageError, ValueError, LookupError):
        return value[:MOST_VALUE]


def decoded(content: bytes, charset: str) -> str:
    """Text of these bytes, whatever its charset is called: what cannot be read becomes a mark."""
    name = charset.strip().lower().replace("_", "-")
    try:
        if name.replace("-", "_") in CHARSETS and name not in STRANGE_CODECS and codecs.lookup(name).name not in STRANGE_CODECS:
            return content.decode(name, "replace")
    except (LookupError, ValueError):
        pass
    return _plain(content)


def _plain(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _unbased(body: bytes) -> bytes:
    try:
        return b64decode(re.sub(rb"[^A-Za-z0-9+/]", b"", body) + b"===")
    except NotBase64:
        return b""


def _content_head(headers: Headers) -> Head:
    head = Head()
    value = next(iter(headers.get("content-type", ())), "")
    if value:
        head["Content-Type"] = value.encode("ascii", "replace").decode()
    return head


def _parameter(head: Head, name: str) -> str:
    try:
        value = head.get_param(name, "")
    except (ValueError, LookupError, TypeError, IndexError):
        return ""
    return value[2] if isinstance(value, tuple) else str(value or "")


def _pieces(body: bytes, boundary: str) -> Iterator[bytes]:
    """What stands between the boundaries; a mail that was cut short has no last one."""
    line = re.compile(rb"^--" + re.escape(boundary[:200].encode("utf-8", "replace")) + rb"(--)?[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
    start = None
    for match in line.finditer(body):
        if start is not None:
            yield body[start : match.start()]
        if match[1]:
            return
        start = match.end()
    if start is not None:
        yield body[start:]


def _read_html(text: str) -> str:
    """What a person reads in it, without what it quotes."""
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=False)
    try:
        root = etree.fromstring(text.replace("\x00", ""), parser)
    except (etree.XMLSyntaxError, ValueError, AssertionError):
        return ""
    found: list[str] = []
    skipped = None
    for event, node in etree.iterwalk(root, events=("start", "end")) if root is not None else ():
        if skipped is None and event == "start":
            if node.tag in _SKIPPED or "gmail_quote" in (node.get("class") or ""):
                skipped = node
            else:
                found += ["\n" if node.tag in _BLOCKS else "", re.sub(r"\s+", " ", node.text or "")]
        elif event == "end" and (skipped is None or skipped is node):
            skipped = None
            found.append(re.sub(r"\s+", " ", node.tail or ""))
    return "".join(found)[:MOST_CHARACTERS]
