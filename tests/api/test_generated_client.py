"""A client generator takes the whole description: models made of it send what the real app takes, and read what it answers, line by line."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI

from api.admin.journeys import DOCUMENT
from engine.runs.trail import KINDS
from models import Contact, Journey, Run, Trail, Version
from tests.api.conftest import Send, TestClient

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes the models once for a description."""
    made: dict[str, ModuleType] = {}

    def make(description: bytes) -> ModuleType:
        if "models" not in made:
            folder = tmp_path_factory.mktemp("client")
            (folder / "openapi.json").write_bytes(description)
            how = ["--input", "openapi.json", "--output", "client_models.py", "--input-file-type", "openapi"]
            how += ["--output-model-type", "pydantic_v2.BaseModel", "--target-python-version", "3.11", "--disable-timestamp"]
            subprocess.run([sys.executable, "-m", "datamodel_code_generator", *how], cwd=folder, check=True, capture_output=True)
            spec = importlib.util.spec_from_file_location("client_models", folder / "client_models.py")
            assert spec
            assert spec.loader
            module = importlib.util.module_from_spec(spec)
            sys.modules["client_models"] = module
            spec.loader.exec_module(module)
            made["models"] = module
        return made["models"]

    return make


@pytest.fixture
def models(client: TestClient, generated: Any) -> ModuleType:
    module: ModuleType = generated(client.get("/api/v1/openapi.json").content)
    return module


