"""What the programs write: one full record a line, no secret, no error."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from checklist.secret_scan import SecretScanner
from tests.infra.support import log_records
from tests.infra.support.live import Live
from tests.infra.support.log_records import Record
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.workflow_api import WorkflowApi, step, unique

pytestmark = pytest.mark.ring("verify")

FLUSH = 10.0  # seconds within which a record is in the log
PLANTED = "planted-password-that-no-log-may-hold"


@pytest.fixture(scope="module")
def records_about(log_of: Callable[[str], str], eventually: Callable[..., Any]) -> Callable[..., list[Record]]:
    """Waits for the records of a part that hold a correlation id; of the API until it says that it has answered, which
    it does after the answer was sent."""

    def find(part: str, correlation_id: str) -> list[Record]:
        def look() -> list[Record]:
            found = [each for each in log_records.records(log_of(part)) if each["correlation_id"] == correlation_id]
            return found if part != "api" or any(each["message"] == "Request answered" for each in found) else []

        found: list[Record] = eventually(look, FLUSH, f"a record of {part} about {correlation_id}", interval=0.3)
        return found

    return find


@pytest.fixture(scope="module")
def traced(signed_in: Callable[..., WorkflowApi]) -> dict[str, Any]:
    """A workflow made and executed under a known correlation id."""
    correlation_id = unique("trace")
    with signed_in(**{"X-Correlation-ID": correlation_id}) as caller:
        workflow = caller.workflow(step("only", caller.agent()))
        run_id = caller.execute(workflow)
        assert caller.finished(run_id)["status"] == "completed"
        answered = caller.get("/agents").headers["X-Correlation-ID"]
    return {"correlation_id": correlation_id, "workflow": workflow["id"], "run": run_id, "answered": answered}


@pytest.mark.item("application-logs-written")
def test_every_program_has_written_since_its_start(outputs: StackOutputs, log_of: Callable[[str], str]) -> None:
    for part in outputs.programs:
        assert log_records.records(log_of(part)), f"{part} has written no record since its start"


@pytest.mark.item("log-record-fields")
def test_every_line_of_the_programs_is_a_full_record(outputs: StackOutputs, log_of: Callable[[str], str]) -> None:
    for part in outputs.of_the_service:
        problems = log_records.format_problems(log_of(part))
        assert not problems, f"{part}: " + "; ".join(problems[:5])


@pytest.mark.item("log-record-fields")
def test_records_carry_the_context_they_were_written_in(
    traced: dict[str, Any], records_about: Callable[..., list[Record]]
) -> None:
    found = records_about("api", traced["correlation_id"])
    assert all({"workflow_id", "user_id", "correlation_id"} <= each.fields.keys() for each in found)
    assert any(each["workflow_id"] == traced["workflow"] and each["user_id"] for each in found)


@pytest.mark.item("correlation-id-propagated")
def test_one_correlation_id_is_in_the_answer_and_in_the_logs_of_api_and_executor(
    outputs: StackOutputs, traced: dict[str, Any], records_about: Callable[..., list[Record]], log_of: Any
) -> None:
    assert traced["answered"] == traced["correlation_id"]
    assert records_about("api", traced["correlation_id"])
    holder = next(part for part in outputs.executors if traced["run"] in log_of(part))
    assert records_about(holder, traced["correlation_id"])


@pytest.mark.item("executor-receives-message")
def test_an_executor_wrote_about_the_run(outputs: StackOutputs, traced: dict[str, Any], log_of: Any) -> None:
    assert any(traced["run"] in log_of(part) for part in outputs.executors)


@pytest.mark.item("access-logs-captured")
def test_each_request_leaves_one_access_record(
    signed_in: Callable[..., WorkflowApi], prefix: str, records_about: Callable[..., list[Record]]
) -> None:
    marked = unique("access")
    with signed_in(**{"X-Correlation-ID": marked}) as caller:
        caller.get("/workflows")
    access = [each for each in records_about("api", marked) if each["method"] and each["status"]]
    assert len(access) == 1
    (record,) = access
    assert (record["method"], record["path"], int(record["status"])) == ("GET", f"{prefix}/workflows", 200)
    assert float(record["duration_ms"]) > 0


@pytest.mark.item("auth-failures-logged")
def test_refused_credentials_leave_a_warning_with_reason_and_address(
    api: WorkflowApi, metrics: Callable[[], Any], records_about: Callable[..., list[Record]]
) -> None:
    counted = metrics().total("auth_failures_total")
    marked = unique("refused")
    headers = {"Authorization": f"Bearer {PLANTED}", "X-Correlation-ID": marked}
    assert api.get("/agents", headers=headers).status_code == httpx.codes.UNAUTHORIZED
    found = records_about("api", marked)
    warnings = [each for each in found if each.level == "WARNING"]
    assert warnings, "a refused token leaves no warning"
    assert any(each["reason"] for each in warnings), "the warning gives no reason"
    assert any(each["client"] or each["address"] for each in found), "no record gives the caller's address"
    assert metrics().total("auth_failures_total") > counted


@pytest.mark.item("auth-failures-logged")
def test_a_refused_log_in_leaves_a_warning_without_the_password(
    api: WorkflowApi, records_about: Callable[..., list[Record]], log_of: Callable[[str], str]
) -> None:
    marked = unique("login")
    body = {"username": "nobody", "password": PLANTED}
    answer = api.post("/auth/login", body, headers={"X-Correlation-ID": marked})
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert [each for each in records_about("api", marked) if each.level == "WARNING"]
    assert PLANTED not in log_of("api")


@pytest.mark.item("no-secrets-in-logs")
def test_no_log_of_any_container_holds_a_secret(live: Live, scanner: SecretScanner) -> None:
    leaks = []
    for name, text in live.logs().items():
        leaks += scanner.scan_text(f"log of {name}", text)
    assert not leaks, "\n".join(map(str, leaks))


@pytest.mark.item("no-secrets-in-logs")
def test_no_log_of_the_programs_holds_personal_data_or_credentials(outputs: StackOutputs, live: Live) -> None:
    programs = {name for part in outputs.programs for name in live.instances(part)}
    logs = {name: text for name, text in live.logs().items() if name in programs}
    assert logs.keys() == programs
    for name, text in logs.items():
        found = log_records.personal_or_credential(text.splitlines())
        assert not found, f"{name}: " + "; ".join(found[:5])


@pytest.mark.item("no-errors-after-deploy")
def test_no_program_logs_an_error_once_all_it_needs_is_up(
    outputs: StackOutputs, live: Live, log_of: Callable[[str], str]
) -> None:
    deployed = max(live.started(part) for part in ("postgres", "kafka"))
    for part in outputs.programs:
        errors = [
            f"{each['logger']}: {each['message']}"
            for each in log_records.records(log_of(part))
            if each.level in log_records.SEVERE
            and (instant := log_records.parse_time(str(each["timestamp"]))) is not None
            and instant >= deployed
        ]
        assert not errors, f"{part}: " + "; ".join(errors[:5])
