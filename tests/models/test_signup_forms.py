"""A database from before forms: its sign-up forms are forms of the same keys afterwards, live, with the same wording."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from crm.forms import forms
from models import Database, WorkspaceSetting, migrate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC).isoformat(sep=" ")[:26]
OLD = {
    "key": "footer",
    "purpose": "newsletter",
    "english_title": "",
    "german_title": "Neues",
    "english_wording": "Yes.",
    "german_wording": "Ja.",
    "names": True,
    "topics": True,
}


def test_sign_up_forms_are_forms(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    migrate.upgrade(url, "0055")
    with closing(Database(url)) as database, database.write() as session:
        values = {"value": json.dumps({"forms": [OLD]}), "now": NOW}
        session.execute(
            text("INSERT INTO workspace_setting (name, value, updated_at, updated_by) VALUES ('signup_forms', :value, :now, 'system')"),
            values,
        )
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.write() as session:
        found = forms.shown(session, "footer")
        assert found is not None
        form, asked, version = found
        [box] = asked.boxes
        assert (form.name, version, asked.plain, [one.name for one in asked.fields]) == (
            "Neues",
            1,
            True,
            ["email", "first_name", "last_name"],
        )
        assert (box.key, box.purpose, box.wording.de, box.topics, box.required) == ("agree", "newsletter", "Ja.", True, True)
        assert session.get(WorkspaceSetting, "signup_forms") is None
        assert asked.model_dump(mode="json") == form.definition, "as it would be stored today"
