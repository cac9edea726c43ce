"""The client can do what the API can: its operations and models are held together with the API's document."""

import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

from wfm import AsyncWorkflowClient, WorkflowClient
from wfm.calls import KEY_HEADER, OPERATIONS, AsyncPart, Operation, SyncPart
from wfm.following import Events
from wfm.generate import DOCUMENT, TARGET, class_name, formatted, generate
from wfm.left_out import LEFT_OUT

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]
WHOLE: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
DESCRIBED = {
    f"{method.upper()} {path}": operation
    for path, operations in WHOLE["paths"].items()
    for method, operation in operations.items()
}
DONE: dict[str, Operation[..., Any]] = {f"{each.method} {each.template}": each for each in OPERATIONS}


def test_the_models_are_those_of_the_document() -> None:
    assert TARGET.read_text(encoding="utf-8") == formatted(generate(WHOLE)), (
        "the API has changed: look at the difference, then run `python -m wfm.generate --write`"
    )


def test_every_operation_of_the_api_is_covered_or_left_out_with_a_reason() -> None:
    missing = sorted(set(DESCRIBED) - set(DONE) - set(LEFT_OUT))
    assert not missing, f"add a function to wfm/operations, or a reason to wfm/left_out.py, for: {missing}"


def test_the_client_does_nothing_that_the_api_does_not_describe() -> None:
    assert set(DONE) <= set(DESCRIBED)


def test_what_is_left_out_is_really_there_has_a_reason_and_is_not_done() -> None:
    assert set(LEFT_OUT) <= set(DESCRIBED) - set(DONE)
    assert all(reason.strip() for reason in LEFT_OUT.values())


def test_no_operation_is_written_twice() -> None:
    assert len(DONE) == len(OPERATIONS)


def _made(operation: Operation[..., Any]) -> Any:
    """The call with a mark in the place of each argument."""
    return operation(**{name: cast("Any", f"<{name}>") for name in operation.parameters})


@pytest.mark.parametrize("route", sorted(DONE))
def test_an_operation_sends_what_the_document_describes_and_reads_what_it_gives(route: str) -> None:
    described, call = DESCRIBED[route], _made(DONE[route])
    parameters = {(each["in"], each["name"]) for each in described.get("parameters", ())}
    given = {("path", name) for name in call.path} | {("query", name) for name in call.query}
    headers = {name.lower() for place, name in parameters if place == "header"}
    assert given == {each for each in parameters if each[0] != "header"}
    assert {name.lower() for name in call.headers} == headers
    assert (call.body is not None) is ("requestBody" in described)
    good = next(answer for status, answer in described["responses"].items() if status.startswith("2"))
    schema = good.get("content", {}).get("application/json", {}).get("schema")
    assert (call.reads.__name__ if call.reads else None) == (
        class_name(schema["$ref"].rsplit("/", 1)[-1]) if schema else None
    )
    assert call.anonymous is (not described["security"])


@pytest.mark.parametrize("route", sorted(DONE))
def test_only_what_changes_nothing_or_has_a_key_is_sent_again(route: str) -> None:
    described, call = DESCRIBED[route], _made(DONE[route])
    changes = not route.startswith("GET ") and described.get("x-audit-action") is not None
    assert call.repeatable is (not changes or KEY_HEADER in call.headers)


def test_every_operation_is_a_method_of_both_clients() -> None:
    for client, part in ((WorkflowClient, SyncPart), (AsyncWorkflowClient, AsyncPart)):
        parts = [each for each in vars(client("http://workflow.test")).values() if isinstance(each, part)]
        members = [value for each in parts for _, value in inspect.getmembers_static(type(each))]
        offered = [value for value in members if type(value) is Operation]
        offered += [value.opens for value in members if type(value) is Events]
        assert {id(each) for each in offered} == {id(each) for each in OPERATIONS}, client.__name__


def test_the_client_needs_nothing_of_the_server() -> None:
    code = (
        "import sys, wfm, wfm.cli.main\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'service', 'ops', 'stacks', 'fastapi', 'sqlalchemy', 'starlette', 'pydantic_settings'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_client_installed_alone_asks_for_what_the_project_is_tested_with() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    alone = tomllib.loads((ROOT / "wfm" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {*whole["dependencies"], *whole["optional-dependencies"]["ops"]}
    assert {*alone["dependencies"], *alone["optional-dependencies"]["cli"]} <= known
    assert alone["scripts"]["wfm"] == whole["scripts"]["wfm"]
    assert (alone["version"], alone["requires-python"]) == (whole["version"], whole["requires-python"])
