"""The first light of a deployment: sign in, define, execute, and follow a run through Postgres and Kafka to its end."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.infra.support.log_records import parse_time
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.workflow_api import FINAL, WorkflowApi, step, told, unique

pytestmark = pytest.mark.ring("verify")

LONGEST_RUN = 20.0  # seconds
ORDER = ("queued", "running", "completed")
ISO = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


@dataclass(frozen=True)
class Journey:
    """One run from its definition to its end."""

    caller: WorkflowApi
    agents: dict[str, httpx.Response]
    workflow: httpx.Response
    accepted: httpx.Response
    seen: list[dict[str, Any]]
    correlation_id: str
    seconds: float

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.accepted.json()["run_id"])

    @property
    def final(self) -> dict[str, Any]:
        """The run as it was seen last."""
        return self.seen[-1]


@pytest.fixture(scope="module")
def journey(signed_in: Callable[..., WorkflowApi], eventually: Callable[..., Any]) -> Iterator[Journey]:
    """Three steps of three agents, executed once; what was made is removed after the checks of this file."""
    correlation_id = unique("request")
    with signed_in(**{"X-Correlation-ID": correlation_id}) as caller:
        bodies = {
            "take": {"kind": "noop", "settings": {}},
            "double": {"kind": "transform", "settings": {"expression": "{sum: sum([number, number])}"}},
            "give": {"kind": "noop", "settings": {}},
        }
        agents = {name: caller.post("/agents", {"name": unique(name), **body}) for name, body in bodies.items()}
        made = {name: _json(response) for name, response in agents.items()}
        steps = [
            step("take", made["take"], number={"$jmespath": "input.number"}),
            step("double", made["double"], "take", number={"$jmespath": "steps.take.number"}),
            step("give", made["give"], "double", result={"$jmespath": "steps.double.sum"}),
        ]
        definition = {"name": unique("first-light"), "description": "the live verification", "steps": steps}
        workflow = caller.post("/workflows", definition)
        begun = time.monotonic()
        accepted = caller.post(f"/workflows/{_json(workflow)['id']}/execute", {"input": {"number": 21}})
        run_id = _json(accepted)["run_id"]
        seen: list[dict[str, Any]] = []

        def ended() -> bool:
            seen.append(caller.run(run_id))
            return seen[-1]["status"] in FINAL

        eventually(ended, LONGEST_RUN, f"the end of run {run_id}", interval=0.02)
        yield Journey(caller, agents, workflow, accepted, seen, correlation_id, time.monotonic() - begun)


def _json(response: httpx.Response) -> dict[str, Any]:
    assert response.is_success, told(response)
    return dict(response.json())


@pytest.mark.item("authentication-works")
def test_the_administrator_signs_in(api: WorkflowApi, outputs: StackOutputs) -> None:
    credentials = {"username": outputs.admin_username, "password": outputs.admin_password}
    response = api.post("/auth/login", credentials)
    assert response.status_code == httpx.codes.OK, told(response)
    answer = response.json()
    assert (answer["token_type"].lower(), bool(answer["access_token"])) == ("bearer", True)
    assert answer["expires_in"] > 0


@pytest.mark.item("create-agent")
def test_an_agent_is_created_and_read_back(journey: Journey) -> None:
    for response in journey.agents.values():
        assert response.status_code == httpx.codes.CREATED
        made = response.json()
        again = journey.caller.get(f"/agents/{made['id']}").json()
        assert (again["name"], again["kind"], again["settings"]) == (made["name"], made["kind"], made["settings"])


@pytest.mark.item("create-workflow")
def test_a_workflow_is_created_and_read_back(journey: Journey) -> None:
    assert journey.workflow.status_code == httpx.codes.CREATED
    made = journey.workflow.json()
    again = journey.caller.get(f"/workflows/{made['id']}").json()
    assert (again["id"], again["name"]) == (made["id"], made["name"])
    assert [each["id"] for each in again["steps"]] == ["take", "double", "give"]


@pytest.mark.item("execute-workflow", "heavy-work-off-request-path")
def test_an_execution_is_accepted_at_once_under_a_run_id(journey: Journey) -> None:
    assert journey.accepted.status_code == httpx.codes.ACCEPTED
    assert journey.accepted.json()["status"] == "queued"
    assert journey.run_id


@pytest.mark.item("workflow-completes", "execute-workflow")
def test_the_run_completes_with_the_right_result(
    journey: Journey, record_property: Callable[[str, object], None]
) -> None:
    record_property("first_run_seconds", round(journey.seconds, 3))
    assert journey.final["status"] == "completed", journey.final
    outputs = {each["step_id"]: each["output"] for each in _steps(journey.final)}
    assert outputs == {"take": {"number": 21}, "double": {"sum": 42}, "give": {"result": 42}}


@pytest.mark.item("monitor-run")
def test_the_run_is_followed_through_its_states_with_times(journey: Journey) -> None:
    places = [ORDER.index(run["status"]) for run in journey.seen]
    assert places == sorted(places), f"the status went back: {[run['status'] for run in journey.seen]}"
    final = journey.final
    instants = [parse_time(final[name]) for name in ("created_at", "started_at", "finished_at")]
    assert None not in instants, final
    assert instants == sorted(instants, key=str), f"the times are out of order: {instants}"
    for each in _steps(final):
        assert each["status"] == "completed", each
        assert parse_time(each["started_at"]), each
        assert parse_time(each["finished_at"]), each


def _steps(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**each, "step_id": each.get("step_id", each.get("id"))} for each in run["steps"]]


@pytest.mark.item("data-persisted")
def test_agent_workflow_and_run_are_rows_in_postgres(journey: Journey, psql: Callable[[str], str]) -> None:
    agent, workflow = journey.agents["take"].json()["id"], journey.workflow.json()["id"]
    assert psql(f"select count(*) from agents where id = '{agent}'") == "1"  # noqa: S608  ids the API gave
    assert psql(f"select count(*) from workflow_versions where workflow_id = '{workflow}'") == "1"  # noqa: S608
    assert psql(f"select count(*) from run_steps where run_id = '{journey.run_id}'") == "3"  # noqa: S608


@pytest.mark.item("run-status-updated")
def test_the_stored_run_agrees_with_the_answer(journey: Journey, psql: Callable[[str], str]) -> None:
    started, finished = (f"to_char({column} at time zone 'utc', '{ISO}')" for column in ("started_at", "finished_at"))
    row = psql(f"select status, {started}, {finished} from runs where id = '{journey.run_id}'")  # noqa: S608
    status, started, finished = row.split("|")
    final = journey.final
    assert status == final["status"] == "completed"
    assert parse_time(started) == parse_time(final["started_at"])
    assert parse_time(finished) == parse_time(final["finished_at"])


@pytest.mark.item("api-publishes-execution-request", "correlation-id-propagated")
def test_the_execution_request_is_on_kafka_with_the_correlation_id(
    journey: Journey, ask_kafka: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> None:
    topic = environment("api").get("KAFKA_EXECUTION_TOPIC", "workflow.execution.requests")
    messages = ask_kafka("find", topic, journey.run_id, "10")
    assert len({message["value"]["message_id"] for message in messages}) == 1, f"{len(messages)} messages on {topic}"
    message = messages[0]
    assert message["key"] == journey.run_id
    assert message["value"]["workflow_id"] == journey.workflow.json()["id"]
    assert message["value"]["input"] == {"number": 21}
    assert message["value"]["correlation_id"] == message["headers"]["correlation_id"] == journey.correlation_id


@pytest.mark.item("executor-receives-message")
def test_an_executor_has_taken_up_the_request(journey: Journey, psql: Callable[[str], str]) -> None:
    row = psql(f"select attempt, lease_token from runs where id = '{journey.run_id}'")  # noqa: S608
    attempt, lease = (int(value) for value in row.split("|"))
    assert attempt >= 1, "no executor has claimed the run"
    assert lease >= 1, "the run was finished without a lease"


@pytest.mark.item("audit-records-created")
def test_each_action_left_one_audit_record(journey: Journey, psql: Callable[[str], str]) -> None:
    made = {
        "agent.create": journey.agents["take"].json()["id"],
        "workflow.create": journey.workflow.json()["id"],
        "run.accept": journey.run_id,
    }
    for action, subject in made.items():
        rows = psql(
            "select action, subject_type, actor <> '' and at is not null from audit_log"  # noqa: S608  ids the API gave
            f" where subject_id = '{subject}' and correlation_id = '{journey.correlation_id}'"
        ).splitlines()
        kind = action.split(".")[0]
        assert rows.count(f"{action}|{kind}|t") == 1, f"the {kind} has the audit records {rows}"
        assert len(set(rows)) == len(rows), f"an action of the {kind} is recorded twice: {rows}"


@pytest.mark.item("metric-workflow-execution")
def test_the_run_is_counted(journey: Journey, program_metrics: Callable[[str], float]) -> None:
    before = {
        name: program_metrics(name) for name in ("workflow_runs_submitted_total", "workflow_runs_completed_total")
    }
    run_id = journey.caller.execute(journey.workflow.json(), {"number": 1})
    assert journey.caller.finished(run_id)["status"] == "completed"
    for name, value in before.items():
        assert program_metrics(name) >= value + 1, f"{name} did not rise"
    assert program_metrics("workflow_run_duration_seconds_count") >= 1
