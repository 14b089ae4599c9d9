"""Rules in words, English and German."""

from __future__ import annotations

import string
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from journeys.catalogue import CONTACT_FIELDS, CONTEXT_FIELDS, Catalogue
from journeys.channels import ASKED
from journeys.rules import Term, check_rule, parse_rule, sentence
from journeys.rules.terms import TERMS
from journeys.rules.terms.lead_source import ATTRIBUTES, KINDS
from journeys.rules.terms.shape import AGGREGATES, Choose, widgets
from locales import translator
from tests.journeys.rules import strategies
from tests.untranslated import wanted

NAMES = {"w1": "Welcome 1"}
english, german = translator("en"), translator("de")

SAID = [
    (
        {"message": "opened", "node": "w1", "within": "P3D"},
        "opened *Welcome 1* in the last 3 days",
        "hat in den letzten 3 Tagen *Welcome 1* geöffnet",
    ),
    (
        {"message": "clicked", "did": False, "node": "gone"},
        "did not click in *gone*",
        "hat in *gone* nicht geklickt",
    ),
    (
        {"message": "sent", "journey": "welcome", "template": "hello"},
        "was sent a message with the template *hello* of the journey *welcome*",
        "hat eine Nachricht mit der Vorlage *hello* der Journey *welcome* geschickt bekommen",
    ),
    (
        {"message": "clicked", "count": {"value": 3}, "channel": "sms", "message_class": "marketing", "within": "P30D"},
        "clicked in a message on the channel *SMS* of the class *Marketing* at least 3 times in the last 30 days",
        "hat in den letzten 30 Tagen in eine Nachricht im Kanal *SMS* der Klasse *Marketing* mindestens 3-mal geklickt",
    ),
    (
        {"lead_source": "last", "attribute": "utm_source", "operator": "in", "value": ["news", "ads"], "within": "P30D"},
        "UTM source of the last touch is one of “news”, “ads” (touch in the last 30 days)",
        "UTM-Quelle beim Letztkontakt ist einer dieser Werte: „news“, „ads“ (Kontakt in den letzten 30 Tagen)",
    ),
    (
        {"consent_age": "email", "age": "P365D"},
        "allowed e-mail for marketing, 365 days ago or earlier",
        "hat E-Mail für marketing vor 365 Tagen oder früher erlaubt",
    ),
    (
        {"event": "Order Completed", "did": False, "within": "P90D"},
        "did not do *Order Completed* in the last 90 days",
        "hat in den letzten 90 Tagen *Order Completed* nicht ausgelöst",
    ),
    (
        {
            "event": "Order Completed",
            "count": {"value": 2},
            "within": "PT24H",
            "where": {"rules": [{"field": "total", "operator": ">=", "value": 50}]},
        },
        "did *Order Completed* at least 2 times in the last 24 hours, where total is at least 50",
        "hat in den letzten 24 Stunden *Order Completed* mindestens 2-mal ausgelöst (mit: total ist mindestens 50)",
    ),
    (
        {"event": "Page Viewed", "did": False, "count": {"operator": ">", "value": 3}, "since_entry": True},
        "did *Page Viewed* at most 3 times since entry",
        "hat seit dem Eintritt *Page Viewed* höchstens 3-mal ausgelöst",
    ),
    (
        {"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "value": 500}, "within": "P365D"},
        "the sum of total for *Order Completed* in the last 365 days is at least 500",
        "die Summe von total bei *Order Completed* in den letzten 365 Tagen ist mindestens 500",
    ),
    (
        {"event": "Order Completed", "did": False, "aggregate": {"of": "last", "field": "coupon", "operator": "null"}},
        "not (the last value of coupon for *Order Completed* is unknown)",
        "nicht (der letzte Wert von coupon bei *Order Completed* ist unbekannt)",
    ),
    (
        {"event": "Order Completed", "within": "P90D", "before": "-P30D"},
        "did *Order Completed* in the last 90 days more than 30 days ago",
        "hat in den letzten 90 Tagen vor mehr als 30 Tagen *Order Completed* ausgelöst",
    ),
    (
        {
            "event": "Signed Up",
            "since": "2026-01-01",
            "before": "2026-02-01T12:00Z",
            "where": {"rules": [{"field": "context.campaign.source", "operator": "=", "value": "news"}]},
        },
        "did *Signed Up* since 2026-01-01 before 2026-02-01 12:00 UTC, where campaign source (UTM) is “news”",
        "hat seit dem 2026-01-01 vor dem 2026-02-01 12:00 UTC *Signed Up* ausgelöst (mit: Kampagnenquelle (UTM) ist „news“)",
    ),
    (
        {
            "sequence": [
                {"event": "Product Viewed", "where": {"rules": [{"field": "category", "operator": "=", "value": "shoes"}]}},
                {"event": "Product Added", "within": "P1D"},
                {"event": "Order Completed"},
            ],
            "span": "P7D",
            "within": "P30D",
        },
        "did in the last 30 days within 7 days in this order: *Product Viewed* (category is “shoes”), then *Product Added* at most 24 hours later, "
        "then *Order Completed*",
        "hat in den letzten 30 Tagen innerhalb von 7 Tagen in dieser Reihenfolge ausgelöst: *Product Viewed* (category ist „shoes“), dann *Product Added* "
        "höchstens 24 Stunden später, dann *Order Completed*",
    ),
    ({"field": "plan", "operator": "=", "value": "pro"}, "plan is “pro”", "plan ist „pro“"),
    ({"field": "first_name", "operator": "notNull"}, "first name is known", "Vorname ist bekannt"),
    ({"field": "age", "operator": "between", "value": [18, 25.5]}, "age is between 18 and 25.5", "age liegt zwischen 18 und 25.5"),
    ({"field": "plan", "operator": "in", "value": ["a", 1, True]}, "plan is one of “a”, 1, yes", "plan ist einer dieser Werte: „a“, 1, ja"),
    (
        {"field": "created_at", "operator": "before", "value": "-P30D"},
        "date created is earlier than 30 days ago",
        "Anlagedatum liegt früher als vor 30 Tagen",
    ),
    (
        {"field": "renews_at", "operator": "withinNext", "value": "PT1H"},
        "renews_at will be in the next hour",
        "renews_at liegt in der nächsten Stunde",
    ),
    (
        {"field": "renews_at", "operator": "after", "value": "2026-12-31T18:00:00+01:00"},
        "renews_at is after 2026-12-31 17:00 UTC",
        "renews_at liegt nach 2026-12-31 17:00 UTC",
    ),
    (
        {"field": "trigger.total", "operator": ">", "value": 9},
        "total of the trigger is more than 9",
        "total des Auslösers ist größer als 9",
    ),
    ({"consent": "email"}, "allowed e-mail for marketing", "hat E-Mail für marketing erlaubt"),
    ({"score": "fit", "value": 20}, "score *fit* is at least 20", "Score *fit* ist mindestens 20"),
    ({"tag": "vip", "has": False}, "does not have the tag *vip*", "hat das Schlagwort *vip* nicht"),
    ({"combinator": "and", "rules": []}, "everyone", "alle"),
    (
        {
            "combinator": "or",
            "rules": [{"tag": "a"}, {"rules": [{"tag": "b"}, {"tag": "c"}]}, {"not": True, "rules": [{"tag": "d"}]}],
        },
        "has the tag *a* or (has the tag *b* and has the tag *c*) or not (has the tag *d*)",
        "hat das Schlagwort *a* oder (hat das Schlagwort *b* und hat das Schlagwort *c*) oder nicht (hat das Schlagwort *d*)",
    ),
]


@pytest.mark.parametrize(("rule", "words"), [(rule, words) for rule, words, _ in SAID])
def test_english(rule: dict[str, Any], words: str) -> None:
    assert sentence(parse_rule(rule), english, NAMES) == words


@pytest.mark.parametrize(("rule", "words"), [(rule, words) for rule, _, words in SAID])
def test_german(rule: dict[str, Any], words: str) -> None:
    assert sentence(parse_rule(rule), german, NAMES) == words


@settings(max_examples=150, deadline=None)
@given(strategies.rules(in_run=True))
def test_every_rule_can_be_said_and_checked(rule: Any) -> None:
    """Whatever operands a rule has, and although braces in them look like placeholders."""
    assert sentence(rule, english)
    assert sentence(rule, german)
    for issue in check_rule(rule, Catalogue.built_in(), "n", "rule"):
        assert issue.message
        assert issue.say(german)


def _phrases() -> set[str]:
    """Every message id that sentences use, heard by a translator that takes notes."""
    heard: set[str] = set()

    def note(text: str) -> str:
        heard.add(text)
        return text

    for rule in _one_of_each():
        sentence(parse_rule(rule), note)
    return heard


def _one_of_each() -> list[dict[str, Any]]:
    spans = ["PT0S", *(f"{sign}{span}" for sign in ("", "-") for span in ("P3D", "PT1H", "PT2H", "PT1M", "PT2M", "PT1S", "PT2S"))]
    rules: list[dict[str, Any]] = [
        {"field": "plan", "operator": operator, "value": value}
        for operator in strategies.OPERATORS
        for value in (1, [1, 2], [], None, True, False, "x")
    ]
    rules += [{"field": "plan", "operator": op, "value": span} for op in ("before", "after", "withinLast", "withinNext") for span in spans]
    rules += [{"field": spec.name, "operator": "null"} for spec in CONTACT_FIELDS]
    rules += [
        {"message": what, "did": did}
        for what in ("sent", "delivered", "opened", "clicked", "replied", "bounced", "complained")
        for did in (True, False)
    ]
    rules += [
        {"lead_source": touch, "attribute": attribute, "value": value}
        for touch in ("first", "last")
        for attribute, value in [*((name, "x") for name in ATTRIBUTES), *(("kind", kind) for kind in KINDS)]
    ]
    rules += [
        {"lead_source": touch, **more}
        for touch in ("first", "last")
        for more in ({}, {"within": "P3D"}, {"attribute": "kind", "within": "P3D"})
    ]
    rules += [{"message": "sent", "node": "n", "journey": "j", "template": "t"}, {"field": "trigger.x", "operator": "null"}]
    rules += [{"score": "fit", "operator": operator, "value": 1} for operator in ("=", "!=", "<", "<=", ">", ">=")]
    rules += [{"event": "x", "count": {"operator": operator, "value": 3}} for operator in ("=", "!=", "<", "<=", ">", ">=")]
    rules += [
        {"event": "x", "did": False, "where": {"rules": [{"tag": "a"}]}},
        {"event": "x", "own_run": True},
        {"event": "x", "since_entry": True},
    ]
    lengths = ("P3D", "PT1H", "PT2H", "PT1M", "PT2M", "PT1S", "PT2S")
    rules += [{"event": "x", "before": f"-{span}"} for span in lengths]
    rules += [{"event": "x", "aggregate": {"of": of, "field": "total", "value": 3}} for of, _ in AGGREGATES]
    rules += [{"event": "x", "since": "2026-01-01", "before": "2026-02-01T12:00:00Z"}]
    rules += [{"event": "x", "where": {"field": name, "operator": "null"}} for name in CONTEXT_FIELDS]
    rules += [{"sequence": [{"event": "x"}, {"event": "y", "within": span}], "span": span} for span in lengths]
    rules += [
        {"consent": channel, "operator": operator, "value": value}
        for channel, operator, value in product(
            ASKED,
            ("=", "!="),
            ("granted", "withdrawn", "pending", "unknown"),
        )
    ]
    rules += [
        {"topic": "events", "operator": operator, "value": value}
        for operator, value in product(("=", "!="), ("granted", "withdrawn", "pending", "unknown"))
    ]
    rules += [
        {"tag": "a", "has": False},
        {"not": True, "rules": []},
        {"combinator": "or", "not": True, "rules": [{"tag": "a"}, {"rules": []}]},
    ]
    return [*rules, *(rule for term in TERMS.all for rule in _chosen(term))]


def _chosen(term: type[Term]) -> Iterator[dict[str, Any]]:
    """Its example, with whatever can be chosen in its widgets."""
    offered = [[(one.key, value) for value, _ in one.choices] for one in widgets(term.shape) if isinstance(one, Choose)]
    yield from (rule for chosen in product(*offered) if _is_rule(rule := {**term.example, **dict(chosen)}))


def _is_rule(raw: dict[str, Any]) -> bool:
    try:
        return bool(parse_rule(raw))
    except ValidationError:
        return False


def test_every_phrase_has_a_german_translation_with_the_same_placeholders() -> None:
    phrases = _phrases() - {"WhatsApp"}
    missing = [one for one in phrases if german(one) == one or _placeholders(german(one)) != _placeholders(one)]
    assert missing == [], wanted(missing)


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
