"""The life of a copy of the dev stack on the real engine, from the first `up` to a `destroy` that leaves nothing.

The tests of this file are one story and run in this order.
"""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import docker
import httpx
import pytest
import yaml

from checklist.secret_scan import SecretScanner
from ops.home import PROJECT_DIR, Home
from stacks.ephemeral import ephemeral_stack
from stacks.model import PROJECT
from tests.infra.support import container_facts, deployed_secrets, kafka_inside
from tests.infra.support.hidden import Hidden
from tests.infra.support.operator import Operator
from tests.infra.support.waiting import eventually
from tests.infra.support.workflow_api import WorkflowApi, step, told

pytestmark = pytest.mark.ring("stack")

LONGEST_START = 120.0  # seconds until a program is back after its dependency
MEBIBYTE = 1024**2


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    """The operator of an ephemeral copy of the dev stack, which is destroyed at the end whatever happened."""
    client = docker.from_env(timeout=120)
    with ephemeral_stack(PROJECT_DIR, base="dev") as name:
        it = Operator(name, client)
        try:
            yield it
        finally:
            it.run("destroy", "--yes")
            client.close()


@pytest.fixture
def caller(operator: Operator) -> Iterator[WorkflowApi]:
    """A caller with the administrator's rights, once the API is ready."""
    outputs = operator.outputs(secrets=True)
    base = f"{outputs['urls']['api']}/api/v1"
    eventually(lambda: _ready(operator), LONGEST_START, "the API being ready", interval=0.5)
    body = {"username": outputs["adminUsername"], "password": outputs["adminPassword"]}
    answer = httpx.post(f"{base}/auth/login", json=body, timeout=10)
    assert answer.status_code == httpx.codes.OK, f"the log-in answered {answer.status_code}"
    with WorkflowApi(base, {"Authorization": f"Bearer {answer.json()['access_token']}"}) as it:
        yield it


def _readiness(operator: Operator) -> httpx.Response | None:
    try:
        return httpx.get(f"{operator.outputs()['urls']['api']}/health/ready", timeout=10)
    except httpx.TransportError:
        return None


def _ready(operator: Operator) -> bool:
    answer = _readiness(operator)
    return answer is not None and answer.status_code == httpx.codes.OK


def _completes(caller: WorkflowApi) -> dict[str, Any]:
    run = caller.finished(caller.execute(caller.workflow(step("only", caller.agent()))), 60)
    assert run["status"] == "completed", run
    return run


def _all_secrets(operator: Operator) -> dict[str, Hidden]:
    outputs = operator.outputs(secrets=True)
    found = {"adminPassword output": Hidden(outputs["adminPassword"])}
    for part, deployed in outputs["inventory"].items():
        files = deployed_secrets.read(operator.docker.containers.get(deployed["container"]))
        found.update({f"{part}: {name}": Hidden(value) for name, value in files.items()})
    return found


@pytest.mark.item("deploy-command-tested")
def test_the_first_up_makes_the_stack(operator: Operator) -> None:
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    left = operator.left()
    assert left["networks"] == [f"{operator.stack}-network"]
    assert {f"{operator.stack}-{part}" for part in ("management-api", "postgres", "kafka")} <= set(left["containers"])
    assert left["volumes"]


@pytest.mark.item("infrastructure-test-suite", "e2e-tests-pass", "deploy-command-tested")
def test_the_live_checks_pass(operator: Operator) -> None:
    record = operator.record()
    assert len(record["items"]) > 50


@pytest.mark.item("deploy-command-tested")
def test_a_second_up_changes_nothing(operator: Operator, record_property: Callable[[str, object], None]) -> None:
    changes = operator.engine.up(operator.stack)
    record_property("no_op_up_seconds", round(changes.seconds, 2))
    assert changes.drift == {}
    assert changes.total == 0
    assert changes.counts["same"] > 0


