"""Exports of other programs: found by their headers, with consents, tags and ids; and a recipe from outside is found everywhere."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands.import_contacts import Said, options_of, preview
from crm.imports import recipes, uploads
from crm.imports.imports import Importer, Options, Plan, make_plan
from crm.imports.reading import Everybody, Reading
from journeys.errors import Invalid
from models import Database

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEADERS = {
    "mailchimp_subscribed": "Email Address,First Name,Birthday,OPTIN_TIME,CONFIRM_TIME,LEID,EUID,NOTES,TAGS",
    "mailchimp_unsubscribed": "E-Mail-Adresse,Vorname,UNSUB_TIME,UNSUB_REASON,UNSUB_REASON,OPTIN_TIME,LEID,EUID",
    "mailchimp_cleaned": "Email Address,CLEAN_TIME,OPTIN_TIME,LEID,EUID",
    "brevo": "CONTACT ID,EMAIL,VORNAME,SMS,ADDED_TIME,MODIFIED_TIME,EMAIL_MARKETING",
    "klaviyo": "Email,First Name,Email Marketing Consent,Email Marketing Consent Timestamp,Email Suppressions",
    "shopify": "Customer ID,First Name,Email,Accepts Email Marketing,Total Spent,Total Orders,Tags",
    "hubspot": "Record ID,Email,Lifecycle Stage,Opted out of email: News,Opted out of email: Offers,Annual Revenue",
    "salesforce": "Kontakt-ID,Vorname,E-Mail,E-Mail-Opt-Out,Geburtsdatum",
    "google_contacts": "First Name,Last Name,Labels,E-mail 1 - Label,E-mail 1 - Value,Birthday",
}
ROWS = {
    "mailchimp_subscribed": 'ida@example.org,Ida,04/17,2024-03-14 09:12:31,2024-03-15 10:00:00,7,e7,,"""VIP"",""Blog, new"""',
    "mailchimp_unsubscribed": "ida@example.org,Ida,2024-05-05 05:05:05,bored,,,7,e7",
    "mailchimp_cleaned": "ida@example.org,2024-05-05 05:05:05,,7,e7",
    "brevo": "9,ida@example.org,Ida,+41446681800,2025-01-02,2025-02-02,unsubscribed",
    "klaviyo": 'ida@example.org,Ida,UNSUBSCRIBED,2025-06-01T10:00:00Z,"[""USER_SUPPRESSED""]"',
    "shopify": '\'71,Ida,ida@example.org,yes,1240.50,7,"one, two"',
    "hubspot": '801,ida@example.org,Lead,false,true,"12,500.75"',
    "salesforce": "0017F00002AbCdE,Ida,ida@example.org,1,2/28/1988",
    "google_contacts": "Ida,Berg,* myContacts,* Home,ida@example.org,--03-05",
}


def plan_of(key: str, reading: Reading | None = None) -> Plan:
    return make_plan(f"{HEADERS[key]}\n{ROWS[key]}\n".encode(), Options(reading=reading or Reading()), {})


def person(db: Database, key: str, reading: Reading | None = None) -> Any:
    plan = plan_of(key, reading)
    with db.read() as session:
        importer = Importer(session, plan.survey.shape.header, Options(plan.mapping, plan.reading), "x.csv")
    return importer.read(plan.survey.sample[0], NOW)


def test_every_recipe_is_found_by_its_headers_and_by_no_others() -> None:
    assert set(HEADERS) == set(recipes.recipes())
    for key, header in HEADERS.items():
        found = recipes.find(header.split(","))
        assert found is not None
        assert found.key == key
    for header in ("email,first_name", "Customer ID,Email", "E-Mail;Vorname;Geburtstag", "Record ID,Email", "id,email"):
        assert recipes.find(header.split(",")) is None


@pytest.mark.parametrize(
    ("key", "names", "states", "suppressed"),
    [
        ("mailchimp_subscribed", {"external:mailchimp": "e7", "external:mailchimp_leid": "7"}, [], []),
        ("mailchimp_unsubscribed", {"external:mailchimp": "e7"}, [("withdrawn", "2024-05-05")], []),
        ("mailchimp_cleaned", {"external:mailchimp": "e7"}, [], ["email"]),
        ("brevo", {"external:brevo": "9"}, [("withdrawn", None)], []),
        ("klaviyo", {}, [("withdrawn", "2025-06-01")], ["email"]),
        ("shopify", {"external:shopify": "71"}, [("granted", None)], []),
        ("hubspot", {"external:hubspot": "801"}, [("withdrawn", None)], []),
        ("salesforce", {"external:salesforce": "0017F00002AbCdEQAV"}, [("withdrawn", None)], []),
        ("google_contacts", {}, [], []),
    ],
)
def test_an_export_keeps_ids_and_consents(
    sqlite_db: Database, key: str, names: dict[str, str], states: list[tuple[str, str | None]], suppressed: list[str]
) -> None:
    found = person(sqlite_db, key)
    assert dict(found.names).items() >= {"email": "ida@example.org", **names}.items()
    said = [(one.state, one.said_at.date().isoformat() if one.said_at else None) for one in found.consents]
    assert (said, found.suppress, found.problems) == (states, suppressed, [])


def test_fields_and_tags_of_exports(sqlite_db: Database) -> None:
    assert person(sqlite_db, "mailchimp_subscribed").tags == ["VIP", "Blog, new"]
    assert person(sqlite_db, "mailchimp_subscribed").fields["birthday"] == "1604-04-17"
    assert person(sqlite_db, "shopify").tags == ["one", "two"]
    assert person(sqlite_db, "shopify").fields["total_spent"] == 1240.5
    assert person(sqlite_db, "hubspot").fields["annual_revenue"] == 12500.75
    assert person(sqlite_db, "salesforce").fields["birthday"] == "1988-02-28"


def test_that_everybody_agreed_is_proposed_and_never_assumed(sqlite_db: Database) -> None:
    plan = plan_of("mailchimp_subscribed")
    assert (plan.reading.everybody, "consent_email_marketing_at" in plan.mapping.values()) == ((), False)
    assert [one.state for one in plan.proposed.everybody] == ["granted"]
    [said] = person(sqlite_db, "mailchimp_subscribed", Reading(recipe="mailchimp_subscribed")).consents
    assert (said.state, said.source, said.said_at) == ("granted", "Mailchimp", datetime(2024, 3, 15, 10, tzinfo=UTC))
    own = person(sqlite_db, "mailchimp_subscribed", Reading(everybody=(Everybody(source="shop"),)))
    assert [(one.state, one.source) for one in own.consents] == [("granted", "shop")]


def test_a_recipe_can_be_switched_off_and_must_exist() -> None:
    off = plan_of("shopify", Reading(recipe=""))
    assert (off.recipe, off.mapping["Customer ID"]) == (None, "user_id")
    with pytest.raises(Invalid, match="no recipe nobody"):
        plan_of("shopify", Reading(recipe="nobody"))


@pytest.fixture
def toy() -> Iterator[recipes.Recipe]:
    everybody = [{"channel": "sms", "purpose": "news", "state": "granted", "source": "Toy"}]
    recipe = recipes.Recipe(
        key="toy",
        title="Toy: kids",
        meaning="Everybody agreed to play.",
        all_of=(("toy_no",), ("email",)),
        columns={"toy_no": "external:toy"},
        reading={"everybody": everybody},
    )
    recipes.add(recipe)
    yield recipe
    recipes.remove("toy")


def test_a_recipe_from_outside_is_found_everywhere(toy: recipes.Recipe, sqlite_db: Database, tmp_path: Path) -> None:
    path = tmp_path / "kids.csv"
    path.write_text("Toy No,Email\n9,ida@example.org\n")
    out = io.StringIO()
    preview(sqlite_db, path, NOW, options_of(Said(), wake=False, dry_run=False), out=out, translate=str, as_json=False)
    assert "This looks like an export: Toy: kids." in out.getvalue()
    assert "--recipe toy" in out.getvalue()
    sent = uploads.read_sent("kids.csv", path.read_bytes())
    with sqlite_db.write() as session:
        row = uploads.take(session, sent, "test", NOW, NOW)
    assert uploads.recipe_of(row) == toy
    assert uploads.proposed(row)[1]["Toy No"] == "external:toy"
    assert uploads.reading_of(row).everybody == ()
    told = io.StringIO()
    preview(
        sqlite_db, path, NOW, options_of(Said(reading={"recipe": "toy"}), wake=False, dry_run=False), out=told, translate=str, as_json=True
    )
    assert json.loads(told.getvalue())["choices"]["reading"]["everybody"][0]["channel"] == "sms"
