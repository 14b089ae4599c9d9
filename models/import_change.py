"""What an import did to each contact, for as long as it can be undone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field, Index, SQLModel

from models.columns import json_field


class ImportChange(SQLModel, table=True):
    """What one import changed of one contact, all its rows together (`crm.imports.changes`). `made`: the contact was made by it. `at`: when it wrote last
    (the product's clock). `kept`: why an undo left it as it is, a code of `crm.imports.undo.KEPT`; empty before there was one."""

    __tablename__ = "import_change"
    __table_args__ = (Index("ix_import_change_contact", "contact_id"), Index("ix_import_change_at", "at"))

    import_id: str = Field(foreign_key="import_job.id", primary_key=True, max_length=32)
    contact_id: str = Field(foreign_key="contact.id", primary_key=True, max_length=32)
    made: bool = False
    what: dict[str, Any] = json_field()
    at: datetime
    kept: str = Field(default="", max_length=32)