@pytest.mark.item("deploy-command-tested")
def test_a_program_stopped_and_a_limit_changed_by_hand_are_seen_and_mended(operator: Operator) -> None:
    operator.container("relay").stop(timeout=30)
    changed = operator.container("alertmanager")
    declared = changed.attrs["HostConfig"]["Memory"]
    changed.update(mem_limit=declared + 64 * MEBIBYTE, memswap_limit=declared + 64 * MEBIBYTE)
    seen = operator.engine.preview(operator.stack, refresh=True).drift
    assert {"relay", "alertmanager"} <= seen.keys(), f"the preview sees only {seen}"
    operator.engine.up(operator.stack)
    assert operator.container("relay").attrs["State"]["Running"]
    assert operator.container("alertmanager").attrs["HostConfig"]["Memory"] == declared
    assert operator.engine.up(operator.stack).total == 0


@pytest.mark.item("deploy-command-tested")
def test_a_container_removed_by_hand_comes_back(operator: Operator) -> None:
    operator.container("executor").remove(force=True)
    assert "executor" in operator.engine.preview(operator.stack, refresh=True).drift
    operator.engine.up(operator.stack)
    assert container_facts.state_faults(operator.container("executor").attrs) == []


@pytest.mark.item("workflow-completes")
def test_runs_complete_again_after_the_mending(caller: WorkflowApi) -> None:
    _completes(caller)


@pytest.mark.item("stack-secrets-encrypted", "service-passwords-from-secrets")
def test_no_secret_is_in_clear_in_state_inspect_or_logs(operator: Operator) -> None:
    scanner = SecretScanner(_all_secrets(operator))
    files = operator.state_files()
    assert files, "the backend has no file about the stack"
    leaks = [leak for path in files for leak in scanner.scan_text(path.name, path.read_text(errors="replace"))]
    leaks += scanner.scan_text("exported state", json.dumps(operator.engine.export(operator.stack)))
    leaks += scanner.scan_text("plain outputs", json.dumps(operator.outputs()))
    label = {"label": f"workflow.stack={operator.stack}"}
    for each in operator.docker.containers.list(all=True, filters=label):
        leaks += scanner.scan_text(f"inspect of {each.name}", repr(each.attrs))
        leaks += scanner.scan_text(f"log of {each.name}", each.logs().decode(errors="replace"))
    for path in Home.of().logs.glob("*.log"):
        leaks += scanner.scan_text(path.name, path.read_text(errors="replace"))
    assert not leaks, "\n".join(map(str, leaks))


@pytest.mark.item("jwt-secret-random", "jwt-secret-unique-per-environment")
def test_every_generated_secret_is_another_one(operator: Operator) -> None:
    generated = {name: value for name, value in _all_secrets(operator).items() if "database_url" not in name}
    wanted = {"api: jwt", "postgres: password", "postgres: monitoring", "adminPassword output"}
    assert wanted <= generated.keys()
    assert len({generated[name] for name in wanted}) == len(wanted), "two secrets are the same"
    assert all(len(generated[name]) >= 64 for name in wanted), "a generated secret is short"


@pytest.mark.item("readiness-detects-failure", "liveness-endpoint")
@pytest.mark.parametrize(("part", "check"), [("postgres", "database"), ("kafka", "kafka")])
def test_readiness_names_a_lost_dependency_and_recovers_by_itself(operator: Operator, part: str, check: str) -> None:
    url = operator.outputs()["urls"]["api"]
    operator.container(part).stop(timeout=60)
    try:

        def told_so() -> dict[str, Any] | None:
            answer = httpx.get(f"{url}/health/ready", timeout=10)
            body = dict(answer.json())
            return body if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else None

        body = eventually(told_so, 30, f"readiness noticing that {part} is gone", interval=0.5)
        assert body["status"] == "not_ready"
        assert body["checks"][check] == "disconnected"
        assert [name for name, state in body["checks"].items() if state != "connected"] == [check]
        assert httpx.get(f"{url}/health", timeout=10).status_code == httpx.codes.OK
    finally:
        operator.container(part).start()
    eventually(lambda: _ready(operator), LONGEST_START, f"readiness after {part} is back", interval=0.5)


@pytest.mark.item("workflow-completes")
def test_runs_complete_after_the_dependencies_were_away(caller: WorkflowApi) -> None:
    _completes(caller)


