"""The editor of one template: languages and texts on the left; on the right the message as a contact gets it, versions, and the label.

Each part listens for its own topics and is drawn alone; the fields themselves belong to the browser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from activities.rendering import Rendered
from activities.rendering.compile import CLIPPED_BYTES, most_characters
from activities.rendering.hints import LONG_SUBJECT
from activities.rendering.kinds import HTML, KINDS, further_parts
from activities.rendering.sms import LIMITS
from activities.templates import listing
from activities.templates.partials import Behind, Inclusion
from builder_ui.kit import components, state_line
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import JOURNEY_STATES
from builder_ui.kit.observable import use_topics
from builder_ui.kit.reactpy_compat import Element, component, html, optgroup, use_effect, use_ref
from builder_ui.templates import bundle, frames, snippets
from builder_ui.templates.session import Old, Stored, Variants, Writing, fetch
from journeys.channels import Part
from journeys.errors import Issue

CLASSES = {"marketing": "Marketing", "transactional": "Transactional"}
LOOKS = {"desktop": "Desktop", "phone": "Phone", "dark": "Dark", "text": "Plain text"}
PHRASES = (
    "Find", "Replace", "next", "previous", "all", "match case", "by word", "regexp", "replace", "replace all", "close", "Go to line", "go",
    "current match", "replaced $ matches", "replaced match on line $", "on line", "Fold line", "Unfold line", "Folded lines", "Unfolded lines",
    "folded code", "unfold", "Control character",
)  # fmt: skip
"""What CodeMirror says."""
MOST_SHOWN = 60


class Opening:
    """What an editor begins with. Not a dataclass: ReactPy logs the arguments of a component that fails, and nobody may read these there."""

    def __init__(self, context: PageContext, stored: Stored) -> None:
        self.context, self.stored = context, stored


def view(context: PageContext, stored: Stored, _acts: Acts) -> Element:
    return editor(Opening(context, stored))


@component
def editor(opening: Opening) -> Element:
    held: Any = use_ref(None)
    if held.current is None:
        held.current = Writing(opening.context, opening.stored)
    writing: Writing = held.current

    def begin() -> Callable[[], None]:
        writing.work_soon(0)
        writing.find_people("")
        return writing.close

    use_effect(begin, [])
    return html.div(
        {"className": "tpl"},
        head(writing),
        html.div(
            {"className": "tpl-body"},
            html.section({"className": "tpl-left", "aria-label": writing.t("Text")}, tabs(writing), source(writing), wire(writing)),
            html.section({"className": "tpl-right", "aria-label": writing.t("Preview")}, right(writing)),
        ),
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Head

_STATUS = {
    "saved": ("Saved", "good", "check"),
    "unsaved": ("Saving draft …", "", "clock"),
    "conflict": ("Not saved: someone else changed this template", "bad", "alert"),
    "denied": ("Not saved: your role does not allow it", "bad", "ban"),
    "out": ("You are logged out. Log in in another tab, then continue here.", "bad", "ban"),
    "gone": ("Not saved: this template was deleted", "bad", "alert"),
    "failed": ("Not saved yet; trying again", "warn", "alert"),
}


@component
def head(writing: Writing) -> Element:
    use_topics(writing, "head")
    t, stored = writing.t, writing.stored
    text, tone, symbol = _STATUS[writing.status]
    if writing.status == "saved" and stored.is_draft:
        text, tone, symbol = "Saved as a draft, no new version yet", "", "pencil"
    if not writing.context.may("template.change"):
        text, tone, symbol = "View only", "", "ban"
    kind = KINDS[stored.kind]
    number = t("Version {number}", number=stored.number) if stored.number else t("No version yet")
    return html.header(
        {"className": "pfb-head tpl-head"},
        html.a({"className": "back", "href": "/ui/templates"}, "← ", t("Templates")),
        html.h1(stored.name),
        components.badge(t(kind.label), "", kind.icon),
        class_badge(t, stored),
        html.span({"className": "quiet"}, number),
        components.badge(t("In the archive"), "warn", "clipboard-check") if stored.archived else None,
        bundle.status()(state_line.props(stored.key, t, (text, tone, symbol), _lasts(writing), writing.hear, "tpl-status")),
        html.div({"className": "actions"}, *_actions(writing)),
        _conflict(writing),
        _notice(writing),
        _outdated(writing),
        _older(writing),
    )


def _lasts(writing: Writing) -> bool:
    """Whether the word about saving waits for a person or for time, not for an answer."""
    return writing.status in ("conflict", "denied", "out", "gone", "failed") or not writing.editable


def class_badge(t: Any, one: Any) -> Element:
    """The class of a template; a partial has none."""
    if one.kind == "partial":
        return None
    return components.badge(t(CLASSES[one.message_class]), "", "megaphone" if one.message_class == "marketing" else "clipboard-check")


def older_text(t: Any, one: Behind) -> str:
    """`uses footer, version 2; there is version 3`"""
    return str(
        t("uses {partial}, version {version}; there is version {newest}", partial=one.partial, version=one.version, newest=one.newest)
    )


def _older(writing: Writing) -> Element:
    """That partials have newer versions than the ones in the newest version of this template."""
    t, older = writing.t, writing.stored.older
    if not older:
        return None
    return html.div(
        {"className": "tpl-notice"},
        components.icon("puzzle"),
        [html.p({"key": one.partial}, older_text(t, one)) for one in older[:MOST_SHOWN]],
        html.p({"className": "quiet"}, t("Saving uses the newest version of each partial.")),
    )


def _actions(writing: Writing) -> list[Element]:
    t = writing.t
    if not writing.editable:
        return []
    test = lambda _event: writing.spawn(writing.act, "A test is on its way to {address}.", writing.test)  # noqa: E731
    return [
        components.button(t("Send me a test"), test, "mail") if writing.stored.kind != "partial" else None,
        components.button(t("Save"), lambda _event: writing.spawn(writing.save), "check", "main"),
    ]


def _conflict(writing: Writing) -> Element:
    if writing.status != "conflict":
        return None
    t = writing.t
    return html.div(
        {"className": "tpl-notice bad", "role": "alertdialog", "aria-label": t("Two people changed this template")},
        html.p(t("Someone saved this template while you were editing it. Your changes are safe as long as this page is open.")),
        components.button(t("Take theirs"), lambda _event: writing.spawn(writing.take_theirs)),
        components.button(t("Keep mine"), lambda _event: writing.spawn(writing.keep_mine), tone="danger"),
    )


def _notice(writing: Writing) -> Element:
    if writing.notice is None:
        return None
    text, good = writing.notice
    return html.div(
        {"className": f"tpl-notice {'good' if good else 'bad'}", "role": "status"},
        components.icon("check" if good else "alert"),
        html.p(text),
    )


def _outdated(writing: Writing) -> Element:
    """That running journeys keep the version they were published with."""
    t, stored = writing.t, writing.stored
    behind = [
        use for use in stored.uses if use.place == "live" and use.template_version is not None and use.template_version < stored.number
    ]
    if not behind:
        return None
    said = (
        t("1 live journey uses version {version}; publish it again to use the new text.", version=behind[0].template_version)
        if len(behind) == 1
        else t("{count} live journeys use an older version; publish them again to use the new text.", count=len(behind))
    )
    return html.div(
        {"className": "tpl-notice"},
        components.icon("route"),
        html.p(said),
        html.button({"type": "button", "className": "button plain", "onClick": lambda _event: writing.turn("label")}, t("Show them")),
    )


# Languages and texts


def locale_name(t: Any, locale: str) -> str:
    """`de` -> German; `default` in words."""
    return str(t("Default") if locale == "default" else t.language_of(locale))


@component
def tabs(writing: Writing) -> Element:
    use_topics(writing, "tabs", "head")
    t = writing.t
    found = [
        html.button(
            {
                "key": locale,
                "type": "button",
                "className": "tab here" if locale == writing.locale else "tab",
                "aria-pressed": str(locale == writing.locale).lower(),
                "onClick": lambda _event, locale=locale: writing.open(locale),
            },
            locale_name(t, locale),
        )
        for locale in writing.variants
    ]
    return html.div(
        {"className": "tpl-tabs"},
        html.div({"className": "tabs", "role": "group", "aria-label": t("Languages")}, found),
        html.div({"className": "actions"}, *_language_acts(writing)) if writing.editable else None,
    )


def _language_acts(writing: Writing) -> list[Element]:
    t, others = writing.t, [one for one in writing.variants if one != writing.locale]
    copies = [(t("From {language}", language=locale_name(t, one)), lambda _event, one=one: writing.copy_from(one)) for one in others]
    offered: list[Element] = [adding(writing)]
    if others:
        hint = t("Replaces the texts of this language. Ctrl+Z in a field brings its text back.")
        offered.append(components.choose(t("Copy"), hint, copies, "clipboard-check"))
        question = t("The texts in this language are removed. Contacts who speak it get another language.")
        remove = lambda _event: writing.remove_language()  # noqa: E731
        offered.append(components.ask(t("Remove"), question, t("Remove the language"), remove, "ban", "danger"))
    return offered


@component
def adding(writing: Writing) -> Element:
    """Another language; what was typed waits here for the button."""
    t = writing.t
    wanted = use_ref({"locale": "", "origin": writing.locale})

    def typed(event: Mapping[str, Any]) -> None:
        wanted.current["locale"] = str(event["target"].get("value") or "")[:35]

    def chosen(event: Mapping[str, Any]) -> None:
        wanted.current["origin"] = str(event["target"].get("value") or "")

    suggested = next((one for one in ("de", "en", "default", "fr", "it") if one not in writing.variants), "")
    origins = [html.option({"key": one, "value": one}, locale_name(t, one)) for one in writing.variants]
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, components.icon("pencil"), t("Add a language")),
        html.div(
            {"className": "question"},
            html.label(
                t("Language, such as de or de-CH; “default” for everyone else"),
                html.input({"type": "text", "placeholder": suggested, "maxLength": 35, "onBlur": typed, "autoComplete": "off"}),
            ),
            html.label(
                t("Begin with the texts of"),
                html.select(
                    {"defaultValue": writing.locale, "onChange": chosen}, origins, html.option({"key": "", "value": ""}, t("nothing"))
                ),
            ),
            html.button(
                {
                    "type": "button",
                    "className": "button main",
                    "onClick": lambda _event: writing.add_language(wanted.current["locale"] or suggested, wanted.current["origin"]),
                },
                t("Add"),
            ),
        ),
    )


@component
def source(writing: Writing) -> Element:
    """The fields. They are the browser's: drawn again only for another language, or when texts were set from here."""
    use_topics(writing, "source")
    parts = KINDS[writing.stored.kind].parts
    lines = [part for part in parts if part.format in ("line", "url")]
    long, *own = [part.name for part in parts if part.format in ("mjml", "text")]
    return html.div(
        {"className": "tpl-fields"},
        [_line(writing, part) for part in lines],
        inserting(writing),
        _source(writing, long),
        [
            html.details(
                {"key": part, "className": "tpl-own", "open": bool(writing.text(part))},
                html.summary(writing.t("Own plain text (otherwise made from the e-mail)")),
                _source(writing, part),
            )
            for part in own
        ],
        html.p({"className": "tpl-keys"}, writing.t("Tab indents; press Esc, then Tab to leave the field. Ctrl+F searches, Ctrl+S saves.")),
    )


