"""What the editor can put in at the cursor: contact fields from the catalogue, the links of every mail, blocks with a condition or a loop, and partials."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from activities.rendering.jinja import COUPON
from activities.rendering.kinds import HTML
from builder_ui.kit.i18n import Translator
from locales import translator

MOST_FIELDS = 300
MOST_PARTIALS = 300


@dataclass(frozen=True, slots=True)
class Snippet:
    name: str
    text: str


LINKS = (("Unsubscribe", "unsubscribe_url"), ("Choose what you receive", "preferences_url"), ("View in the browser", "view_url"))


def groups(
    t: Translator,
    kind: str,
    locale: str,
    fields: Sequence[tuple[str, str]],
    partials: Sequence[tuple[str, str]] = (),
    properties: Sequence[tuple[str, str]] = (),
    pools: Sequence[tuple[str, str]] = (),
) -> list[tuple[str, list[Snippet]]]:
    """(title, snippets). `partials`: (key, name); `properties`: (path, title) of what events bring along and steps leave; `pools` of
    coupon codes: (key, name). Words inside a snippet are in the language of the text, `locale`, not of the author."""
    own = translator(t.language if locale == "default" else locale)
    named = [
        Snippet(f"{t(title)} ({name})" if title else name, f'{{{{ contact.{name}|default("") }}}}') for name, title in fields[:MOST_FIELDS]
    ]
    links = [
        Snippet(t(title), f'<a href="{{{{ {name} }}}}">{own(title)}</a>' if kind in HTML else f"{{{{ {name} }}}}") for title, name in LINKS
    ]
    blocks = [
        Snippet(t("Only if a field has a value"), '{% if contact.first_name|default("") %}\n  {{ contact.first_name }}\n{% endif %}\n'),
        Snippet(
            t("Only if a rule holds"),
            '{% if rule({"field": "lifecycle_stage", "operator": "=", "value": "customer"}) %}\n  …\n{% endif %}\n',
        ),
        Snippet(t("If / else"), '{% if contact.lifecycle_stage|default("") == "customer" %}\n  …\n{% else %}\n  …\n{% endif %}\n'),
        Snippet(
            t("For each product of the trigger"),
            '{% for product in trigger.products|default([]) %}\n  {{ product.name|default("") }}: {{ product.price|default(0)|money("EUR") }}\n{% endfor %}\n',
        ),
        Snippet(t("A value of the trigger"), '{{ trigger.order_id|default("") }}'),
    ]
    pieces = [Snippet(f"{name} ({key})", f'<mj-include path="partial:{key}" />\n') for key, name in partials[:MOST_PARTIALS]]
    brought = [Snippet(title, f'{{{{ {path}|default("") }}}}') for path, title in properties[:MOST_FIELDS]]
    values = [(t("Values of the trigger and of steps"), brought)] if brought else []
    found = [(t("Contact fields"), named), *values, (t("Links"), links), (t("Blocks"), blocks)]
    codes = [Snippet(name, f'{{{{ {COUPON}("{key}") }}}}') for key, name in pools[:MOST_FIELDS]]
    more = [(t("Coupon codes"), codes), (t("Partials"), pieces)]
    return [*found, *((title, snippets) for title, snippets in more if snippets)]


def with_fallback(text: str, fallback: str) -> str:
    """A value with what stands there if it is missing: `{{ contact.plan|default("none yet") }}`. What could end the text early is left out."""
    safe = re.sub(r'["\\{}%#\x00-\x1f]', "", fallback).strip()
    return re.sub(r'^(\{\{ [\w.]+\|default\(")("\) \}\})$', lambda found: found[1] + safe + found[2], text)
