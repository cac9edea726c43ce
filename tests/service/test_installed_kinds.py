"""Kinds that packages bring: found, judged, and refused by a plain message."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from service.executor.attempt import prepare
from service.executor.definition import StepDefinition
from service.executor.kinds.base import StepFailedError
from service.executor.kinds.installed import UnusableKindError
from service.executor.kinds.noop import NoopAgent
from service.executor.kinds.registry import (
    InvalidAgentSettingsError,
    close_agents,
    create_agents,
    known_kinds,
    least_timeout_seconds,
    settings_problem,
    validate_settings,
)
from service.executor.progress import StepState
from tests.service.example_support import install_example, on_path, write_package
from tests.service.support import NOBODY, make_settings

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
from service.executor.kinds.base import Agent, AgentSettings

class Settings(AgentSettings):
    size: int = 1

class Thing(Agent):
    kind = "thing"
    settings_model = Settings

    async def run(self, settings, step_input, context):
        return settings.size

class Http(Thing):
    kind = "http"

class Shouting(Thing):
    kind = "THING"

class Half(Agent):
    kind = "thing"
    settings_model = Settings

class NoSettings(Thing):
    settings_model = dict

class Loose(AgentSettings, extra="allow"):
    pass

class LooseThing(Thing):
    settings_model = Loose

class Odd(AgentSettings):
    call: object = None
    model_config = {"arbitrary_types_allowed": True}

class Opaque:
    pass

class NoSchema(AgentSettings):
    model_config = {"arbitrary_types_allowed": True}
    what: Opaque

class NoSchemaThing(Thing):
    settings_model = NoSchema

class NeedsMore(Thing):
    def __init__(self, address):
        pass

number = 7
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed the example package."""
    return install_example(tmp_path_factory.mktemp("example"))


def run_service(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder),
        "DATABASE_URL": "postgresql://u:p@127.0.0.1:9/d",
        "KAFKA_BROKERS": NOBODY,
    }
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_kind_of_an_installed_package_is_one_like_any_other(installed: Path) -> None:
    with on_path(installed):
        assert known_kinds()["greet"].package == "greeting-agent 1.0.0"
        stored = validate_settings("greet", {"key": {"secret": "signing"}, "pause_seconds": 2})
        assert stored == {"word": "Hello", "pause_seconds": 2, "key": {"secret": "signing", "prefix": ""}}
        assert least_timeout_seconds("greet", stored) == 2
        assert "greet" in create_agents(make_settings("postgresql://u@h/d"))
    assert "greet" not in known_kinds()


def test_a_process_finds_an_installed_kind_and_says_where_it_comes_from(installed: Path) -> None:
    finished = run_service(installed, "check", "agents")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "greet (greeting-agent 1.0.0), http (builtin)" in finished.stdout


@pytest.mark.parametrize("command", ["api", "executor"])
def test_a_process_stops_with_a_plain_message_when_a_kind_cannot_be_used(tmp_path: Path, command: str) -> None:
    folder = write_package(tmp_path, "brokenpack", "import not_there_at_all\n", thing="brokenpack:Thing")
    finished = run_service(folder, command)
    assert finished.returncode == 2
    assert "An agent kind cannot be used: brokenpack 2.0: brokenpack:Thing" in finished.stdout
    assert "No module named 'not_there_at_all'" in finished.stdout
    assert "Traceback" not in finished.stdout + finished.stderr


def test_an_agent_that_cannot_be_made_stops_the_executor_with_a_plain_message(tmp_path: Path) -> None:
    folder = write_package(tmp_path, "goodpack", GOOD, thing="goodpack:NeedsMore")
    finished = run_service(folder, "executor")
    assert finished.returncode == 2
    assert "goodpack 2.0: an agent of the kind thing cannot be made: TypeError" in finished.stdout


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"http": "goodpack:Http"}, "goodpack 2.0 brings an agent kind http, which is the name of a builtin one"),
        ({"thing": "goodpack:Missing"}, "cannot be imported: AttributeError"),
        ({"thing": "goodpack:number"}, "is not a subclass of service.executor.kinds.base.Agent"),
        ({"thing": "goodpack:Settings"}, "is not a subclass of service.executor.kinds.base.Agent"),
        ({"thing": "goodpack:Half"}, "has no method run"),
        ({"other": "goodpack:Thing"}, "has the attribute kind = 'thing'; the two must be the same"),
        ({"THING": "goodpack:Shouting"}, "has a name that is not small letters, digits and dashes"),
        ({"thing": "goodpack:NoSettings"}, "has no settings_model that is a subclass of AgentSettings"),
        ({"thing": "goodpack:LooseThing"}, "leave extra='forbid' as it is"),
        ({"thing": "goodpack:NoSchemaThing"}, "has settings without a JSON schema"),
    ],
)
def test_a_kind_that_cannot_be_used_is_refused_with_its_package_and_the_reason(
    tmp_path: Path, entry: dict[str, str], reason: str
) -> None:
    with on_path(write_package(tmp_path, "goodpack", GOOD, **entry)), pytest.raises(UnusableKindError) as caught:
        known_kinds()
    assert "goodpack 2.0" in str(caught.value)
    assert reason in str(caught.value)


def test_two_packages_with_the_same_kind_are_both_named(tmp_path: Path) -> None:
    write_package(tmp_path, "firstpack", GOOD, thing="firstpack:Thing")
    write_package(tmp_path, "secondpack", GOOD, thing="secondpack:Thing")
    with on_path(tmp_path), pytest.raises(UnusableKindError) as caught:
        known_kinds()
    assert str(caught.value) == "secondpack 2.0 and firstpack 2.0 both bring an agent kind thing: keep one"


def test_settings_of_a_kind_whose_package_is_gone_are_told_apart_from_wrong_ones() -> None:
    assert settings_problem("greet", {}) == (
        "kind: there is no kind 'greet'; it must be one of approval, delay, http, kafka, noop, transform, workflow"
    )
    with pytest.raises(InvalidAgentSettingsError, match="there is no kind"):
        validate_settings("greet", {})


def test_a_step_of_a_kind_that_this_executor_lacks_fails_for_good_and_says_so() -> None:
    agents = create_agents(make_settings("postgresql://u@h/d"))
    with pytest.raises(StepFailedError) as caught:
        prepare(StepState(StepDefinition("hello", "greet", {})), agents, {})
    assert (caught.value.code, caught.value.retryable) == ("agent-kind", False)
    assert caught.value.detail == (
        "this executor has no agents of the kind 'greet',"
        " only of approval, delay, http, kafka, noop, transform, workflow"
    )


async def test_an_agent_that_cannot_be_closed_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.executor.kinds.registry.CLOSE_SECONDS", 0.05)
    closed = []

    class Closing(NoopAgent):
        def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
            self._work = work

        async def close(self) -> None:
            await self._work()
            closed.append(self)

    async def fail() -> None:
        raise RuntimeError("it is stuck")

    good = Closing(lambda: asyncio.sleep(0))
    await close_agents({"a": Closing(fail), "b": Closing(asyncio.Event().wait), "c": good})
    assert closed == [good]
