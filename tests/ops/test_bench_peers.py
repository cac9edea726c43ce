"""What `bench --peers` makes of its measurements."""

from dataclasses import replace

import pytest

from bench.peers.__main__ import ratios, table
from bench.peers.measuring import Measured

pytestmark = pytest.mark.ring("unit")

OURS = Measured(100, completed=400, submit_p50=10, submit_p95=20, alone_p50=20, alone_p95=30, reads=1000)
PEER = replace(OURS, completed=100, alone_p50=10)


def test_a_ratio_says_how_many_times_better_we_are_whether_more_or_less_is_better() -> None:
    found = ratios({"ours": [OURS], "peer": [PEER]})["peer"]
    assert (found["completed"], found["alone_p50"], found["reads"]) == (4, 0.5, 1)


def test_a_ratio_is_of_the_medians_of_all_rounds() -> None:
    rounds = [replace(OURS, completed=value) for value in (100, 300, 900)]
    assert ratios({"ours": rounds, "peer": [PEER]})["peer"]["completed"] == 3


def test_the_table_shows_the_spread_of_the_rounds() -> None:
    shown = table({"ours": [OURS, replace(OURS, completed=500)], "peer": [PEER]})
    assert "400 to 500" in shown
    assert "100 (4.5x)" in shown
