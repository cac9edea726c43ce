"""The http agent against a server of the test's own: what it sends, returns, refuses and bounds."""

import asyncio
import json
from typing import Any

import pytest

from service.executor.kinds.allowlist import AllowList, HostNotAllowedError
from service.executor.kinds.base import StepContext, StepFailedError
from service.executor.kinds.http import HttpAgent
from service.executor.kinds.http_request import HttpSettings
from tests.service.executor_support import Answer, Call, WebServer, json_answer, web_server

pytestmark = pytest.mark.ring("unit")

CONTEXT = StepContext(run_id="run-1", step_id="call", attempt=1, correlation_id="req-7")


async def call(server: WebServer, step_input: dict[str, Any] | None = None, **settings: Any) -> Any:
    agent = HttpAgent([f"127.0.0.1:{server.port}"])
    try:
        wanted = HttpSettings.model_validate({"url": server.url(), "timeout_seconds": 5, **settings})
        return await agent.run(wanted, step_input or {}, CONTEXT)
    finally:
        await agent.close()


async def failure(server: WebServer, step_input: dict[str, Any] | None = None, **settings: Any) -> StepFailedError:
    with pytest.raises(StepFailedError) as caught:
        await call(server, step_input, **settings)
    return caught.value


async def echo(request: Call) -> Answer:
    return json_answer({"method": request.method, "path": request.path, "body": request.body.decode()})


async def test_a_json_answer_is_returned_parsed() -> None:
    async with web_server(echo) as server:
        output = await call(server)
    assert output["status"] == 200
    assert output["json"]["method"] == "GET"
    assert output["headers"]["content-type"] == "application/json"


async def test_a_text_answer_is_returned_as_text() -> None:
    async def latin(_: Call) -> Answer:
        return 200, {"Content-Type": "text/plain; charset=iso-8859-1"}, "süß".encode("latin-1")

    async with web_server(latin) as server:
        assert (await call(server))["text"] == "süß"


async def test_an_answer_that_only_claims_to_be_json_is_returned_as_text() -> None:
    async def broken(_: Call) -> Answer:
        return 200, {"Content-Type": "application/json"}, b"{no"

    async with web_server(broken) as server:
        assert (await call(server))["text"] == "{no"


async def test_url_headers_and_body_are_filled_from_the_input_and_the_url_is_quoted() -> None:
    async with web_server(echo) as server:
        await call(
            server,
            {"user": {"id": "a/b?c"}, "n": 3},
            method="POST",
            url=server.url("/users/${user.id}?n=${n}"),
            headers={"X-User": "user ${user.id}"},
            json={"number": {"$jmespath": "n"}, "fixed": True},
        )
    assert server.calls[0].path == "/users/a%2Fb%3Fc?n=3"
    assert server.calls[0].headers["x-user"] == "user a/b?c"
    assert json.loads(server.calls[0].body) == {"number": 3, "fixed": True}


async def test_a_post_without_a_body_sends_the_input() -> None:
    async with web_server(echo) as server:
        await call(server, {"a": 1}, method="POST")
    assert json.loads(server.calls[0].body) == {"a": 1}
    assert server.calls[0].headers["content-type"] == "application/json"


async def test_a_call_names_its_run_so_that_a_repetition_is_recognised() -> None:
    async with web_server(echo) as server:
        await call(server, method="POST")
    assert server.calls[0].headers["idempotency-key"] == "run-1:call"
    assert server.calls[0].headers["x-correlation-id"] == "req-7"


async def test_an_expression_without_a_value_fails_before_anything_is_sent() -> None:
    async with web_server(echo) as server:
        error = await failure(server, {}, url=server.url("/${missing}"))
    assert "missing" in error.detail
    assert server.calls == []


async def test_a_header_value_with_a_line_break_is_not_sent() -> None:
    async with web_server(echo) as server:
        error = await failure(server, {"x": "a\r\nX-Other: b"}, headers={"X-A": "${x}"})
    assert error.code == "http-request"
    assert server.calls == []


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (404, False), (408, True), (429, True), (503, True)])
async def test_an_answer_that_refuses_fails_and_only_some_may_be_retried(status: int, *, retryable: bool) -> None:
    async def refuse(_: Call) -> Answer:
        return status, {"Retry-After": "7"}, b""

    async with web_server(refuse) as server:
        error = await failure(server)
    assert (error.code, error.retryable, error.retry_after) == ("http-status", retryable, 7)
    assert str(status) in error.detail


async def test_an_answer_that_does_not_come_is_a_retryable_timeout() -> None:
    async def never(_: Call) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async with web_server(never) as server:
        error = await failure(server, timeout_seconds=0.1)
    assert (error.code, error.retryable) == ("http-timeout", True)


async def test_a_server_that_is_not_there_is_retryable() -> None:
    async with web_server(echo) as server:
        pass
    error = await failure(server)
    assert (error.code, error.retryable) == ("http-connection", True)


async def test_an_answer_larger_than_allowed_is_refused() -> None:
    async def large(_: Call) -> Answer:
        return 200, {}, b"x" * 2000

    async with web_server(large) as server:
        assert len((await call(server, max_response_bytes=2000))["text"]) == 2000
        error = await failure(server, max_response_bytes=1999)
    assert (error.code, error.retryable) == ("http-too-large", False)


