"""Companies: what several contacts belong to, the names it is known by, its members and what they add up to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, Index, SQLModel

from models.columns import big_id, json_field, new_id


class Company(SQLModel, table=True):
    """One company. What its members add up to (`members` and what follows) is folded in from `CompanyDelta` and never counted anew."""

    __tablename__ = "company"
    __table_args__ = (
        Index("ix_company_name", "sort_name", "id"),
        Index("ix_company_owner", "owner", "id"),
        Index("ix_company_members", "members", "id"),
        Index("ix_company_revenue", "revenue", "id"),
        Index("ix_company_active", "last_activity_at", "id"),
        Index("ix_company_currency", "currency", "id"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    name: str = Field(max_length=200)
    sort_name: str = Field(max_length=200)
    """The name in small letters: what lists are sorted and searched by."""
    domain: str | None = Field(default=None, max_length=253)
    """The first of its domains; all of them are `CompanyName` rows."""
    owner: str | None = Field(default=None, max_length=32)
    attributes: dict[str, Any] = json_field()
    """Every other field, flat or nested, by name."""
    told: dict[str, Any] = json_field()
    """What rules read as `company.…`, made of all the other columns and written with them (`crm.companies.told`)."""
    members: int = 0
    revenues: dict[str, Any] = json_field()
    """Currency (empty: none was said) -> net revenue in its minor unit (cents)."""
    revenue: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """What of it is in `currency`, in minor units."""
    currency: str = Field(default="", max_length=3)
    """The workspace's, when `revenue` was last worked out."""
    score: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """Of all members together, in thousandths of a point."""
    last_activity_at: datetime | None = None
    version: int = 1
    """Grows with what people and senders change; roll-ups do not count."""
    vouched: bool = True
    """An authenticated sender, an import or a member of the team has named it; browsers fill in no fields of such a company."""
    created_at: datetime
    created_by: str = Field(default="", max_length=120)
    updated_at: datetime
    gone: str = Field(default="", max_length=8)
    """merged or deleted: no list shows it and no name leads to it; its members are on their way. Empty: it is there."""
    merged_into: str | None = Field(default=None, max_length=32, index=True)


class CompanyName(SQLModel, table=True):
    """A name a company is known by: `id` (what a `group` call or another system calls it), `domain`, or `name` (in small letters, where it is the
    only one of that name). Each has one company, whoever comes first."""

    __tablename__ = "company_name"

    kind: str = Field(primary_key=True, max_length=8)
    value: str = Field(primary_key=True, max_length=320)
    company_id: str = Field(foreign_key="company.id", index=True, max_length=32)
    created_at: datetime


class CompanyMember(SQLModel, table=True):
    """A contact belongs to a company, to one at most. `score`, `revenues`: what the contact counts for in the company's roll-ups, as far as they
    know of it."""

    __tablename__ = "company_member"
    __table_args__ = (
        Index("ix_company_member_company", "company_id", "contact_id"),
        Index("ix_company_member_active", "company_id", "active_at"),
    )

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    company_id: str = Field(foreign_key="company.id", max_length=32)
    since: datetime
    source: str = Field(max_length=8)
    """Who said so: domain, group, import, api or hand (`crm.companies.members.STRENGTH`)."""
    active_at: datetime | None = None
    """When the contact was last seen."""
    score: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    revenues: dict[str, Any] = json_field()


class CompanyDelta(SQLModel, table=True):
    """What a transaction changed about a company's roll-ups, appended by whoever changed it and folded later, so that members of one company never
    wait for each other."""

    __tablename__ = "company_delta"

    id: int | None = big_id()
    company_id: str = Field(foreign_key="company.id", max_length=32)
    members: int = 0
    score: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    revenues: dict[str, Any] = json_field()


class CompanyMark(SQLModel, table=True):
    """What a contact counts for in its company, or which company its e-mail address means, has to be worked out again; one row however often."""

    __tablename__ = "company_mark"
    __table_args__ = (Index("ix_company_mark_marked", "marked_at", "contact_id"),)

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    marked_at: datetime
    silent: bool = False
    """All that changed was history that was brought in."""


class CompanySpread(SQLModel, table=True):
    """The members of a company have to hear that a field of it has changed; they are told in pages, in the order of their ids."""

    __tablename__ = "company_spread"

    company_id: str = Field(foreign_key="company.id", primary_key=True, max_length=32)
    field: str = Field(primary_key=True, max_length=120)
    """As in rules: `company.plan`."""
    after_id: str = Field(default="", max_length=32)
    """The last member that was told."""
    again: bool = False
    """It has changed once more since the first was told: from the beginning when this is through."""
    hops: int = 0
    silent: bool = False
