"""The pieces pages are made of: icons, badges, buttons, questions, lists, pagers. They draw what they are given and know no journey."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html, svg

Handler = Callable[..., Any]

ICONS: Mapping[str, str] = {
    "alert": "M12 4 2.8 19.5h18.4zM12 10v4M12 17v.2",
    "archive": "M3 5h18v4H3zM5 9v10h14V9M10 13h4",
    "arrow": "M5 12h14M13 6l6 6-6 6",
    "ban": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M5.6 5.6l12.8 12.8",
    "bell": "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20a2 2 0 0 0 4 0",
    "calendar-clock": "M4 6h16v6M4 6v14h8M8 3v4M16 3v4M4 10h16M18 14a4 4 0 1 0 0 8 4 4 0 0 0 0-8M18 16v2l1.3 1",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "check-square": "M4 4h16v16H4zM8 12l3 3 5-6",
    "circle": "M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14",
    "clipboard-check": "M8 5H5v16h14V5h-3M9 3h6v4H9zM9 14l2 2 4-4",
    "clock": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3 2",
    "ear": "M7 10a5 5 0 0 1 10 0c0 4-4 4-4 8a2.5 2.5 0 0 1-5 0M10 10a2 2 0 0 1 4 0",
    "code": "M9 7l-5 5 5 5M15 7l5 5-5 5",
    "copy": "M9 9h11v11H9zM15 9V4H4v11h5",
    "download": "M12 4v11M7 11l5 5 5-5M4 20h16",
    "flag": "M5 21V4M5 4h12l-2 4 2 4H5",
    "folder": "M3 6h6l2 2h10v11H3z",
    "gauge": "M4 18a9 9 0 1 1 16 0M12 14l4-5",
    "gem": "M7 4h10l4 6-9 11L3 10zM3 10h18M9 10l3 10 3-10",
    "hand": "M8 12V5a1.5 1.5 0 0 1 3 0v6V4a1.5 1.5 0 0 1 3 0v7V6a1.5 1.5 0 0 1 3 0v8a6 6 0 0 1-6 6c-3 0-4-1-6-5l-1-2.5a1.5 1.5 0 0 1 2.6-1.2z",
    "hourglass": "M6 3h12M6 21h12M7 3c0 5 5 6 5 9s-5 4-5 9M17 3c0 5-5 6-5 9s5 4 5 9",
    "key": "M8 11a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M11.2 12.3 20 3.5M16 7.5l3 3",
    "image": "M4 5h16v14H4zM4 16l5-5 4 4 2-2 5 5M15 8.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3",
    "layout": "M4 4h16v16H4zM4 9h16M10 9v11",
    "history": "M4 12a8 8 0 1 0 3-6.2M4 4v4h4M12 8v4l3 2",
    "link": "M10 14a4 4 0 0 0 6 0l3-3a4.2 4.2 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4.2 4.2 0 0 0 6 6l1-1",
    "list-tree": "M4 6h9M10 12h10M10 18h10M5 9v9h2M5 12h2",
    "lock": "M5 11h14v10H5zM8 11V7.5a4 4 0 0 1 8 0V11",
    "mail": "M3 6h18v12H3zM3 7l9 7 9-7",
    "mail-open": "M3 10l9-6 9 6v10H3zM3 11l9 6 9-6",
    "megaphone": "M4 10v4h3l8 4V6l-8 4zM18 9a4 4 0 0 1 0 6M8 14l1 5h2",
    "menu": "M4 6h16M4 12h16M4 18h16",
    "message-square": "M4 5h16v11H10l-4 4v-4H4z",
    "phone": "M7 3 10 8l-2 2a12 12 0 0 0 6 6l2-2 5 3c0 3-2 4-4 4A16 16 0 0 1 3 7c0-2 1-4 4-4",
    "pause": "M8 5v14M16 5v14",
    "pencil": "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
    "people": "M9 5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M2.5 20a6.5 6.5 0 0 1 13 0M16 5.5a3.5 3.5 0 0 1 0 6.5M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
    "play": "M7 4.5v15l12-7.5z",
    "plug": "M9 3v6M15 3v6M6 9h12v3a6 6 0 0 1-12 0zM12 18v3",
    "plus": "M12 5v14M5 12h14",
    "puzzle": "M4 8h5a2.2 2.2 0 1 1 4 0h4v4a2.2 2.2 0 1 1 0 4v4H4z",
    "route": "M6 16a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M18 3a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M8.5 18.5H16a3.5 3.5 0 0 0 0-7H8a3.5 3.5 0 0 1 0-7h7.5",
    "search": "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l5 5",
    "building": "M5 21V4h9v17M14 9h5v12M3 21h18M8 8h3M8 12h3M8 16h3",
    "segments": "M9 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12",
    "shuffle": "M3 7h4l9 10h5M3 17h4l3-3.3M13.5 10.2 16 7h5M18 4l3 3-3 3M18 14l3 3-3 3",
    "skip": "M5 5v14l9-7zM18 5v14",
    "sliders": "M4 7h8M18 7h2M15 4.5v5M4 17h2M12 17h8M9 14.5v5",
    "split": "M12 21v-7M12 14 5 7M12 14l7-7M5 12V6h6M13 6h6v6",
    "square": "M6 6h12v12H6z",
    "user": "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M4.5 21a7.5 7.5 0 0 1 15 0",
    "user-check": "M10 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M3 21a7 7 0 0 1 13-3.5M15 19l2 2 4-4.5",
    "user-pen": "M10 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M3 21a7 7 0 0 1 9-6.5M14 21l.6-2.6L19.5 13.5l2 2L16.6 20.4z",
    "user-plus": "M10 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M3 21a7 7 0 0 1 14 0M19 8v6M16 11h6",
    "webhook": "M9 4l-5 8 5 8M15 4l5 8-5 8",
}
"""Line drawings on a 24 × 24 field, our own; kinds of step name theirs (`Node.icon`)."""


def icon(name: str) -> Element:
    """Decoration: what it means must stand beside it in words."""
    path = svg.path({"d": ICONS.get(name, ICONS["circle"])})
    return svg.svg({"className": "icon", "viewBox": "0 0 24 24", "aria-hidden": "true"}, path)


def badge(text: str, tone: str, symbol: str) -> Element:
    """A state: colour, symbol and word together."""
    return html.span({"className": f"badge {tone}"}, icon(symbol), text)


def head(
    title: str, *lines: Element, back: tuple[str, str] | None = None, state: Element = None, actions: Sequence[Element] = ()
) -> Element:
    """The top of a page; `back` is (address, text)."""
    return html.header(
        {"className": "page-head"},
        html.a({"className": "back", "href": back[0]}, "← ", back[1]) if back else None,
        html.div(
            {"className": "page-title"},
            html.h1(title),
            state,
            html.div({"className": "actions"}, *actions) if any(actions) else None,
        ),
        *[html.p({"className": "lead"}, line) for line in lines if line],
    )


def button(text: str, handler: Handler, symbol: str | None = None, tone: str = "", **more: str) -> Element:
    attributes = {"type": "button", "className": f"button {tone}", "onClick": handler, **more}
    return html.button(attributes, icon(symbol) if symbol else None, text)


def close(t: Translator, handler: Handler) -> Element:
    """Takes a notice away."""
    return html.button({"type": "button", "className": "close", "aria-label": t("Close the notice"), "onClick": handler}, "×")


KEY_PATTERN = "[a-z0-9][a-z0-9_\\-]{0,63}"
"""How a key is written, for the browser to check; `journeys.keys` decides."""


def own_key(t: Translator, name: str) -> Element:
    """A key of one's own, for engineers: without one it is made from the name."""
    field = {"name": name, "pattern": KEY_PATTERN, "maxLength": 64, "autoComplete": "off", "placeholder": t("made from the name")}
    return html.details({"className": "own-key"}, html.summary(t("For engineers")), html.label(t("Key"), html.input(field)))


