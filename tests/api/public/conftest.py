"""A message that was sent an hour ago, and the addresses in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from activities.rendering import link_digest
from activities.tracking import Tracking, store_links
from crm.consent.consent import Evidence, record_consent
from engine.engine import Engine
from models import Body, Contact, Message, new_id
from settings import Settings

SHOP = "https://shop.example/p/1?a=1&b=2"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home", database_url="sqlite:///unused.db", public_url="http://testserver", public_requests_per_minute=30
    )


@pytest.fixture
def tracking(settings: Settings) -> Tracking:
    return Tracking(settings.signing_keys(), "")


@pytest.fixture
def message(engine: Engine) -> Message:
    """A marketing mail to Anna, who agreed to it and speaks German."""
    sent_at = engine.clock.now() - timedelta(hours=1)
    with engine.db.write() as session:
        contact = Contact(email="anna@example.org", locale="de-CH", created_at=sent_at, updated_at=sent_at)
        session.add(contact)
        session.flush()
        record_consent(session, contact.id, "email", "marketing", "granted", sent_at, evidence=Evidence.DATED, source="test")
        store_links(session, {link_digest(SHOP): SHOP}, sent_at)
        body = Body(
            contact_id=contact.id,
            recipient="anna@example.org",
            subject="Hallo",
            html="<html><body>Hallo<script>1</script></body></html>",
            created_at=sent_at,
        )
        session.add(body)
        session.flush()
        row = Message(
            id=new_id(), once_key="r:n:1", contact_id=contact.id, channel="email", status="sent", planned_at=sent_at, sent_at=sent_at, body_id=body.id
        )  # fmt: skip
        session.add(row)
    return row
