"""A container that can't be asked is an error, not an empty answer."""

from typing import Any

import pytest
import testinfra

from tests.infra.support.inside import Said, run_inside

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def here() -> Any:
    """This machine in the place of a container."""
    return testinfra.get_host("local://")


def test_output_and_code_are_told(here: Any) -> None:
    assert run_inside(here, "api", "printf %s; exit 3", "two words") == Said(3, "two words", "")
    assert run_inside(here, "api", "true") == Said(0, "", "")


def test_lines_of_the_output_are_kept(here: Any) -> None:
    assert run_inside(here, "api", "echo one; echo two").stdout == "one\ntwo\n"


def test_a_container_that_is_gone_is_an_error() -> None:
    class Gone:
        def run(self, *_: str) -> Any:
            return type("Result", (), {"rc": 1, "stdout": "", "stderr": "No such container: workflow-api"})

    with pytest.raises(AssertionError, match="no command can be run inside api: No such container"):
        run_inside(Gone(), "api", "ls /nowhere")  # type: ignore[arg-type]