def _field(writing: Writing, part: str) -> dict[str, Any]:
    return {
        "id": writing.stored.key,
        "place": f"{writing.locale}/{part}",
        "initial": writing.text(part),
        "generation": writing.generation,
        "settled": writing.settled,
        "editable": writing.editable,
    }


def _line(writing: Writing, part: Part) -> Element:
    _, line, _, _ = bundle.components()
    field = f"tpl-{part.name}"
    shown = part.max_chars or (LONG_SUBJECT if part.name == "subject" else 0)
    more = {"field": field, "most": most_characters(part), "shown": shown}
    return html.div(
        {"key": part.name, "className": "tpl-line"},
        html.label({"htmlFor": field}, writing.t(part.title)),
        line({**_field(writing, part.name), **more}),
    )


def _title(writing: Writing, part: str) -> str:
    """What the field of a part is called; a version from when the kind had other parts shows its name."""
    known = KINDS[writing.stored.kind].part(part)
    return known.title if known else part


def _source(writing: Writing, part: str) -> Element:
    _, _, area, _ = bundle.components()
    t = writing.t
    more = {"language": part, "label": t(_title(writing, part)), "phrases": _text({one: t(one) for one in PHRASES})}
    return html.div({"key": f"source-{part}", "className": "tpl-source"}, area({**_field(writing, part), **more}))


