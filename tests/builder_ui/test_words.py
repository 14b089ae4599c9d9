"""Every sentence of the pages has a German text, and steps, spans and codes read like language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.pofile import read_po

from activities.account_setup import OUR_ADVICE
from activities.providers import Providers
from activities.rendering.kinds import KINDS
from activities.team import account_mail
from activities.templates.layouts import layouts
from builder_ui import exports, tour
from builder_ui.app.host import MENU, THEMES
from builder_ui.builder import canvas_texts, metrics
from builder_ui.companies import detail as company
from builder_ui.companies import fields as company_fields
from builder_ui.companies import list as companies
from builder_ui.companies import people
from builder_ui.contacts import edit, filters, import_steps, import_undo, reading_form, writing_notes
from builder_ui.contacts import imports as contact_imports
from builder_ui.contacts import list as contacts
from builder_ui.contacts.panels import PANELS, orders, who
from builder_ui.contacts.timeline import events, lines
from builder_ui.journeys import compare, drilldown, versions
from builder_ui.journeys import list as journeys
from builder_ui.kit import labels, run_timeline
from builder_ui.kit.i18n import Translator, language_for, translator_for, translator_of
from builder_ui.routes import PAGES, provider_accounts
from builder_ui.sales import tasks
from builder_ui.scoring import editor as scoring_editor
from builder_ui.scoring import model as scoring_model
from builder_ui.scoring import words as scoring_words
from builder_ui.search import suggest
from builder_ui.segments import detail as segment
from builder_ui.segments import states as segment_states
from builder_ui.segments.ready import READY
from builder_ui.settings import account, account_form, fields, jobs, keys, setting, users
from builder_ui.settings.sections import SECTIONS
from builder_ui.templates import approved, blocks, head, looks, makers, words
from builder_ui.templates import source as written
from crm.imports import imports, reading, recipes, undo
from crm.imports.subjects import SUBJECTS
from journeys.channels import CHANNELS
from journeys.nodes import BUILT_IN, Palette
from journeys.nodes.notify_team import NotifyTeam
from journeys.scoring.model import ACTIONS as SCORE_ACTIONS
from locales import translator
from models import Member
from tests.untranslated import wanted
from workspace import audit, members, settings

ROOT = Path(__file__).parents[2] / "builder_ui"
SAME = {
    "Scoring",
    "Domain",
    "Domains",
    "(optional)",
    "HTML",
    "Link",
    "Link {number}",
    "Navigation",
    "Normal",
    "SPF",
    "DKIM",
    "DMARC",
    "BIMI",
    "Reverse DNS",
    "Test",
    "Name",
    "Builder",
    "Journey",
    "Journeys",
    "Version {number}",
    "{problem}",
    "SMS",
    "WhatsApp",
    "Webhook",
    "in",
    "Marketing",
    "Code",
    "Desktop",
    "Links",
    "Links: {count}",
    "Newsletter",
    "Problem: ",
    "Tag",
    "Text",
    "Tracking",
    "Administrator",
    "Region",
    "Browser",
    "Details",
    "normal",
    "live",
    "Score",
    "Version",
    "Admin",
    "Logo",
    "Start",
    "Scores",
    "Score {group}",
    "Website",
    "System",
    "Server",
    "Port",
    "Segment",
    "VIP",
}
"""Words that are the same in both languages."""


def literals() -> Iterator[str]:
    """First arguments of `t(...)`, and what `act(...)` says when it is done."""
    for path in [*ROOT.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                said = {
                    "t": node.args[:1],
                    "act": node.args[2:3],
                    "framed": node.args[1:3],
                    "barred": node.args[1:2],
                    "form": node.args[7:8],
                    "_choice": node.args[3:4],
                    "_number": node.args[3:4],
                    "_text": node.args[2:3],
                    "Conflict": node.args[:1],
                    "Issue": [word.value for word in node.keywords if word.arg == "text"],
                }.get(name, [])
                yield from (part.value for part in said if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value)


def tables() -> Iterator[str]:
    for states in (labels.JOURNEY_STATES, labels.RUN_STATES, labels.MESSAGE_STATES, labels.TASK_STATES):
        yield from (text for text, _, _ in states.values())
    for table in (
        labels.CHANNELS,
        labels.REFUSALS,
        labels.REASONS,
        labels.CONSENT_STATES,
        labels.LEFT_OUT,
        labels.TASK_CHANGES,
        labels.OUTLETS,
    ):
        yield from table.values()
    yield from (text for text, _, _ in versions.MIGRATION_STATES.values())
    for table in (
        journeys.ORDERS,
        run_timeline.NOTES,
        lines.RUN_WORDS,
        lines.KIND_NAMES,
        who.IDENTITIES,
        orders.BACK,
        writing_notes.DIRECTIONS,
        writing_notes.OUTCOMES,
    ):
        yield from table.values()
    yield from (one.title for one in PANELS)
    yield from (text for text, _, _ in contact_imports.STATES.values())
    for table in (contact_imports.PROBLEMS, import_steps.NAMES, import_steps.FIELDS, import_steps.CONSENTS, import_steps.SAID):
        yield from table.values()
    yield from import_steps.ASKED.values()
    yield from channel_texts()
    yield from (import_steps.OPTED_OUT, import_steps.SUPPRESSED)
    for kind in Providers.built_in():
        yield from account_form.words_of(kind)
    yield from (*OUR_ADVICE.values(), provider_accounts.NOBODY, provider_accounts.NONE_HERE, provider_accounts.SEEDED)
    for table in (reading_form.SEPARATORS, reading_form.ORDERS, reading_form.DECIMALS, reading_form.EMPTY, reading_form.STATES):
        yield from table.values()
    for subject in SUBJECTS.values():
        yield from (subject.label, subject.help, *subject.target_names.values())
    for table in (imports.REASONS, reading.OPEN, reading.BOTH, undo.KEPT, import_undo.COUNTS):
        yield from table.values()
    yield from (recipe.meaning for recipe in recipes.recipes().values())
    yield from import_steps.STEPS
    for table in (looks.LOOKS, words.CLASSES, approved.STANDINGS, makers.PROBLEMS):
        yield from table.values()
    yield from (text for text, _, _ in head._STATUS.values())
    yield from written.PHRASES
    yield from (*blocks.WORDS, *blocks.OWN, *written.KEYS.values(), *(title for title, _ in written.FACES.values()))
    yield from (text for layout in layouts() for text in (layout.name, layout.description))
    yield from (text for text, _, _ in keys.RIGHTS)
    yield from (f"{kind} key" for kind in (*keys.SENDERS, "admin"))
    for table in (users.ROLE_WORDS, labels.ROLE_NAMES, keys.SENDERS, account.PROBLEMS, setting.LEADS, fields.CHOICES, settings._SENTENCES):
        yield from table.values()
    for table in (account_mail._SUBJECTS, account_mail._TEXTS, members._EXPECTED):
        yield from table.values()
    yield from (text for pair in fields.TITLES.values() for text in pair if text)
    yield from (text for _, text, _ in SECTIONS)
    yield from (f"role: {role}" for role in members.ROLES)
    for table in (audit.BROKEN, drilldown.TITLES, drilldown.WHOLE, compare.WORDS, metrics.NAMES):
        yield from table.values()
    yield from (text for text, _, _ in jobs.STATES.values())
    for table in (filters.SEEN, jobs.KINDS, jobs.COUNTS, contacts.SORTS, edit.FIELDS, tasks.PRIORITIES):
        yield from table.values()
    for listed in exports.LISTS.values():
        yield from listed.columns
    yield from labels.WEEKDAYS
    yield from canvas_texts.CANVAS
    yield from THEMES.values()
    yield from (title for title, _, _ in suggest.KINDS.values())
    yield from (one.title for one in segment.TABS.values())
    yield from (one.title for one in company.TABS.values())
    yield from (*companies.SORTS.values(), *people.SOURCES.values(), *company_fields.PLACES.values())
    yield from events.COMPANY_TEXTS.values()
    yield from (text for text, _, _ in segment_states.KINDS.values())
    for table in (scoring_words.WHY, scoring_words.PERIOD_LIMIT, scoring_model.ACTIONS):
        yield from table.values()
    yield from (text for _, text in (*scoring_editor.PERIODS, *scoring_editor.FADES))
    yield from (text for kind in SCORE_ACTIONS.values() for text in (kind.label, kind.help()[0]))
    yield from (text for one in READY.values() for text in (one.name, one.description))
    for step in tour.STEPS:
        yield from (step.title, step.text)
    yield from (text for _, _, text, _ in MENU)
    yield from (page.title for page in PAGES)
    yield from (kind.label for kind in BUILT_IN)


def channel_texts() -> Iterator[str]:
    for channel in CHANNELS.values():
        yield from (channel.label, channel.wording, channel.noun)
        yield from (channel.step.label, channel.step.help, channel.step.keywords) if channel.step else ()
    for kind in KINDS.values():
        yield from (kind.label, kind.start_label, kind.start_help, kind.usage, *(part.title for part in kind.parts))
        yield from (kind.approved.title, kind.approved.help) if kind.approved else ()


def shells() -> Iterator[str]:
    for path in (ROOT / "shells").glob("*.html"):
        yield from (text for _, text in re.findall(r"""\bt\((["'])(.+?)\1[,)]""", path.read_text()))


@pytest.mark.parametrize("source", [literals, tables, shells])
def test_every_sentence_has_a_german_text_with_the_same_gaps(source: object) -> None:
    german = translator("de")
    texts = set(source())  # type: ignore[operator]
    assert len(texts) > 8
    missing = sorted(text for text in texts if german(text) == text and text not in SAME)
    assert missing == [], wanted(missing)
    gaps = {text: (set(re.findall(r"{\w+}", text)), set(re.findall(r"{\w+}", german(text)))) for text in texts}
    assert {text: pair for text, pair in gaps.items() if pair[0] != pair[1]} == {}


def t(locale: str = "en", zone: str = "Europe/Zurich", accept: str = "") -> Translator:
    return translator_of(Member(name="x", email="x", locale=locale, timezone=zone, created_at=datetime.now(UTC)), accept, "en")


@pytest.mark.parametrize(
    ("span", "english", "german"),
    [
        (timedelta(days=3), "3 days", "3 Tage"),
        (timedelta(days=14), "2 weeks", "2 Wochen"),
        (timedelta(days=10), "10 days", "10 Tage"),
        (timedelta(hours=25), "1 day 1 hour", "1 Tag 1 Stunde"),
        (timedelta(minutes=90), "1 hour 30 minutes", "1 Stunde 30 Minuten"),
        (timedelta(hours=-3), "3 hours", "3 Stunden"),
        (timedelta(0), "0 seconds", "0 Sekunden"),
    ],
)
def test_spans_read_like_language(span: timedelta, english: str, german: str) -> None:
    assert (t().span(span), t("de").span(span)) == (english, german)


def test_moments_are_in_the_persons_zone_and_way_of_writing() -> None:
    at = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    assert t("de", "Europe/Zurich").moment(at) == "02.07.2026, 00:30"
    assert t("en", "America/New_York").moment(at) == "1 Jul 2026, 18:30"
    assert t("en-US", "America/New_York").moment(at).startswith("Jul 1, 2026, 6:30")
    assert t("en", "Nowhere/Nothing").moment(at) == "1 Jul 2026, 22:30"


@pytest.mark.parametrize(
    ("locale", "zone", "day", "instant"),
    [
        ("de", "Asia/Tokyo", "04.03.2026", "05.03.2026 07:30"),
        ("en", "Europe/Zurich", "04/03/2026", "04/03/2026 23:30"),
        ("en-US", "America/Los_Angeles", "3/4/2026", "3/4/2026 2:30 PM"),
    ],
)
def test_what_a_field_shows_is_read_again(locale: str, zone: str, day: str, instant: str) -> None:
    mine, at = t(locale, zone), datetime(2026, 3, 4, 22, 30, tzinfo=UTC)
    assert mine.typed(at.date()) == day
    assert mine.typed(at).replace("\u202f", " ") == instant
    for text, said in ((day, at.date()), (mine.typed(at), at), (instant, at), ("2026-03-04", at.date()), ("2026-03-04T22:30Z", at)):
        assert mine.read(text) == said


@pytest.mark.parametrize(
    "text", ["", "P3D", "-PT2H", "soon", "1.2", "31.02.2026", "1.2.3.4", "7", "04.03.2026 25:00", "1-2.2026", "\0", "9" * 90]
)
def test_what_is_neither_day_nor_instant_is_not_read(text: str) -> None:
    assert t("de").read(text) is None


def test_dates_in_texts_are_said_and_everything_else_stays() -> None:
    german = t("de", "Asia/Tokyo")
    stored = {"renewal": "2026-12-24", "seen": ["2026-03-04T22:30:00.000000Z"], "zip": 8001, "code": "20260301", "vip": True}
    assert labels.attribute(german, stored) == "renewal: 24.12.2026, seen: 05.03.2026, 07:30, zip: 8001, code: 20260301, vip: ja"


def test_keys_are_named_as_german_keyboards_name_them() -> None:
    with (ROOT.parent / "locales" / "de" / "LC_MESSAGES" / "pfadwerk.po").open("rb") as file:
        german = [str(message.string) for message in read_po(file, locale="de")]
    assert [text for text in german if re.search(r"\b(Ctrl|Shift|Del|Delete)\b", text)] == []


def test_the_members_language_goes_before_the_browsers() -> None:
    assert t("en", accept="de").language == "en"
    assert t("", accept="fr, de-CH;q=0.8").language == "de"
    assert t("", accept="fr").language == "en"
    assert language_for("", "de") == "de"


def test_codes_nobody_has_words_for_are_shown() -> None:
    assert labels.coded(t("de"), labels.OUTLETS, "timed_out") == "Zeit abgelaufen"
    assert labels.coded(t("de"), labels.OUTLETS, "not_bought") == "not bought"


@pytest.mark.parametrize(
    ("actual", "said"),
    [
        (None, "nothing is known"),
        (True, "yes"),
        ({"count": 0, "newest_at": None}, "never"),
        ({"count": 1, "newest_at": "2026-07-01T22:30:00+00:00"}, "once, 2 Jul 2026, 00:30"),
        ({"count": 3, "newest_at": "2026-07-01T22:30:00+00:00"}, "3 times, last 2 Jul 2026, 00:30"),
        ({"value": "news", "at": "2026-07-01T22:30:00+00:00"}, "news (2 Jul 2026, 00:30)"),
        ({"value": None, "at": "2026-07-01T22:30:00+00:00"}, "nothing is known (2 Jul 2026, 00:30)"),
        ({"keys": ["a", "b"]}, "a, b"),
        ([1, "x"], "1, x"),
        (1234.5, "1,234.5"),
        ("granted", "granted"),
        ("anything {else}", "anything {else}"),
    ],
)
def test_what_a_term_found_is_said(actual: object, said: str) -> None:
    assert labels.found(t(), actual) == said


def test_a_term_that_cannot_be_read_any_more_is_named_by_its_place() -> None:
    assert labels.term(t(), {"path": "rules.0", "term": {"strange": 1}, "actual": 7, "result": True}, {}) == ("rules.0", "7")


@pytest.mark.parametrize(
    ("until", "german"),
    [
        ({"type": "window"}, "09:00–17:00, Montag bis Freitag"),
        ({"type": "window", "start": "20:00", "end": "02:00", "weekdays": [0, 1, 2, 3, 4, 5, 6]}, "20:00–02:00, jeden Tag"),
        ({"type": "window", "weekdays": [5, 6]}, "09:00–17:00, Samstag, Sonntag"),
        ({"type": "window", "weekdays": [0, 1, 3]}, "09:00–17:00, Montag, Dienstag, Donnerstag"),
        ({"type": "clock", "at": "08:30", "weekdays": [2, 3, 4]}, "Mittwoch bis Freitag"),
    ],
)
def test_a_window_of_time_reads_like_a_sign_on_a_door(until: dict[str, object], german: str) -> None:
    node = Palette(BUILT_IN).parse("n", {"kind": "wait_until", "until": until})
    [(_, said)] = labels.fields(Translator("de", Locale("de"), UTC), node, {})
    assert german in said
    assert "um" not in said.split()


def test_members_are_called_by_their_names_where_a_field_names_members() -> None:
    """Whoever has left the team stays an id, and a text that happens to be an id elsewhere stays as it is."""
    node = NotifyTeam.model_validate({"to": ["owner", "m1", "gone"], "subject": "m1", "text": "m1"})
    names = {"member:owner": "der Besitzer", "member:m1": "Kim", "m1": "A step"}
    said = [value for _, value in labels.fields(translator_for("de"), node, names)]
    assert said[0] == "der Besitzer, Kim, gone"
    assert said[1:] == ["m1", "m1"]
