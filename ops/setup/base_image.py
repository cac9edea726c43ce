"""The image that all others are built from: the local one, a pulled one, or one made from Debian packages."""

import threading

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound

from images.catalog import BASE_IMAGE
from ops.console import Report
from ops.docker_client import connect

REFERENCE = BASE_IMAGE
PULL_SECONDS = 90.0


def base_image_ready() -> bool:
    """Whether the engine has it."""
    client = connect()
    try:
        client.images.get(REFERENCE)
    except ImageNotFound:
        return False
    finally:
        client.close()
    return True


def ensure_base_image(report: Report) -> None:
    """Pulls it where a registry answers in time; else has `airgap` make it from the Debian mirrors."""
    report(f"pulling {REFERENCE}")
    client = connect(timeout=PULL_SECONDS)
    try:
        if _pull(client, report):
            return
    finally:
        client.close()
    from airgap import base_image

    base_image.ensure(report)


def _pull(client: DockerClient, report: Report) -> bool:
    """Whether the pull succeeded; its bound is a thread's, because the engine retries for minutes by itself."""
    outcome: list[bool] = []

    def pull() -> None:
        try:
            repository, tag = REFERENCE.rsplit(":", 1)
            client.images.pull(repository, tag)
            outcome.append(True)
        except (DockerException, OSError) as error:
            report(f"no image registry gave it ({str(error)[:120]})")
            outcome.append(False)

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    thread.join(PULL_SECONDS)
    return bool(outcome) and outcome[0]