@component
def inserting(writing: Writing) -> Element:
    """What can be put in at the cursor; the button carries the choice out."""
    t = writing.t
    wish = use_ref("")
    if not writing.editable:
        return None
    groups = snippets.groups(t, writing.stored.kind, writing.locale, writing.stored.fields, writing.stored.pieces)
    texts = {f"{n}.{m}": one.text for n, (_, entries) in enumerate(groups) for m, one in enumerate(entries)}

    def chosen(event: Mapping[str, Any]) -> None:
        wish.current = str(event["target"].get("value") or "")

    def put(_event: Any) -> None:
        if wish.current in texts:
            writing.ask(text=texts[wish.current])

    options = [
        optgroup(
            {"key": str(n), "label": title},
            [html.option({"key": f"{n}.{m}", "value": f"{n}.{m}"}, one.name) for m, one in enumerate(entries)],
        )
        for n, (title, entries) in enumerate(groups)
    ]
    return html.div(
        {"className": "tpl-insert"},
        html.label({"htmlFor": "tpl-insert"}, t("Insert")),
        html.select(
            {"id": "tpl-insert", "onChange": chosen},
            html.option({"key": "", "value": ""}, t("Field, link, block or partial …")),
            options,
        ),
        html.button({"type": "button", "className": "button", "onClick": put}, t("Insert")),
    )


