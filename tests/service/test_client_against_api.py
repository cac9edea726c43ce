"""The client and the command against the real API: log-in, keys, definitions, a run that completes, one that fails."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.passwords import hash_password
from service.auth.roles import Role
from service.events import response
from service.platform.database import create_engine, transaction
from service.platform.settings import Settings
from tests.service.executor_support import executing, relaying
from tests.service.servers import eventually, free_port
from tests.service.support import add_user
from wfm import AsyncWorkflowClient, InvalidError, UnauthenticatedError

pytestmark = pytest.mark.ring("service")

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a password of ada's"
HELLO = """\
name: hello
steps:
  - id: greet
    agent: greeter
    input: {name: {$jmespath: input.name}}
input_schema: {type: object, required: [name]}
"""
GREETER = {"name": "greeter", "kind": "transform", "settings": {"expression": "{text: join(' ', ['hello', name])}"}}
FAILING = {"name": "failing", "kind": "transform", "settings": {"expression": "length(number)"}}


@dataclass(frozen=True)
class Api:
    """A started API, and the command as a person has it."""

    url: str
    folder: Path

    def client(self) -> AsyncWorkflowClient:
        """A client that logs in."""
        return AsyncWorkflowClient(self.url, username="ada", password=PASSWORD)

    async def wfm(self, *words: str, code: int = 0, text: str = "", **variables: str) -> tuple[str, str]:
        """What the command says on stdout and stderr; fails if it ends with another code."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "WFM_URL": self.url}
        environment |= {"WFM_USERNAME": "ada", "WFM_PASSWORD": PASSWORD, **variables}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-m", "wfm", *words],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr


@asynccontextmanager
async def _serving(settings: Settings, folder: Path) -> AsyncIterator[Api]:
    engine: AsyncEngine = create_engine(settings, application="test-users")
    try:
        async with transaction(engine) as connection:
            await add_user(connection, Role.ADMIN, name="ada", password_hash=hash_password(PASSWORD))
    finally:
        await engine.dispose()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), host="127.0.0.1", port=port, log_config=None))
    server.config.load()
    task = asyncio.create_task(server._serve())  # serve() would take the test's signal handlers

    async def started() -> bool:
        assert not task.done(), "the API has ended"
        return server.started

    try:
        await eventually(started, "the API to listen", seconds=60)
        yield Api(f"http://127.0.0.1:{port}", folder)
    finally:
        server.should_exit = True
        async with asyncio.timeout(30):
            await task


@pytest_asyncio.fixture
async def api(api_settings: Settings, tmp_path: Path) -> AsyncIterator[Api]:
    """The API without Kafka: runs are accepted and wait."""
    async with _serving(api_settings, tmp_path) as found:
        yield found


@pytest_asyncio.fixture
async def working_api(settings: Settings, tmp_path: Path) -> AsyncIterator[Api]:
    """The API with a relay and an executor: runs are done."""
    async with _serving(settings, tmp_path) as found, relaying(settings), executing(settings):
        yield found


async def test_the_client_defines_reads_and_deletes(api: Api) -> None:
    async with api.client() as client:
        for number in range(3):
            await client.agents.create({"name": f"agent {number}", "kind": "noop"})
        assert [each.name async for each in client.agents.all(size=2)] == ["agent 0", "agent 1", "agent 2"]
        found = await client.agents.list()
        await client.agents.replace(found.items[0].id, {"name": "renamed", "kind": "noop"})
        await client.agents.delete(found.items[1].id)
        assert [each.name async for each in client.agents.all()] == ["agent 2", "renamed"]
        actions = [each.action async for each in client.audit.all(subject_type="agent")]
        assert actions[:2] == ["agent.delete", "agent.update"]


async def test_the_client_is_told_the_fields_that_are_wrong(api: Api) -> None:
    async with api.client() as client:
        with pytest.raises(InvalidError) as caught:
            await client.workflows.create({"name": "w", "steps": [{"id": "a", "agent": "nobody"}]})
    assert [each.field for each in caught.value.errors] == ["steps.0.agent"]
    assert caught.value.correlation_id


