"""Secrets that settings only name: where they are read, what they reach, and what never holds them."""

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from service.executor.attempt import PreparedStep, Succeeded, attempt
from service.executor.definition import StepDefinition
from service.executor.kinds.base import Agent, AgentSettings, StepContext, StepFailedError
from service.executor.kinds.http import HttpAgent
from service.executor.kinds.http_request import HttpSettings
from service.executor.kinds.registry import InvalidAgentSettingsError, parse_settings, validate_settings
from service.executor.kinds.secrets import (
    MOST_BYTES,
    SecretFolder,
    SecretReader,
    SecretUnusableError,
    looks_like_credential,
)
from service.executor.progress import StepState
from tests.service.executor_support import Answer, Call, WebServer, json_answer, web_server

pytestmark = pytest.mark.ring("unit")

SECRET = 'pa"ss/wörd+of-the-shop'
TOKEN = "tok-3f9a2c/77==x"
CONTEXT = StepContext(run_id="run", step_id="step", attempt=1, correlation_id="req-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two secrets, as an operator gives it."""
    found = tmp_path / "agents"
    found.mkdir()
    (found / "shop").write_text(SECRET + "\n")
    (found / "token").write_text(TOKEN + "\r\n")
    return found


def read(folder: Path | None, name: str) -> str:
    return SecretFolder(folder).read(name)


def refusal(folder: Path | None, name: str) -> SecretUnusableError:
    with pytest.raises(SecretUnusableError) as caught:
        read(folder, name)
    return caught.value


def test_a_secret_is_the_text_of_its_file_without_the_line_end(folder: Path) -> None:
    assert (read(folder, "shop"), read(folder, "token")) == (SECRET, TOKEN)


def test_only_one_line_end_is_taken_off(folder: Path) -> None:
    (folder / "key").write_text("-----BEGIN\nabc\n-----END\n\n")
    assert read(folder, "key") == "-----BEGIN\nabc\n-----END\n"


def test_a_replaced_file_counts_at_once(folder: Path) -> None:
    reading = SecretFolder(folder)
    reading.read("shop")
    (folder / "shop").write_text("another one")
    assert reading.read("shop") == "another one"


def test_an_attempt_sees_one_value_of_a_secret(folder: Path) -> None:
    reading = SecretReader(SecretFolder(folder))
    before = reading.read("shop")
    (folder / "shop").write_text("another one")
    assert reading.read("shop") == before


@pytest.mark.parametrize("name", ["../shop", "/etc/passwd", "..", ".", "", "a/b", ".hidden", "a\n", "x" * 129, "a\0b"])
def test_a_name_that_could_be_a_path_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "shop").write_text("outside of it")
    assert refusal(folder, name).code == "secret-name"


def test_links_inside_the_folder_as_kubernetes_makes_them_are_followed(tmp_path: Path) -> None:
    real = tmp_path / "..2026_11_23"
    real.mkdir()
    (real / "shop").write_text(SECRET)
    (tmp_path / "..data").symlink_to("..2026_11_23")
    (tmp_path / "shop").symlink_to("..data/shop")
    assert read(tmp_path, "shop") == SECRET


def test_a_folder_that_is_itself_behind_such_a_link_is_found(tmp_path: Path) -> None:
    real = tmp_path / "..2026_11_23" / "agents"
    real.mkdir(parents=True)
    (real / "shop").write_text(SECRET)
    (tmp_path / "agents").symlink_to("..2026_11_23/agents")
    assert read(tmp_path / "agents", "shop") == SECRET


@pytest.mark.parametrize("target", ["../database_url", "/etc/hostname"])
def test_a_link_out_of_the_folder_is_not_followed(folder: Path, target: str) -> None:
    (folder.parent / "database_url").write_text("postgresql://u:p@h/d")
    (folder / "link").symlink_to(target)
    error = refusal(folder, "link")
    assert error.code == "secret-missing"
    assert "outside of the folder" in str(error)