@component
def wire(writing: Writing) -> Element:
    use_topics(writing, "feed")
    news, *_ = bundle.components()
    return news({"id": writing.stored.key, "session": writing.id, "feed": _text(writing.feed()), "onEvent": writing.hear})


# The right half


@component
def right(writing: Writing) -> Element:
    use_topics(writing, "side")
    t = writing.t
    sides = {"preview": "Preview", "versions": "Versions", "label": KINDS[writing.stored.kind].usage}
    chosen = [
        html.button(
            {
                "key": side,
                "type": "button",
                "className": "tab here" if side == writing.side else "tab",
                "aria-pressed": str(side == writing.side).lower(),
                "onClick": lambda _event, side=side: writing.turn(side),
            },
            t(title),
        )
        for side, title in sides.items()
    ]
    shown = {"preview": preview, "versions": versions, "label": label}[writing.side]
    return html._(
        html.div({"className": "tpl-tabs"}, html.div({"className": "tabs", "role": "group", "aria-label": t("Views")}, chosen)),
        html.div({"key": writing.side, "className": f"tpl-side {writing.side}"}, shown(writing)),
    )


@component
def preview(writing: Writing) -> Element:
    use_topics(writing, "proof")
    t, found = writing.t, writing.proof

    def turn(look: str) -> Callable[[Any], None]:
        def turned(_event: Any) -> None:
            writing.look = look
            writing.tell("proof")

        return turned

    looks = LOOKS if writing.stored.kind in HTML else {}
    switches = [
        html.button(
            {
                "key": look,
                "type": "button",
                "className": "tab here" if look == writing.look else "tab",
                "aria-pressed": str(look == writing.look).lower(),
                "onClick": turn(look),
            },
            t(title),
        )
        for look, title in looks.items()
    ]
    stale = found is not None and not writing.is_fresh and writing.stored.kind in HTML and bool(writing.frame())
    return html._(
        html.div(
            {"className": "tpl-bar"},
            person(writing),
            html.div({"className": "tabs", "role": "group", "aria-label": t("How it is shown")}, switches) if switches else None,
        ),
        html.p(
            {"className": "tpl-stale", "role": "status"},
            components.icon("clock"),
            t("Not the latest: this is the last version that could be shown."),
        )
        if stale
        else None,
        _inbox(writing),
        _shown(writing),
        findings(writing),
    )


