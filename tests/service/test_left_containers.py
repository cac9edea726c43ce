"""The containers of a run whose processes were killed are taken away by its name, and those of no other run."""

import contextlib
import secrets

import pytest
from docker.models.containers import Container

from tests.left_containers import remove_left
from tests.service.servers import _container

pytestmark = pytest.mark.ring("service")


def test_what_a_run_left_is_removed_and_nothing_of_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run, other = secrets.token_hex(8), secrets.token_hex(8)
    with contextlib.ExitStack() as stack:

        def of(name: str) -> Container:
            monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", name)
            return stack.enter_context(_container("postgres"))

        left, kept = of(run), of(other)
        remove_left(run)
        there = {each.id for each in kept.client.containers.list(all=True, ignore_removed=True)}
    assert left.id not in there
    assert kept.id in there
