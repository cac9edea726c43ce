"""What every kind of agents keeps to, the builtin ones and one that a package brings.

A new kind needs an entry in EXAMPLES; a kind without one fails here.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.executor.attempt import PreparedStep, Succeeded, attempt
from service.executor.definition import StepDefinition
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.kinds.registry import (
    BUILTIN_KINDS,
    InvalidAgentSettingsError,
    create_agents,
    known_kinds,
    parse_settings,
    validate_settings,
)
from service.executor.kinds.workflow import Callee, WorkflowAgent
from service.executor.progress import StepState
from service.executor.values import encode
from service.executor.waiting import Waiting
from service.platform.kafka import Delivered, Record
from tests.service.example_support import install_example, on_path
from tests.service.executor_support import Answer, Call, WebServer, json_answer, web_server
from tests.service.servers import eventually
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")

SECRET = "s3cret-of-the-conformance-kit"
TOPIC = "conformance"
CONTEXT = StepContext(run_id=str(UUID(int=1)), step_id="step", attempt=1, correlation_id="req-1")


@dataclass(frozen=True)
class Example:
    """Settings of a kind for each situation; ``{url}`` stands for a server that answers, ``{slow}`` for one that does
    not. What is None the kind cannot do: wait, use a secret, fail."""

    works: Mapping[str, Any]
    waits: Mapping[str, Any] | None = None
    with_secret: Mapping[str, Any] | None = None
    fails: Mapping[str, Any] | None = None
    step_input: Mapping[str, Any] = field(default_factory=lambda: {"name": "Ada", "deep": [{"a": None}]})
    failing_input: Mapping[str, Any] = field(default_factory=dict)


SIGNED = {"secret": "conformance", "prefix": "Bearer "}
EXAMPLES = {
    "approval": Example(works={"prompt": "May it?"}),
    "delay": Example(works={"seconds": 0}, waits={"seconds": 60}),
    "http": Example(
        works={"url": "{url}"},
        waits={"url": "{slow}", "timeout_seconds": 60},
        with_secret={"url": "{url}", "headers": {"Authorization": SIGNED}},
        fails={"url": "{url}/missing", "headers": {"Authorization": SIGNED}},
    ),
    "kafka": Example(works={"topic": TOPIC}, waits={"topic": TOPIC}, fails={"topic": TOPIC, "key": "none"}),
    "noop": Example(works={}),
    "transform": Example(
        works={"expression": "deep[0]"}, fails={"expression": "length(name)"}, failing_input={"name": 1}
    ),
    "workflow": Example(works={"workflow": "there"}, waits={"workflow": "away"}, fails={"workflow": "missing"}),
    "greet": Example(
        works={}, waits={"pause_seconds": 60}, with_secret={"key": SIGNED}, fails={"pause_seconds": 0, "key": SIGNED}
    ),
}


@pytest.fixture(scope="module", autouse=True)
def example_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The kind of the example package is one of those tested."""
    with on_path(install_example(tmp_path_factory.mktemp("example"))):
        yield


@pytest.fixture
def released() -> asyncio.Event:
    """Ends the waits of the server."""
    return asyncio.Event()


@pytest.fixture
async def server(released: asyncio.Event) -> AsyncIterator[WebServer]:
    """Repeats what it is told, keeps /slow waiting, and does not know /missing."""

    async def answer(call: Call) -> Answer:
        if call.path == "/slow":
            await released.wait()
        return json_answer({"headers": dict(call.headers)}, 404 if call.path.endswith("/missing") else 200)

    async with web_server(answer) as found:
        yield found
        released.set()


class Producer:
    """Stands for the one that talks to brokers."""

    answers = True

    def __init__(self, *_: Any, **__: Any) -> None:
        self.stopped = False

    async def send(self, records: Sequence[Record]) -> list[Delivered]:
        """All are taken, or none ever is."""
        if not self.answers:
            await asyncio.Event().wait()
        return [Delivered(0, number) for number, _ in enumerate(records)]

    async def stop(self) -> None:
        """Nothing to give back."""
        self.stopped = True


