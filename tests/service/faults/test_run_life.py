"""Any order of what may happen to runs leaves them as the rules of their life say."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from service.platform.settings import Settings
from tests.service.faults.life_world import life_world
from tests.service.faults.run_life import RunLife


def _live(api_settings: Settings, *, examples: int, steps: int, derandomize: bool) -> None:
    wanted = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=derandomize,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # What fails is told as it was found: making it shorter takes minutes.
        phases=[Phase.generate],
        print_blob=not derandomize,
    )
    with life_world(api_settings) as world:
        run_state_machine_as_test(lambda: RunLife(world), settings=wanted)


@pytest.mark.ring("service")
def test_no_order_of_events_breaks_a_rule_of_a_runs_life(api_settings: Settings) -> None:
    _live(api_settings, examples=12, steps=30, derandomize=True)


@pytest.mark.ring("faults")
def test_none_of_many_orders_of_events_breaks_a_rule_of_a_runs_life(api_settings: Settings) -> None:
    _live(api_settings, examples=300, steps=50, derandomize=False)
