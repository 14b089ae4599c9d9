"""What is kept of how somebody came: pages without queries, campaigns without addresses, and nothing of what is no page."""

from __future__ import annotations

from typing import Any

import pytest

from crm.people import visits
from crm.people.visits import Visit

SHOP = "https://www.shop.example/sale"


@pytest.mark.parametrize(
    ("context", "properties", "expected"),
    [
        ({}, {"url": SHOP}, Visit({}, None, "www.shop.example/sale")),
        ({"page": {"url": f"{SHOP}/?token=abc#x"}}, {}, Visit({}, None, "www.shop.example/sale")),
        ({"page": {"path": "/sale?mail=a"}}, {}, Visit({}, None, "/sale")),
        (
            {"page": {"url": SHOP, "referrer": "https://www.google.com/search?q=ada@example.org"}},
            {},
            Visit({}, "www.google.com/search", "www.shop.example/sale"),
        ),
        ({"page": {"url": SHOP, "referrer": "https://shop.example/a"}}, {}, Visit({}, None, "www.shop.example/sale", True)),
        ({"page": {"url": SHOP, "referrer": "https://pay.shop.example"}}, {}, Visit({}, None, "www.shop.example/sale", True)),
        (
            {"page": {"url": SHOP, "referrer": "https://notshop.example"}},
            {},
            Visit({}, "notshop.example", "www.shop.example/sale"),
        ),
        ({"referrer": {"type": "mail", "url": "android-app://com.mail/x"}}, {}, Visit({}, "com.mail/x")),
        (
            {"campaign": {"name": " Spring  sale ", "source": "news", "medium": "email", "id": "7"}},
            {},
            Visit({"source": "news", "medium": "email", "campaign": "Spring sale"}),
        ),
        ({"page": {"url": f"{SHOP}?utm_source=x&UTM_Medium=cpc&utm_source=y"}}, {}, Visit({"source": "x", "medium": "cpc"}, None, "www.shop.example/sale")),
        ({"page": {"path": "/", "search": "?utm_campaign=a%20b"}}, {}, Visit({"campaign": "a b"}, None, "/")),
        ({"campaign": {"source": "ada@example.org", "term": "9f86d081884c7d659a2f", "content": 7}}, {}, Visit({"content": "7"})),
        ({"page": {"url": "https://shop.example/u/ada%40example.org/eyJhbGciOiJIUzI1NiJ9.x"}}, {}, Visit({}, None, "shop.example/u/…/…")),
        ({"page": {"url": "https://shop.example/reset/3f2504e0-4f89-11d3-9a0c-0305e82c3301"}}, {}, Visit({}, None, "shop.example/reset/…")),
        ({"page": {"url": "https://ada:secret@shop.example:8443/a"}}, {}, Visit({}, None, "shop.example/a")),
        ({"page": {"url": "javascript:alert(1)", "referrer": "https://[broken"}}, {}, Visit({})),
        ({"campaign": ["a"], "page": "x", "referrer": 7}, {}, Visit({})),
    ],
)  # fmt: skip
def test_what_is_kept(context: dict[str, Any], properties: dict[str, Any], expected: Visit) -> None:
    assert visits.read(context, properties) == expected


def test_most_calls_tell_nothing() -> None:
    assert visits.read({"ip": "192.0.2.1", "page": {"title": "Sale"}}, {"url": SHOP}) is None
    assert visits.read({}, {"name": "Home"}) is None


def test_long_and_hostile_texts_are_cut() -> None:
    found = visits.read({"campaign": {"source": "x" * 10_000}, "page": {"url": f"https://shop.example/{'ab-' * 5_000}"}}, {})
    assert found is not None
    assert len(found.parameters["source"]) == visits.MAX_PARAMETER
    assert found.landing_page is not None
    assert len(found.landing_page) <= visits.MAX_PAGE
    assert visits.parameters_of("https://shop.example/?utm_source=x&" + "a=1&" * 500) == {}
    assert visits.parameter("a\x00b‮\ud800") == "a b�"
