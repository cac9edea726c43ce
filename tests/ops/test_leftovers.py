"""What an operation that was cut off leaves behind, and how the next one deals with it."""

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import NotFound

from ops import leftovers
from ops.errors import OperatorError

pytestmark = pytest.mark.ring("unit")


class FakeDocker:
    """An engine with labelled things, which records what is removed."""

    def __init__(self, containers: tuple[str, ...] = (), networks: tuple[str, ...] = (), volumes: tuple[str, ...] = ()):
        self.removed: list[str] = []
        self.containers, self.networks, self.volumes = map(self._collection, (containers, networks, volumes))
        self.api = SimpleNamespace(
            remove_container=lambda identity, **_options: self._remove(identity),
            remove_network=self._remove,
            remove_volume=self._remove,
        )

    def _collection(self, names: tuple[str, ...]) -> SimpleNamespace:
        return SimpleNamespace(list=lambda **_options: [SimpleNamespace(id=f"id-{n}", name=n) for n in names])

    def _remove(self, identity: str) -> None:
        self.removed.append(identity)
        if identity == "id-gone":
            raise NotFound("gone")


class FakePulumi:
    """A state, and whether it was refreshed."""

    def __init__(self, recorded: tuple[str, ...] = (), pending: tuple[str, ...] = ()) -> None:
        self.state: dict[str, Any] = {
            "resources": [{"id": identity} for identity in recorded],
            "pending_operations": [{"type": kind} for kind in pending],
        }
        self.refreshed = 0

    def export(self, _stack: str) -> dict[str, Any]:
        return self.state

    def refresh(self, _stack: str, _report: object) -> None:
        self.refreshed += 1


def _recover(docker: FakeDocker, pulumi: FakePulumi, **options: bool) -> None:
    leftovers.recover(pulumi, docker, "t3f2", lambda _line: None, **options)  # type: ignore[arg-type]


def test_what_a_killed_up_made_without_recording_it_is_removed() -> None:
    docker = FakeDocker(("postgres", "kafka", "gone"), ("network", "half-made"), ("data",))
    pulumi = FakePulumi(("id-postgres", "id-network"), ("creating",))
    _recover(docker, pulumi)
    assert docker.removed == ["id-kafka", "id-gone", "id-half-made"]
    assert pulumi.refreshed == 1


def test_without_a_cut_off_operation_nothing_is_touched() -> None:
    docker, pulumi = FakeDocker(("postgres", "by-hand")), FakePulumi(("id-postgres",))
    _recover(docker, pulumi)
    assert docker.removed == []
    assert pulumi.refreshed == 0


def test_a_stack_that_another_state_made_is_refused_and_left_alone() -> None:
    docker, pulumi = FakeDocker(("postgres",)), FakePulumi()
    with pytest.raises(OperatorError, match="this machine's state does not know: postgres") as refused:
        _recover(docker, pulumi)
    assert "WORKFLOW_HOME" in refused.value.mend
    assert docker.removed == []
    _recover(docker, pulumi, refuse_foreign=False)


def test_destroying_takes_volumes_last() -> None:
    docker = FakeDocker(("postgres",), ("network",), ("data",))
    leftovers.remove(docker, leftovers.find(docker, "t3f2"), lambda _line: None)  # type: ignore[arg-type]
    assert docker.removed == ["id-postgres", "id-network", "id-data"]
