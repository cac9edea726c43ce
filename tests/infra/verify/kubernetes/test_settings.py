"""Settings that production asks for, seen in what runs."""

from collections.abc import Callable

import httpx
import pytest

from tests.infra.support.inside import Said
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.workflow_api import WorkflowApi

pytestmark = [
    pytest.mark.ring("verify"),
    pytest.mark.target("kubernetes", why="the catalogue asks it of production only, which runs on a cluster"),
]


@pytest.mark.item("metrics-flag-on")
def test_figures_are_on(environment: Callable[[str], dict[str, str]], inner: httpx.Client) -> None:
    assert environment("api")["ENABLE_METRICS"] == "true"
    assert inner.get("/metrics").status_code == httpx.codes.OK


@pytest.mark.item("audit-logging-flag-on")
def test_a_write_adds_one_audit_record(environment: Callable[[str], dict[str, str]], admin: WorkflowApi) -> None:
    assert environment("api")["ENABLE_AUDIT_LOGGING"] == "true"
    agent = admin.agent()
    listed = admin.get("/audit").json()["items"]
    assert [each["action"] for each in listed if each["subject_id"] == agent["id"]] == ["agent.create"]


@pytest.mark.item("api-reload-off")
def test_the_server_does_not_reload_its_code(
    environment: Callable[[str], dict[str, str]], everywhere: Callable[..., dict[str, Said]]
) -> None:
    assert environment("api")["API_RELOAD"] == "false"
    words = everywhere("cat /proc/[0-9]*/cmdline | tr '\\0' ' '", parts=["api"])["api"]
    assert words.stdout
    assert "reload" not in words.stdout


@pytest.mark.item("log-format-json", "debug-mode-off")
def test_programs_write_json_and_no_debugging(
    outputs: StackOutputs, environment: Callable[[str], dict[str, str]]
) -> None:
    for part in outputs.programs:
        given = environment(part)
        assert given["LOG_FORMAT"] == "json", part
        assert given["LOG_LEVEL"] in {"INFO", "WARNING", "WARN"}, part
        assert given["DATABASE_ECHO"] == "false", part