async def test_a_narrowed_key_of_the_clients_making_is_one_of_its_credentials(api: Api) -> None:
    async with api.client() as client:
        made = await client.keys.create({"name": "reader", "role": "viewer", "scopes": ["agents:read"]})
        async with AsyncWorkflowClient(api.url, api_key=made.key) as reader:
            caller = await reader.auth.whoami()
            assert (caller.kind, caller.scopes) == ("api_key", ["agents:read", "self:read"])
            await client.keys.revoke(made.id)
            with pytest.raises(UnauthenticatedError):
                await reader.agents.list()


async def test_many_runs_are_accepted_once_however_often_they_are_asked_for(api: Api) -> None:
    async with api.client() as client:
        await client.agents.create({"name": "nothing", "kind": "noop"})
        workflow = await client.workflows.create({"name": "w", "steps": [{"id": "a", "agent": "nothing"}]})
        inputs = [{"n": number} for number in range(1001)]
        first = await client.workflows.execute_many(workflow.id, inputs, idempotency_key="all")
        again = await client.workflows.execute_many(workflow.id, inputs, idempotency_key="all")
        assert len(set(first)) == 1001
        assert first == again
        page = await client.runs.list(workflow_id=workflow.id, count=True)
        assert page.total == 1001


async def test_a_run_is_waited_for(working_api: Api) -> None:
    async with working_api.client() as client:
        await client.agents.create(GREETER)
        await client.workflows.create(
            {"name": "w", "steps": [{"id": "a", "agent": "greeter", "input": {"name": {"$jmespath": "input.name"}}}]}
        )
        found = await client.workflows.list()
        accepted = await client.workflows.execute(found.items[0].id, {"name": "Ada"})
        run = await client.runs.wait(accepted.run_id, timeout=60)
        assert run.status == "completed"
        assert run.steps[0].output == {"text": "hello Ada"}


