"""The rings of tests, fast ones first. Each can be run alone; a test names its ring with `pytest.mark.ring`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ring:
    """`setup` tells whether the machine must be set up for it, `browser` whether it needs one besides; `long` ones are
    run only when they are named."""

    name: str
    proves: str
    setup: bool = False
    long: bool = False
    browser: bool = False
    minutes: float = 40.0
    """After which it is ended and counts as failed: about twice what it takes on two processors."""
    processes: int = 1
    """In which its files are shared out. Each has servers of its own, so this is for rings whose tests take them from
    fixtures; more than there are processors where tests wait more than they compute."""


LINT = Ring("lint", "style, formatting and types of our own packages")

RINGS = (
    LINT,
    Ring(
        "unit",
        "models, arithmetic, rules, commands and the program under a mock engine; no machine needed",
        processes=2,
    ),
    Ring("airgap", "language host and provider plugin, spoken to in their protocols", setup=True),
    Ring("images", "each image starts, is healthy, runs as its user, stays small", setup=True),
    Ring(
        "service",
        "the service against a real Postgres, a real Kafka and a real browser",
        setup=True,
        browser=True,
        processes=3,
    ),
    Ring("stack", "a whole stack: up, verified, unchanged by a second up, drift mended, destroyed", setup=True),
    Ring("cluster", "the one-node Kubernetes, and what is deployed to it, alive", setup=True),
    Ring(
        "policies",
        "every mutation of this project is caught by the policy pack, under its own name",
        setup=True,
        long=True,
        minutes=120.0,
    ),
    Ring(
        "faults",
        "planned changes and kill -9 of each part of a production stack, under load",
        setup=True,
        long=True,
        minutes=180.0,
    ),
)

VERIFY = "verify"
"""The ring of the live checks; `deploy-api.sh verify` and the ring `stack` run it against a stack's outputs."""

TEST_RINGS = frozenset({ring.name for ring in RINGS if ring is not LINT} | {VERIFY})


def find(names: list[str]) -> list[Ring]:
    """The rings of that name in the order they are run; all but the long ones for no name. Raises KeyError."""
    if not names:
        return [ring for ring in RINGS if not ring.long]
    known = {ring.name for ring in RINGS}
    for name in names:
        if name not in known:
            raise KeyError(name)
    return [ring for ring in RINGS if ring.name in names]