def test_what_is_no_file_is_not_read_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert "no file" in str(refusal(folder, "pipe"))
    (folder / "inner").mkdir()
    assert "no file" in str(refusal(folder, "inner"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"x" * (MOST_BYTES + 1), "larger than"), (b"\xff\xfe" * 8, "not UTF-8"), (b"short\n", "fewer than 8")],
)
def test_a_file_that_cannot_be_a_secret_is_named_but_not_shown(folder: Path, content: bytes, reason: str) -> None:
    (folder / "odd").write_bytes(content)
    error = refusal(folder, "odd")
    assert error.code == "secret-unusable"
    assert "'odd'" in str(error)
    assert reason in str(error)
    assert "short" not in str(error)


def test_a_missing_secret_is_named_with_the_reason(folder: Path) -> None:
    assert str(refusal(folder, "none")) == (
        "the executor has no secret 'none' to read (No such file or directory); an operator gives it as a file"
    )
    assert "AGENT_SECRETS_DIR is not set" in str(refusal(None, "none"))


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_what_an_attempt_has_read_is_taken_out_of_a_value_in_the_forms_it_travels_in(folder: Path, form: str) -> None:
    reading = SecretReader(SecretFolder(folder))
    reading.read("shop")
    found = json.dumps(reading.redacted({f"k {form}": [f"a {form} b", 1, None, {"deep": form}]}), ensure_ascii=False)
    assert form.rstrip("=") not in found
    assert found.count("[secret shop]") == 3


def test_a_secret_that_was_not_read_changes_no_output(folder: Path) -> None:
    value = {"text": SECRET}
    assert SecretReader(SecretFolder(folder)).redacted(value) is value


@pytest.mark.parametrize(
    "header",
    [
        "Authorization", "proxy-authorization", "Cookie", "X-Api-Key", "X-API-KEY", "apikey", "X-Auth-Token",
        "X-Shop-Secret", "Private-Key", "Ocp-Apim-Subscription-Key", "x_functions_key", "X-Password",
    ],
)  # fmt: skip
def test_a_credentials_header_is_known_by_its_name(header: str) -> None:
    assert looks_like_credential(header)


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Correlation-ID", "Accept", "X-Author", "Surrogate-Key"])
def test_other_headers_are_not_taken_for_credentials(header: str) -> None:
    assert not looks_like_credential(header)


def http(headers: dict[str, Any]) -> dict[str, Any]:
    return {"url": "http://example.net/", "headers": headers}


@pytest.mark.parametrize("text", ["Bearer abcdef123456", "", "Bearer ${token}x", "abc${token}"])
def test_a_credential_in_plain_text_is_refused_with_the_way_to_name_a_secret(text: str) -> None:
    with pytest.raises(InvalidAgentSettingsError) as caught:
        validate_settings("http", http({"Authorization": text}))
    error = caught.value.errors[0]
    assert error.path == "headers"
    assert '{"Authorization": {"secret": "NAME", "prefix": "Bearer "}}' in error.message
    assert "abcdef123456" not in error.message


@pytest.mark.parametrize("text", ["Bearer ${token}", "${session}"])
def test_a_credential_that_comes_with_the_input_may_stay(text: str) -> None:
    assert validate_settings("http", http({"Cookie": text}))["headers"] == {"Cookie": text}


def test_what_was_saved_once_is_still_executed() -> None:
    parsed = parse_settings("http", http({"Authorization": "Bearer abcdef123456"}))
    assert isinstance(parsed, HttpSettings)


def test_a_reference_is_stored_as_it_was_written() -> None:
    reference = {"secret": "shop", "prefix": "Bearer "}
    assert validate_settings("http", http({"Authorization": reference}))["headers"] == {"Authorization": reference}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"secret": "../x"}, "headers.X.secret"),
        ({"secret": "a", "prefix": "a\nb"}, "headers.X.prefix"),
        ({"name": "a"}, "headers.X.secret"),
        ({"secret": "a", "value": "b"}, "headers.X.value"),
        (7, "headers.X"),
    ],
)
def test_a_wrong_reference_is_refused_at_its_place(given: object, path: str) -> None:
    with pytest.raises(InvalidAgentSettingsError) as caught:
        validate_settings("http", http({"X": given}))
    assert caught.value.errors[0].path == path


async def echo(request: Call) -> Answer:
    return json_answer({"you sent": dict(request.headers)})


def prepared(agent: Agent[Any], settings: AgentSettings, folder: Path | None) -> PreparedStep:
    agent.secret_folder = SecretFolder(folder)
    return PreparedStep(StepState(StepDefinition("step", agent.kind, {}, timeout_seconds=5)), agent, settings, {})


