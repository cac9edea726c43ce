"""A route that does not declare itself is refused when it is added, which is when its module is imported."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from service.app import create_app
from service.auth.access import CHANGES_NOTHING, PUBLIC, Access, GuardedRouter, public, requires
from service.auth.roles import Role
from service.auth.scopes import SCOPES, Scope
from service.openapi import DOCUMENT, document
from service.platform.problems import NO_PROBLEMS, documented
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")

READ = requires(Role.VIEWER, Scope.RUNS_READ)
CHANGE = requires(Role.OPERATOR, Scope.RUNS_EXECUTE, audit="thing.change")


async def _nothing() -> None:
    """A route."""


def _add(method: str, dependencies: list[Any] | None, responses: Any) -> APIRouter:
    router = GuardedRouter(prefix="/things")
    router.add_api_route("/one", _nothing, methods=[method], dependencies=dependencies, responses=responses)
    return router


@pytest.mark.parametrize(
    ("method", "access"),
    [
        ("GET", READ),
        ("GET", PUBLIC),
        ("POST", CHANGE),
        ("DELETE", CHANGE),
        ("POST", public(audit="auth.login")),
        ("POST", requires(Role.VIEWER, Scope.RUNS_READ, audit=CHANGES_NOTHING)),
    ],
)
def test_a_route_that_declares_all_is_added(method: str, access: Any) -> None:
    assert len(_add(method, [access], documented()).routes) == 1


@pytest.mark.parametrize("dependencies", [None, [], [READ, PUBLIC]])
def test_a_route_without_exactly_one_rule_of_access_cannot_be_added(dependencies: list[Any] | None) -> None:
    with pytest.raises(TypeError, match=r"GET /things/one must declare one role, or PUBLIC, in its dependencies$"):
        _add("GET", dependencies, documented())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("access", [READ, PUBLIC])
def test_a_route_that_may_change_something_cannot_be_added_without_its_audit_action(method: str, access: Any) -> None:
    with pytest.raises(TypeError, match=rf"{method} /things/one must declare the audit action of its change"):
        _add(method, [access], documented())


@pytest.mark.parametrize("action", ["change", "Thing.Change", "thing change", ""])
def test_an_action_reads_like_the_others(action: str) -> None:
    with pytest.raises(TypeError, match=r"an audit action that reads like workflow\.create"):
        _add("POST", [requires(Role.OPERATOR, Scope.RUNS_EXECUTE, audit=action)], documented())


def test_a_reading_route_declares_no_audit_action() -> None:
    with pytest.raises(TypeError, match="no audit action, because its method only reads"):
        _add("GET", [CHANGE], documented())


def test_a_route_cannot_be_added_without_its_problems() -> None:
    with pytest.raises(
        TypeError, match=r"must declare its problems, by responses=documented\(\.\.\.\), or NO_PROBLEMS"
    ):
        _add("GET", [PUBLIC], None)


def test_a_guarded_route_cannot_be_added_without_its_scope() -> None:
    with pytest.raises(
        TypeError, match=r"must declare the scope that a narrowed key needs, one of service/auth/scopes"
    ):
        _add("GET", [requires(Role.VIEWER)], documented())


def test_a_route_has_the_role_that_its_scope_has_in_the_table() -> None:
    with pytest.raises(TypeError, match="must declare the role admin, which its scope audit:read has"):
        _add("GET", [requires(Role.VIEWER, Scope.AUDIT_READ)], documented())


def test_a_guarded_route_documents_the_problems_of_every_guarded_route() -> None:
    with pytest.raises(TypeError, match="must declare the problems 401, 403, 422, 429, 503"):
        _add("GET", [READ], NO_PROBLEMS)


def test_all_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(TypeError, match=r"the audit action of its change.*; its problems"):
        _add("POST", [READ], None)


@pytest.mark.parametrize(
    "add",
    [
        lambda router: router.add_route("/x", _nothing),
        lambda router: router.add_websocket_route("/x", _nothing),
        lambda router: router.websocket("/x")(_nothing),
        lambda router: router.mount("/x", FastAPI()),
        lambda router: router.host("x", FastAPI()),
        lambda router: router.include_router(APIRouter()),
    ],
    ids=["route", "websocket route", "websocket", "mount", "host", "router"],
)
def test_nothing_can_be_added_that_declares_no_access(add: Callable[[GuardedRouter], object]) -> None:
    with pytest.raises(TypeError):
        add(GuardedRouter())


def test_each_scope_is_in_the_table_and_needed_by_a_route() -> None:
    operations = [operation for path in document()["paths"].values() for operation in path.values()]
    needed = [scope for operation in operations for way in operation["security"] for scope in way.get("apiKey", ())]
    assert set(needed) == set(Scope) == set(SCOPES)


def test_the_page_about_access_has_the_table_of_the_code() -> None:
    page = (DOCUMENT.parents[1] / "docs" / "access.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z:-]+)` \| (\w+) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(scope, grant.role, grant.meaning) for scope, grant in SCOPES.items()]


def test_each_guarded_operation_names_its_scope_for_keys_only() -> None:
    described = document()["components"]["securitySchemes"]["apiKey"]["x-scopes"]
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            if operation["security"]:
                [bearer, key] = operation["security"]
                assert bearer == {"bearer": []}, f"{method} {path}"
                assert len(key["apiKey"]) == 1, f"{method} {path}"
                assert set(key["apiKey"]) <= set(described), f"{method} {path}"


def test_every_route_of_the_service_is_guarded_but_the_document_itself() -> None:
    app = create_app(make_settings("postgresql://u@h/d"))
    unguarded = []
    for route in app.router.routes:
        inner = getattr(route, "original_router", None)
        guarded = isinstance(inner, GuardedRouter) if inner is not None else _has_access(route)
        if not guarded:
            unguarded.append(getattr(route, "path", route))
    assert unguarded == ["/openapi.json"]


def _has_access(route: Any) -> bool:
    return any(isinstance(mark.dependency, Access) for mark in getattr(route, "dependencies", ()))
