"""Requests that no client of ours sends: each is refused with what is wrong, and none makes the API fail."""

import httpx
import pytest

pytestmark = pytest.mark.ring("service")

JSON = {"Content-Type": "application/json"}
STEP = {"id": "only", "agent": "nothing"}


@pytest.mark.parametrize(
    "body",
    [b'{"name": "caf\xe9", "kind": "noop"}', b'{"name": "x", "kind": "delay", "settings": {"seconds": ' + b"9" * 5000],
    ids=["not-utf-8", "number-of-5000-digits"],
)
async def test_a_body_that_cannot_be_decoded_is_refused_as_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/v1/agents", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "malformed-json")


async def test_an_expression_with_a_number_of_too_many_digits_is_refused(client: httpx.AsyncClient) -> None:
    step = STEP | {"input": {"x": {"$jmespath": "9" * 5000}}}
    answer = await client.post("/api/v1/workflows", json={"name": "digits", "steps": [step | {"when": "9" * 4999}]})
    assert answer.status_code == 422
    problems = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert "too many digits" in problems["steps.0.when"]
    assert "too many digits" in problems["steps.0.input.x"]


@pytest.mark.parametrize("moment", [0, 1.5, "0.5", "1700000000", "-1e9"])
async def test_a_number_is_no_moment(client: httpx.AsyncClient, moment: object) -> None:
    refused = await client.post("/api/v1/auth/keys", json={"name": "k", "expires_at": moment})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["expires_at"]
    refused = await client.get("/api/v1/runs", params={"created_from": str(moment)})
    assert refused.status_code == 422
    assert "2026-01-31T07:30:00Z" in refused.json()["errors"][0]["message"]


async def test_a_method_that_a_path_does_not_have_is_answered_with_all_that_it_has(client: httpx.AsyncClient) -> None:
    answer = await client.patch("/api/v1/agents")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