def _trigger(writing: Writing) -> Element:
    """Whose event gives the values of the trigger, and what of all that is shown is made up."""
    t, proof = writing.t, writing.proof
    if proof is None:
        return None
    trigger, made_up = proof.trigger, ", ".join(proof.invented[:MOST_SHOWN])
    return html._(
        html.p(
            {"className": "tpl-trigger"},
            t("Values of the trigger: “{event}”, {at}", event=trigger.event, at=t.moment(trigger.at)),
        )
        if trigger is not None and trigger.event
        else None,
        html.p({"className": "tpl-trigger"}, components.icon("shuffle"), t("Sample values in this preview:"), " ", made_up)
        if made_up
        else None,
    )


def _inbox(writing: Writing) -> Element:
    """The line of a mailbox: subject and the words after it."""
    found = writing.proof.rendered if writing.proof else None
    if KINDS[writing.stored.kind].part("subject") is None or found is None:
        return None
    preheader = writing.text("preheader")
    return html.p({"className": "tpl-inbox"}, html.b(found.subject or writing.t("(no subject)")), html.span(preheader))


def _shown(writing: Writing) -> Element:
    t, found = writing.t, writing.proof
    rendered = found.rendered if found else None
    if writing.stored.kind not in HTML or writing.look == "text":
        count = _segments(writing) if found and found.segments else None
        if rendered is None:
            return html.p({"className": "tpl-nothing"}, t("Nothing to show yet."))
        return html.div({"className": "tpl-plain"}, _phone(writing, rendered), count)
    address = writing.frame()
    if not address:
        return html.p({"className": "tpl-nothing"}, t("Nothing to show yet."))
    *_, frame = bundle.components()
    note = None
    if writing.look == "dark" and rendered is not None:
        said = (
            "With the template's own dark colours."
            if frames.has_dark(rendered.html)
            else "The template has no dark colours: this is how mail programs that invert colours show it."
        )
        note = html.p({"className": "tpl-note"}, t(said))
    return html.div(
        {"className": f"tpl-frame {writing.look}"},
        frame({"src": address, "title": t("The message as rendered"), "sandbox": frames.SANDBOX}),
        note,
    )


def _phone(writing: Writing, rendered: Rendered) -> Element:
    """A text as a phone or a site shows it, the headline above and the address below."""
    kind = KINDS[writing.stored.kind]
    bubble = "tpl-bubble" if kind.bubble else "mail-text"
    below = [(part, rendered.parts.get(part.name)) for part in further_parts(writing.stored.kind) if part.name != kind.headline]
    if not rendered.parts:
        return html.pre({"className": bubble}, rendered.text or "–")
    return html.div(
        {"className": f"{bubble} tpl-parts"},
        html.b(rendered.subject or writing.t("(no subject)")),
        html.pre(rendered.text or "–"),
        [html.small({"key": part.name}, writing.t(part.title), ": ", text) for part, text in below if text],
    )


def _segments(writing: Writing) -> Element:
    """How many parts a text is cut into."""
    t = writing.t
    assert writing.proof is not None
    count = writing.proof.segments
    assert count is not None
    single, part = LIMITS[count.encoding]
    alphabet = {"gsm7": "GSM-7", "ucs2": "UCS-2"}[count.encoding]
    said = [
        html.b(t("1 part") if count.count == 1 else t("{count} parts", count=count.count)),
        html.span(
            t(
                "{units} of {limit} characters, {alphabet}",
                units=count.units,
                limit=single if count.count < 2 else part * count.count,
                alphabet=alphabet,
            )
        ),
    ]
    if count.foreign:
        said.append(html.span(t("These characters make every part shorter: {characters}", characters=" ".join(count.foreign[:20]))))
    return html.p({"className": "tpl-segments"}, *said)