CALLS: dict[str, dict[str, Any]] = {
    "TrackCall": {"userId": "u1", "event": "Order Completed", "properties": {"total": 59.9}, "timestamp": "2026-03-02T10:00:00Z"},
    "IdentifyCall": {
        "userId": 17,
        "traits": {"email": "ada@example.org", "firstName": "Ada", "consents": {"email": {"marketing": "granted"}}},
    },
    "PageCall": {"anonymousId": "a1", "name": "Pricing", "context": {"timezone": "Europe/Zurich", "locale": None}},
    "ScreenCall": {"anonymousId": "a1", "name": None, "category": "Shop"},
    "GroupCall": {"userId": "u1", "groupId": 4711, "traits": {"name": "Acme AG"}},
    "AliasCall": {"previousId": "a1", "userId": "u1"},
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_made_of_the_description_is_stored(models: ModuleType, track: Send, name: str) -> None:
    call = getattr(models, name).model_validate(CALLS[name])
    path = name.removesuffix("Call").lower()
    answer = track(path, call.model_dump(mode="json", by_alias=True, exclude_unset=True), x_strict_mode="1")
    assert answer.status_code == 200, answer.text
    assert models.Stored.model_validate(answer.json()).success


def test_a_batch_tells_calls_apart_by_their_type(models: ModuleType, track: Send) -> None:
    sent = {"batch": [{"type": name.removesuffix("Call").lower(), **call} for name, call in CALLS.items()], "sentAt": ""}
    batch = models.CallBatch.model_validate(sent)
    assert [type(getattr(one, "root", one)).__name__.removeprefix("Batched") for one in batch.batch] == list(CALLS)
    answer = track("batch", batch.model_dump(mode="json", by_alias=True, exclude_unset=True), x_strict_mode="1")
    assert answer.status_code == 200, answer.text
    assert "x-dropped-events" not in answer.headers


DETAILS: dict[str, dict[str, Any]] = {
    "waiting": {"until": "2026-03-02T10:00:00Z", "branches": ["came"]},
    "heard": {"branch": "came", "event": "Replied", "event_id": 7},
    "calling": {"channel": "email"},
    "performed": {"result": "sent"},
    "left": {"rule": [{"field": "plan", "result": True}]},
    "exited": {"event": "Left Us", "event_id": 8},
    "ended": {"reason": "completed"},
    "attempt": {"reason": "busy", "count": 3, "last": "2026-03-02T10:00:00Z"},
    "held": {"reason": "paused"},
    "stuck": {"reason": "KeyError"},
    "quarantined": {"reason": "database_behind"},
    "resumed": {"by": "member:m1"},
    "skipped": {"by": "member:m1"},
    "taken_out": {"by": "member:m1"},
    "migrated": {"from": 1, "to": 2, "node": "hello"},
    "migrated_back": {"node": "hello"},
    "merged": {"contact": "d" * 32},
    "parted": {"contact": "d" * 32},
}


def story(engine: Any) -> str:
    """A run to which everything happened that can happen."""
    now = engine.clock.now()
    with engine.db.write() as session:
        contact = Contact(id="c" * 32, email="ada@example.org", created_at=now, updated_at=now)
        journey = Journey(key="calm", name="Calm", draft={}, created_at=now, updated_at=now)
        session.add_all([contact, journey])
        session.flush()
        version = Version(journey_id=journey.id, number=1, document={}, digest="d", published_at=now, published_by="test")
        session.add(version)
        session.flush()
        run = Run(
            journey_id=journey.id, version_id=version.id, version_number=1, contact_id=contact.id, status="stuck", node="hello", started_at=now,
            updated_at=now, step=len(KINDS), instruction={"op": "wait", "step": 3, "until": None},
        )  # fmt: skip
        session.add(run)
        session.flush()
        for step, what in enumerate(KINDS):
            line = {"run_id": run.id, "step": step, "seq": 0, "version_id": version.id, "node": "hello", "what": what}
            session.add(Trail(**line, at=now, detail=DETAILS.get(what, {})))
        return run.id


def test_a_timeline_is_read_line_by_line(models: ModuleType, admin: TestClient, engine: Any) -> None:
    answer = admin.get(f"/api/v1/runs/{story(engine)}")
    assert answer.status_code == 200, answer.text
    read = models.RunStory.model_validate(answer.json())
    assert [getattr(line, "root", line).what for line in read.trail] == list(KINDS)
    assert len({type(getattr(line, "root", line)) for line in read.trail}) == len(KINDS)
    assert [line["detail"] for line in answer.json()["trail"]] == [DETAILS.get(what, {}) for what in KINDS]


def test_no_two_models_have_one_name(app: FastAPI) -> None:
    """FastAPI would give both a long name, and a generator stumbles over the two of one title."""
    names = list(app.openapi()["components"]["schemas"])
    assert [name for name in names if "__" in name or "-" in name] == []


def test_operations_keep_their_names(app: FastAPI) -> None:
    """A name that goes takes a function out of everybody's generated client: new ones are added to the file, old ones stay."""
    names = [operation["operationId"] for methods in app.openapi()["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    assert all(name.replace("_", "").isalpha() and name == name.lower() for name in names)
    assert sorted(names) == (Path(__file__).parent / "operations.txt").read_text("utf-8").split()


def test_no_answer_of_the_interface_is_left_open(app: FastAPI) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    assert content.get("schema"), f"{method} {path} {status}"


def test_settings_are_models_and_go_back_as_they_came(models: ModuleType, client: TestClient, admin_key: str) -> None:
    admin = {"authorization": f"Bearer {admin_key}"}
    told = client.get("/api/v1/settings", headers=admin).json()
    whole = models.WorkspaceSettings.model_validate(told)
    hours = whole.quiet_hours.model_dump(mode="json", exclude_unset=True)
    answer = client.put("/api/v1/settings/quiet_hours", json=hours, headers=admin)
    assert answer.status_code == 200, answer.text
    assert answer.json() == told["quiet_hours"]


def test_a_document_is_a_model_and_goes_back_as_it_came(models: ModuleType, client: TestClient, admin_key: str) -> None:
    admin = {"authorization": f"Bearer {admin_key}"}
    sent = {
        **DOCUMENT,
        "entry": {
            "triggers": [{"type": "event", "event": "Signed Up", "where": {"field": "plan", "operator": "=", "value": "pro"}}],
            "filter": {"combinator": "and", "rules": [{"event": "Paid", "within": "P3D"}, {"tag": "new", "has": False}]},
        },
    }
    document = models.JourneyDocument.model_validate(sent)
    [trigger] = document.entry.triggers
    assert getattr(trigger, "root", trigger).event == "Signed Up"
    body = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    answer = client.put(f"/api/v1/journeys/{DOCUMENT['key']}/document", json=body, headers=admin)
    assert answer.status_code in (200, 201), answer.text
    assert models.JourneyDetail.model_validate(answer.json()).draft.key == DOCUMENT["key"]
    assert answer.json()["draft"]["nodes"] == sent["nodes"]


def test_an_export_is_a_model(models: ModuleType, client: TestClient, engine: Any, admin_key: str) -> None:
    run_id = story(engine)
    told = client.get(f"/api/v1/contacts/{'c' * 32}/export", headers={"authorization": f"Bearer {admin_key}"}).json()
    bundle = models.ContactExport.model_validate(told)
    assert (bundle.contact.email, [run.id for run in bundle.runs]) == ("ada@example.org", [run_id])
    assert {line.what for line in bundle.trail} == set(DETAILS) | {"entered", "placed"}
