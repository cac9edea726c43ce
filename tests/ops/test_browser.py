"""The browser that the console's tests drive is installed before them, or said to be missing."""

from collections.abc import Sequence
from typing import Any

import pytest

from ops import testing
from ops.context import Context
from ops.home import Home
from ops.records import CommandLog
from ops.rings import find
from ops.setup import browser
from policies.view.tree import Tree

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is set up, but for the browser; rings do nothing."""
    monkeypatch.setattr(testing, "tree_of", lambda _path: Tree("a", False))
    monkeypatch.setattr(testing, "set_up", lambda _home, _progress: [])
    monkeypatch.setattr(testing, "_run", lambda _context, _ring: "")
    monkeypatch.setattr(browser.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)


def _outcomes(home: Home) -> list[str]:
    context = Context(home, CommandLog(home.logs, "test"))
    return [outcome.why for outcome in testing.run_rings(context, find(["images", "service"]))]


@pytest.mark.usefixtures("absent")
def test_without_a_browser_only_the_ring_that_needs_one_fails(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser.os, "geteuid", lambda: 1000)
    images, service = _outcomes(home)
    assert images == ""
    assert service.startswith("the machine could not be set up: Chromium is not installed")


@pytest.mark.usefixtures("absent")
def test_root_has_it_installed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Sequence[str]] = []
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0)
    monkeypatch.setattr(browser, "run", lambda command, *_rest: calls.append(command))
    assert _outcomes(home) == ["", ""]
    assert [command[-1] for command in calls] == ["update", "chromium"]


@pytest.fixture
def home(tmp_path: Any) -> Home:
    """A home of its own."""
    return Home(tmp_path / "home").make()