@component
def person(writing: Writing) -> Element:
    """For whom the message is filled in."""
    use_topics(writing, "person")
    t = writing.t

    def typed(event: Mapping[str, Any]) -> None:
        writing.find_people(str(event["target"].get("value") or ""))

    def choose(one: tuple[str, str] | None) -> Callable[[Any], None]:
        return lambda _event: writing.show_for(one)

    found = [
        html.button({"key": one[0], "type": "button", "className": "button", "onClick": choose(one)}, one[1]) for one in writing.people
    ]
    name = writing.person[1] if writing.person else t("Sample values")
    return html.details(
        {"className": "ask tpl-person", "name": "ask"},
        html.summary(
            {"className": "button"}, components.icon("user" if writing.person else "shuffle"), t("Preview for: {name}", name=name)
        ),
        html.div(
            {"className": "question"},
            html.label(
                t("Search by name or e-mail"),
                html.input({"type": "search", "onChange": typed, "maxLength": 100, "autoComplete": "off"}),
            ),
            html._(found),
            html.button({"type": "button", "className": "button plain", "onClick": choose(None)}, t("Sample values")),
        ),
    )


def findings(writing: Writing) -> Element:
    """Problems, hints and links."""
    t, found = writing.t, writing.proof
    if found is None:
        return None
    errors = [_finding(writing, issue, n) for n, issue in enumerate(found.errors[:MOST_SHOWN])]
    hints = [_finding(writing, issue, n) for n, issue in enumerate(found.hints[:MOST_SHOWN])]
    title = (
        t("Problems: {errors}, hints: {warnings}", errors=len(found.errors), warnings=len(found.hints))
        if errors or hints
        else t("No problems")
    )
    size = ""
    if found.rendered is not None and writing.stored.kind in HTML:
        kilobytes = len(found.rendered.html.encode()) / 1000
        size = t("{size} of {limit} kB HTML", size=t.number(round(kilobytes, 1)), limit=102)
    links = [
        html.li({"key": str(n)}, html.button({"type": "button", "className": "tpl-finding", "onClick": _to(writing, one.line, one.column)}, components.icon("link"), html.span(one.target or "–")))
        for n, one in enumerate(found.links[:MOST_SHOWN])
    ]  # fmt: skip
    near = found.rendered is not None and len(found.rendered.html.encode()) > CLIPPED_BYTES
    return html.div(
        {"className": "tpl-findings"},
        html.h2(
            components.icon("alert" if errors else "check"), title, html.small({"className": "bad" if near else ""}, size) if size else None
        ),
        html.ul(errors, hints) if errors or hints else None,
        html.details(html.summary(t("Links: {count}", count=len(found.links))), html.ul(links)) if links else None,
    )


def _to(writing: Writing, line: int, column: int) -> Callable[[Any], None]:
    return lambda _event: writing.ask(place=f"{writing.locale}/mjml", line=line, column=column)


def _finding(writing: Writing, issue: Issue, n: int) -> Element:
    """One problem or hint; pressing it leads to where it is."""
    _, _, place = (issue.field or "").partition(".")
    locale = place.partition(".")[0]
    elsewhere = html.b(locale_name(writing.t, locale), ": ") if locale in writing.variants and locale != writing.locale else None
    jump = {"type": "button", "className": f"tpl-finding {issue.severity}", "onClick": lambda _event: writing.jump(issue)}
    weight = html.span({"className": "hidden"}, writing.t("Problem: ") if issue.severity == "error" else writing.t("Hint: "))
    symbol = components.icon("alert" if issue.severity == "error" else "ear")
    return html.li({"key": f"{issue.severity}{n}"}, html.button(jump, symbol, html.span(weight, elsewhere, issue.say(writing.t.translate))))


# Versions


@component
def versions(writing: Writing) -> Element:
    use_topics(writing, "side")
    t = writing.t
    rows = [_version(writing, old) for old in writing.versions]
    if not rows:
        return html.p({"className": "tpl-nothing"}, t("No version yet") if not writing.stored.number else "…")
    draft = listing.changes(writing.versions[0].source, writing.variants, writing.parts)
    now = (
        html.details({"key": "draft", "className": "tpl-version"}, html.summary(html.b(t("The draft")), html.span(t("differences from the newest version"))), _diff(writing, draft))
        if draft
        else None
    )  # fmt: skip
    return html.div({"className": "tpl-versions"}, now, rows)


