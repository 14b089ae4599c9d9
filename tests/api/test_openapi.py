"""The interface is described completely, and it behaves as described: schemathesis asks it all sorts of things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, operation) for path, methods in app.openapi()["paths"].items() for method, operation in methods.items()]


def test_every_operation_says_what_it_does(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        place = f"{method.upper()} {path}"
        assert operation.get("summary"), place
        assert len(operation.get("description", "")) > 5, place
        assert operation.get("tags"), place


def test_every_error_has_the_one_shape_and_an_example(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        for status, answer in operation["responses"].items():
            if status < "400" or path == "/ready" or "text/html" in answer.get("content", {}):
                continue
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}, f"{method} {path} {status}"
            assert set(content["example"]["error"]) == {"code", "message", "details"}, f"{method} {path} {status}"


def test_every_body_has_an_example(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for method, path, operation in operations(app):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            free = content["schema"].get("type") == "object" and content["schema"].get("additionalProperties") is True
            assert free or "example" in content or "example" in schemas.get(name, {}), f"{method} {path}"


def test_every_admin_operation_needs_somebody(client: TestClient, app: FastAPI) -> None:
    for method, path, operation in operations(app):
        if path.startswith("/api/v1"):
            assert operation.get("security"), f"{method} {path}"
            answer = client.request(method, path.replace("{", "").replace("}", ""), json={})
            assert answer.status_code in (401, 429), f"{method} {path}: {answer.status_code}"


@schemathesis.serializer("message/rfc822")
def _mail(_: Any, value: Any) -> bytes:
    """A mail is handed over as it came: whatever was drawn goes as its own bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ASKING = settings(
    max_examples=5, deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
FRAMING = {"connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"}
"""Headers that say where a request ends and who carries it. With nonsense in them it is none, and never reaches what is tested here; which
strings Hypothesis tries as names depends on the modules that other tests have loaded."""


def test_whatever_is_asked_the_answer_is_as_described(live_url: str, admin_key: str, write_key: str) -> None:
    """A handful of made-up requests to every operation, right and wrong ones; never a 5xx."""
    described = schemathesis.openapi.from_url(f"{live_url}/api/v1/openapi.json", timeout=60)  # it is made on the first request
    problems: list[str] = []
    for found in described.get_all_operations():
        operation = found.ok()
        key = admin_key if operation.path.startswith("/api/") else write_key
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            problems += ask(operation, mode, f"Bearer {key}")
    assert not problems, "\n\n".join(problems)


def ask(operation: Any, mode: Any, authorization: str) -> list[str]:
    """What went wrong with one operation; the first thing is enough."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @ASKING
    def check(case: Any) -> None:
        for name in [name for name in case.headers or () if name.lower() in FRAMING]:
            del case.headers[name]
        case.call_and_validate(headers={"authorization": authorization}, checks=CHECKS, timeout=20)

    try:
        check()
    except (FailureGroup, Failure) as error:
        return [f"{operation.label}: {error}"]
    except Unsatisfiable:
        pass  # nothing wrong can be sent to an operation without parameters
    return []
