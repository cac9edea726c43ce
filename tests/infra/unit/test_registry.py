"""What a registry tells of an image, and what it can't be asked."""

import pytest

from tests.infra.support import registry
from tests.infra.support.live import CannotTellError

pytestmark = pytest.mark.ring("unit")

MANIFEST = {"config": {"size": 10, "digest": "sha256:c"}, "layers": [{"size": 200}, {"size": 300}]}
CONFIG = {
    "config": {"User": "10001:10001", "Labels": {"org.opencontainers.image.version": "1.0.0"}, "Env": ["A=b"]},
    "history": [{"created_by": "RUN something"}],
}


def test_size_user_labels_and_history_are_read() -> None:
    found = registry.facts(MANIFEST, CONFIG)
    assert (found.size, found.user) == (510, "10001:10001")
    assert found.labels["org.opencontainers.image.version"] == "1.0.0"
    assert "RUN something" in found.history
    assert "A=b" in found.history


def test_an_image_without_a_user_is_roots() -> None:
    assert registry.facts(MANIFEST, {"config": {}}).user == "0"


@pytest.mark.parametrize("reference", ["workflow-api:1", "grafana/grafana:12.2.1"])
def test_an_image_without_a_registry_in_its_name_can_not_be_asked_about(reference: str) -> None:
    with pytest.raises(CannotTellError, match="names no registry"):
        registry.image_facts(reference)


def test_a_registry_that_is_away_is_told_as_such() -> None:
    with pytest.raises(CannotTellError, match="does not tell"):
        registry.image_facts("localhost:9/workflow/api@sha256:aaaa")
