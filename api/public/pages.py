"""The pages of the public doors: plain HTML in the reader's language, with a policy that lets nothing run or load."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.dates import format_date
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from api.public.brand import Brand
from locales import SUPPORTED, translator

PAGES = Path(__file__).parent / "pages"

_environment = Environment(loader=FileSystemLoader(PAGES), autoescape=select_autoescape(default=True), undefined=StrictUndefined)
_environment.globals["day"] = lambda at, language: format_date(at, "long", locale="de" if language == "de" else "en_GB")

VIEW_POLICY = (
    "default-src 'none'; img-src http: https: data:; style-src 'unsafe-inline' https:; font-src https:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""For mails shown in the browser: they are somebody's HTML, so they get pictures and styles and nothing else."""


@lru_cache(maxsize=1)
def style() -> tuple[Markup, str]:
    """The style sheet of all pages."""
    return _sheet((PAGES / "style.css").read_text())


def _sheet(text: str) -> tuple[Markup, str]:
    """A style sheet of ours, and the hash under which the policy allows it."""
    return Markup(text), b64encode(hashlib.sha256(text.encode()).digest()).decode()


def page(
    name: str, language: str, brand: Brand, status: int = 200, *, leads_to: str = "", framed_by: Sequence[str] = (), **values: Any
) -> HTMLResponse:
    """A page from `pages/<name>.html`; `_` translates inside it. Of pictures only the brand's own can be shown.

    `leads_to`: the origin to which its form may lead in the end. `framed_by`: origins that may show it in a frame; nobody else may.
    """
    sheets = [style(), *([_sheet(brand.colours)] if brand.colours else [])]
    translate: Callable[[str], str] = translator(language)
    texts = [text for text, _ in sheets]
    body = _environment.get_template(f"{name}.html").render(_=translate, language=language, styles=texts, brand=brand, **values)
    allowed = " ".join(f"'sha256-{digest}'" for _, digest in sheets)
    pictures = " img-src data:;" if brand.logo else ""
    action = f"'self' {leads_to}".rstrip()
    ancestors = " ".join(framed_by) or "'none'"
    policy = f"default-src 'none'; style-src {allowed};{pictures} form-action {action}; base-uri 'none'; frame-ancestors {ancestors}"
    return HTMLResponse(body, status, headers(policy))


def headers(policy: str) -> dict[str, str]:
    """What keeps a page private: nothing may load but what `policy` names, nobody may keep, index or embed it."""
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }


def language_of(request: Request, locale: str | None, default: str) -> str:
    """The supported language of the contact, else of the browser, else `default`."""
    for wanted in (locale or "", *_accepted(request.headers.get("accept-language", ""))):
        name = wanted.replace("_", "-").split("-")[0].strip().lower()
        if name in SUPPORTED:
            return name
    return default


def _accepted(header: str) -> list[str]:
    """The languages of `Accept-Language`, most wanted first."""
    weighted = []
    for part in header[:500].split(","):
        name, _, weight = part.partition(";q=")
        try:
            weighted.append((-float(weight or 1), name.strip()))
        except ValueError:
            continue
    return [name for _, name in sorted(weighted, key=lambda pair: pair[0])]
