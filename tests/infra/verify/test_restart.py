"""A restart of the API and of the executors loses nothing, and work goes on."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.infra.support.live import Live
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.workflow_api import WorkflowApi, step, told

pytestmark = pytest.mark.ring("verify")

LONGEST_START = 60.0  # seconds until the API is ready again
LONGEST_STOP = 40.0  # seconds that a program may take to end by itself
LONGEST_RUN = 60.0  # seconds; the executors rejoin their group meanwhile
AWAY = (httpx.TransportError,)


@pytest.fixture(scope="module")
def restarted(
    admin: WorkflowApi,
    outputs: StackOutputs,
    live: Live,
    eventually: Callable[..., Any],
) -> dict[str, Any]:
    """A completed run and a workflow from before the restart of the API and all executors."""
    workflow = admin.workflow(step("only", admin.agent()))
    run = admin.finished(admin.execute(workflow, {"made": "before"}))
    before = {}
    for part in ["api", *outputs.executors]:
        before[part] = live.runs(part)
        live.restart(part, LONGEST_STOP)
    eventually(
        lambda: (
            httpx.get(f"{live.url('api')}/health/ready", timeout=10, verify=live.insider).status_code == httpx.codes.OK
        ),
        timeout=LONGEST_START,
        what="the API being ready again",
        interval=0.3,
        tolerate=AWAY,
    )
    return {"workflow": workflow, "run": run, "runs": before}


@pytest.mark.item("data-persisted")
def test_the_containers_were_really_restarted(restarted: dict[str, Any], live: Live) -> None:
    for part, before in restarted["runs"].items():
        assert live.state_faults(part) == []
        assert not live.runs(part) & before, f"{part} was not restarted"


@pytest.mark.item("data-persisted")
def test_what_was_there_before_is_there_after(
    restarted: dict[str, Any], admin: WorkflowApi, psql: Callable[[str], str]
) -> None:
    run = restarted["run"]
    assert admin.run(run["id"]) == run
    again = admin.get(f"/workflows/{restarted['workflow']['id']}")
    assert again.status_code == httpx.codes.OK, told(again)
    assert again.json() == restarted["workflow"]
    assert psql(f"select status from runs where id = '{run['id']}'") == "completed"  # noqa: S608  an id the API gave


@pytest.mark.item("data-persisted", "workflow-completes")
def test_new_runs_complete_after_the_restart(restarted: dict[str, Any], admin: WorkflowApi) -> None:
    run_id = admin.execute(restarted["workflow"], {"made": "after"})
    assert admin.finished(run_id, LONGEST_RUN)["status"] == "completed"


@pytest.mark.item("authentication-works")
def test_tokens_from_before_the_restart_are_still_good(restarted: dict[str, Any], admin: WorkflowApi) -> None:
    assert restarted["run"]["id"]
    assert admin.get("/agents").status_code == httpx.codes.OK


@pytest.mark.item("no-errors-after-deploy")
def test_no_program_was_killed_for_not_ending_in_time(restarted: dict[str, Any], live: Live) -> None:
    for part in restarted["runs"]:
        assert live.stop_faults(part) == [], part
