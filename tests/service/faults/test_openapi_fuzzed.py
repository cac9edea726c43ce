"""Schemathesis sends what the OpenAPI document allows and forbids, and compares each answer with the document."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.openapi import DOCUMENT
from service.platform.database import transaction
from service.platform.settings import Settings
from tests.service.executor_support import add_run
from tests.service.faults.programs import api, programs
from tests.service.servers import free_port
from tests.service.support import add_user

CONFIG = Path(__file__).with_name("schemathesis.toml")
SHORT, FULL = 4, 200
"""Examples for each operation that are made up, besides the edge cases of its schema."""

WHOLE = """
[[operations]]
{selection}
parameters = {{ {values} }}
"""


async def _known_ids(engine: AsyncEngine, client: httpx.AsyncClient) -> dict[str, dict[str, str]]:
    """Things that exist, so that requests come further than to a 404: ids for each selection of operations."""

    async def made(path: str, **body: object) -> str:
        answer = await client.post(f"/api/v1{path}", json=body)
        assert answer.is_success, answer.text
        return str(answer.json().get("id", answer.json().get("run_id")))

    steps = [{"id": "only", "agent": "nothing"}]
    agents = [await made("/agents", name=name, kind="noop") for name in ("nothing", "spare")]
    flows = [await made("/workflows", name=name, steps=steps) for name in ("executed", "spare")]
    times = {"workflow_id": flows[0], "expression": "0 7 * * *"}
    schedules = [await made("/schedules", name=name, **times) for name in ("used", "spare")]
    about = {"url": "https://hooks.example.test/runs", "events": ["run.failed"]}
    hooks = [await made("/webhooks", name=name, **about) for name in ("used", "spare")]
    run = await made(f"/workflows/{flows[0]}/execute")
    ended = str(await add_run(engine, flows[0], status="completed"))
    kept, spare = (
        {"agent_id": agents[n], "workflow_id": flows[n], "schedule_id": schedules[n], "webhook_id": hooks[n]}
        for n in range(2)
    )
    kept |= {"run_id": run, "step_id": "only"}
    return {
        'include-method = ["GET", "POST", "PUT"]\nexclude-path-regex = "/events$"': kept,
        'include-method = "DELETE"': spare,
        # Followed until its end, so it must have one.
        'include-path = "/api/v1/runs/{run_id}/events"': {"run_id": ended},
    }


async def _fuzz(settings: Settings, engine: AsyncEngine, folder: Path, *, examples: int, seconds: float) -> None:
    async with transaction(engine) as connection:
        user_id = await add_user(connection, Role.ADMIN)
    bearer = f"Bearer {issue_token(settings, user_id, Role.ADMIN)}"
    limits = {"READINESS_REQUIRES_KAFKA": "false", "HTTP_AGENT_ALLOWED_HOSTS": "hooks.example.test"}
    program = api(settings, folder, free_port(), WEBHOOK_SECRET="w" * 40, **limits)
    address = f"http://127.0.0.1:{program.port}"
    async with programs(program):
        async with httpx.AsyncClient(base_url=address, headers={"Authorization": bearer}, timeout=20) as client:
            known = await _known_ids(engine, client)
        config = folder / "schemathesis.toml"
        whole = [
            WHOLE.format(selection=selection, values=", ".join(f'"path.{name}" = "{ids[name]}"' for name in ids))
            for selection, ids in known.items()
        ]
        config.write_text(CONFIG.read_text() + "".join(whole))
        arguments = ["--config-file", str(config), "run", str(DOCUMENT), "--no-color", "--max-examples", str(examples)]
        arguments += ["--url", address, "--header", f"Authorization: {bearer}"]
        ended = await asyncio.to_thread(
            subprocess.run,
            [
                sys.executable,
                "-m",
                "schemathesis.cli",
                *arguments,
                "-n",
                str(examples),
                "-H",
                f"Authorization: {bearer}",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    told = ended.stdout + ended.stderr
    assert ended.returncode == 0, told
    assert "Coverage" in told
    assert "Traceback" not in program.told()


@pytest.mark.ring("service")
async def test_no_request_makes_the_api_fail_or_answer_otherwise_than_documented(
    api_settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    await _fuzz(api_settings, engine, tmp_path, examples=SHORT, seconds=300)


@pytest.mark.ring("faults")
async def test_no_request_of_many_makes_the_api_fail_or_answer_otherwise_than_documented(
    api_settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    await _fuzz(api_settings, engine, tmp_path, examples=FULL, seconds=7200)
