"""What companies add up to equals a recount at every instant, whatever happens to contacts and in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from crm.companies import companies, group, members, money, roll_ups
from crm.companies.names import MOST_DOMAINS
from crm.people import profile, scores
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.privacy.erasure import erase
from journeys.catalogue import Catalogue, FieldSpec
from journeys.errors import Conflict
from models import Company, CompanyDelta, CompanyMark, CompanyMember, Contact, Database
from storage import company_marks
from storage.events import append_event
from workspace import settings as workspace_settings

AS_OF = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
WHO = st.integers(0, 2)
GROUPS = st.sampled_from(["g1", "g2"])
ORDERS = st.fixed_dictionaries(
    {"order_id": st.sampled_from(["o1", "o2", "o3"])},
    optional={
        "revenue": st.sampled_from([10, 0.1, 19.99, 1000, -5, "7"]),
        "total": st.sampled_from([12, 3.333]),
        "currency": st.sampled_from(["CHF", "eur", "JPY", "KWD", "€"]),
    },
)
ACTS = st.one_of(
    st.tuples(st.just("order"), WHO, st.sampled_from(sorted(money.ORDER_EVENTS)), ORDERS, st.sampled_from([0, 1, 40])),
    st.tuples(st.just("group"), WHO, GROUPS, st.sampled_from([{}, {"plan": "pro"}, {"plan": "free", "seats": 3}])),
    st.tuples(st.just("put"), WHO, st.none() | GROUPS, st.sampled_from(["hand", "api", "group", "domain"])),
    st.tuples(st.just("score"), WHO, st.sampled_from(["fit", "engagement"]), st.sampled_from([5.0, -2.5, 0.1])),
    st.tuples(st.just("seen"), WHO),
    st.tuples(st.just("mail"), WHO, st.sampled_from(["ada@acme.example", "bob@other.example", "eve@gmx.ch"])),
    st.tuples(st.just("merge"), WHO, WHO),
    st.tuples(st.just("unmerge"), WHO),
    st.tuples(st.just("erase"), WHO),
    st.tuples(st.just("new")),
    st.tuples(st.just("merge_companies"), GROUPS, GROUPS),
    st.tuples(st.just("delete_company"), GROUPS),
)


class Life:
    """A few contacts and companies, and what happens to them. Everything is in one transaction, which is rolled back."""

    def __init__(self, session: Session) -> None:
        self.session, self.now = session, AS_OF
        self.contacts: list[str] = []
        self.moving: list[tuple[str, str | None]] = []
        workspace_settings.put(session, "companies", {"by_domain": True, "currency": "CHF"}, "test", AS_OF)
        for number in range(2):
            self.new()
            self.group(number, "g1", {})
            self.order(number, money.PLACED, {"revenue": 10 + number, "currency": "CHF"}, 0)
            self.score(number, "fit", 5.5)
            self.seen(number)

    def new(self) -> None:
        id = f"c{len(self.contacts)}"
        self.session.add(Contact(id=id, created_at=self.now, updated_at=self.now))
        self.session.flush()
        company_marks.mark_new(self.session, [id], self.now)
        self.contacts.append(id)

    def act(self, what: str, *how: Any) -> None:
        self.now += timedelta(minutes=1)
        getattr(self, what)(*how)

    def _who(self, number: int) -> str | None:
        row = self.session.get_one(Contact, self.contacts[number % len(self.contacts)], populate_existing=True)
        return row.id if row.merged_into is None and row.erased_at is None else None

    def order(self, who: int, name: str, properties: dict[str, Any], late: int) -> None:
        if id := self._who(who):
            append_event(self.session, id, "track", name, properties, self.now, occurred_at=self.now - timedelta(days=late))

    def group(self, who: int, group_id: str, traits: dict[str, Any]) -> None:
        if id := self._who(who):
            group.join(self.session, [group.Call(id, group_id, traits, trusted=True)], self.now, "key:1")

    def put(self, who: int, group_id: str | None, source: str) -> None:
        id, company = self._who(who), companies.find(self.session, companies.Said(group_id)) if group_id else None
        if id and (company or not group_id):
            members.put(self.session, {id: company}, source, self.now)

    def score(self, who: int, name: str, points: float) -> None:
        if id := self._who(who):
            scores.change_score(self.session, id, name, points, False, "", self.now)

    def seen(self, who: int) -> None:
        if id := self._who(who):
            self.session.execute(update(Contact).where(Contact.id == id).values(last_seen_at=self.now))
            company_marks.mark_seen(self.session, [id], self.now)

    def mail(self, who: int, address: str) -> None:
        if id := self._who(who):
            profile.update_fields(self.session, id, {"email": address}, self.now, "test")

    def merge(self, one: int, other: int) -> None:
        winner, loser = self._who(one), self._who(other)
        if winner and loser:
            merge(self.session, winner, loser, self.now)

    def unmerge(self, who: int) -> None:
        if (id := self._who(who)) and (line := newest(self.session, id)) is not None and line.id is not None:
            unmerge(self.session, line.id, "test", self.now)

    def erase(self, who: int) -> None:
        if id := self._who(who):
            erase(self.session, id, self.now, by="test")

    def merge_companies(self, one: str, other: str) -> None:
        winner, loser = (companies.find(self.session, companies.Said(id)) for id in (one, other))
        if winner and loser and winner != loser:
            companies.merge(self.session, winner, loser, "test", self.now)
            self.moving.append((loser, winner))

    def delete_company(self, group_id: str) -> None:
        if id := companies.find(self.session, companies.Said(group_id)):
            companies.remove(self.session, id, "test", self.now)
            self.moving.append((id, None))

    def settle(self) -> None:
        for company_id, to in self.moving:
            while not companies.empty_page(self.session, company_id, to, self.now).finished:
                pass
        while waiting := roll_ups.waiting(self.session, self.now, 2):
            roll_ups.recount(self.session, waiting, self.now)
        while roll_ups.fold(self.session, self.now, lambda topic: True, 3):
            pass
        while (spread := roll_ups.next_spread(self.session)) is not None:
            roll_ups.spread_page(self.session, spread, self.now, True)

    def check(self) -> None:
        for one in self.session.scalars(select(Company), execution_options={"populate_existing": True}):
            kept = {name: getattr(one, name) for name in ("members", "score", "revenues", "last_activity_at")}
            assert kept == roll_ups.recounted(self.session, one.id)
            assert one.members == 0 or not one.gone
            assert one.revenue == money.in_currency(one.revenues, "CHF")
            assert one.gone or one.told["revenue"] == one.revenue / 100
        lost = select(func.count()).select_from(CompanyMember).join(Contact, Contact.id == CompanyMember.contact_id)
        nobody = lost.where(Contact.merged_into.is_not(None) | Contact.erased_at.is_not(None))  # type: ignore[union-attr]
        assert self.session.scalar(nobody) == 0
        assert self.session.scalar(select(func.count()).select_from(CompanyMark)) == 0


def lasting(examples: int) -> settings:
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, suppress_health_check=unhealthy)


lives = given(acts=st.lists(ACTS, min_size=4, max_size=20), every=st.integers(1, 4))


@lasting(40)
@lives
def test_roll_ups_equal_a_recount(shared_sqlite: Database, acts: list[Any], every: int) -> None:
    lived(shared_sqlite, acts, every)


@lasting(4)
@lives
def test_the_same_on_postgresql(shared_postgres: Database, acts: list[Any], every: int) -> None:
    lived(shared_postgres, acts, every)


def lived(database: Database, acts: list[Any], every: int) -> None:
    with database.engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, info=database.info, expire_on_commit=False) as session:
            life = Life(session)
            life.settle()
            for number, act in enumerate(acts):
                life.act(*act)
                if number % every == 0:
                    life.settle()
                    life.check()
            life.settle()
            life.check()
        transaction.rollback()


def event(id: int, name: str, **properties: Any) -> Any:
    return SimpleNamespace(id=id, name=name, properties=properties, occurred_at=AS_OF)


@pytest.mark.parametrize(
    ("events", "net"),
    [
        ([event(1, money.PLACED, order_id="1", revenue=19.99, total=25, currency="chf")], {"CHF": 1999}),
        ([event(1, money.PLACED, order_id="1", total=10), event(2, money.PLACED, order_id="1", total=12)], {"": 1200}),
        ([event(1, money.PLACED, order_id="1", value=10), event(2, money.REFUNDED, order_id="1", value=4)], {"": 600}),
        ([event(1, money.PLACED, order_id="1", value=10), event(2, money.REFUNDED, order_id="1", value=-4)], {"": 600}),
        ([event(1, money.PLACED, order_id="1", value=10), event(2, money.REFUNDED, order_id="1", value=40)], {}),
        ([event(1, money.PLACED, order_id="1", value=10), event(2, money.REFUNDED, order_id="1")], {}),
        ([event(1, money.PLACED, order_id="1", value=10), event(2, money.CANCELLED, order_id="1")], {}),
        ([event(1, money.REFUNDED, order_id="1", value=4), event(2, money.PLACED, order_id="1", value=10)], {"": 600}),
        ([event(1, money.PLACED, revenue=5, currency="EUR"), event(2, money.PLACED, revenue=5, currency="EUR")], {"EUR": 1000}),
        ([event(1, money.PLACED, revenue=1234.5, currency="JPY")], {"JPY": 1235}),
        ([event(1, money.PLACED, revenue=1.2345, currency="KWD")], {"KWD": 1235}),
        ([event(1, money.PLACED, revenue=True), event(2, money.PLACED, revenue=1e30), event(3, money.PLACED, revenue="9")], {}),
    ],
)
def test_what_orders_come_to(events: list[Any], net: dict[str, int]) -> None:
    assert money.net(events) == net


def test_money_without_a_currency_counts_in_the_workspace_s() -> None:
    assert money.in_currency({"": 150, "CHF": 100, "EUR": 7}, "CHF") == 250
    assert money.in_currency({"": 150}, "JPY") == 2
    assert money.minor(Decimal("12.345"), "EUR") == 1235


def test_another_currency_of_the_workspace_is_told_after_a_page(session: Session, contact: str, now: datetime) -> None:
    joined(session, contact, now)
    append_event(session, contact, "track", "Order Completed", {"revenue": 7, "currency": "CHF"}, now)
    worked(session, now)
    workspace_settings.put(session, "companies", {"currency": "CHF"}, "test", now)
    assert roll_ups.has_other_currency(session)
    assert roll_ups.other_currency(session, lambda topic: False) == 1
    assert not roll_ups.has_other_currency(session)
    [row] = session.scalars(select(Company))
    assert (row.told["revenue"], row.told["currency"]) == (7.0, "CHF")


def test_members_of_a_large_company_touch_no_row_of_it(session: Session, contact: str, now: datetime) -> None:
    joined(session, contact, now)
    worked(session, now)
    [row] = session.scalars(select(Company))
    before = row.version, row.updated_at
    group.join(session, [group.Call(contact, "acme", {"name": "Acme"}, trusted=True)], now + timedelta(hours=1), "key:1")
    append_event(session, contact, "track", "Order Completed", {"revenue": 7}, now)
    assert session.scalar(select(func.count()).select_from(CompanyDelta)) == 0
    assert (row.version, row.updated_at) == before


def joined(session: Session, contact_id: str, now: datetime) -> None:
    group.join(session, [group.Call(contact_id, "acme", {"name": "Acme"}, trusted=True)], now, "key:1")


def worked(session: Session, now: datetime) -> None:
    roll_ups.recount(session, roll_ups.waiting(session, now), now)
    while roll_ups.fold(session, now, lambda topic: False):
        pass


def test_merging_a_company_with_itself_is_refused(session: Session, contact: str, now: datetime) -> None:
    joined(session, contact, now)
    [row] = session.scalars(select(Company))
    with pytest.raises(Conflict):
        companies.merge(session, row.id, row.id, "test", now)


def test_companies_that_have_too_many_domains_together_are_not_merged(session: Session, now: datetime) -> None:
    one, two = (
        companies.create(session, name, "test", now, domains=[f"{name}{n}.example" for n in range(MOST_DOMAINS // 2 + 1)]) for name in "ab"
    )
    with pytest.raises(Conflict):
        companies.merge(session, one.id, two.id, "test", now)


def test_the_contact_s_own_field_company_is_no_object_of_its_company() -> None:
    known = Catalogue.built_in()
    assert known.field("company") is None
    assert known.field("company.name") is not None
    assert known.with_fields(FieldSpec("company", "string")).field("company") == FieldSpec("company", "string")


def test_a_forged_sum_keeps_nobody_from_being_worked_out(session: Session, contact: str, now: datetime) -> None:
    joined(session, contact, now)
    worked(session, now)
    [row] = session.scalars(select(Company))
    session.add_all(CompanyDelta(company_id=row.id, revenues={"": money.MOST_SUM}) for _ in range(3))
    session.flush()
    worked(session, now)
    assert (row.members, row.revenues) == (1, {"": money.MOST_SUM})


def test_the_domain_that_a_group_call_names_is_taken_and_no_field(session: Session, contact: str, now: datetime) -> None:
    call = group.Call(contact, "acme", {"name": "Acme", "domain": "acme.example", "members": 9}, trusted=True)
    for _ in range(2):
        [done] = group.join(session, [call], now, "key:1")
        assert done.refused == {"members": "read_only"}
        [row] = session.scalars(select(Company))
        assert (row.domain, row.version) == ("acme.example", 1)


def test_anybody_s_word_gives_no_company_a_domain(session: Session, contact: str, now: datetime) -> None:
    joined(session, contact, now)
    for id in ("acme", "evil"):
        group.join(session, [group.Call(contact, id, {"domain": "victim.example"}, trusted=False)], now, "key:2")
    assert companies.find(session, companies.Said(domain="victim.example")) is None
    group.join(session, [group.Call(contact, "acme", {"domain": "gmail.com"}, trusted=True)], now, "key:1")
    assert companies.find(session, companies.Said(domain="gmail.com")) is None
    group.join(session, [group.Call(contact, "acme", {"domain": "victim.example"}, trusted=True)], now, "key:1")
    assert companies.find(session, companies.Said(domain="victim.example")) == companies.find(session, companies.Said("acme"))


def test_anybody_s_word_gives_a_company_of_the_team_no_id_and_no_owner(session: Session, contact: str, now: datetime) -> None:
    row = companies.create(session, "Acme", "test", now, domains=["acme.example"])
    group.join(session, [group.Call(contact, "evil", {"domain": "acme.example"}, trusted=False)], now, "key:2")
    assert companies.names_of(session, row.id)["id"] == []
    group.join(session, [group.Call(contact, "acme", {"domain": "acme.example"}, trusted=True)], now, "key:1")
    assert companies.names_of(session, row.id)["id"] == ["acme"]
    group.join(session, [group.Call(contact, "new", {"owner": "m1", "plan": "pro"}, trusted=False)], now, "key:2")
    new = companies.get(session, companies.find(session, companies.Said("new")) or "")
    assert (new.owner, new.attributes) == (None, {"plan": "pro"})


def test_what_a_person_confirms_stands_against_group_calls(session: Session, contact: str, now: datetime) -> None:
    group.join(session, [group.Call(contact, "acme", {}, trusted=True)], now, "key:1")
    acme = companies.find(session, companies.Said("acme"))
    assert companies.assign(session, contact, acme, "test", now) == []
    [done] = group.join(session, [group.Call(contact, "other", {}, trusted=True)], now, "key:1")
    assert done.refused == {"company": group.CHOSEN}
    assert members.of(session, [contact])[contact].company_id == acme


def test_another_of_its_domains_is_another_version(session: Session, now: datetime) -> None:
    row = companies.create(session, "Acme", "test", now, domains=["a.example", "b.example"])
    seen = row.version
    companies.change(session, row.id, "test", now, domains=["a.example", "c.example"], version=seen)
    with pytest.raises(Conflict):
        companies.change(session, row.id, "test", now, domains=["a.example"], version=seen)
