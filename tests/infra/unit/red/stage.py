"""Runs a check of the live verification on a scene: the check itself, with the fixtures that it has on a live stack."""

import ast
import inspect
import itertools
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.infra.support import kubernetes_live
from tests.infra.support.tls import server_context
from tests.infra.unit.red.scene import Scene
from tests.infra.unit.red.scene_live import SceneLive
from tests.infra.verify import conftest

Check = Callable[..., None]
Fault = Callable[[Scene], None]
FAILURES = (AssertionError, pytest.fail.Exception)
trust = cache(server_context)
"""Made once: reading what the machine trusts takes longer than a check."""
FOLDER = Path(conftest.__file__).parent / "kubernetes"


@dataclass(frozen=True)
class Red:
    """A check, and the smallest fault that has to turn it red."""

    check: Check
    fault: Fault

    def __str__(self) -> str:
        return f"{name_of(self.check)}: {self.fault.__name__}"


@dataclass
class Reds:
    """The red cases of one file."""

    cases: list[Red] = field(default_factory=list)

    def __call__(self, *checks: Check) -> Callable[[Fault], Fault]:
        """Marks a function that plants a fault for these checks."""

        def planted(fault: Fault) -> Fault:
            self.cases += [Red(check, fault) for check in checks]
            return fault

        return planted


def hastily(check: Callable[[], Any], timeout: float, what: str = "the condition", interval: float = 0.1) -> Any:
    """In the place of `waiting.eventually`: a few looks are enough where nothing changes by itself."""
    for _ in range(3):
        if answer := check():
            return answer
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true")


class Fixtures:
    """The fixtures of a check: those of the live verification, on top of a scene."""

    def __init__(self, scene: Scene, module: ModuleType, leave: ExitStack) -> None:
        self._scene = scene
        self._module = module
        self._leave = leave
        self._made: dict[str, Any] = {"eventually": hastily, "record_property": lambda name, value: None}

    def get(self, name: str) -> Any:
        """The fixture of that name, made once."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Any:
        if name == "outputs":
            return self._scene.outputs()
        if name == "live":
            return self._leave.enter_context(closing(SceneLive(self.get("outputs"), self._scene)))
        if name == "prometheus":
            return self._leave.enter_context(self._scene.prometheus())
        definition = getattr(self._module, name, None) or getattr(conftest, name)
        made = self.call(definition.__wrapped__)
        if not isinstance(made, Iterator):
            return made
        self._leave.callback(lambda: next(made, None))
        return next(made)

    def call(self, function: Callable[..., Any], **given: Any) -> Any:
        """Calls a function with the fixtures that its parameters name."""
        wanted = inspect.signature(function).parameters
        return function(**given, **{name: self.get(name) for name in wanted if name not in given})


@cache
def checks() -> dict[str, Check]:
    """Every check that only a stack on a cluster has, by name."""
    found: dict[str, Check] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        module = f"{FOLDER.relative_to(FOLDER.parents[3]).as_posix().replace('/', '.')}.{path.stem}"
        __import__(module)
        for name, value in vars(sys.modules[module]).items():
            if name.startswith("test_") and inspect.isfunction(value):
                found[name_of(value)] = value
    return found


def name_of(check: Check) -> str:
    """File and name."""
    return f"{check.__module__.rpartition('.')[2]}.{check.__name__}"


def parameters(check: Check) -> list[dict[str, Any]]:
    """Every set of parameters with which pytest runs a check."""
    axes = []
    for mark in getattr(check, "pytestmark", ()):
        if mark.name == "parametrize":
            names = [name.strip() for name in mark.args[0].split(",")]
            values = [[value] if len(names) == 1 else value for value in mark.args[1]]
            axes.append([dict(zip(names, value, strict=True)) for value in values])
    return [{name: value for part in chosen for name, value in part.items()} for chosen in itertools.product(*axes)]


def run(check: Check, given: dict[str, Any], fault: Fault | None = None) -> BaseException | None:
    """How the check ends on a scene with a fault: None when it passes."""
    scene, module = Scene(), sys.modules[check.__module__]
    scene.params = given
    if fault is not None:
        fault(scene)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as leave:
        leave.callback(scene.close)
        patch.setattr(kubernetes_live, "server_context", trust)
        for name, value in scene.constants.items():
            patch.setattr(module, name, value)
        try:
            Fixtures(scene, module, leave).call(check, **given)
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:  # noqa: BLE001  it is judged
            return error
    return None


@cache
def outcome(case: Red) -> tuple[BaseException | None, ...]:
    """How a check ends on its fault, once for each set of its parameters."""
    return tuple(run(case.check, given, case.fault) for given in parameters(case.check))


@dataclass(frozen=True, order=True)
class Site:
    """A place where a check may fail: the lines of one statement."""

    file: str
    first: int
    last: int
    text: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.first}: {self.text}"


def sites(path: Path) -> set[Site]:
    """Every assertion of a file: `assert`, an error that has to come, and a bounded wait."""
    source = path.read_text(encoding="utf-8")
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and _may_fail(node):
            text = source.splitlines()[node.lineno - 1].strip()
            found.add(Site(path.name, node.lineno, node.end_lineno or node.lineno, text))
    return found


def _may_fail(node: ast.stmt) -> bool:
    if isinstance(node, ast.With):
        return "pytest.raises" in ast.unparse(node.items[0])
    if isinstance(node, ast.Assign | ast.Expr):
        return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "eventually"
    return isinstance(node, ast.Assert)


def failed_at(error: BaseException) -> set[tuple[str, int]]:
    """The lines of checks that an error went through, by file."""
    frames = traceback.extract_tb(error.__traceback__)
    return {(Path(each.filename).name, each.lineno or 0) for each in frames if Path(each.filename).parent == FOLDER}