async def test_a_run_is_followed_live_and_decided_about(working_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    # Streams end so soon that the client must come back while the run waits.
    monkeypatch.setattr(response, "MOST_SECONDS", 0.5)
    async with working_api.client() as client:
        await client.agents.create({"name": "boss", "kind": "approval", "settings": {"prompt": "May it?"}})
        workflow = await client.workflows.create({"name": "w", "steps": [{"id": "ask", "agent": "boss"}]})
        accepted = await client.workflows.execute(workflow.id)
        told = []
        async for event in client.runs.events(accepted.run_id, timeout=60):
            told.append((event.kind, event.data.model_dump()["status"]))
            if told[-1] == ("step", "waiting"):
                await client.runs.signal(accepted.run_id, "ask", {"outcome": "approve", "comment": "go on"})
        assert told[-2:] == [("run", "completed"), ("end", "completed")]
        assert ("step", "completed") in told
        run = await client.runs.get(accepted.run_id)
        assert run.steps[0].output["comment"] == "go on"


async def test_the_command_defines_and_executes(working_api: Api) -> None:
    file = working_api.folder / "hello.yaml"
    file.write_text(HELLO)
    wfm = working_api.wfm

    _, refused = await wfm("workflows", "apply", "-f", str(file), code=1)
    assert "hello.yaml:4: steps.0.agent: " in refused
    await wfm("agents", "create", "-f", "-", text=json.dumps(GREETER))

    table, difference = await wfm("workflows", "apply", "-f", str(file), "--dry-run")
    assert "would be created" in table
    assert "+name: hello" in difference
    assert json.loads((await wfm("workflows", "list", "--json"))[0]) == []

    assert "created" in (await wfm("workflows", "apply", "-f", str(file)))[0]
    again = json.loads((await wfm("workflows", "apply", "-f", str(file), "--json"))[0])
    assert [(each["outcome"], each["version"]) for each in again] == [("unchanged", 1)]
    file.write_text(HELLO.replace("agent: greeter", "agent: greeter\n    retry: {max_attempts: 5}"))
    table, difference = await wfm("workflows", "apply", "-f", str(file))
    assert "changed" in table
    assert "+    max_attempts: 5" in difference
    assert "-    max_attempts: 3" in difference

    run = json.loads((await wfm("workflows", "execute", "hello", "--set", "name=Ada", "--wait", "--json"))[0])
    assert (run["status"], run["workflow_version"]) == ("completed", 2)
    assert json.loads((await wfm("runs", "list", "--workflow", "hello", "--json"))[0])[0]["id"] == run["id"]
    assert "completed" in (await wfm("runs", "wait", run["id"]))[0]

    wrong = working_api.folder / "input.yaml"
    wrong.write_text("name_of: Ada\n")
    _, refused = await wfm("workflows", "execute", "hello", "-i", str(wrong), code=1)
    assert "input.yaml:1: input" in refused
    assert json.loads((await wfm("workflows", "plan", "hello", "--set", "name=Ada", "--json"))[0])["version"] == 2


async def test_the_command_steers_and_watches(working_api: Api) -> None:
    wfm = working_api.wfm
    await wfm("agents", "create", "--set", "name=boss", "--set", "kind=approval", "--set", "settings.prompt=May it?")
    await wfm("workflows", "create", "-f", "-", text='{"name": "w", "steps": [{"id": "ask", "agent": "boss"}]}')
    run_id = json.loads((await wfm("workflows", "execute", "w", "--json"))[0])["run_id"]

    async def waits() -> bool:
        return bool(json.loads((await wfm("runs", "list", "--status", "waiting", "--json"))[0]))

    await eventually(waits, "the run to wait", seconds=60)
    assert "run" in (await wfm("runs", "watch", run_id, "--wait-seconds", "1", code=4))[0]
    assert json.loads((await wfm("runs", "pause", run_id, "--json"))[0])["status"] == "paused"
    assert json.loads((await wfm("runs", "resume", run_id, "--json"))[0])["status"] != "paused"
    await wfm("runs", "signal", run_id, "ask", "reject", "--comment", "not today")
    out, error = await wfm("runs", "watch", run_id, code=5)
    assert "step ask is failed" in out
    assert out.splitlines()[-1] == "end"
    assert f"error: run {run_id} is failed: " in error
    assert "not today" in (await wfm("runs", "logs", run_id, "--level", "error"))[0]
    followed = [json.loads(line) for line in (await wfm("runs", "logs", run_id, "--follow", "--json"))[0].splitlines()]
    assert followed == json.loads((await wfm("runs", "logs", run_id, "--json"))[0])
    again = json.loads((await wfm("runs", "retry", run_id, "--json"))[0])
    await eventually(waits, "the new run to wait", seconds=60)
    await wfm("runs", "signal", again["run_id"], "ask", "approve", "--set", "amount=5")
    told = [json.loads(line) for line in (await wfm("runs", "watch", again["run_id"], "--json"))[0].splitlines()]
    assert (told[-1]["event"], told[-1]["data"]["status"]) == ("end", "completed")
    replayed = json.loads((await wfm("runs", "replay", run_id, "--current", "--json"))[0])
    assert replayed["origin_run_id"] == run_id
    await wfm("runs", "cancel", replayed["run_id"])


async def test_the_command_looks_after_webhooks(api_settings: Settings, tmp_path: Path) -> None:
    settings = api_settings.model_copy(
        update={"webhook_secret": SecretStr("k" * 32), "http_agent_allowed_hosts": ("pager.example",)}
    )
    async with _serving(settings, tmp_path) as api:
        wfm = api.wfm
        words = ["--set", "name=pager", "--set", "url=https://pager.example/in", "--event", "run.failed"]
        made = json.loads((await wfm("webhooks", "create", *words, "--json"))[0])
        assert made["secret"].startswith("whsec_")
        assert made["secret"] not in (await wfm("webhooks", "get", "pager", "--json"))[0]
        changed = json.loads((await wfm("webhooks", "update", "pager", "--event", "run.completed", "--json"))[0])
        assert (changed["events"], changed["url"]) == (["run.completed"], made["url"])
        file = tmp_path / "pager.secret"
        await wfm("webhooks", "rotate-secret", "pager", "--to", str(file))
        assert file.read_text().startswith("whsec_")
        assert file.read_text().strip() != made["secret"]
        assert json.loads((await wfm("webhooks", "disable", "pager", "--json"))[0])["disabled_at"]
        assert json.loads((await wfm("webhooks", "enable", "pager", "--json"))[0])["disabled_at"] is None
        assert json.loads((await wfm("webhooks", "deliveries", "pager", "--json"))[0]) == []
        await wfm("webhooks", "delete", "pager", "--yes")
        assert json.loads((await wfm("dead-letters", "list", "--state", "open", "--json"))[0]) == []
        assert "approval" in (await wfm("agents", "kinds"))[0]


async def test_the_command_ends_with_5_when_the_run_fails(working_api: Api) -> None:
    wfm = working_api.wfm
    await wfm("agents", "create", "-f", "-", text=json.dumps(FAILING))
    steps = '[{"id": "a", "agent": "failing", "input": {"number": 5}}]'
    await wfm("workflows", "create", "-f", "-", text=f'{{"name": "w", "steps": {steps}}}')
    out, error = await wfm("workflows", "execute", "w", "--wait", "--json", code=5)
    assert json.loads(out)["status"] == "failed"
    assert "is failed" in error


async def test_the_command_ends_with_4_when_the_run_takes_longer(api: Api) -> None:
    wfm = api.wfm
    await wfm("agents", "create", "--set", "name=n", "--set", "kind=noop")
    await wfm("workflows", "create", "-f", "-", text='{"name": "w", "steps": [{"id": "a", "agent": "n"}]}')
    _, error = await wfm("workflows", "execute", "w", "--wait", "--wait-seconds", "0.2", code=4)
    run_id = json.loads((await wfm("runs", "list", "--json"))[0])[0]["id"]
    assert f"wfm runs wait {run_id}" in error
    await wfm("runs", "cancel", run_id)
    await wfm("workflows", "delete", "w", "--yes", code=1)


async def test_the_command_schedules(api: Api) -> None:
    wfm = api.wfm
    await wfm("agents", "create", "--set", "name=n", "--set", "kind=noop")
    await wfm("workflows", "create", "-f", "-", text='{"name": "w", "steps": [{"id": "a", "agent": "n"}]}')
    text = "name: mornings\nworkflow_id: w\nexpression: 30 7 * * MON-FRI\ntime_zone: Europe/Berlin\n"
    await wfm("schedules", "create", "-f", "-", text=text)
    times = json.loads((await wfm("schedules", "next", "mornings", "-n", "3", "--json"))[0])["times"]
    assert [each["local"][11:16] for each in times] == ["07:30"] * 3
    assert json.loads((await wfm("schedules", "pause", "mornings", "--json"))[0])["paused_at"]
    assert json.loads((await wfm("schedules", "resume", "mornings", "--json"))[0])["paused_at"] is None
    _, error = await wfm("schedules", "get", "morning", code=3)
    assert "is it mornings?" in error
    await wfm("schedules", "delete", "mornings", "--yes")


async def test_the_command_logs_in_and_keeps_no_secret_unless_asked(api: Api) -> None:
    anonymous: dict[str, Any] = {"WFM_USERNAME": "", "WFM_PASSWORD": "", "WFM_URL": ""}
    config = api.folder / ".config" / "wfm" / "config.yaml"
    await api.wfm("login", "--url", api.url)
    assert config.stat().st_mode & 0o777 == 0o600
    assert "token" not in config.read_text()
    await api.wfm("whoami", code=1, **anonymous)
    await api.wfm("login", "--store")
    assert json.loads((await api.wfm("whoami", "--json", **anonymous))[0])["role"] == "admin"
    assert PASSWORD not in config.read_text()
    await api.wfm("logout", **anonymous)
    assert "token" not in config.read_text()
    await api.wfm("whoami", code=1, WFM_PASSWORD="wrong")


async def test_the_command_writes_a_new_key_for_its_owner_only(api: Api) -> None:
    file = api.folder / "pipeline.key"
    out, _ = await api.wfm("keys", "create", "pipeline", "--role", "operator", "--to", str(file), "--json")
    assert file.stat().st_mode & 0o777 == 0o600
    key = file.read_text().strip()
    assert key not in out
    caller, _ = await api.wfm("whoami", "--json", WFM_USERNAME="", WFM_PASSWORD="", WFM_API_KEY_FILE=str(file))
    assert json.loads(caller)["role"] == "operator"
    await api.wfm("keys", "create", "pipeline", "--to", str(file), code=2)
    await api.wfm("keys", "revoke", json.loads(out)["id"], "--yes")
    await api.wfm("whoami", code=1, WFM_USERNAME="", WFM_PASSWORD="", WFM_API_KEY_FILE=str(file))
    assert "api_key.revoke" in (await api.wfm("audit", "list", "--subject-type", "api_key"))[0]
