from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from journeys.errors import Invalid, NotFound
from journeys.rules.facts import Calendar
from models import Audit, WorkspaceSetting
from storage.freshness import bump
from workspace import logo, settings
from workspace.calendar import Calendars, build, load_calendar
from workspace.settings import SETTINGS, Complaints, FrequencyCaps, QuietHours, Retention, WorkCalendar


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_has_defaults_and_survives_storing(session: Session, now: datetime, name: str) -> None:
    usual = settings.get(session, name)
    settings.put(session, name, usual.model_dump(mode="json"), "m1", now)
    session.expire_all()
    assert settings.get(session, name) == usual == SETTINGS[name]()


def test_a_change_is_stored_and_audited(session: Session, now: datetime) -> None:
    settings.put(session, "quiet_hours", {"start": "22:00", "zone": "Europe/Vienna"}, "m1", now)
    assert settings.load(session, QuietHours) == QuietHours(start=time(22), zone="Europe/Vienna")
    settings.put(session, "frequency_caps", {"caps": [{"count": 3, "per": "P1D"}]}, "m1", now)
    assert settings.load(session, FrequencyCaps).caps[0].per == timedelta(days=1)
    line = session.scalars(select(Audit)).all()[0]
    assert (line.subject, line.detail["before"]["start"], line.detail["after"]["start"]) == ("setting:quiet_hours", "21:00:00", "22:00:00")


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("quiet_hours", {"start": "25:00"}, "start"),
        ("quiet_hours", {"zone": "Mars/Base"}, "zone"),
        ("quiet_hours", {"silent": True}, "silent"),
        ("frequency_caps", {"caps": [{"count": 0, "per": "P1D"}]}, "caps.0.count"),
        ("frequency_caps", {"caps": [{"count": 1, "per": "-P1D"}]}, "caps.0.per"),
        ("calendar", {"hours": {"0": ["17:00", "08:00"]}}, "hours"),
        ("calendar", {"hours": {"7": ["08:00", "17:00"]}}, "hours.7.[key]"),
        ("calendar", {"country": "XX"}, ""),
        ("calendar", {"days_off": ["someday"]}, "days_off.0"),
        ("tracking", "full", ""),
        ("sender", {"email": "no address"}, "email"),
        ("appearance", {"colour": "red;}body{"}, "colour"),
        ("appearance", {"imprint": "javascript:alert(1)"}, "imprint"),
        ("appearance", {"website": "http://shop.example"}, "website"),
        ("appearance", {"privacy": "https://"}, "privacy"),
        ("appearance", {"logo": "https://shop.example/logo.png"}, "logo"),
        ("appearance", {"logo": 'data:image/png;base64,AAAA" onerror="'}, "logo"),
        ("appearance", {"logo": "data:image/svg+xml;base64,PHN2Zz4="}, "logo"),
        ("sender", {"reply_to": "a@example.org\nBcc: b@example.org"}, "reply_to"),
        ("sender", {"name": "Shop\r\nBcc: b@example.org"}, "name"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(session: Session, now: datetime, name: str, value: Any, field: str) -> None:
    with pytest.raises(Invalid) as raised:
        settings.put(session, name, value, "m1", now)
    assert [issue.field for issue in raised.value.issues] == [field]
    assert session.scalars(select(WorkspaceSetting)).all() == []
    with pytest.raises(NotFound):
        settings.get(session, "colour")


def test_a_logo_is_stored_as_what_it_is_and_its_content_stays_out_of_the_audit_trail(session: Session, now: datetime) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    said = logo.address(png).replace("image/png", "text/html")
    settings.put(session, "appearance", {"logo": said}, "m1", now)
    assert settings.load(session, settings.Appearance).logo == logo.address(png)
    [line] = session.scalars(select(Audit)).all()
    assert len(line.detail["after"]["logo"]) == 64
    with pytest.raises(ValueError, match="too large"):
        logo.address(png + bytes(logo.MOST_BYTES))


def test_a_value_of_another_version_loses_only_what_no_longer_fits(session: Session, now: datetime) -> None:
    value = {"enabled": False, "start": "nonsense", "colour": "red"}
    session.add(WorkspaceSetting(name="quiet_hours", value=value, updated_at=now))
    bump(session, settings.TOPIC)
    assert settings.load(session, QuietHours) == QuietHours(enabled=False)


def test_the_calendar_knows_the_holidays_of_a_canton() -> None:
    zurich = build(WorkCalendar(country="CH", region="ZH"), 2026)
    assert {"2026-01-01", "2026-05-01", "2027-12-25"} <= zurich.days_off
    assert "2026-05-01" not in build(WorkCalendar(country="CH", region="BE"), 2026).days_off
    assert build(WorkCalendar(), 2026) == Calendar()


def test_calendars_are_kept_until_a_setting_or_the_year_changes(session: Session, now: datetime) -> None:
    known = Calendars()
    first = known.get(session, now)
    assert known.get(session, now) is first
    settings.put(session, "calendar", {"hours": {"0": ["09:00", "12:00"]}, "days_off": ["2026-12-24"]}, "m1", now)
    second = known.get(session, now)
    assert second == load_calendar(session, now)
    assert (second.hours, second.days_off) == ({0: (time(9), time(12))}, frozenset({"2026-12-24"}))
    assert known.get(session, datetime(2027, 1, 1, tzinfo=UTC)) is not second


def test_a_span_is_written_in_days_and_less() -> None:
    """A year has no fixed length, and `P2Y30D` is no duration of RFC 3339."""
    written = Retention(events="P2Y30D", hits="P31DT90M").model_dump(mode="json")
    assert (written["events"], written["hits"], written["refusals"]) == ("P760D", "P31DT1H30M", "P180D")
    assert Retention.model_validate(written).events == timedelta(days=760)
    assert Complaints.model_validate({}).model_dump(mode="json") == {"everywhere": False}
