"""Status, health, logs, stop and migrate, over containers as an engine describes them."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

from ops.errors import OperatorError
from ops.health import await_ready, http_probe, stack_health
from ops.logs import choose, seconds_of, whole_lines
from ops.migrate import one_shot_config
from ops.parts import Part, live_parts
from ops.status import describe, status_table
from ops.stop import stop

pytestmark = pytest.mark.ring("unit")


class FakeContainer:
    """What the SDK gives for one container."""

    def __init__(self, part: str, state: str = "running", started: str = "2026-01-01T00:00:01Z", **more: Any) -> None:
        self.name = f"workflow-{part}"
        self.id = f"id-{part}"
        self.labels = {"workflow.stack": "t3f2", "workflow.part": part, **more.get("labels", {})}
        self.attrs = {
            "Config": {"Image": f"workflow-{part}:1.0.0", "StopTimeout": more.get("grace")},
            "State": {"Status": state, "ExitCode": more.get("code", 0), "StartedAt": started},
            "RestartCount": 0,
            "NetworkSettings": {"Ports": more.get("ports", {})},
        }
        if health := more.get("health"):
            self.attrs["State"]["Health"] = {"Status": health}
        self.stopped_with: int | None = None

    def stop(self, timeout: int) -> None:
        self.stopped_with = timeout


class FakeClient:
    """An engine that has some containers and filters by label as the real one does."""

    def __init__(self, *items: FakeContainer) -> None:
        self.items = items
        self.containers = self
        self.asked: list[str] = []

    def list(self, all: bool, filters: dict[str, str], ignore_removed: bool) -> list[FakeContainer]:
        self.asked.append(filters["label"])
        name, _, value = filters["label"].partition("=")
        return [item for item in self.items if item.labels.get(name) == value]

    def get(self, name: str) -> FakeContainer:
        from docker.errors import NotFound

        for item in self.items:
            if item.name == name:
                return item
        raise NotFound(name)


def _parts(*items: FakeContainer, inventory: dict[str, Any] | None = None) -> list[Part]:
    return live_parts(FakeClient(*items), "t3f2", inventory)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("container", "verdict"),
    [
        (FakeContainer("api", health="healthy"), "ok"),
        (FakeContainer("api", health="starting"), "starting"),
        (FakeContainer("api", health="unhealthy"), "failed"),
        (FakeContainer("api", "exited", code=1), "failed"),
        (FakeContainer("api", "exited", code=137), "stopped"),
        (FakeContainer("api", "restarting"), "starting"),
        (FakeContainer("migrations", "exited", labels={"workflow.kind": "job"}), "ok"),
        (FakeContainer("migrations", "exited", code=3, labels={"workflow.kind": "job"}), "failed"),
        (FakeContainer("migrations", labels={"workflow.kind": "job"}), "starting"),
    ],
)
def test_a_state_means_what_it_means_for_that_kind_of_part(container: FakeContainer, verdict: str) -> None:
    assert [part.verdict for part in _parts(container)] == [verdict]


def test_a_part_that_should_be_there_and_is_not_is_shown_as_absent() -> None:
    inventory = {"kafka": {"container": "workflow-kafka", "image": "workflow-kafka:1", "kind": "stateful"}}
    (part,) = _parts(inventory=inventory)
    assert (part.name, part.verdict, part.container) == ("kafka", "absent", "workflow-kafka")


def test_status_has_the_promised_shape() -> None:
    ports = {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}], "9404/tcp": None}
    parts = _parts(FakeContainer("api", health="healthy", ports=ports))
    outputs = {
        "inventory": {"api": {"container": "workflow-api"}},
        "missing": {"grafana": "its image can't be had"},
        "urls": {"api": "http://127.0.0.1:8000"},
    }
    status = json.loads(json.dumps(describe("t3f2", outputs, parts)))
    assert status == {
        "stack": "t3f2",
        "target": "docker",
        "authority": None,
        "deployed": True,
        "healthy": True,
        "missing": {"grafana": "its image can't be had"},
        "urls": {"api": "http://127.0.0.1:8000"},
        "parts": [
            {
                "part": "api",
                "container": "workflow-api",
                "image": "workflow-api:1.0.0",
                "kind": "service",
                "state": "running",
                "health": "healthy",
                "verdict": "ok",
                "exitCode": None,
                "restarts": 0,
                "startedAt": "2026-01-01T00:00:01Z",
                "ports": {"8000/tcp": "127.0.0.1:8000"},
            }
        ],
    }


def test_the_status_table_names_what_is_not_deployed_and_why() -> None:
    status = describe("t3f2", {"missing": {"grafana": "no registry"}}, _parts(FakeContainer("api")))
    console = Console(record=True, width=160, file=None)
    with console.capture() as shown:
        console.print(status_table(status))
    assert "grafana" in shown.get()
    assert "no registry" in shown.get()


def test_a_job_that_only_prepares_is_shown_when_it_failed() -> None:
    def job(part: str, code: int) -> FakeContainer:
        return FakeContainer(part, "exited", code=code, labels={"workflow.kind": "job"})

    inventory = {"migrations": {"container": "workflow-migrations"}}
    parts = _parts(job("migrations", 0), job("api-config", 0), job("kafka-config", 1))
    status = describe("t3f2", {"inventory": inventory}, parts)
    assert [part["part"] for part in status["parts"]] == ["kafka-config", "migrations"]
    assert status["healthy"] is False


def test_a_stack_without_containers_is_not_healthy() -> None:
    assert describe("t3f2", {}, [])["healthy"] is False


def test_stopping_goes_backwards_through_the_start_and_leaves_ended_jobs_alone() -> None:
    postgres = FakeContainer("postgres", started="2026-01-01T00:00:01Z", grace=60)
    api = FakeContainer("api", started="2026-01-01T00:00:09Z")
    job = FakeContainer("migrations", "exited", started="2026-01-01T00:00:05Z")
    assert stop(FakeClient(postgres, api, job), "t3f2", lambda _line: None) == ["api", "postgres"]  # type: ignore[arg-type]
    assert (postgres.stopped_with, api.stopped_with, job.stopped_with) == (60, 30, None)


def test_logs_of_an_unknown_part_name_the_known_ones() -> None:
    client = FakeClient(FakeContainer("api"), FakeContainer("kafka"))
    with pytest.raises(OperatorError, match="has no part web") as refused:
        choose(client, "t3f2", "web")  # type: ignore[arg-type]
    assert refused.value.mend == "name one of: api, kafka"


def test_log_lines_come_whole_whatever_the_chunks() -> None:
    assert list(whole_lines(iter([b"on", b"e\ntw", b"o\r\nthree"]))) == ["one", "two", "three"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_spans_of_time_are_read(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


def test_a_span_that_is_none_is_refused() -> None:
    with pytest.raises(OperatorError, match="--since yesterday"):
        seconds_of("yesterday")


def test_migrations_run_again_as_the_stack_runs_them() -> None:
    attributes = {
        "Config": {
            "Image": "workflow-api:1", "Cmd": ["migrate"], "Entrypoint": ["python"], "Env": ["A=b"], "User": "10001",
            "Hostname": "abc", "Labels": {"workflow.part": "migrations"},
        },
        "HostConfig": {
            "Binds": ["config:/config:ro"], "ReadonlyRootfs": True, "Memory": 1, "AutoRemove": True,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        },
        "NetworkSettings": {"Networks": {"orchestrator-network": {"Aliases": ["migrations"]}}},
    }  # fmt: skip
    config = one_shot_config(attributes, "t3f2")
    assert config["Cmd"] == ["migrate"]
    assert config["HostConfig"]["Binds"] == ["config:/config:ro"]
    assert config["HostConfig"]["ReadonlyRootfs"] is True
    assert config["HostConfig"]["AutoRemove"] is False
    assert config["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert config["NetworkingConfig"] == {"EndpointsConfig": {"orchestrator-network": {}}}
    assert config["Labels"]["workflow.part"] != "migrations"
    assert "Hostname" not in config


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ready = self.path == "/health"
        body = {"status": "healthy"} if ready else {"status": "not_ready", "checks": {"kafka": "disconnected"}}
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join(timeout=10)


def test_health_names_the_part_that_is_not_ready(server: str) -> None:
    status = describe("t3f2", {"urls": {"api": server}}, _parts(FakeContainer("api", health="healthy")))
    health = stack_health(status)
    answers = {probe["target"]: (probe["ok"], probe["detail"]) for probe in health["probes"]}
    assert answers[f"{server}/health"] == (True, "200 healthy")
    assert answers[f"{server}/health/ready"] == (False, "503 not_ready, kafka disconnected")
    assert answers["workflow-api"] == (True, "running, healthy")
    assert health["healthy"] is False


def test_waiting_for_readiness_ends_with_what_is_not_ready(server: str) -> None:
    said: list[str] = []
    with pytest.raises(OperatorError, match="/health/ready is not ready after 0 s: 503 not_ready, kafka disconnected"):
        await_ready({"api": server}, said.append, seconds=0.4)
    assert said
    await_ready({"elsewhere": server}, said.append, seconds=0.4)


def test_the_engines_first_look_is_not_waited_for_where_the_part_answers(server: str) -> None:
    parts = _parts(FakeContainer("api", health="starting"), FakeContainer("kafka", health="starting"))
    probes = {p["target"]: p["ok"] for p in stack_health(describe("t3f2", {"urls": {"api": server}}, parts))["probes"]}
    assert (probes["workflow-api"], probes["workflow-kafka"]) == (True, False)


def test_nobody_listening_is_a_failed_probe() -> None:
    probe = http_probe("http://127.0.0.1:9/health")
    assert not probe.ok
    assert "refused" in probe.detail