@pytest.mark.item("executor-scale-out", "executors-started")
def test_another_executor_joins_when_the_description_asks_for_it(operator: Operator, caller: WorkflowApi) -> None:
    path = PROJECT_DIR / f"Pulumi.{operator.stack}.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"][f"{PROJECT}:executor"]["instances"] = 2
    path.write_text(yaml.safe_dump(document))
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    second = operator.container("executor-2")
    assert container_facts.environment(second.attrs)["EXECUTOR_ID"] == "worker-2"

    def members() -> int:
        api = operator.container("api")
        done = api.exec_run(["python", "-c", kafka_inside.SOURCE, "state"], stderr=False)
        groups = json.loads(done.output)["groups"] if done.exit_code == 0 else {}
        return max((group["members"] for group in groups.values()), default=0)

    eventually(lambda: members() >= 2, LONGEST_START, "the second executor in the consumer group", interval=2)
    _completes(caller)


@pytest.mark.item("persistent-volumes", "deploy-command-tested")
def test_stop_takes_the_programs_away_and_up_brings_all_back_with_the_data(
    operator: Operator, caller: WorkflowApi
) -> None:
    run = _completes(caller)
    volumes = operator.left()["volumes"]
    assert operator.run("stop").code == 0
    label = {"label": f"workflow.stack={operator.stack}"}
    assert operator.docker.containers.list(filters=label) == [], "programs still run after `stop`"
    assert operator.left()["volumes"] == volumes
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    eventually(lambda: _ready(operator), LONGEST_START, "the API being ready after `stop` and `up`", interval=0.5)
    again = caller.get(f"/runs/{run['id']}")
    assert again.status_code == httpx.codes.OK, told(again)
    assert again.json() == run
    _completes(caller)


@pytest.mark.item("persistent-volumes")
def test_data_survives_the_replacement_of_the_database_container(operator: Operator, caller: WorkflowApi) -> None:
    run = _completes(caller)
    before = operator.container("postgres").id
    operator.container("postgres").remove(force=True)
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    assert operator.container("postgres").id != before
    eventually(lambda: _ready(operator), LONGEST_START, "the API being ready", interval=0.5)
    assert caller.get(f"/runs/{run['id']}").json() == run


@pytest.mark.item("required-ports-free")
def test_a_busy_port_is_refused_in_one_line_with_its_mend_and_nothing_is_changed(operator: Operator) -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with ephemeral_stack(PROJECT_DIR, base="dev", api={"publishedPort": port}) as name:
            refused = Operator(name, operator.docker)
            answer = refused.run("up")
            assert answer.code == 1, str(answer)
            errors = [line for line in answer.err.splitlines() if line.startswith("error:")]
            mends = [line for line in answer.err.splitlines() if line.startswith("mend:")]
            assert (len(errors), len(mends)) == (1, 1), str(answer)
            assert str(port) in errors[0]
            assert "api.publishedPort" in mends[0]
            assert "Traceback" not in answer.err
            assert not any(refused.left().values())
            assert not refused.engine.exists(name)


@pytest.mark.item("config-values-validated")
def test_a_wrong_description_is_refused_with_its_key_and_nothing_is_changed(operator: Operator) -> None:
    with ephemeral_stack(PROJECT_DIR, base="dev", api={"defaultPageSize": 500}) as name:
        refused = Operator(name, operator.docker)
        answer = refused.run("up")
        assert answer.code == 1, str(answer)
        (error,) = [line for line in answer.err.splitlines() if line.startswith("error:")]
        assert "api.defaultPageSize" in error
        assert not any(refused.left().values())
        assert not refused.engine.exists(name)


@pytest.mark.item("deploy-command-tested")
def test_destroy_leaves_nothing(operator: Operator) -> None:
    names = operator.left()
    answer = operator.run("destroy", "--yes")
    assert answer.code == 0, str(answer)
    assert operator.left() == {"containers": [], "networks": [], "volumes": []}
    assert names["containers"], "there was nothing to destroy"
    everything = {each.name for each in operator.docker.containers.list(all=True)}
    everything |= {each.name for each in operator.docker.networks.list()}
    everything |= {each.name for each in operator.docker.volumes.list()}
    assert not {name for name in everything if name.startswith(f"{operator.stack}-")}
    assert not operator.engine.exists(operator.stack)
    anonymous = {name for name in names["volumes"] if len(name) == 64}
    assert not anonymous, "the stack had volumes without a name"
