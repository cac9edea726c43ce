"""Releases to a live cluster: proved, gone back from by command, and by themselves where the proof fails.

The tests of this file are one story and run in this order.
"""

from pathlib import Path

import pytest

from tests.cluster.production import Production

pytestmark = [pytest.mark.ring("faults"), pytest.mark.item("rollback-tested")]

HEADERS = "/app/service/platform/middleware/security_headers"
NO_NOSNIFF = (
    "USER 0",
    f"RUN sed -i s/nosniff/sniff/ {HEADERS}.py && rm -f $(dirname {HEADERS})/__pycache__/security_headers.*",
    "USER 10001",
)
"""A fault that only the verification sees: every probe is content."""


def image_of(production: Production) -> str:
    """What the API's replicas run."""
    return str(production.operator.outputs()["inventory"]["api"]["image"])


def test_a_release_is_proved_and_written_down(production: Production) -> None:
    release = production.release()
    assert release["outcome"] == "verified", release["reason"]
    assert release["images"]["api"] == image_of(production)


def test_rollback_brings_the_earlier_image_back(production: Production, tmp_path: Path) -> None:
    first = image_of(production)
    production.describe("images", api=production.other_api_image(tmp_path))
    second = production.release()
    assert second["outcome"] == "verified", second["reason"]
    assert second["backup"], "no backup was made before it"
    assert image_of(production) != first
    back = production.told("rollback")
    assert back["outcome"] == "verified", back["reason"]
    assert image_of(production) == first


def test_a_release_that_fails_its_verification_goes_back_by_itself(production: Production, tmp_path: Path) -> None:
    good = image_of(production)
    production.describe("images", api=production.other_api_image(tmp_path, *NO_NOSNIFF))
    failed = production.release()
    assert failed["outcome"] == "rolled back", failed["reason"]
    assert image_of(production) == good
    production.settle()
