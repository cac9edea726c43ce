"""Pushing to a registry: what is there stays, what is missing is pushed, and refusals come with what helps."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import docker
import docker.errors
import pytest

from images import catalog
from images.errors import ImagePushError
from images.push import push

pytestmark = pytest.mark.ring("unit")

REGISTRY = "registry.test:5000"
DIGEST = "sha256:" + "cd" * 32


class FakeEngine:
    """An engine with images, before a registry with some; notes what is tagged and pushed."""

    def __init__(self, present: set[str], events: list[dict[str, Any]], local: bool = True) -> None:
        self.present, self.events, self.local = present, events, local
        self.pushed: list[str] = []
        self.tagged: list[str] = []
        self.images = SimpleNamespace(get_registry_data=self._data, get=self._get)
        self.api = SimpleNamespace(push=self._push)

    def _data(self, reference: str) -> SimpleNamespace:
        if reference not in self.present:
            raise docker.errors.NotFound("manifest unknown")
        return SimpleNamespace(id=DIGEST)

    def _get(self, reference: str) -> SimpleNamespace:
        if not self.local:
            raise docker.errors.ImageNotFound(reference)
        return SimpleNamespace(tag=lambda repository, tag: self.tagged.append(f"{repository}:{tag}"))

    def _push(self, repository: str, tag: str, **_options: bool) -> Iterator[dict[str, Any]]:
        self.pushed.append(f"{repository}:{tag}")
        yield from self.events


def pushed(engine: FakeEngine, *names: str) -> dict[str, str]:
    return push(names, REGISTRY, lambda _line: None, cast(docker.DockerClient, engine))


def test_an_image_that_the_registry_has_is_not_pushed_again() -> None:
    engine = FakeEngine({catalog.registry_reference(REGISTRY, "api")}, [])
    assert pushed(engine, "api") == {"api": f"{REGISTRY}/workflow-api@{DIGEST}"}
    assert engine.pushed == []


def test_a_missing_image_is_pushed_under_its_content_tag_and_told_by_digest() -> None:
    engine = FakeEngine(set(), [{"status": "Pushing", "progress": "[=> ] 1MB"}, {"aux": {"Digest": DIGEST}}])
    assert pushed(engine, "api", "kafka") == {
        "api": f"{REGISTRY}/workflow-api@{DIGEST}",
        "kafka": f"{REGISTRY}/workflow-kafka@{DIGEST}",
    }
    wanted = {catalog.registry_reference(REGISTRY, name) for name in ("api", "kafka")}
    assert set(engine.pushed) == set(engine.tagged) == wanted


def test_an_image_that_was_not_built_is_told_with_the_way_to_build_it() -> None:
    with pytest.raises(ImagePushError) as refused:
        pushed(FakeEngine(set(), [], local=False), "api")
    assert "not on this machine" in refused.value.reason
    assert "setup" in refused.value.mend


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("unauthorized: authentication required", "docker login registry.test:5000"),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "Start the registry"),
        ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
        ("x509: certificate signed by unknown authority", "certs.d"),
        ("something else", "Run the command again"),
    ],
)
def test_a_refusal_of_the_registry_comes_with_what_helps(said: str, mend: str) -> None:
    with pytest.raises(ImagePushError) as refused:
        pushed(FakeEngine(set(), [{"error": said, "errorDetail": {"message": said}}]), "api")
    assert said in refused.value.reason
    assert mend in refused.value.mend


def test_a_push_that_ends_without_a_digest_is_a_failure() -> None:
    with pytest.raises(ImagePushError, match="told no digest"):
        pushed(FakeEngine(set(), [{"status": "Pushed"}]), "api")
