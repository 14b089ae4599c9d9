"""Random contacts, events and rules out of small pools, so that rules often hold and often just do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from journeys.rules import Rule, parse_rule

AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
CLOSE = [timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=3), timedelta(days=3, microseconds=1), timedelta(days=40)]

texts = st.sampled_from(
    ["pro", "Pro", "", "a%b", "a_b", "axb", "STRASSE", "straße", "Zürich", "zü", "ü", "1", "true", "null", "'\"\\", "日本", "😀", "é", "é"]
) | st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=4)
numbers = st.sampled_from([0, 1, 1.0, -3, 2.5, 10, 100_000, 2**53 - 1, -0.5, 1e-3])
instants = st.sampled_from([AS_OF, *(AS_OF + sign * gap for gap in CLOSE for sign in (-1, 1))]).map(
    lambda at: at.isoformat().replace("+00:00", "Z")
)
dates = st.sampled_from(
    [
        "2026-03-29",
        "2026-03-28",
        "2026-04-01",
        "2026-03-29T02:30:00+01:00",
        "2026-03-29 01:30",
        "2026-02-30",
        "2026-13-01T10:00:00Z",
        "20260329",
    ]
)
scalars = texts | numbers | st.booleans() | instants | dates
spans = st.sampled_from(["P3D", "PT1H", "P1D", "-P3D", "PT0S", "P40D", "P1M", "P99999D", "tomorrow", ""])

PATHS = ["plan", "age", "interests", "address", "address.city", "address.geo.lat", "since", "address.0", "interests.0", "größe"]
COLUMNS = ["email", "first_name", "lifecycle_stage", "owner", "created_at", "last_seen_at"]
COMPANY = ["company.name", "company.members", "company.plan", "company.revenue", "company.last_activity_at", "company.address.city"]
OPERATORS = [
    "=", "!=", "<", "<=", ">", ">=", "contains", "doesNotContain", "beginsWith", "endsWith", "in", "notIn", "between", "null", "notNull",
    "before", "after", "withinLast", "withinNext",
]  # fmt: skip

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["city", "geo", "lat", "0", "größe"]), inner, max_size=3),
    max_leaves=5,
)
amounts = (
    st.sampled_from([0.1, 0.2, 0.3, 12.34565, -0.00005, 1e11, -1e11, 1e11 + 1, 2**53, 3, 1e-9, "12", True, None, [1], 49.99])
    | st.floats(-1e6, 1e6, width=32).map(lambda number: round(number, 3))
    | st.integers(-(10**12), 10**12)
)
"""What may stand where an amount is expected."""
contexts = st.just({}) | st.fixed_dictionaries(
    {
        "campaign": st.sampled_from([{}, {"source": "news"}, {"source": "pro", "name": 1}, "none"]),
        "page": st.sampled_from([{}, {"path": "/pro"}]),
        "locale": st.sampled_from(["de", None, "pro"]),
        "ip": st.just("203.0.113.7"),
    }
)
attributes = st.dictionaries(st.sampled_from(["plan", "age", "interests", "address", "since", "größe", "city"]), values, max_size=5)


companies = st.none() | st.fixed_dictionaries(
    {"name": texts, "members": st.integers(0, 3), "revenue": numbers},
    optional={"plan": values, "last_activity_at": instants, "address": values},
)
"""What is read as `company.…`; None: the contact has none."""


@st.composite
def columns(draw: st.DrawFn) -> dict[str, Any]:
    """Values for the columns of a contact; instants are datetimes there."""
    moments = st.sampled_from([AS_OF + sign * gap for gap in CLOSE for sign in (-1, 1)])
    return {
        "email": draw(st.none() | st.sampled_from(["ada@example.org", "bob@example.org"])),
        "first_name": draw(st.none() | texts),
        "lifecycle_stage": draw(st.none() | st.sampled_from(["lead", "mql", "2026-03-29"])),
        "owner": draw(st.none() | st.just("m1")),
        "created_at": draw(moments),
        "last_seen_at": draw(st.none() | moments),
    }


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any], datetime]:
    """(name, properties, occurred at), never after `AS_OF`. The context stands among the properties, so that a property of that name is there, too."""
    name = draw(st.sampled_from(["Order Completed", "Page Viewed", "Message Opened", "Message Clicked", "Message Replied"]))
    properties = draw(attributes) | draw(st.just({}) | st.fixed_dictionaries({"total": amounts}))
    if name.startswith("Message"):
        properties |= {
            "node": draw(st.sampled_from(["w1", "w2"])),
            "run_id": draw(st.sampled_from(["run1", "run2"])),
            "journey": "welcome",
            "channel": draw(st.sampled_from(["email", "sms"])),
            "message_class": draw(st.sampled_from(["marketing", "transactional"])),
            **draw(st.sampled_from([{}, {"machine": True}, {"machine": False}])),
        }
    if around := draw(contexts):
        properties["context"] = around
    return name, properties, AS_OF - draw(st.sampled_from(CLOSE))


operands = scalars | spans | st.none() | st.lists(scalars | st.none(), max_size=4)


@st.composite
def field_terms(draw: st.DrawFn, fields: list[str]) -> dict[str, Any]:
    operator = draw(st.sampled_from(OPERATORS))
    fitting = {
        "between": st.lists(numbers, min_size=2, max_size=2) | st.lists(instants | dates, min_size=2, max_size=2),
        "withinLast": spans,
        "withinNext": spans,
        "before": instants | dates | spans,
        "after": instants | dates | spans,
        "in": st.lists(scalars, max_size=4),
        "notIn": st.lists(scalars, max_size=4),
        "beginsWith": texts,
        "endsWith": texts,
        "contains": scalars,
    }.get(operator, scalars)
    return {"field": draw(st.sampled_from(fields)), "operator": operator, "value": draw(fitting | operands)}


def _counts() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"operator": st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), "value": st.integers(0, 3)})


within = st.none() | st.sampled_from(["PT1H", "P1D", "P3D", "P40D"])


def groups(inner: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """A group of such rules."""
    return st.fixed_dictionaries(
        {"combinator": st.sampled_from(["and", "or"]), "not": st.booleans(), "rules": st.lists(inner, min_size=least, max_size=3)}
    )


OPERATORS_OF_NUMBERS = ["=", "!=", "<", "<=", ">", ">="]
PROPERTIES = [*PATHS, "total", "context.campaign.source", "context.page.path", "context.locale"]
aggregates = st.one_of(
    st.fixed_dictionaries(
        {
            "of": st.sampled_from(["sum", "average", "min", "max", "distinct"]),
            "field": st.sampled_from(["total", "total", "age", *PROPERTIES]),
            "operator": st.sampled_from(OPERATORS_OF_NUMBERS) | st.just("between"),
            "value": st.sampled_from([0, 1, 2, 0.3, 0.1, 5, 12.35, 1e11, -0.5, 2**53 - 1, "1", True, None])
            | amounts.filter(lambda one: not isinstance(one, list) and one != 2**53),
        }
    ),
    st.builds(
        lambda of, term: {"of": of, **term},
        st.sampled_from(["first", "last"]),
        field_terms(["plan", "total", "age", "context.campaign.source", "address.city"]),
    ),
)
since = st.none() | st.sampled_from(["2026-03-26", "2026-03-28T01:30:00Z", "2026-03-29", "2026-02-30", "soon", "0001-01-01"])
before = st.none() | st.sampled_from(["2026-03-29", "2026-03-28T01:30:00+00:00", "-P1D", "-P3D", "P1D", "PT0S", "nonsense"])
wheres = st.none() | groups(field_terms(PROPERTIES) | groups(field_terms(PROPERTIES)) | st.just({"tag": "vip"}))
event_terms = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["Order Completed", "Page Viewed", "Nothing"]),
        "did": st.booleans(),
        "count": st.just({}) | _counts(),
        "within": within,
        "where": wheres,
        "aggregate": st.none() | aggregates,
        "since": st.none() | since,
        "before": st.none() | before,
    }
)
steps = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["Order Completed", "Page Viewed", "Message Opened"]),
        "within": st.none() | within,
        "where": st.none() | wheres,
    }
)
sequence_terms = st.fixed_dictionaries(
    {
        "sequence": st.lists(steps, min_size=2, max_size=3),
        "did": st.booleans(),
        "span": st.none() | within,
        "within": within,
        "since": st.none() | since,
    }
)
message_terms = st.fixed_dictionaries(
    {
        "message": st.sampled_from(["opened", "clicked", "replied"]),
        "did": st.booleans(),
        "count": st.just({}) | _counts(),
        "journey": st.sampled_from([None, "welcome", "other"]),
        "channel": st.sampled_from([None, "email", "sms"]),
        "message_class": st.sampled_from([None, "marketing", "transactional"]),
        "within": within,
    }
)
ATTRIBUTES = ["kind", "utm_source", "referrer"]
said = st.sampled_from(["news", "News", "news.example/a", "2026-03-29", "campaign", "ö%_"])
touches = st.fixed_dictionaries(
    {name: st.none() | said for name in ATTRIBUTES} | {"kind": st.sampled_from(["campaign", "direct"]), "at": st.sampled_from(CLOSE)}
)
source_terms = st.fixed_dictionaries(
    {
        "lead_source": st.sampled_from(["first", "last"]),
        "attribute": st.sampled_from([None, *ATTRIBUTES]),
        "operator": st.sampled_from(["=", "!=", "contains", "doesNotContain", "beginsWith", "endsWith", "in", "notIn", "null", "notNull"]),
        "value": st.none() | said | st.lists(said, max_size=3),
        "within": within,
    }
)
other_terms = st.one_of(
    source_terms,
    st.fixed_dictionaries(
        {
            "consent_age": st.sampled_from(["email", "sms"]),
            "value": st.sampled_from(["granted", "withdrawn", "pending"]),
            "operator": st.sampled_from([">", "<"]),
            "age": st.sampled_from(["PT1H", "P1D", "P3D", "P40D"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "consent": st.sampled_from(["email", "sms"]),
            "operator": st.sampled_from(["=", "!="]),
            "value": st.sampled_from(["granted", "withdrawn", "pending", "unknown"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "topic": st.sampled_from(["events", "tips"]),
            "operator": st.sampled_from(["=", "!="]),
            "value": st.sampled_from(["granted", "withdrawn", "pending", "unknown"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "score": st.just("fit"),
            "operator": st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
            "value": st.sampled_from([-5, 0, 20, 20.5]),
        }
    ),
    st.fixed_dictionaries({"tag": st.sampled_from(["vip", "VIP"]), "has": st.booleans()}),
    st.fixed_dictionaries({"segment": st.sampled_from(["vip", "news", "nowhere"]), "member": st.booleans()}),
)
run_terms = st.one_of(
    field_terms([f"trigger.{path}" for path in PATHS]),
    st.fixed_dictionaries({"message": st.sampled_from(["opened", "clicked"]), "did": st.booleans(), "node": st.sampled_from(["w1", "w2"])}),
    event_terms.map(lambda term: {**term, "since_entry": True}),
)


def rules(*, in_run: bool) -> st.SearchStrategy[Rule]:
    """Rules on contacts, parsed; `in_run` adds terms that ask about a run."""
    term = field_terms(PATHS) | field_terms(COLUMNS) | field_terms(COMPANY) | event_terms | sequence_terms | message_terms | other_terms
    if in_run:
        term |= run_terms
    return st.recursive(term, groups, max_leaves=5).map(parse_rule)
