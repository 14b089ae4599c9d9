from __future__ import annotations

from crm.rules.answers import Answer, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import TagTerm
from models import Tag
from storage.sql import table


class TagSql(TermSql[TagTerm]):
    term = TagTerm

    def on_contact(self, term: TagTerm, builder: Builder) -> Answer:
        tags = table(Tag).alias()
        return exists(tags, [tags.c.contact_id == contacts.c.id, tags.c.tag == term.tag], wanted=term.has)