def ask(text: str, question: str, yes: str, handler: Handler, symbol: str, tone: str = "") -> Element:
    """A button that asks before it acts. The question opens without the server, by mouse and by keyboard."""
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": f"button {tone}"}, icon(symbol), text),
        html.div(
            {"className": "question"},
            html.p(question),
            html.button({"type": "button", "className": f"button {tone or 'main'}", "onClick": handler}, yes),
        ),
    )


def choose(text: str, hint: str, choices: Sequence[tuple[str, Handler]], symbol: str, *extra: Element) -> Element:
    """A button that opens several ways on."""
    return html.details(
        {"className": "ask", "name": "ask"},
        html.summary({"className": "button"}, icon(symbol), text),
        html.div(
            {"className": "question"},
            html.p(hint) if hint else None,
            *extra,
            *[html.button({"type": "button", "className": "button", "onClick": handler}, label) for label, handler in choices],
        ),
    )


def empty(symbol: str, text: str, more: Element) -> Element:
    """Where nothing is to be seen: why, and what leads on."""
    return html.div({"className": "empty"}, icon(symbol), html.p(text), more)


def search(context: PageContext, label: str) -> Element:
    """A search field that keeps the other choices of the page. A plain form: it works while the connection is away."""
    kept = [
        html.input({"type": "hidden", "name": name, "value": value})
        for name, value in context.query.items()
        if name not in ("q", "before") and value
    ]
    field = {
        "type": "search",
        "name": "q",
        "defaultValue": context.query.get("q", ""),
        "placeholder": label,
        "aria-label": label,
        "maxLength": 200,
    }
    return html.form(
        {"className": "search", "method": "get", "action": context.path, "role": "search"}, icon("search"), html.input(field), *kept
    )


