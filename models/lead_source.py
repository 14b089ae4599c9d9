"""How contacts came: the first and the last touch of each."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel


class LeadSource(SQLModel, table=True):
    """The first and the last touch of a contact (`crm.people.touches` says what is one). Both are always there; of somebody who came once they are the same.

    `kind` is campaign, referrer, form, import, api, staff or direct. `source_id`: which form, import, key or member, by its stable id.
    Pages are host and path, without query; what is not known is None.
    """

    __tablename__ = "lead_source"

    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    first_kind: str = Field(max_length=16)
    first_source_id: str | None = Field(default=None, max_length=64)
    first_utm_source: str | None = Field(default=None, max_length=200)
    first_utm_medium: str | None = Field(default=None, max_length=200)
    first_utm_campaign: str | None = Field(default=None, max_length=200)
    first_utm_term: str | None = Field(default=None, max_length=200)
    first_utm_content: str | None = Field(default=None, max_length=200)
    first_referrer: str | None = Field(default=None, max_length=500)
    first_landing_page: str | None = Field(default=None, max_length=500)
    first_at: datetime
    last_kind: str = Field(max_length=16)
    last_source_id: str | None = Field(default=None, max_length=64)
    last_utm_source: str | None = Field(default=None, max_length=200)
    last_utm_medium: str | None = Field(default=None, max_length=200)
    last_utm_campaign: str | None = Field(default=None, max_length=200)
    last_utm_term: str | None = Field(default=None, max_length=200)
    last_utm_content: str | None = Field(default=None, max_length=200)
    last_referrer: str | None = Field(default=None, max_length=500)
    last_landing_page: str | None = Field(default=None, max_length=500)
    last_at: datetime = Field(index=True)
