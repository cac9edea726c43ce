"""The documented arithmetic."""

import pytest

from stacks import sizing

pytestmark = pytest.mark.ring("unit")


@pytest.mark.parametrize(("cores", "workers"), [(1, 3), (4, 9), (0.5, 2)])
def test_workers_are_two_for_each_core_and_one(cores: float, workers: int) -> None:
    assert sizing.recommended_workers(cores) == workers


def test_the_documented_production_pool_is_sixty_connections_for_an_instance() -> None:
    assert sizing.smallest_pool(4) <= 20
    assert sizing.overflow_of(20) == 40
    assert sizing.connections_of(3, 20, 40) == 180