def tabs(context: PageContext, name: str, choices: Iterable[tuple[str, str, int | None]], label: str) -> Element:
    """Links that set one value of the query; (value, text, number or None). The first choice is the default."""
    choices = list(choices)
    present = context.query.get(name, "") or choices[0][0]
    links = [_tab(context, name, value, text, number, value == present, value == choices[0][0]) for value, text, number in choices]
    return html.nav({"className": "tabs", "aria-label": label}, links)


def _tab(context: PageContext, name: str, value: str, text: str, number: int | None, here: bool, default: bool) -> Element:
    attributes = {"href": context.link(**{name: None if default else value}), "key": value, "className": "tab here" if here else "tab"}
    if here:
        attributes["aria-current"] = "page"
    count = html.span({"className": "count"}, context.t.number(number)) if number is not None else None
    return html.a(attributes, text, count)


def pager(context: PageContext, next_before: str | None, first: str = "", more: str = "") -> Element:
    """Onwards to older ones, and back to the newest; `first` and `more` are the words for lists in another order."""
    if next_before is None and not context.query.get("before"):
        return None
    t = context.t
    newest = html.a({"className": "button", "href": context.link()}, first or t("Newest")) if context.query.get("before") else None
    older = (
        html.a({"className": "button", "href": context.link(before=next_before)}, more or t("Older"), icon("arrow"))
        if next_before
        else None
    )
    return html.nav({"className": "pager", "aria-label": t("Pages")}, newest, older)


def table(label: str, columns: Sequence[str], rows: Sequence[Sequence[Element]], kinds: str = "") -> Element:
    """Rows; on a phone each becomes a small card that names its columns itself."""
    return html.table(
        {"className": f"list {kinds}", "aria-label": label},
        html.thead(html.tr([html.th({"key": str(n), "scope": "col"}, column) for n, column in enumerate(columns)])),
        html.tbody([_row(columns, row, n) for n, row in enumerate(rows)]),
    )


def _row(columns: Sequence[str], row: Sequence[Element], number: int) -> Element:
    cells = [html.td({"key": str(n), "data-label": columns[n]}, cell) for n, cell in enumerate(row)]
    return html.tr({"key": str(number)}, cells)


def kept(acts: Acts, name: str, label: str, most: int, shown: str = "", **more: Any) -> Element:
    """A labelled text field whose content waits in the drafts until a button needs it: it goes there when the field is left, which is
    always before the button that is pressed next. What is still as it was `shown` is no draft."""
    field = {"maxLength": most, "onBlur": keep(acts, name, most, shown), "defaultValue": acts.drafts.get(name, shown), **more}
    return html.label(label, html.input(field))