async def call(server: WebServer, folder: Path | None, **settings: Any) -> Succeeded | StepFailedError:
    agent = HttpAgent([f"127.0.0.1:{server.port}", f"localhost:{server.port}"])
    try:
        wanted = HttpSettings.model_validate({"url": server.url(), "timeout_seconds": 5, **settings})
        return await attempt(prepared(agent, wanted, folder), CONTEXT)
    finally:
        await agent.close()


BEARER = {"Authorization": {"secret": "token", "prefix": "Bearer "}}


async def test_the_called_side_gets_the_secret_and_the_output_does_not_hold_it(folder: Path) -> None:
    async with web_server(echo) as server:
        outcome = await call(server, folder, headers=BEARER)
    assert server.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert isinstance(outcome, Succeeded)
    assert outcome.output["json"]["you sent"]["authorization"] == "Bearer [secret token]"
    assert TOKEN not in json.dumps(outcome.output)


async def test_a_missing_secret_fails_the_step_for_good_before_anything_is_sent(folder: Path) -> None:
    async with web_server(echo) as server:
        outcome = await call(server, folder, headers={"X-Api-Key": {"secret": "absent"}})
    assert isinstance(outcome, StepFailedError)
    assert (outcome.code, outcome.retryable, server.calls) == ("secret-missing", False, [])
    assert "'absent'" in outcome.detail


async def test_a_secret_that_no_header_can_hold_is_not_sent_and_not_shown(folder: Path) -> None:
    (folder / "lines").write_text("first line\nsecond line")
    async with web_server(echo) as server:
        outcome = await call(server, folder, headers={"X-Api-Key": {"secret": "lines"}})
    assert isinstance(outcome, StepFailedError)
    assert (outcome.code, server.calls) == ("secret-unusable", [])
    assert "second" not in outcome.detail


async def test_another_origin_is_never_told_a_secret_whatever_the_headers_name(folder: Path) -> None:
    async with web_server(echo) as target:

        async def away(_: Call) -> Answer:
            return 307, {"Location": target.url()}, b""

        async with web_server(away) as server:
            agent = HttpAgent([f"127.0.0.1:{server.port}", f"127.0.0.1:{target.port}"])
            headers = {"User-Agent": {"secret": "token"}, "Accept": "text/plain"}
            wanted = HttpSettings.model_validate({"url": server.url(), "headers": headers})
            await attempt(prepared(agent, wanted, folder), CONTEXT)
            await agent.close()
    assert server.calls[0].headers["user-agent"] == TOKEN
    assert TOKEN not in target.calls[0].headers.values()
    assert target.calls[0].headers["accept"] == "text/plain"


class NoSettings(AgentSettings):
    """Nothing to set."""


class Leaky(Agent[NoSettings]):
    """Does with a secret what no agent should."""

    kind = "leaky"
    settings_model = NoSettings

    def __init__(self, error: type[Exception] | None) -> None:
        self._error = error

    async def run(self, settings: NoSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """Tells it."""
        text = f"the secret is {context.secret('token')}"
        if self._error is StepFailedError:
            raise StepFailedError("leaky", text, retryable=False)
        if self._error is not None:
            raise self._error(text)
        return {"text": text}


async def test_an_error_that_tells_a_secret_is_cleared_of_it(folder: Path) -> None:
    outcome = await attempt(prepared(Leaky(StepFailedError), NoSettings(), folder), CONTEXT)
    assert isinstance(outcome, StepFailedError)
    assert outcome.as_json()["detail"] == "the secret is [secret token]"


async def test_the_log_of_a_broken_agent_tells_where_it_broke_and_no_secret(folder: Path) -> None:
    with capture_logs() as records:
        outcome = await attempt(prepared(Leaky(RuntimeError), NoSettings(), folder), CONTEXT)
    assert isinstance(outcome, StepFailedError)
    assert TOKEN not in outcome.detail
    logged = next(record for record in records if record["event"] == "An agent broke down")
    assert "[secret token]" in logged["exception"]
    assert "in run" in logged["exception"]
    assert TOKEN not in json.dumps(records, default=str)
