"""Brings this tree's images into a registry and tells them by their digest there."""

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import docker
import docker.errors
import requests

from images import catalog
from images.build import PARALLEL_BUILDS, Report
from images.errors import ImagePushError

SILENCE_SECONDS = 600
REPORT_SECONDS = 2.0


def push(
    names: Iterable[str], registry: str, report: Report, client: docker.DockerClient | None = None
) -> dict[str, str]:
    """Makes sure that the registry has every named image; returns their references by digest.

    The engine pushes, with the credentials of `docker login`. An image whose tag the registry has already is not pushed
    again: tags are made of the content. Raises ImagePushError; the images must have been built.
    """
    engine = client if client is not None else docker.from_env(timeout=SILENCE_SECONDS)
    stop = threading.Event()

    def one(name: str) -> tuple[str, str]:
        return name, _push_one(engine, name, registry, report, stop)

    pool = ThreadPoolExecutor(max_workers=PARALLEL_BUILDS, thread_name_prefix="push")
    try:
        return dict(pool.map(one, list(names)))
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        if client is None:
            engine.close()


def digest_of(engine: docker.DockerClient, reference: str) -> str | None:
    """The image's digest in its registry (`sha256:...`); None when the registry does not have it or does not answer."""
    try:
        return str(engine.images.get_registry_data(reference).id)
    except (docker.errors.DockerException, requests.RequestException):
        return None


def _push_one(engine: docker.DockerClient, name: str, registry: str, report: Report, stop: threading.Event) -> str:
    tagged = catalog.registry_reference(registry, name)
    repository, _, tag = tagged.rpartition(":")
    if present := digest_of(engine, tagged):
        report(f"{name}: the registry has it")
        return f"{repository}@{present}"
    try:
        engine.images.get(catalog.reference(name)).tag(repository, tag)
        digest = ""
        told = 0.0
        for event in cast("Iterator[dict[str, Any]]", engine.api.push(repository, tag, stream=True, decode=True)):
            if stop.is_set():
                raise ImagePushError(f"Pushing image '{name}' was given up.", "Another push had failed.")
            if "error" in event:
                raise _failure(name, registry, str((event.get("errorDetail") or {}).get("message") or event["error"]))
            digest = str((event.get("aux") or {}).get("Digest") or digest)
            if (detail := str(event.get("progress") or "")) and time.monotonic() - told > REPORT_SECONDS:
                told = time.monotonic()
                report(f"{name}: pushing {detail.rpartition(']')[2].strip()}")
    except docker.errors.ImageNotFound:
        raise ImagePushError(
            f"Image '{name}' ({catalog.reference(name)}) is not on this machine.", "Build it: ./deploy-api.sh setup."
        ) from None
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise _failure(name, registry, str(error)) from error
    digest = digest or digest_of(engine, tagged) or ""
    if not digest:
        raise _failure(name, registry, "the registry told no digest")
    report(f"{name}: pushed {tagged}")
    return f"{repository}@{digest}"


def _failure(name: str, registry: str, said: str) -> ImagePushError:
    text = " ".join(said.split())
    low = text.lower()
    mend = "Run the command again; what is pushed is kept."
    if any(sign in low for sign in ("unauthorized", "denied", "authentication required", "no basic auth")):
        mend = f"Log in with rights to push: docker login {registry.partition('/')[0]}."
    elif any(sign in low for sign in ("refused", "no such host", "timeout", "timed out", "unreachable", "lookup")):
        mend = "Start the registry or mend kubernetes.registry in the stack's description; then run the command again."
    elif "server gave http response to https client" in low:
        mend = "Give the registry a certificate, or list it under insecure-registries in the Docker engine's settings."
    elif "x509" in low or "certificate" in low:
        mend = "Put the registry's CA where the Docker engine looks for it (/etc/docker/certs.d/<registry>/ca.crt)."
    return ImagePushError(f"Image '{name}' could not be pushed to {registry}: {text.rstrip('.')}.", mend)