def kept_lines(acts: Acts, name: str, label: str, most: int, rows: int = 2, shown: str = "") -> Element:
    """The same for several lines."""
    field = {"rows": rows, "maxLength": most, "onBlur": keep(acts, name, most, shown), "defaultValue": acts.drafts.get(name, shown)}
    return html.label(label, html.textarea(field))


def kept_choice(acts: Acts, name: str, label: str, options: Mapping[str, str], shown: str | None = None) -> Element:
    """The same for a choice; without `shown` the first one stands until another is made."""
    present = acts.drafts.setdefault(name, next(iter(options), "")) if shown is None else acts.drafts.get(name, shown)
    choices = [html.option({"value": value, "key": value, "selected": value == present}, text) for value, text in options.items()]
    return html.label(label, html.select({"onChange": keep(acts, name, 300, shown)}, choices))


def keep(acts: Acts, name: str, most: int, shown: str | None = None) -> Handler:
    def note(event: dict[str, Any]) -> None:
        acts.drafts[name] = str(event["target"].get("value", ""))[:most]
        if acts.drafts[name] == shown:
            del acts.drafts[name]

    return note


def form(text: str, symbol: str, fields: Sequence[Element], yes: str, handler: Handler, tone: str = "main", open: bool = False) -> Element:
    """A button that opens a few fields with a button under them."""
    return html.details(
        {"className": "ask", "name": "ask", **({"open": True} if open else {})},
        html.summary({"className": f"button {'danger' if tone == 'danger' else ''}"}, icon(symbol), text),
        html.div(
            {"className": "question stack"},
            *fields,
            html.button({"type": "button", "className": f"button {tone}", "onClick": handler}, yes),
        ),
    )


def export(context: PageContext, name: str, **more: str) -> Element:
    """The way to the list on this page as a file; nothing for those who may not have it."""
    if not context.may("list.export"):
        return None
    query = {k: v for k, v in {**context.query, **more, "before": ""}.items() if v}
    return html.a({"className": "button", "href": f"/ui/export/{name}.csv?{urlencode(query)}"}, context.t("Export CSV"))


def moment(t: Translator, at: datetime | None) -> Element:
    """Date and time, in full when pointed at."""
    return html.time({"dateTime": at.isoformat(), "title": t.exactly(at)}, t.moment(at)) if at else "–"


def relative(context: PageContext, at: datetime, *, real: bool = False) -> Element:
    """`in 2 hours`; the shell keeps it true while the page is open, where the clock is the world's. `real`: `at` is real time (decision 038)."""
    now = context.app.real_now() if real else context.app.now()
    attributes = {"dateTime": at.isoformat(), "title": context.t.exactly(at)}
    if real or context.engine.clock.to_real(now) == now:
        attributes["data-relative"] = context.t.language
    return html.time(attributes, context.t.ago(at, now))


_MARKED = re.compile(r"`([^`]+)`|\*(\S(?:[^*]*[^*\s])?)\*")
"""What stands between back quotes is code, with all its asterisks; what stands between two asterisks that touch it is a name."""


def marked(text: str) -> list[Element]:
    """A sentence with its names and code as elements: `opened *Welcome*` -> opened <b>Welcome</b>. Other asterisks stay."""
    elements: list[Element] = []
    end = 0
    for n, found in enumerate(_MARKED.finditer(text)):
        elements += [text[end : found.start()]] if found.start() > end else []
        elements.append(html.code({"key": str(n)}, found[1]) if found[1] else html.b({"key": str(n)}, found[2]))
        end = found.end()
    return [*elements, text[end:]] if end < len(text) or not elements else elements


def plain(text: str) -> str:
    """The same sentence without its marks, for where there are no elements."""
    return _MARKED.sub(lambda found: found[1] or found[2], text)


def facts(pairs: Iterable[tuple[str, Element]]) -> Element:
    """Names and values."""
    rows = [html.div({"key": f"{n}"}, html.dt(name), html.dd(value)) for n, (name, value) in enumerate(pairs)]
    return html.dl({"className": "facts"}, rows)


def picture(source: str) -> Element:
    """A mail, small, that cannot be pressed; loaded when it comes into view."""
    return html.iframe(
        {"className": "tpl-picture", "src": source, "sandbox": "", "loading": "lazy", "tabIndex": -1, "aria-hidden": "true", "title": ""}
    )
