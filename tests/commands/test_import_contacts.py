from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands.import_contacts import import_contacts, parse_columns
from crm.imports.imports import Options
from journeys.errors import Invalid
from models import Database

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def run(db: Database, path: Path, options: Options | None = None, *, as_json: bool = False) -> tuple[int, str]:
    out = io.StringIO()
    code = import_contacts(db, path, lambda: NOW, options or Options(), out=out, translate=str, as_json=as_json)
    return code, out.getvalue()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.csv"
    path.write_text("email,plan\na@example.org,pro\n")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    path.write_text("email,plan\na@example.org,pro\nsecret-nonsense,pro\n,x\n1,2,3\n")
    return path


def test_all_rows_are_code_zero(sqlite_db: Database, good: Path) -> None:
    assert run(sqlite_db, good) == (0, "1 of 1 rows imported, 1 new contacts.\n")


def test_problems_are_code_one_with_line_and_reason_but_without_content(sqlite_db: Database, bad: Path) -> None:
    code, text = run(sqlite_db, bad, Options(dry_run=True))
    assert code == 1
    assert text.splitlines() == [
        "1 of 4 rows imported, 1 new contacts.",
        "This was a dry run: nothing was written.",
        "  line 3, email: This is not an e-mail address.",
        "  line 4: Nothing in this line identifies a contact.",
        "  line 5: The line has more filled cells than the header, so it is unclear which cell belongs to which column.",
    ]


def test_a_program_reads_json(sqlite_db: Database, bad: Path) -> None:
    code, text = run(sqlite_db, bad, as_json=True)
    report = json.loads(text)
    assert (code, report["ok"], report["failed"], report["errors"][0]["line"]) == (1, 1, 3, 3)


def test_columns_are_given_as_pairs() -> None:
    assert parse_columns(["Loyalty No=external:shop", "a=b= c ", "skip="]) == {"Loyalty No": "external:shop", "a=b": "c", "skip": ""}
    with pytest.raises(Invalid, match="HEADER=TARGET"):
        parse_columns(["plan"])
