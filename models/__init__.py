"""SQLModel tables, one noun a file, and the session. No logic."""

from models.admin import (
    ApiKey,
    Audit,
    CatalogueEvent,
    CatalogueField,
    Import,
    Lease,
    LoginFailure,
    LoginSession,
    LoginToken,
    Process,
    Secret,
    Stamp,
    Upload,
    UploadPart,
    WorkspaceSetting,
)
from models.columns import new_id
from models.consent import Consent, ConsentState, MailboxConsent, Suppression
from models.contact import Contact, Duplicate, Identity, Merge, MergeMoved, Score, ScoreChange, Tag
from models.event import Event, Unrouted
from models.intake import IntakeProblem
from models.job import Job
from models.journey import Freshness, Journey, TriggerCursor, Version
from models.message import OPEN_MESSAGE, Body, Hit, Link, Message, OutboxItem, Template, TemplateVersion
from models.run import Inbox, MigratedRun, Migration, Refusal, Run, Subscription, Tally, TallyDelta, Trail
from models.session import Database, lock
from models.team import Member, Rotation, Task, TaskChange

__all__ = [
    "OPEN_MESSAGE",
    "ApiKey",
    "Audit",
    "Body",
    "CatalogueEvent",
    "CatalogueField",
    "Consent",
    "ConsentState",
    "Contact",
    "Database",
    "Duplicate",
    "Event",
    "Freshness",
    "Hit",
    "Identity",
    "Import",
    "Inbox",
    "IntakeProblem",
    "Job",
    "Journey",
    "Lease",
    "Link",
    "LoginFailure",
    "LoginSession",
    "LoginToken",
    "MailboxConsent",
    "Member",
    "Merge",
    "MergeMoved",
    "Message",
    "MigratedRun",
    "Migration",
    "OutboxItem",
    "Process",
    "Refusal",
    "Rotation",
    "Run",
    "Score",
    "ScoreChange",
    "Secret",
    "Stamp",
    "Subscription",
    "Suppression",
    "Tag",
    "Tally",
    "TallyDelta",
    "Task",
    "TaskChange",
    "Template",
    "TemplateVersion",
    "Trail",
    "TriggerCursor",
    "Unrouted",
    "Upload",
    "UploadPart",
    "Version",
    "WorkspaceSetting",
    "lock",
    "new_id",
]