def _version(writing: Writing, old: Old) -> Element:
    t = writing.t
    used = [use.journey_name for use in writing.stored.uses if use.template_version == old.number]
    source: Variants = old.source

    def restore(_event: Any) -> None:
        writing.replace(source)
        writing.notice = (t("Version {number} is now in the draft; save it to make it the newest.", number=old.number), True)
        writing.tell("head", "side")

    found = listing.changes(old.before, old.source, writing.parts) if old.before else []
    return html.details(
        {"key": str(old.number), "className": "tpl-version"},
        html.summary(
            html.b(t("Version {number}", number=old.number)),
            components.moment(t, old.created_at),
            html.span(t("used by {journeys}", journeys=", ".join(used))) if used else None,
        ),
        _diff(writing, found) if found else html.p({"className": "quiet"}, t("The first one.") if not old.before else t("No differences.")),
        components.button(t("Copy into the draft"), restore, "pencil") if writing.editable else None,
    )


_SIGNS = {"+": ("added", "+"), "-": ("gone", "−"), "…": ("gap", "⋯"), " ": ("", " ")}


def _diff(writing: Writing, found: list[listing.Change]) -> Element:
    t = writing.t
    blocks = []
    for n, change in enumerate(found):
        lines = []
        for m, (sign, text) in enumerate(change.lines):
            name, shown = _SIGNS[sign]
            lines.append(html.span({"key": str(m), "className": f"tpl-diff {name}"}, shown, " ", text, "\n"))
        title = f"{locale_name(t, change.locale)} · {t(_title(writing, change.part))}"
        blocks.append(html.div({"key": str(n)}, html.h3(title), html.pre({"tabIndex": 0}, lines)))
    return html.div(blocks)


# Label and journeys


@component
def label(writing: Writing) -> Element:
    use_topics(writing, "side")
    t, stored = writing.t, writing.stored
    off = {"disabled": not writing.editable}

    def kept(name: str, read: Callable[[str], Any]) -> Callable[[Mapping[str, Any]], None]:
        return lambda event: writing.describe(**{name: read(str(event["target"].get("value") or ""))})

    def listed(text: str) -> list[str]:
        return [one.strip() for one in text.split(",") if one.strip()]

    classes = [html.option({"key": one, "value": one}, t(title)) for one, title in CLASSES.items()]
    key = f"{stored.name}/{stored.folder}/{stored.tags}"
    fields = [
        (t("Name"), html.input({"key": "n" + key, "defaultValue": stored.name, "maxLength": 120, "onBlur": kept("name", str.strip), **off})),
        (t("Class"), html.select({"value": stored.message_class, "onChange": kept("message_class", str), **off}, classes)),
        (t("Folder"), html.input({"key": "f" + key, "defaultValue": stored.folder, "maxLength": 120, "onBlur": kept("folder", str.strip), **off})),
        (t("Tags, separated by commas"), html.input({"key": "t" + key, "defaultValue": ", ".join(stored.tags), "maxLength": 1200, "onBlur": kept("tags", listed), **off})),
    ]  # fmt: skip
    if stored.kind == "partial":
        del fields[1]
        return html.div({"className": "tpl-label"}, _form(fields), *_inclusions(writing))
    return html.div(
        {"className": "tpl-label"},
        _form(fields),
        html.p({"className": "quiet"}, t("Key: {key}. Journeys name the template by it.", key=stored.key)),
        html.h2(t("Where this template is used")),
        html.ul({"className": "tpl-uses"}, [_use(writing, use) for use in stored.uses])
        if stored.uses
        else html.p({"className": "quiet"}, t("No journey uses this template.")),
    )


def _form(fields: list[tuple[str, Element]]) -> Element:
    return html.div({"className": "tpl-form"}, [html.label({"key": title}, title, field) for title, field in fields])


