"""Both clients, against prepared answers: what is sent, when it is sent again, what an answer means."""

import asyncio
import json
import ssl
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.certificates import Authority
from tests.service.client_support import (
    AGENT,
    RUN,
    Answers,
    Clock,
    Make,
    answer,
    awaited_client,
    page,
    problem,
    settled,
    waiting_client,
)
from wfm import (
    BulkError,
    ConflictError,
    InvalidError,
    NotFoundError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    WaitTimeoutError,
    WorkflowClient,
    trust,
)

pytestmark = pytest.mark.ring("unit")

ID = AGENT["id"]
ACCEPTED = {
    "run_id": ID,
    "status": "queued",
    "workflow_id": ID,
    "workflow_version": 1,
    "created_at": "2030-01-01T00:00:00Z",
}
TOKEN = {"access_token": "first", "expires_in": 3600}
BUSY = problem(503, "unavailable", headers={"Retry-After": "2"})


@pytest.fixture(params=[waiting_client, awaited_client], ids=["waiting", "awaited"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    found.install(monkeypatch)
    return found


def run(status: str) -> dict[str, Any]:
    return {**RUN, "status": status}


async def test_an_operation_sends_its_parts_and_reads_the_answer(make: Make) -> None:
    api = Answers(answer(AGENT))
    found = await settled(make(api, api_key="k").agents.replace("a/b", {"name": "wait", "kind": "delay"}))
    assert (found.name, found.id) == ("wait", UUID(ID))
    sent = api.requests[0]
    assert (sent.method, sent.url.raw_path) == ("PUT", b"/api/v1/agents/a%2Fb")
    assert sent.headers["X-API-Key"] == "k"
    assert api.bodies == [{"name": "wait", "kind": "delay"}]


async def test_what_is_not_given_is_not_sent(make: Make) -> None:
    api = Answers(answer({"items": [], "size": 1, "next": None, "total": None, "total_is_exact": None}))
    await settled(make(api).runs.list(status="failed", count=True))
    assert dict(api.requests[0].url.params) == {"status": "failed", "count": "true"}


async def test_a_refusal_is_an_error_with_all_that_it_says(make: Make) -> None:
    fields = [{"field": "steps.0.agent", "message": "there is no agent of this name"}]
    api = Answers(problem(422, "validation", "It does not fit.", errors=fields, correlation_id="req-7"))
    with pytest.raises(InvalidError) as caught:
        await settled(make(api).workflows.create({}))
    error = caught.value
    assert (error.status, error.code, error.correlation_id) == (422, "validation", "req-7")
    assert [(each.field, each.message) for each in error.errors] == [
        ("steps.0.agent", "there is no agent of this name")
    ]
    assert str(error) == "It does not fit.\n  steps.0.agent: there is no agent of this name"


@pytest.mark.parametrize(("status", "kind"), [(404, NotFoundError), (409, ConflictError)])
async def test_each_kind_of_refusal_has_its_class(make: Make, status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await settled(make(Answers(problem(status, "x"))).agents.get(ID))


async def test_a_page_of_something_else_is_not_taken_for_a_refusal(make: Make) -> None:
    api = Answers(httpx.Response(404, text="<h1>Not here</h1>", headers={"Content-Type": "text/html"}))
    with pytest.raises(UnexpectedAnswerError, match="is this the address of the API"):
        await settled(make(api).agents.get(ID))


async def test_an_answer_that_is_not_what_the_operation_gives_is_refused(make: Make) -> None:
    with pytest.raises(UnexpectedAnswerError, match="something else than this API gives"):
        await settled(make(Answers(answer({"hello": "world"}))).agents.get(ID))


async def test_fields_and_values_of_a_newer_server_are_read(make: Make) -> None:
    found = await settled(make(Answers(answer(AGENT | {"kind": "brand-new", "colour": "red"}))).agents.get(ID))
    assert (found.kind, found.model_dump()["colour"]) == ("brand-new", "red")


@pytest.mark.parametrize("refusal", [BUSY, problem(429, "too-many-requests", headers={"Retry-After": "2"})])
async def test_a_read_is_repeated_after_the_time_that_the_server_asks_for(
    make: Make, clock: Clock, refusal: httpx.Response
) -> None:
    api = Answers(refusal, answer(AGENT))
    assert (await settled(make(api).agents.get(ID))).name == "wait"
    assert len(clock.pauses) == 1
    assert 2 <= clock.pauses[0] < 2.5


async def test_a_read_is_repeated_after_a_broken_connection(make: Make) -> None:
    api = Answers(httpx.ReadError("reset"), answer(AGENT))
    assert (await settled(make(api).agents.get(ID))).name == "wait"


async def test_a_change_is_not_repeated_when_it_may_have_been_done(make: Make) -> None:
    api = Answers(httpx.ReadTimeout("late"))
    with pytest.raises(UnreachableError, match="whether it was done is not known") as caught:
        await settled(make(api).agents.create({"name": "a", "kind": "noop"}))
    assert len(api.requests) == 1
    assert not caught.value.certainly_not_done


async def test_a_change_is_repeated_when_it_never_left(make: Make) -> None:
    api = Answers(httpx.ConnectError("refused"), answer(AGENT, 201))
    assert (await settled(make(api).agents.create({"name": "a", "kind": "noop"}))).name == "wait"


async def test_a_change_that_was_refused_for_now_is_told_and_not_repeated(make: Make) -> None:
    api = Answers(BUSY)
    with pytest.raises(UnavailableError) as caught:
        await settled(make(api).agents.delete(ID))
    assert len(api.requests) == 1
    assert caught.value.retry_after == 2


async def test_an_execution_keeps_its_key_over_all_tries(make: Make) -> None:
    api = Answers(httpx.ReadError("reset"), BUSY, answer(ACCEPTED, 202))
    await settled(make(api).workflows.execute(ID, {"name": "Ada"}))
    keys = {each.headers["Idempotency-Key"] for each in api.requests}
    assert len(api.requests) == 3
    assert len(keys) == 1
    assert api.bodies == [{"input": {"name": "Ada"}}] * 3


@pytest.mark.parametrize("name", ["retry", "replay"])
async def test_a_run_that_is_done_again_keeps_its_key_over_all_tries(make: Make, name: str) -> None:
    api = Answers(httpx.ReadError("reset"), BUSY, answer({**ACCEPTED, "origin_run_id": ID}, 202))
    await settled(getattr(make(api).runs, name)(ID))
    assert len(api.requests) == 3
    assert len({each.headers["Idempotency-Key"] for each in api.requests}) == 1


async def test_a_decision_is_not_sent_again_when_it_may_have_been_given(make: Make) -> None:
    api = Answers(httpx.ReadTimeout("late"))
    with pytest.raises(UnreachableError, match="whether it was done is not known"):
        await settled(make(api).runs.signal(ID, "ask[0]", {"outcome": "approve"}))
    assert [each.url.raw_path for each in api.requests] == [f"/api/v1/runs/{ID}/steps/ask%5B0%5D/signal".encode()]


async def test_two_executions_have_two_keys(make: Make) -> None:
    api = Answers(answer(ACCEPTED, 202))
    client = make(api)
    await settled(client.workflows.execute(ID))
    await settled(client.workflows.execute(ID))
    assert api.requests[0].headers["Idempotency-Key"] != api.requests[1].headers["Idempotency-Key"]


async def test_a_question_by_post_is_repeated_like_a_read(make: Make) -> None:
    api = Answers(BUSY, answer({"valid": True, "problems": []}))
    assert (await settled(make(api).workflows.validate({}))).valid


async def test_tries_end_in_time(make: Make, clock: Clock) -> None:
    api = Answers(httpx.ConnectError("refused"))
    began = clock.now
    with pytest.raises(UnreachableError):
        await settled(make(api, retry_seconds=20).agents.get(ID))
    assert len(api.requests) > 3
    assert clock.now - began <= 20


async def test_a_longer_pause_than_there_is_time_for_is_not_begun(make: Make, clock: Clock) -> None:
    api = Answers(problem(429, "too-many-requests", headers={"Retry-After": "60"}))
    with pytest.raises(TooManyRequestsError):
        await settled(make(api, retry_seconds=20).agents.get(ID))
    assert clock.pauses == []


async def test_a_proxy_that_is_too_busy_counts_as_busy(make: Make) -> None:
    api = Answers(httpx.Response(503, text="maintenance", headers={"Content-Type": "text/html"}), answer(AGENT))
    assert (await settled(make(api).agents.get(ID))).name == "wait"


async def test_a_client_with_a_password_logs_in_once(make: Make) -> None:
    api = Answers(answer(TOKEN), answer(AGENT))
    client = make(api, username="ada", password="secret")
    await settled(client.agents.get(ID))
    await settled(client.agents.get(ID))
    paths = [each.url.path for each in api.requests]
    assert paths == ["/api/v1/auth/login", f"/api/v1/agents/{ID}", f"/api/v1/agents/{ID}"]
    assert json.loads(api.requests[0].content) == {"username": "ada", "password": "secret"}
    assert "Authorization" not in api.requests[0].headers
    assert api.requests[2].headers["Authorization"] == "Bearer first"


async def test_a_token_is_renewed_before_it_ends(make: Make, clock: Clock) -> None:
    api = Answers(answer(TOKEN), answer(AGENT), answer(TOKEN | {"access_token": "second"}), answer(AGENT))
    client = make(api, username="ada", password="secret")
    await settled(client.agents.get(ID))
    clock.now += 3590
    await settled(client.agents.get(ID))
    assert api.requests[-1].headers["Authorization"] == "Bearer second"


async def test_a_token_that_is_refused_is_renewed_once(make: Make) -> None:
    refused = problem(401, "unauthenticated")
    api = Answers(answer(TOKEN), refused, answer(TOKEN | {"access_token": "second"}), answer(AGENT, 201))
    assert (await settled(make(api, username="ada", password="s").agents.create({}))).name == "wait"
    assert api.requests[-1].headers["Authorization"] == "Bearer second"


async def test_a_new_token_that_is_refused_as_well_is_told(make: Make) -> None:
    refused = problem(401, "unauthenticated")
    api = Answers(answer(TOKEN), refused, answer(TOKEN), refused)
    with pytest.raises(UnauthenticatedError):
        await settled(make(api, username="ada", password="s").agents.get(ID))
    assert len(api.requests) == 4


async def test_tasks_that_share_a_client_share_one_log_in() -> None:
    def api(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return answer(TOKEN if request.url.path.endswith("login") else AGENT)

    seen: list[str] = []
    client = awaited_client(api, username="ada", password="s")
    await asyncio.gather(*(client.agents.get(ID) for _ in range(5)))
    assert seen.count("/api/v1/auth/login") == 1


async def test_all_items_come_page_by_page(make: Make) -> None:
    first, second, third = ({**AGENT, "name": name} for name in "abc")
    api = Answers(page(first, second, total=3), page(third, number=2, total=3))
    assert [each.name for each in await settled(make(api).agents.all(size=2))] == ["a", "b", "c"]
    assert [each.url.params["page"] for each in api.requests] == ["1", "2"]


async def test_all_runs_come_by_cursor_with_the_same_filters(make: Make) -> None:
    more = {"size": 1, "total": None, "total_is_exact": None}
    api = Answers(
        answer({"items": [run("failed")], "next": "here", **more}), answer({"items": [], "next": None, **more})
    )
    assert len(await settled(make(api).runs.all(status="failed"))) == 1
    assert [dict(each.url.params) for each in api.requests] == [
        {"status": "failed"},
        {"status": "failed", "cursor": "here"},
    ]


async def test_waiting_reads_until_the_run_is_finished(make: Make, clock: Clock) -> None:
    states = ["queued", "running", "paused", "waiting", "failed"]
    api = Answers(*(answer(run(each)) for each in states))
    seen: list[str] = []
    found = await settled(make(api).runs.wait(ID, seen=lambda each: seen.append(each.status)))
    assert found.status == "failed"
    assert seen == states
    assert clock.pauses == sorted(clock.pauses)


async def test_waiting_ends_in_time_and_leaves_the_run_alone(make: Make, clock: Clock) -> None:
    api = Answers(answer(run("running")))
    began = clock.now
    with pytest.raises(WaitTimeoutError, match="it goes on") as caught:
        await settled(make(api).runs.wait(ID, timeout=60))
    assert caught.value.run.status == "running"
    assert clock.now - began == pytest.approx(60)
    assert {each.method for each in api.requests} == {"GET"}


def accepted_runs(number: int) -> httpx.Response:
    return answer({**ACCEPTED, "run_ids": [str(UUID(int=each)) for each in range(number)]}, 202)


async def test_many_runs_go_in_requests_of_a_thousand_with_a_key_each(make: Make) -> None:
    api = Answers(accepted_runs(1000), accepted_runs(1000), accepted_runs(500))
    found = await settled(make(api).workflows.execute_many(ID, ({"n": n} for n in range(2500)), idempotency_key="k"))
    assert len(found) == 2500
    assert [len(each["runs"]) for each in api.bodies] == [1000, 1000, 500]
    assert [each.headers["Idempotency-Key"] for each in api.requests] == ["k-0", "k-1", "k-2"]


async def test_requests_for_many_runs_stay_below_the_longest_body(make: Make) -> None:
    api = Answers(accepted_runs(2), accepted_runs(1))
    await settled(make(api).workflows.execute_many(ID, [{"text": "x" * 400_000}] * 3))
    assert [len(each["runs"]) for each in api.bodies] == [2, 1]
    assert all(len(each.content) < 1024**2 for each in api.requests)


async def test_many_runs_of_which_some_are_refused_tell_which_were_accepted_and_how_to_go_on(make: Make) -> None:
    api = Answers(accepted_runs(1000), problem(422, "validation", "It does not fit."))
    with pytest.raises(BulkError) as caught:
        await settled(make(api).workflows.execute_many(ID, [{}] * 1500, idempotency_key="k"))
    assert len(caught.value.run_ids) == 1000
    assert caught.value.idempotency_key == "k"
    assert isinstance(caught.value.__cause__, InvalidError)


async def test_not_ready_is_an_answer(make: Make) -> None:
    checks = {"database": "connected", "kafka": "disconnected"}
    api = Answers(answer({"status": "not_ready", "checks": checks, "timestamp": "2030-01-01T00:00:00Z"}, 503))
    assert (await settled(make(api).health.ready())).checks.kafka == "disconnected"


@pytest.mark.parametrize("url", ["workflow.test", "ftp://workflow.test", "http://", "http://a:b", "http://u:p@h"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the URL must be like"):
        WorkflowClient(url)


def test_an_address_with_the_prefix_is_taken() -> None:
    assert str(WorkflowClient("http://workflow.test/api/v1/").session.base_url) == "http://workflow.test"


def test_half_of_the_credentials_or_two_of_them_are_refused() -> None:
    with pytest.raises(ValueError, match="password is missing"):
        WorkflowClient("http://workflow.test", username="ada")
    with pytest.raises(ValueError, match="there are several"):
        WorkflowClient("http://workflow.test", token="t", api_key="k")


def test_credentials_are_not_shown() -> None:
    for options in ({"api_key": "hidden"}, {"token": "hidden"}, {"username": "ada", "password": "hidden"}):
        session = waiting_client(Answers(answer(AGENT)), **options).session
        session.token = "hidden"
        assert "hidden" not in repr(session)


def test_certificates_are_verified_unless_loudly_told_not_to(tmp_path: Any) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text(Authority().certificate)
    found = trust.context(authority, insecure=False)
    assert found.verify_mode is ssl.CERT_REQUIRED
    assert found.check_hostname
    assert len(found.get_ca_certs()) == 1
    with pytest.warns(trust.InsecureWarning, match="NOT verified"):
        assert trust.context(None, insecure=True).verify_mode is ssl.CERT_NONE
