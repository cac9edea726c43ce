"""The priority of a run, and what it is worth."""

from typing import Annotated

from pydantic import Field

HIGHEST = 9
LIFT_SECONDS = 60
"""What one step of priority is worth in age, where runs wait for the same: so every run's turn comes."""

Priority = Annotated[
    int,
    Field(
        ge=0,
        le=HIGHEST,
        description="Runs with a higher one are taken up before others that wait; each step counts as much as a"
        " minute of waiting, so that none waits for ever",
    ),
]