class StuckProducer(Producer):
    """Has brokers that never answer."""

    answers = False


class Callees:
    """Stands for the database: it has one workflow, and is away when it is asked for another."""

    async def find(self, run_id: UUID, workflow: str, version: int | None) -> Callee:
        """The one, or none, or no answer."""
        if workflow == "away":
            await asyncio.Event().wait()
        return Callee(UUID(int=2), workflow, 1, None, 0) if workflow == "there" else Callee(None, None, None, None, 0)


@dataclass
class Bench:
    """A kind at work."""

    agent: Agent[Any]
    server: WebServer
    example: Example

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """With the addresses filled in."""
        addresses = {"{url}": self.server.url().rstrip("/"), "{slow}": self.server.url("/slow")}
        text = json.dumps(given)
        for mark, address in addresses.items():
            text = text.replace(mark, address)
        return dict(json.loads(text))

    async def run(
        self, given: Mapping[str, Any], step_input: Mapping[str, Any] | None = None, *, seconds: float = 30
    ) -> Succeeded | Waiting | StepFailedError:
        """One attempt."""
        kind = self.agent.kind
        step = StepDefinition("step", kind, {}, timeout_seconds=seconds)
        parsed = parse_settings(kind, self.settings(given))
        wanted = dict(self.example.step_input if step_input is None else step_input)
        return await attempt(PreparedStep(StepState(step), self.agent, parsed, wanted), CONTEXT)


@pytest.fixture
def producer() -> type[Producer]:
    """Kafka takes everything."""
    return Producer


