"""Writes to a contact what steps have decided: a file for each change of `journeys.changes` that concerns a contact alone, by the same name."""

from __future__ import annotations

from collections.abc import Mapping

from crm.changes import add_tag, change_score, create_task, remove_tag, set_fields, set_owner
from crm.changes.change import Apply, Cause

_FILES = (set_fields, add_tag, remove_tag, change_score, set_owner, create_task)

APPLY: Mapping[str, Apply] = {file.__name__.rpartition(".")[2]: file.apply for file in _FILES}
"""The kind of a change -> what writes it."""

__all__ = ["APPLY", "Apply", "Cause"]
