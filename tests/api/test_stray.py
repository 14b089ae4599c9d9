"""Every address of the admin interface names what it does not know, and what was probably meant; none ignores it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.http.json_body import JsonRoute, StrictRoute, query_parameters

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient


def admin_routes(app: FastAPI) -> Iterator[APIRoute]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path.startswith("/api/v1"):
            yield route


def address(route: APIRoute) -> tuple[str, str]:
    path = route.path
    for parameter in route.dependant.path_params:
        path = path.replace("{" + parameter.alias + "}", "1")
    return sorted(route.methods)[0], path


def test_every_route_of_the_interface_is_strict(app: FastAPI) -> None:
    assert len(list(admin_routes(app))) > 50
    for route in app.routes:
        path = getattr(route, "path", "")
        if path.startswith("/api/v1") and path != "/api/v1/openapi.json":
            assert isinstance(route, StrictRoute), path


def test_every_route_refuses_an_unknown_query_parameter(app: FastAPI, admin: TestClient) -> None:
    for route in admin_routes(app):
        method, path = address(route)
        answer = admin.request(method, path, params={"contakt": "1"}, json={} if route.body_field else None)
        assert answer.status_code == 422, f"{method} {path}: {answer.status_code}"
        assert "contakt" in answer.json()["error"]["message"], f"{method} {path}"


def test_every_route_says_which_parameter_was_meant(app: FastAPI, admin: TestClient) -> None:
    for route in admin_routes(app):
        method, path = address(route)
        for parameter in query_parameters(route):
            answer = admin.request(method, path, params={f"{parameter}x": "1"}, json={} if route.body_field else None)
            assert f"Did you mean “{parameter}”?" in answer.json()["error"]["message"], f"{method} {path} {parameter}"


def test_every_body_refuses_an_unknown_key(app: FastAPI, admin: TestClient) -> None:
    for route in admin_routes(app):
        if route.body_field is None:
            continue
        method, path = address(route)
        path = path.replace("/settings/1", "/settings/sender")
        key = {"key": "1"} if path.endswith("/document") else {}
        answer = admin.request(method, path, json={**key, "contakt": 1})
        assert answer.status_code == 422, f"{method} {path}: {answer.status_code} {answer.text}"
        assert "contakt" in answer.text, f"{method} {path}"


def test_a_filter_with_a_typing_mistake_lists_nobody(admin: TestClient) -> None:
    answer = admin.get("/api/v1/messages", params={"contact": "somebody"})
    assert answer.status_code == 422
    issue = answer.json()["error"]["details"]["issues"][0]
    assert issue == {"place": "query.contact", "message": "There is no “contact” here. Did you mean “contact_id”?", "code": "unknown_name"}


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({"event": "Order Completed", "withn": "P3D"}, "body.rule.withn"),
        ({"rules": [{"field": "plan", "operater": "=", "operator": "=", "value": "pro"}]}, "body.rule.rules.0.operater"),
        ({"event": "E", "where": {"rules": [{"field": "a", "operator": "=", "vallue": 1}]}}, "body.rule.where.rules.0.vallue"),
        ({"event": "E", "count": {"operator": ">=", "times": 2}}, "body.rule.count.times"),
    ],
)
def test_a_rule_with_a_typing_mistake_is_refused(admin: TestClient, rule: Any, place: str) -> None:
    answer = admin.post("/api/v1/catalogue/sentence", json={"rule": rule})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["issues"][0]["place"] == place


def test_what_react_querybuilder_writes_is_no_mistake(admin: TestClient) -> None:
    rule = {
        "id": "r1",
        "combinator": "and",
        "not": False,
        "rules": [{"id": "r2", "field": "email", "operator": "notNull", "value": None, "valueSource": "value"}],
    }
    assert admin.post("/api/v1/catalogue/sentence", json={"rule": rule}).status_code == 200


def test_a_nested_key_is_named_with_what_was_meant(admin: TestClient) -> None:
    answer = admin.post("/api/v1/contacts", json={"identifiers": [{"kind": "user_id", "valeu": "u1"}]})
    assert "Did you mean “value”?" in answer.json()["error"]["message"]


def test_a_body_that_lets_unknown_keys_through_gets_no_route() -> None:
    class Lax(BaseModel):
        name: str

    class Holder(BaseModel):
        model_config = {"extra": "forbid"}
        held: list[Lax]

    for model in (Lax, Holder):
        with pytest.raises(TypeError, match="Lax"):
            APIRouter(route_class=JsonRoute).post("/toy")(taking(model))


def taking(model: type[BaseModel]) -> Any:
    def endpoint(body: Any) -> None: ...

    endpoint.__annotations__["body"] = model
    return endpoint
