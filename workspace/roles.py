"""Which roles may do what: one table of acts for the interface, the pages and their sockets, for members and for admin keys.

Admins may do everything. Every route, page and button names its act; a test walks them all and asks both faces for every role.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from journeys.errors import PfadwerkError

Roles = frozenset[str]

ADMINS: Final[Roles] = frozenset()
ANYONE: Final[Roles] = frozenset({"marketer", "engineer", "tester", "sales", "viewer"})
EDITORS: Final[Roles] = frozenset({"marketer", "engineer"})
OPERATORS: Final[Roles] = frozenset({"marketer", "engineer", "tester"})
SELLERS: Final[Roles] = frozenset({"marketer", "sales"})
WORKERS: Final[Roles] = ANYONE - {"viewer"}

ACTS: Final[Mapping[str, Roles]] = {
    # Oneself and the team
    "me.read": ANYONE,
    "me.change": ANYONE,
    "me.second_factor": ANYONE,  # set up, turn off, new recovery codes
    "team.read": ANYONE,
    "member.manage": ADMINS,  # invite, change, deactivate, links, sessions
    "rotation.change": EDITORS,
    # The workspace
    "setting.read": ANYONE,
    "setting.change": ADMINS,
    "notice.test": ADMINS,
    "access.change": ADMINS,  # how long a log-in holds, and who needs a second factor
    "key.manage": ADMINS,
    "secret.list": EDITORS,  # the names; nobody reads a value
    "secret.change": ADMINS,
    "audit.read": ADMINS,
    "work.read": ANYONE,
    "work.cancel": EDITORS,
    "event.read_unrouted": ANYONE,
    "event.retry": OPERATORS,
    "account.read": ANYONE,  # which provider accounts there are, and which take nothing
    "account.manage": ADMINS,  # set up, test, choose for channels, remove
    "account.try": OPERATORS,
    "mail.bring": EDITORS,  # hand over a mail that came back, or a reply
    "catalogue.read": ANYONE,
    "catalogue.change": EDITORS,
    # Journeys and runs
    "journey.read": ANYONE,
    "journey.try": OPERATORS,  # simulate
    "journey.change": EDITORS,  # drafts, publish, stop, archive
    "journey.pause": OPERATORS,  # and resume
    "journey.move": EDITORS,  # dry run, migration, rollback
    "run.read": ANYONE,
    "run.mend": OPERATORS,  # resume, skip, end
    "run.start": OPERATORS,  # one contact, and who would enter
    "run.start_many": EDITORS,
    # Templates and messages
    "template.read": ANYONE,  # and previews of what is stored
    "template.change": EDITORS,  # and previews of own texts, test sends to oneself
    "coupon.read": ANYONE,  # pools and how many codes are left; the codes are a list to export
    "coupon.change": EDITORS,  # make, fill, change and delete pools
    "message.list": ANYONE,  # to whom, when, what became of it
    "message.read_body": WORKERS,  # what a person was written
    "message.decide": OPERATORS,  # what became of an uncertain one, and sending it again
    "message.read_login": ADMINS,  # a link to an account is as good as a password, one of a double opt-in as an answer
    # People
    "contact.read": ANYONE,
    "contact.change": SELLERS,  # make, fields, owner, tags by hand
    "contact.tag_many": EDITORS,
    "contact.import": EDITORS,
    "contact.leave_journey": EDITORS,
    "contact.export": ADMINS,  # everything about one person (GDPR Art. 15 and 20)
    "contact.erase": ADMINS,
    "consent.record": SELLERS,  # by hand, and by an import whose columns are consents
    "suppression.read": SELLERS,
    "suppression.add": SELLERS,
    "suppression.lift": ADMINS,
    "list.export": SELLERS,  # personal data in bulk, as files; for the others the pages are enough
    "segment.read": ANYONE,  # members and growth, and how many a rule would find
    "segment.change": EDITORS,  # make, change, delete, and who is on a list kept by hand
    "form.read": ANYONE,  # what forms ask, and how much came in
    "form.read_submissions": WORKERS,  # what people filled in
    "form.change": EDITORS,  # make, change, switch on and off, archive
    "company.read": ANYONE,
    "company.change": SELLERS,  # make, fields, owner, and who belongs to it
    "company.remove": EDITORS,  # merge and delete, which nobody takes back
    "scoring.read": ANYONE,  # rules and points, grades, and what a model would come to
    "scoring.change": EDITORS,  # make, change, switch and delete models
    "mail.write": SELLERS,  # an e-mail to one contact
    "note.write": WORKERS,  # notes on a contact and logged calls; only who wrote one changes or deletes it
    "task.read": ANYONE,
    "task.work": SELLERS,
}
"""Act -> the roles that may, besides admins."""


class NotAllowed(PfadwerkError):
    """The role does not allow the act."""

    code = "forbidden"
    status = 403


PROVED: Final[frozenset[str]] = frozenset(
    {"me.second_factor", "member.manage", "key.manage", "secret.change", "account.manage", "contact.erase", "access.change"}
)
"""Acts that weigh more: to change something by them, a member must have proved who they are minutes ago, by password, code or link
(`workspace.sessions.require_proof`). Admin keys are not asked: a key is itself the proof, nobody sits there to give another, and keys are made only
by somebody who was asked."""
OWING: Final[frozenset[str]] = frozenset({"me.read", "me.change", "me.second_factor"})
"""All that a member may do who still owes the second factor that the workspace asks for."""


def may(role: str, act: str) -> bool:
    """Whether a role may do an act. Raises KeyError for an act that is not in the table."""
    return role in ACTS[act] or role == "admin"


def roles_for(act: str) -> list[str]:
    """The roles that may do an act, sorted, admins among them."""
    return sorted({"admin", *ACTS[act]})
