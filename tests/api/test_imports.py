"""An import by program: a file in parts, choices, preview, dry run, import; and who may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from engine.engine import Engine
from engine.jobs.worker import do_page
from models import Contact, Upload, UploadPart

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

BASE = "/api/v1/imports"
TABLE = "E-Mail;Vorname;Umsatz;Seit\r\nida@example.org;Ida;1.234;03/04/2025\r\nbo@example.org;Bo;7;05/06/2025\r\nniemand;Cy;8;\r\n".encode(
    "utf-16"
)


def send(admin: TestClient, content: bytes = TABLE, name: str = "leute.csv") -> Any:
    room = admin.post(f"{BASE}/uploads", json={"file_name": name, "bytes": len(content)}).json()
    size = room["part_bytes"]
    for number in range(-(-len(content) // size)):
        part = content[number * size : (number + 1) * size]
        assert admin.put(f"{BASE}/uploads/{room['id']}/parts/{number}", content=part).status_code == 200
    return admin.post(f"{BASE}/uploads/{room['id']}/finish")


def test_a_file_is_sent_read_by_choice_checked_and_imported(admin: TestClient, engine: Engine) -> None:
    made = send(admin).json()
    assert made["columns"] == {"E-Mail": "email", "Vorname": "first_name", "Umsatz": "umsatz:number", "Seit": "seit:date"}
    assert (made["reading"]["encoding"], made["reading"]["decimal"], made["reading"]["date_order"]) == ("utf-16-le", None, None)
    assert "please choose" in made["why"]["decimal"]
    path = f"{BASE}/{made['id']}"
    rows = admin.get(f"{path}/preview").json()
    assert [cell["problem"] for cell in rows[0]["cells"]] == ["", "", "ambiguous_number", "ambiguous_date"]
    everybody = [{"channel": "email", "said_at": "2026-01-02", "source": "fair"}]
    reading = {"decimal": ",", "date_order": "mdy", "everybody": everybody}
    chosen = admin.put(f"{path}/choices", json={"reading": reading, "tags": ["fair"]}).json()
    assert (chosen["reading"]["separator"], chosen["reading"]["decimal"], chosen["problems"]) == (";", ",", [])
    cells = admin.get(f"{path}/preview").json()[0]["cells"]
    assert [(cell["was"], cell["value"]) for cell in cells[2:]] == [("1.234", 1234), ("03/04/2025", "2025-03-04")]
    for act, state in (("check", "checked"), ("run", "done")):
        job = admin.post(f"{path}/{act}").json()
        for _ in range(10):
            do_page(engine, job["id"])
        found = admin.get(path).json()
        assert (found["state"], found["ok"], found["failed"]) == (state, 2, 1)
    assert found["errors"] == [{"line": 4, "reason": "invalid_email", "column": "E-Mail", "taken": False}]
    with engine.db.read() as session:
        ida = session.scalars(select(Contact).where(Contact.email == "ida@example.org")).one()
        assert ida.attributes == {"umsatz": 1234, "seit": "2025-03-04"}
    assert "niemand,Cy,8,,4,E-Mail: This is not an e-mail address." in admin.get(f"{path}/problems.csv").text
    assert admin.delete(path).status_code == 204
    assert admin.get(f"{path}/problems.csv").status_code == 404


def test_what_only_looks_like_an_export_agrees_to_nothing(admin: TestClient) -> None:
    made = send(admin, b"Email Address,LEID,EUID,OPTIN_TIME\nida@example.org,7,e7,2024-01-02 10:00:00\n").json()
    assert (made["recipe"], made["reading"]["everybody"]) == ("mailchimp_subscribed", [])
    assert made["proposed"]["reading"]["everybody"][0]["state"] == "granted"
    said = admin.put(f"{BASE}/{made['id']}/choices", json=made["proposed"] | {"tags": []}).json()
    assert (said["reading"]["everybody"][0]["state"], said["columns"]["OPTIN_TIME"]) == ("granted", "consent_email_marketing_at")


def test_parts_come_in_order_once_and_whole(admin: TestClient, engine: Engine) -> None:
    content = b"email\n" + b"x@example.org\n" * 160_000  # two parts and a bit
    room = admin.post(f"{BASE}/uploads", json={"file_name": "a.csv", "bytes": len(content)}).json()
    size, path = room["part_bytes"], f"{BASE}/uploads/{room['id']}"
    assert admin.put(f"{path}/parts/1", content=content[size:]).status_code == 409
    assert admin.put(f"{path}/parts/0", content=content[: size - 1]).status_code == 422
    for _ in range(2):
        assert admin.put(f"{path}/parts/0", content=content[:size]).json()["parts"] == 1, "its answer may have been lost"
    assert admin.post(f"{path}/finish").status_code == 409
    assert admin.delete(path).status_code == 204
    with engine.db.read() as session:
        assert session.scalars(select(Upload.id)).all() == session.scalars(select(UploadPart.number)).all() == []


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [("a.xlsx", b"x", 422), ("a.csv", b"PK\x03\x04 and more", 422), ("a.csv", b",,\n", 422), ("a.csv", b"email\n", 422)],
)
def test_what_is_no_table_is_refused_and_kept_nowhere(admin: TestClient, engine: Engine, name: str, content: bytes, status: int) -> None:
    begun = admin.post(f"{BASE}/uploads", json={"file_name": name, "bytes": len(content)})
    if begun.status_code == 201:
        admin.put(f"{BASE}/uploads/{begun.json()['id']}/parts/0", content=content)
        begun = admin.post(f"{BASE}/uploads/{begun.json()['id']}/finish")
    assert begun.status_code == status
    with engine.db.read() as session:
        assert session.scalars(select(Upload.id)).all() == []


def test_there_is_room_for_so_much_and_no_more(admin: TestClient, engine: Engine) -> None:
    assert admin.post(f"{BASE}/uploads", json={"file_name": "a.csv", "bytes": 104_857_601}).status_code == 413
    for _ in range(10):
        last = admin.post(f"{BASE}/uploads", json={"file_name": "a.csv", "bytes": 104_857_600}).status_code
        assert last == 201
    assert admin.post(f"{BASE}/uploads", json={"file_name": "a.csv", "bytes": 104_857_600}).status_code == 413


def test_choices_are_checked(admin: TestClient) -> None:
    path = f"{BASE}/{send(admin).json()['id']}"
    for reading in (
        {"decimal": ";"},
        {"zone": "Mars"},
        {"encoding": "idna"},
        {"separator": "x"},
        {"everybody": [{"channel": "fax"}]},
        {"x": 1},
    ):
        assert admin.put(f"{path}/choices", json={"reading": reading}).status_code == 422
    assert admin.put(f"{path}/choices", json={"reading": {"recipe": "nobody"}}).status_code == 422
    assert admin.put(f"{path}/choices", json={"columns": {"Vorname": "first_name"}}).json()["problems"]
    assert admin.post(f"{path}/check").status_code == 422
    again = admin.put(f"{path}/choices", json={"reading": {"header_line": 2, "separator": "semicolon"}}).json()
    assert again["header"][:2] == ["ida@example.org", "Ida"], "the table is read anew"


def test_a_list_is_filled_by_upload(admin: TestClient, engine: Engine) -> None:
    assert admin.post("/api/v1/segments", json={"key": "guests", "name": "Guests"}).status_code == 201
    assert admin.post("/api/v1/contacts", json={"fields": {"email": "ida@example.org"}}).status_code in (200, 201)
    lines = b'{"mail": "ida@example.org"}\n{"mail": "bo@example.org"}\n'
    path = f"{BASE}/{send(admin, lines, 'guests.jsonl').json()['id']}"
    chosen = admin.put(f"{path}/choices", json={"subject": "segment_members", "segment": "guests"}).json()
    assert (chosen["subject"], chosen["segment"], chosen["columns"], chosen["problems"]) == (
        "segment_members",
        "guests",
        {"mail": "email"},
        [],
    )
    for act in ("check", "run"):
        job = admin.post(f"{path}/{act}").json()
        for _ in range(10):
            do_page(engine, job["id"])
    found = admin.get(path).json()
    assert (found["ok"], found["changed"], found["unchanged"], found["created"]) == (1, 1, 0, 0)
    assert found["errors"] == [{"line": 2, "reason": "unknown_contact", "column": "", "taken": False}]
    assert admin.put(f"{path}/choices", json={"subject": "planets"}).status_code == 409
    other = send(admin).json()["id"]
    assert admin.put(f"{BASE}/{other}/choices", json={"subject": "planets"}).status_code == 422
    assert admin.put(f"{BASE}/{other}/choices", json={"segment": "nobody"}).status_code == 404


def test_an_import_is_undone_after_a_dry_run(admin: TestClient, engine: Engine) -> None:
    table = b"email,plan\nida@example.org,pro\nbo@example.org,free\n"
    path = f"{BASE}/{send(admin, table, 'people.csv').json()['id']}"
    assert admin.post(f"{path}/undo").status_code == 409, "nothing was imported yet"
    for act in ("check", "run", "undo/check"):
        job = admin.post(f"{path}/{act}").json()
        for _ in range(10):
            do_page(engine, job["id"])
    state = admin.get(f"{path}/undo").json()
    assert (state["can_undo"], state["job"]["state"], state["job"]["counts"], state["kept"]) == (True, "done", {"removed": 2}, [])
    job = admin.post(f"{path}/undo").json()
    assert admin.post(f"{path}/undo").status_code == 409, "one at a time"
    do_page(engine, job["id"])
    with engine.db.read() as session:
        assert session.scalars(select(Contact.id).where(Contact.email != None)).all() == []  # noqa: E711  # SQL
    assert (admin.get(path).json()["state"], admin.get(f"{path}/undo").json()["can_undo"]) == ("undone", False)
