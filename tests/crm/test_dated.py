"""Who has one of some days in a field: of each zone, a stretch at a time, by the one meaning of a stored value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.rules.dated import Days, among, next_stretch
from journeys.rules.dates import day_of, in_year
from models import Contact, Database

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ZONES = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "America/New_York", ""]


def people(db: Database, values: Sequence[Any], zone: str = "Europe/Berlin", prefix: str = "c") -> list[str]:
    """Contacts with these values in `day`, in the order of their ids; None has no such field."""
    ids = [f"{prefix}{n:04}" for n in range(len(values))]
    with db.write() as session:
        for id, value in zip(ids, values, strict=True):
            attributes = {} if value is None else {"day": value}
            session.add(Contact(id=id, created_at=NOW, updated_at=NOW, timezone=zone or None, attributes=attributes))
    return ids


def asked(*days: date, yearly: bool = False, zone: str = "Europe/Berlin", field: str = "day") -> Days:
    return Days(field, frozenset(days), yearly, zone, ZoneInfo(zone or "Europe/Zurich"))


def test_it_goes_on_stretch_by_stretch_and_passes_nobody_over(db: Database) -> None:
    ids = people(db, ["2026-05-05" if n in (0, 2, 6) else None for n in range(8)])
    people(db, ["2026-05-05"] * 9, zone="Asia/Tokyo", prefix="a")
    after, seen, stretches = "", [], 0
    with db.read() as session:
        while True:
            stretch = next_stretch(session, asked(date(2026, 5, 5)), after, 3)
            seen += [id for id, _ in stretch.found]
            stretches += 1
            if stretch.last_id is None:
                break
            after = stretch.last_id
    assert seen == [ids[0], ids[2], ids[6]]
    assert stretches == 3


def test_the_merged_and_the_erased_are_left_out(db: Database) -> None:
    gone, merged, there = people(db, ["2026-05-05"] * 3)
    with db.write() as session:
        session.get_one(Contact, gone).erased_at = NOW
        session.get_one(Contact, merged).merged_into = there
    with db.read() as session:
        assert [id for id, _ in next_stretch(session, asked(date(2026, 5, 5)), "").found] == [there]
        assert [id for id, _ in among(session, asked(date(2026, 5, 5)), [gone, merged, there])] == [there]


def test_only_those_of_the_zone_are_found_among_some(db: Database) -> None:
    [tokyo] = people(db, ["2026-05-05"], zone="Asia/Tokyo", prefix="t")
    [berlin] = people(db, ["2026-05-05"])
    [nowhere] = people(db, ["2026-05-05"], zone="", prefix="n")
    with db.read() as session:
        for zone, found in (("Asia/Tokyo", tokyo), ("Europe/Berlin", berlin), ("", nowhere)):
            assert list(among(session, asked(date(2026, 5, 5), zone=zone), [tokyo, berlin, nowhere])) == [(found, date(2026, 5, 5))]


@pytest.mark.parametrize("field", ["day.of.month", "email", "created_at", "nothing"])
def test_any_field_can_be_asked(db: Database, field: str) -> None:
    [id] = people(db, [{"of": {"month": "2026-03-01"}}], zone="UTC")
    with db.read() as session:
        found = next_stretch(session, asked(date(2026, 3, 1), zone="UTC", field=field), "").found
    assert [one for one, _ in found] == ([id] if field in ("day.of.month", "created_at") else [])


INSTANTS = st.datetimes(datetime(1930, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
VALUES = st.one_of(
    st.dates(date(1930, 1, 1), date(2035, 1, 1)).map(str),
    st.sampled_from(["1992-02-29", "2024-02-29", "2023-12-31", "2024-01-01", "20240229", "2024-02-30", "soon", "", True, [], {}]),
    INSTANTS.map(lambda at: at.isoformat(timespec="microseconds")[:26] + "Z"),
    INSTANTS.map(lambda at: int(at.timestamp())),
    INSTANTS.map(lambda at: int(at.timestamp() * 1000)),
    INSTANTS.map(lambda at: at.timestamp() * 1000),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VALUES, min_size=1, max_size=8), st.sampled_from(ZONES), st.booleans(), st.data())
def test_the_database_finds_whom_the_one_function_means(db: Database, values: list[Any], zone: str, yearly: bool, data: Any) -> None:
    """Against the plainest search there is: each value, each day."""
    with db.write() as session:
        for contact in session.query(Contact):
            session.delete(contact)
    ids = people(db, values, zone)
    clock = ZoneInfo(zone or "Europe/Zurich")
    near = [day for value in values if (day := day_of(value, clock)) is not None] or [date(2024, 2, 29)]
    first = data.draw(st.sampled_from(near)) - timedelta(days=data.draw(st.integers(0, 2)))
    first = in_year(first, 2026) if yearly else first
    days = [first + timedelta(days=n) for n in range(data.draw(st.integers(1, 3)))]
    with db.read() as session:
        found = [id for id, _ in next_stretch(session, asked(*days, yearly=yearly, zone=zone), "").found]
    wanted = []
    for id, value in zip(ids, values, strict=True):
        day = day_of(value, clock)
        if day is not None and any((in_year(day, one.year) if yearly else day) == one for one in days):
            wanted.append(id)
    assert found == wanted