def _inclusions(writing: Writing) -> list[Element]:
    """Where a partial is used, and the act that brings all up."""
    t, stored = writing.t, writing.stored
    written = f'<mj-include path="partial:{stored.key}" />'
    behind = [one for one in stored.inclusions if _is_behind(one, stored.number)]
    question = t("Each template gets a new version: its text with version {number} of this partial. Each is checked; what fails stays as it was and is listed. Live journeys keep their versions.", number=stored.number)  # fmt: skip
    every = lambda _event: writing.spawn(writing.act, "Templates updated: {count}.", writing.bring_up)  # noqa: E731
    return [
        html.p({"className": "quiet"}, t("Key: {key}. Templates include the partial with this line:", key=stored.key)),
        html.pre({"className": "tpl-include"}, written),
        html.h2(t("Where used")),
        components.ask(t("Update all ({count})", count=len(behind)), question, t("Update all"), every, "history")
        if behind and writing.editable
        else None,
        html.ul({"className": "tpl-uses"}, [_inclusion(writing, one) for one in stored.inclusions])
        if stored.inclusions
        else html.p({"className": "quiet"}, t("No template includes this partial.")),
    ]


def _is_behind(one: Inclusion, number: int) -> bool:
    return one.version is not None and one.version < number and not one.archived


def _inclusion(writing: Writing, one: Inclusion) -> Element:
    t, stored = writing.t, writing.stored
    kind = KINDS[one.kind]
    said = (
        t("includes the newest version")
        if one.kind == "partial"
        else t("only in the draft")
        if one.version is None
        else older_text(t, Behind(stored.key, one.version, stored.number))
        if one.version < stored.number
        else t("uses version {version}", version=one.version)
    )
    up = lambda _event: writing.spawn(writing.act, "Templates updated: {count}.", lambda: writing.bring_up(one.key))  # noqa: E731
    return html.li(
        {"key": one.key},
        html.div(
            html.a({"href": f"/ui/templates/{one.key}"}, one.name),
            " ",
            components.badge(t(kind.label), "", kind.icon),
            components.badge(t("In the archive"), "warn", "clipboard-check") if one.archived else None,
            html.small(said),
        ),
        components.button(t("Update it"), up, "history") if _is_behind(one, stored.number) and writing.editable else None,
    )


def _use(writing: Writing, use: listing.Use) -> Element:
    """A journey, and which of its versions: the one that is entered now, one that contacts are still in, or the draft."""
    t, state = writing.t, JOURNEY_STATES[use.state]
    return html.li(
        {"key": f"{use.journey_key}/{use.version}"},
        html.div(
            html.a({"href": f"/ui/journeys/{use.journey_key}/edit"}, use.journey_name),
            " ",
            components.badge(t(state[0]), *state[1:]),
            html.small(t(USES[use.place], number=use.version, version=use.template_version)),
        ),
        _correction(writing, use),
    )


def _correction(writing: Writing, use: listing.Use) -> Element:
    """To have a version send the newest text from now on."""
    t, stored = writing.t, writing.stored
    if use.template_version is None or use.template_version >= stored.number or not writing.editable:
        return None
    return components.ask(
        t("Use version {number} there", number=stored.number),
        t(CORRECTIONS[use.place], version=use.version, name=use.journey_name),
        t("Correct it now"),
        lambda _event: writing.spawn(writing.act, "“{name}” uses version {number} from now on.", lambda: writing.correct(use)),
        "pencil",
    )


USES: Mapping[listing.Place, str] = {
    "live": "uses version {version} of the template",
    "inside": "version {number}, which contacts are still in, uses version {version} of the template",
    "draft": "only in the draft",
}
CORRECTIONS: Mapping[listing.Place, str] = {
    "live": "A correction: version {version} of “{name}”, which is live, sends the new text from now on, including to contacts already in it. It is recorded in the audit trail.",
    "inside": "A correction: version {version} of “{name}”, which contacts are still in, sends them the new text from now on. It is recorded in the audit trail.",
}

PAGE = Page("/ui/templates/{key}", "Template", "templates", "template.read", fetch, view, assets=bundle.assets())
