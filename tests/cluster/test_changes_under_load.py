"""Every planned change of a production stack, each under the full load: no request fails and no run is lost."""

from pathlib import Path

import pytest

from tests.cluster.production import Production
from tests.infra.support.waiting import eventually

pytestmark = [pytest.mark.ring("faults"), pytest.mark.item("zero-5xx-first-hour")]


def test_another_image_rolls_out(deployed: Production, tmp_path: Path) -> None:
    image = deployed.other_api_image(tmp_path)
    before = deployed.pods("api")
    with deployed.flawless_load():
        deployed.describe("images", api=image)
        deployed.up()
    assert not before.items() & deployed.pods("api").items(), "a replica of the old image is left"


def test_a_changed_setting_rolls_api_and_executors(deployed: Production) -> None:
    before = {part: deployed.pods(part) for part in ("api", "executor")}
    with deployed.flawless_load():
        deployed.describe("logging", level="WARNING")
        deployed.up()
    for part, old in before.items():
        assert not old.items() & deployed.pods(part).items(), f"{part} was not replaced"


def test_renewed_certificates_reach_the_visitors(deployed: Production) -> None:
    before = deployed.served_certificate()
    assert before, "the edge shows no certificate"
    with deployed.flawless_load():
        deployed.describe("pki", generation=2)
        deployed.up()
        eventually(
            lambda: deployed.served_certificate() not in {"", before},
            120,
            "the new certificate being served",
            interval=2,
        )


def test_rotated_secrets_lock_nobody_out(deployed: Production) -> None:
    before = deployed.operator.outputs(secrets=True)["adminPassword"]
    with deployed.flawless_load():
        deployed.describe_value("secretGeneration", lambda _before: 2)
        deployed.up()
    after = deployed.operator.outputs(secrets=True)["adminPassword"]
    assert after != before, "the administrator's password was not exchanged"
