"""The HTTP face of the API: documents, pages, errors, speed."""

import statistics
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.infra.support import openapi
from tests.infra.support.workflow_api import WorkflowApi, told

pytestmark = pytest.mark.ring("verify")

SAMPLES = 7
MEDIAN_GOAL = 0.2  # seconds
SHARE_OF_ENDPOINTS = 0.9
ROOT_PATHS = ("/health", "/metrics", "/docs", "/redoc", "/openapi.json")


@pytest.mark.item("api-docs-available")
@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_interactive_documents_are_served_with_their_own_assets(inner: httpx.Client, path: str) -> None:
    page = inner.get(path)
    assert page.status_code == httpx.codes.OK, told(page)
    assert "text/html" in page.headers["content-type"]
    assets = openapi.assets(page.text)
    assert assets, f"{path} loads no script"
    for asset in assets:
        assert not asset.startswith(("http:", "https:", "//")), f"{path} loads {asset} from elsewhere"
        assert inner.get(asset).status_code == httpx.codes.OK, f"{path} needs {asset}, which is not there"


@pytest.mark.item("api-docs-available", "api-metadata-settings")
def test_the_openapi_document_tells_the_configured_title_version_and_description(
    document: dict[str, Any], environment: Callable[[str], dict[str, str]]
) -> None:
    given = environment("api")
    assert document["openapi"].startswith("3.")
    assert document["info"]["title"] == given.get("API_TITLE", "Workflow Management API")
    assert document["info"]["version"] == given.get("API_VERSION", "1.0.0")
    description = given.get("API_DESCRIPTION", "REST API for managing workflow orchestration")
    assert document["info"]["description"].startswith(description)


@pytest.mark.item("api-prefix-setting")
def test_all_business_routes_are_below_the_prefix(document: dict[str, Any], prefix: str) -> None:
    business = [path for path in document["paths"] if not path.startswith(ROOT_PATHS)]
    assert business
    assert all(path.startswith(f"{prefix}/") for path in business), business


@pytest.fixture
def read(root: httpx.Client, inner: httpx.Client, admin: WorkflowApi, prefix: str) -> Callable[[str], httpx.Response]:
    """Reads a path as the administrator: a business route at the public address, any other right at an API."""

    def ask(path: str) -> httpx.Response:
        base = root if path.startswith(f"{prefix}/") else inner
        return admin.get(str(base.base_url.copy_with(path=path)))

    return ask


@pytest.mark.item("critical-endpoints-respond")
def test_every_endpoint_that_reads_answers(document: dict[str, Any], read: Callable[[str], httpx.Response]) -> None:
    for path in openapi.plain_reads(document):
        response = read(path)
        assert response.status_code == httpx.codes.OK, told(response)


@pytest.mark.item("response-time-most-endpoints")
def test_most_endpoints_answer_quickly(document: dict[str, Any], read: Callable[[str], httpx.Response]) -> None:
    medians = {
        path: statistics.median(read(path).elapsed.total_seconds() for _ in range(SAMPLES))
        for path in openapi.plain_reads(document)
    }
    quick = [path for path, median in medians.items() if median < MEDIAN_GOAL]
    slow = {path: round(median, 3) for path, median in medians.items() if path not in quick}
    assert len(quick) >= SHARE_OF_ENDPOINTS * len(medians), f"medians of {MEDIAN_GOAL} s or more: {slow}"


@pytest.mark.item("page-size-settings")
def test_pages_have_the_default_size_and_the_ceiling(
    admin: WorkflowApi, environment: Callable[[str], dict[str, str]]
) -> None:
    given = environment("api")
    default, ceiling = int(given.get("DEFAULT_PAGE_SIZE", "20")), int(given.get("MAX_PAGE_SIZE", "100"))
    assert 1 <= default <= ceiling
    missing = default + 1 - admin.get("/agents").json()["total"]
    for _ in range(missing):
        admin.agent()
    page = admin.get("/agents").json()
    assert (len(page["items"]), page["total"] > default) == (default, True)
    oversized = admin.get("/agents", params={"size": ceiling * 10})
    assert oversized.status_code == httpx.codes.UNPROCESSABLE_ENTITY or len(oversized.json()["items"]) <= ceiling
    assert oversized.status_code == httpx.codes.UNPROCESSABLE_ENTITY or oversized.json()["size"] == ceiling


@pytest.mark.item("error-handling")
def test_errors_are_problem_documents_with_the_right_status(admin: WorkflowApi, viewer: WorkflowApi) -> None:
    answers = {
        404: admin.get(f"/workflows/{uuid.uuid4()}"),
        422: admin.post("/agents", {"name": 5}),
        403: viewer.post("/agents", {"name": "x", "kind": "noop", "settings": {}}),
        405: admin.request("PATCH", "/agents"),
        401: admin.get("/agents", headers={"Authorization": "Bearer broken"}),
    }
    for status, response in answers.items():
        assert response.status_code == status, told(response)
        assert response.headers["content-type"].startswith("application/problem+json"), told(response)
        problem = response.json()
        assert problem["status"] == status
        assert problem["type"]
        assert problem["title"]
        assert problem["correlation_id"] == response.headers["X-Correlation-ID"]
        assert "Traceback" not in response.text
        assert 'File "' not in response.text


@pytest.mark.item("input-validation")
def test_every_write_endpoint_refuses_malformed_bodies(
    document: dict[str, Any], root: httpx.Client, admin: WorkflowApi
) -> None:
    bodies = {
        "a list": b"[]",
        "wrong types": b'{"name": 5, "kind": [], "steps": "none", "input": 7, "username": {}, "password": 1}',
        "no JSON": b"{",
        "no UTF-8": b'{"name": "\xff"}',
    }
    operations = openapi.writes(document)
    assert operations
    for method, path in operations:
        url = str(root.base_url.copy_with(path=openapi.filled(path, lambda: str(uuid.uuid4()))))
        for what, body in bodies.items():
            response = admin.request(method, url, content=body, headers={"Content-Type": "application/json"})
            # Who asks whether something is valid gets an answer.
            is_told = response.status_code == httpx.codes.OK and response.json().get("valid") is False
            assert is_told or httpx.codes.is_client_error(response.status_code), f"{what}: {told(response)}"


@pytest.mark.item("input-validation")
def test_an_oversized_body_is_refused(admin: WorkflowApi) -> None:
    body = {"name": "large", "kind": "noop", "settings": {"filler": "x" * (2 * 1024 * 1024)}}
    response = admin.post("/agents", body)
    assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE, told(response)