async def test_a_host_that_is_not_on_the_list_is_not_called() -> None:
    async with web_server(echo) as server:
        agent = HttpAgent(["example.net"])
        with pytest.raises(StepFailedError) as caught:
            await agent.run(HttpSettings(url=server.url()), {}, CONTEXT)
        await agent.close()
    assert caught.value.code == "http-host-not-allowed"
    assert not caught.value.retryable
    assert f"HTTP_AGENT_ALLOWED_HOSTS=127.0.0.1:{server.port}" in caught.value.detail
    assert server.calls == []


async def test_a_redirect_to_a_host_outside_the_list_is_blocked() -> None:
    async with web_server(echo) as inside_no_list:

        async def away(_: Call) -> Answer:
            return 302, {"Location": inside_no_list.url("/secret")}, b""

        async with web_server(away) as server:
            error = await failure(server)
    assert error.code == "http-host-not-allowed"
    assert inside_no_list.calls == []


async def test_a_redirect_within_the_list_is_followed_and_another_origin_gets_no_credentials() -> None:
    async with web_server(echo) as target:

        async def away(request: Call) -> Answer:
            return (
                (307, {"Location": "/second"}, b"") if request.path == "/" else (302, {"Location": target.url()}, b"")
            )

        async with web_server(away) as server:
            agent = HttpAgent([f"127.0.0.1:{server.port}", f"127.0.0.1:{target.port}"])
            settings = HttpSettings.model_validate(
                {"url": server.url(), "method": "POST", "headers": {"Authorization": "Bearer x", "X-Api-Key": "y"}}
            )
            output = await agent.run(settings, {"a": 1}, CONTEXT)
            await agent.close()
    assert [one.method for one in server.calls] == ["POST", "POST"]
    assert server.calls[1].headers["authorization"] == "Bearer x"
    assert json.loads(server.calls[1].body) == {"a": 1}
    assert output["json"] == {"method": "GET", "path": "/", "body": ""}
    assert not {"authorization", "x-api-key", "idempotency-key", "content-type"} & target.calls[0].headers.keys()


async def test_a_circle_of_redirects_ends() -> None:
    async def around(_: Call) -> Answer:
        return 302, {"Location": "/"}, b""

    async with web_server(around) as server:
        error = await failure(server, max_redirects=3)
    assert (error.code, error.retryable) == ("http-redirects", False)
    assert len(server.calls) == 4


async def test_the_host_header_names_the_host_and_not_its_address() -> None:
    async with web_server(echo) as server:
        agent = HttpAgent([f"localhost:{server.port}"])
        await agent.run(HttpSettings(url=server.url(host="localhost")), {}, CONTEXT)
        await agent.close()
    assert server.calls[0].headers["host"] == f"localhost:{server.port}"


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("example.net", "EXAMPLE.net.", 443, True),
        ("example.net", "example.net", 8080, False),
        ("example.net:8080", "example.net", 8080, True),
        ("example.net:8080", "example.net", 80, False),
        ("example.net", "a.example.net", 80, False),
        ("*.example.net", "a.b.example.net", 80, True),
        ("*.example.net", "example.net", 80, False),
        ("*.example.net", "badexample.net", 80, False),
        ("*.example.net:8443", "a.example.net", 8443, True),
        ("[::1]:8080", "::1", 8080, True),
        ("::1", "0:0:0:0:0:0:0:1", 80, True),
    ],
)
def test_the_list_covers_hosts_and_ports(entry: str, host: str, port: int, *, allowed: bool) -> None:
    if allowed:
        AllowList([entry]).check_host(host, port)
    else:
        with pytest.raises(HostNotAllowedError):
            AllowList([entry]).check_host(host, port)


def test_an_empty_list_allows_nothing() -> None:
    with pytest.raises(HostNotAllowedError):
        AllowList([]).check_host("example.net", 443)


@pytest.mark.parametrize(
    ("entry", "host", "address", "allowed"),
    [
        ("*.example.net", "a.example.net", "93.184.216.34", True),
        ("*.example.net", "a.example.net", "10.0.0.5", False),
        ("*.example.net", "a.example.net", "::ffff:10.0.0.5", False),
        ("*.example.net", "a.example.net", "127.0.0.1", False),
        ("a.example.net", "a.example.net", "10.0.0.5", True),
        ("a.example.net", "a.example.net", "fd00::5", True),
        ("a.example.net", "a.example.net", "169.254.169.254", False),
        ("169.254.169.254", "169.254.169.254", "169.254.169.254", True),
        ("*.example.net", "a.example.net", "224.0.0.1", False),
    ],
)
def test_only_an_exact_entry_vouches_for_an_address_that_is_not_public(
    entry: str, host: str, address: str, *, allowed: bool
) -> None:
    if allowed:
        AllowList([entry]).check_address(host, 80, address)
    else:
        with pytest.raises(HostNotAllowedError):
            AllowList([entry]).check_address(host, 80, address)


@pytest.mark.parametrize("entry", ["", "*", "a*b.net", "http://example.net", "example.net:x", "example.net:0", "*."])
def test_a_malformed_entry_is_refused_with_its_text(entry: str) -> None:
    with pytest.raises(ValueError, match="HTTP_AGENT_ALLOWED_HOSTS"):
        AllowList([entry])
