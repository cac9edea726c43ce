"""Which images the Docker engine has or can get. Read-only: nothing is pulled here."""

import docker
from docker.errors import DockerException, ImageNotFound, NotFound

REGISTRY_SECONDS = 5
"""How long to ask a registry before the image counts as not to be had."""


def digest_reference(reference: str) -> str | None:
    """The same image by its digest in the registry, or None when the registry does not answer for it.

    The engine asks, with the credentials of `docker login`.
    """
    try:
        engine = docker.from_env(timeout=REGISTRY_SECONDS)
        try:
            data = engine.images.get_registry_data(reference)
        finally:
            engine.close()
    except (DockerException, OSError):
        return None
    repository = reference.rpartition(":")[0] if ":" in reference.rpartition("/")[2] else reference
    return f"{repository}@{data.id}"


def is_absent(reference: str) -> bool:
    """Whether its registry says that it has no such image; False also where nobody here is told, or may ask."""
    try:
        engine = docker.from_env(timeout=REGISTRY_SECONDS)
        try:
            engine.images.get_registry_data(reference)
        finally:
            engine.close()
    except NotFound:
        return True
    except (DockerException, OSError):
        pass
    return False


def why_unavailable(reference: str) -> str | None:
    """None when the engine has the image or its registry answers for it; else the reason in a few words."""
    try:
        engine = docker.from_env(timeout=REGISTRY_SECONDS)
    except DockerException:
        return "the Docker engine does not answer"
    try:
        engine.images.get(reference)
    except ImageNotFound:
        return _why_not_in_registry(engine, reference)
    except DockerException:
        return "the Docker engine does not answer"
    finally:
        engine.close()
    return None


def _why_not_in_registry(engine: docker.DockerClient, reference: str) -> str | None:
    try:
        engine.images.get_registry_data(reference)
    except (DockerException, OSError):
        return f"image {reference} is not on this machine and its registry can't be reached or does not have it"
    return None
