"""What the rows of a file may be about: one file here each. Adding one is a class with its columns and what its rows write, and its name in
`SUBJECTS`.

Steps, mapping, dry run, progress and the file of faulty rows are the same for all of them (`crm.imports.uploads`).
"""

from __future__ import annotations

from collections.abc import Mapping

from crm.imports.subjects.consents import Consents
from crm.imports.subjects.contacts import Contacts
from crm.imports.subjects.events import Events
from crm.imports.subjects.orders import Orders
from crm.imports.subjects.segment_members import SegmentMembers
from crm.imports.subjects.subject import Subject
from crm.imports.subjects.suppressions import Suppressions
from journeys.errors import Invalid

SUBJECTS: Mapping[str, Subject] = {one.key: one for one in (Contacts(), Consents(), Suppressions(), Events(), Orders(), SegmentMembers())}
"""In the order of pages."""


def subject(key: str) -> Subject:
    """Raises:
    Invalid: there is no such subject."""
    found = SUBJECTS.get(key)
    if found is None:
        raise Invalid("Expected one of {known}.", known=list(SUBJECTS), problem="choice")
    return found
