"""Recognises placeholders of other mail tools (Handlebars, Liquid, Mailchimp, Klaviyo, Mailgun, …) and says what is written here instead.

Left alone they would be a puzzling mistake of Jinja or, worse, reach the reader as they stand. Only what is unmistakable is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from activities.rendering.faults import Fault

_FIELDS = {
    "fname": "contact.first_name",
    "firstname": "contact.first_name",
    "lname": "contact.last_name",
    "lastname": "contact.last_name",
    "email": "contact.email",
    "emailaddress": "contact.email",
    "phone": "contact.phone",
    "unsub": "unsubscribe_url",
    "unsubscribe": "unsubscribe_url",
    "unsubscribeurl": "unsubscribe_url",
    "unsubscribelink": "unsubscribe_url",
    "updateprofile": "preferences_url",
    "managepreferences": "preferences_url",
    "managepreferenceslink": "preferences_url",
    "archive": "view_url",
    "webview": "view_url",
    "webviewlink": "view_url",
    "viewinbrowser": "view_url",
}
_PREFIX = re.compile(r"^(?:recipient|person|contact|subscriber|customer|user|profile)[._]", re.IGNORECASE)
_CLAUSES = {
    "assign": "{% set name = value %}",
    "capture": "{% set name = value %}",
    "unless": "{% if not condition %}",
    "elsif": "{% elif condition %}",
    "case": "{% if condition %}",
    "when": "{% elif condition %}",
    "endunless": "{% endif %}",
    "endcase": "{% endif %}",
    "endcapture": "{% set name = value %}",
    "comment": "{# … #}",
    "endcomment": "{# … #}",
    "increment": "{{ loop.index }}",
    "decrement": "{{ loop.index }}",
    "tablerow": "{% for item in list %}",
    "endtablerow": "{% endfor %}",
    "render": "{{ … }}",
    "cycle": "{{ loop.cycle(…) }}",
    "unsubscribe": "{{ unsubscribe_url }}",
    "unsubscribe_link": "{{ unsubscribe_url }}",
    "unsubscribe_url": "{{ unsubscribe_url }}",
    "manage_preferences": "{{ preferences_url }}",
    "manage_preferences_link": "{{ preferences_url }}",
    "web_view": "{{ view_url }}",
    "web_view_link": "{{ view_url }}",
    "web_view_url": "{{ view_url }}",
}
_COMMENT = re.compile(r"(?<!\{)\{#(?!\w+[^#]*\}\})(?:.*?#\}|.*)|<!--(?!\s*+\[if)(?:.*?-->|.*)", re.DOTALL)
_KLAVIYO = frozenset(name for name in _CLAUSES if name.startswith(("unsubscribe", "manage", "web_view")))


@dataclass(frozen=True, slots=True)
class _Kind:
    language: str
    pattern: re.Pattern[str]


_KINDS = (
    _Kind("Handlebars", re.compile(r"\{\{\{\s*+(?P<name>[\w.@-]++)\s*+\}\}\}")),
    _Kind("Handlebars", re.compile(r"\{\{[~-]?\s*+[#/^>&!](?P<clause>\w*+)\s*+(?P<rest>[^{}]*+)\}\}")),
    _Kind("Handlebars", re.compile(r"\{\{[~-]?\s*+(?P<clause>else)\b(?P<rest>[^{}]*+)\}\}")),
    _Kind("Liquid", re.compile(rf"\{{%-?\s*(?P<tag>{'|'.join(sorted(_CLAUSES, key=len, reverse=True))})\b[^%]*+%\}}")),
    _Kind(
        "Liquid",
        re.compile(
            r"\{\{-?\s*+(?P<name>[\w.]++)\s*+\|\s*+(?P<filter>\w++)\s*+:\s*+(?P<argument>\"[^\"{}]*+\"|'[^'{}]*+'|[\w.]++)[^{}]*+\}\}"
        ),
    ),
    _Kind("Mailchimp", re.compile(r"\*\|(?P<name>[^|*\n]{1,80})\|\*")),
    _Kind(
        "Mailgun",
        re.compile(r"%(?P<name>(?:recipient|mailing_list|unsubscribe)[._]?\w[\w.]*)%|%(?P<alone>unsubscribe_url|tag_unsubscribe_url)%"),
    ),
    _Kind("AMPscript", re.compile(r"%%(?:=[^%]{1,200}=|(?P<name>\[?[\w ]{1,60}\]?)|\[[^%]{0,200}\])%%")),
    _Kind("JavaScript", re.compile(r"\$\{\s*(?P<name>[A-Za-z_][\w.]*)\s*\}")),
    _Kind("ERB", re.compile(r"<%[=#-]?(?P<rest>[^%]{0,200})%>")),
)


def faults(text: str) -> Iterator[Fault]:
    """One fault for each foreign placeholder, in the order of the text."""
    found: dict[int, Fault] = {}
    spoken = _COMMENT.sub(lambda match: " " * len(match.group()), text)
    for kind in _KINDS:
        for match in kind.pattern.finditer(spoken):
            found.setdefault(match.start(), _fault(kind, match))
    yield from (found[offset] for offset in sorted(found))


def _fault(kind: _Kind, match: re.Match[str]) -> Fault:
    language = "Klaviyo" if (match.groupdict().get("tag") or "") in _KLAVIYO else kind.language
    text = 'This is {language}: "{found}". Here it is written {instead}.'
    return Fault(match.start(), "foreign", text, language=language, found=match.group()[:60], instead=_instead(match.groupdict()))


def _instead(groups: dict[str, str | None]) -> str:
    if tag := groups.get("tag"):
        return _CLAUSES[tag]
    if "clause" in groups:
        return _clause(groups["clause"] or "", (groups["rest"] or "").strip())
    if "filter" in groups:
        value = _value(groups["name"] or "")
        return f"{{{{ {value}|{groups['filter']}({(groups['argument'] or '').replace(chr(39), chr(34))}) }}}}"
    name = groups.get("name") or groups.get("alone") or ""
    return f"{{{{ {_value(name)} }}}}" if name else "{{ contact.first_name }}"


def _clause(name: str, rest: str) -> str:
    if name == "if" and rest:
        return f"{{% if {_value(rest)} %}} … {{% endif %}}"
    if name == "unless" and rest:
        return f"{{% if not {_value(rest)} %}} … {{% endif %}}"
    if name == "each" and rest:
        return f"{{% for item in {_value(rest, 'trigger')} %}} … {{% endfor %}}"
    return {"else": "{% else %}", "if": "{% endif %}", "unless": "{% endif %}", "each": "{% endfor %}"}.get(
        name, "{{ contact.first_name }}"
    )


def _value(name: str, home: str = "contact") -> str:
    """A field's name in our words: `FNAME` -> `contact.first_name`, `person.city` -> `contact.city`."""
    plain = name.strip("[] ")
    bare = _PREFIX.sub("", plain)
    known = _FIELDS.get(re.sub(r"[^a-z]", "", bare.lower()))
    if known:
        return known
    if plain.startswith(("contact.", "trigger.", "steps.", "run.")):
        return plain
    word = re.sub(r"[^A-Za-z0-9_.]+", "_", bare).strip("_.") or "first_name"
    return f"{home}.{word.lower() if word.isupper() else word}"