@pytest.fixture
async def bench(
    kind: str, producer: type[Producer], server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """The kind that the test is parametrised with; what all kinds hold is given back promptly."""
    monkeypatch.setattr("service.executor.kinds.kafka.BoundedProducer", producer)
    monkeypatch.setattr("service.executor.kinds.kafka._STOP_SECONDS", 0.5)
    (tmp_path / "conformance").write_text(SECRET + "\n")
    agents = create_agents(
        make_settings(
            "postgresql://u@h/d",
            http_agent_allowed_hosts=f"127.0.0.1:{server.port}",
            kafka_agent_topics=TOPIC,
            agent_secrets_dir=str(tmp_path),
        )
    )
    caller = agents["workflow"]
    assert isinstance(caller, WorkflowAgent)
    caller.callees = Callees()
    yield Bench(agents[kind], server, EXAMPLES[kind])
    async with asyncio.timeout(5):
        for agent in agents.values():
            await agent.close()


stuck = pytest.mark.parametrize("producer", [StuckProducer])
"""Kafka never answers."""


def having(what: str) -> pytest.MarkDecorator:
    """The kinds whose example has this situation."""
    return pytest.mark.parametrize("kind", [kind for kind, each in EXAMPLES.items() if getattr(each, what) is not None])


every = pytest.mark.parametrize("kind", EXAMPLES)


def tasks() -> set["asyncio.Task[Any]"]:
    """All that is under way but this test."""
    return asyncio.all_tasks() - {task for task in [asyncio.current_task()] if task is not None}


async def gone(before: set["asyncio.Task[Any]"]) -> bool:
    """Whether no task is left that was not there before."""
    return not {task for task in tasks() - before if not task.done()}


def open_files() -> int:
    """Files and sockets of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_kind_is_examined() -> None:
    assert set(EXAMPLES) == set(known_kinds()) == {*BUILTIN_KINDS, "greet"}


@every
async def test_settings_are_stored_once_and_for_all(kind: str, bench: Bench) -> None:
    for given in (bench.example.works, bench.example.waits, bench.example.with_secret, bench.example.fails):
        if given is not None:
            stored = validate_settings(kind, bench.settings(given))
            assert json.loads(json.dumps(stored)) == stored
            assert validate_settings(kind, stored) == stored


@every
def test_a_misspelt_setting_is_refused_with_its_name(kind: str) -> None:
    with pytest.raises(InvalidAgentSettingsError) as caught:
        validate_settings(kind, {**EXAMPLES[kind].works, "surprise": 1})
    assert "surprise" in [error.path for error in caught.value.errors]


@every
def test_settings_do_not_change_once_they_are_read(kind: str) -> None:
    assert known_kinds()[kind].settings_model.model_config.get("frozen") is True


@every
async def test_the_output_is_json_that_can_be_stored(kind: str, bench: Bench) -> None:
    outcome = await bench.run(bench.example.works)
    assert isinstance(outcome, Succeeded | Waiting), outcome
    left = outcome.output if isinstance(outcome, Succeeded) else outcome.as_json()
    assert json.loads(encode(left)) == left


@every
async def test_the_input_is_left_as_it_was(kind: str, bench: Bench) -> None:
    step_input = dict(bench.example.step_input)
    before = json.dumps(step_input)
    await bench.run(bench.example.works, step_input)
    assert json.dumps(step_input) == before


@every
async def test_a_kind_that_is_instant_never_waits(kind: str, bench: Bench) -> None:
    if bench.agent.instant:
        assert bench.example.waits is None
        work = asyncio.ensure_future(bench.run(bench.example.works))
        await asyncio.sleep(0)
        assert work.done(), "it gave the loop a turn in between"


@having("waits")
@stuck
async def test_a_cancelled_step_ends_promptly_and_leaves_nothing(
    kind: str, bench: Bench, released: asyncio.Event
) -> None:
    assert bench.example.waits is not None
    before, files = tasks(), open_files()
    work = asyncio.ensure_future(bench.run(bench.example.waits))
    if kind == "http":
        await eventually(lambda: _has_calls(bench), "the call to arrive")
    else:
        done, _ = await asyncio.wait({work}, timeout=0.05)
        assert not done
    work.cancel()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await work
    released.set()
    await bench.agent.close()
    await eventually(lambda: gone(before), "the tasks to end", seconds=5)
    await eventually(lambda: _closed(files), "the files to be closed", seconds=5)


@having("waits")
@stuck
async def test_the_steps_timeout_ends_the_attempt_and_another_may_help(kind: str, bench: Bench) -> None:
    assert bench.example.waits is not None
    async with asyncio.timeout(5):
        outcome = await bench.run(bench.example.waits, seconds=0.2)
    assert isinstance(outcome, StepFailedError)
    assert (outcome.code, outcome.retryable) == ("timeout", True)


@having("fails")
async def test_a_failure_has_a_stable_code_and_is_no_breakdown(kind: str, bench: Bench) -> None:
    assert bench.example.fails is not None
    outcome = await bench.run(bench.example.fails, bench.example.failing_input)
    assert isinstance(outcome, StepFailedError)
    assert re.fullmatch(r"[a-z][a-z0-9-]{1,40}", outcome.code)
    assert outcome.code not in ("agent", "output", "timeout"), outcome.detail
    assert SECRET not in json.dumps(outcome.as_json())


@having("with_secret")
async def test_a_secret_is_in_neither_the_output_nor_the_log(
    kind: str, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert bench.example.with_secret is not None
    with caplog.at_level("DEBUG"):
        outcome = await bench.run(bench.example.with_secret)
    assert isinstance(outcome, Succeeded), outcome
    assert SECRET not in encode(outcome.output)
    assert SECRET not in caplog.text


@having("with_secret")
async def test_a_missing_secret_fails_for_good_under_its_name(kind: str, bench: Bench) -> None:
    assert bench.example.with_secret is not None
    bench.agent.secret_folder = None
    outcome = await bench.run(bench.example.with_secret)
    assert isinstance(outcome, StepFailedError)
    assert (outcome.code, outcome.retryable) == ("secret-missing", False)
    assert "'conformance'" in outcome.detail


async def _has_calls(bench: Bench) -> bool:
    return bool(bench.server.calls)


async def _closed(files: int) -> bool:
    return open_files() <= files
