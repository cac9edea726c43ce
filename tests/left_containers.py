"""What a run of tests in several processes leaves behind when these are killed: containers, known by the run's name."""

import os

import docker
import docker.errors

RUN = "workflow.test.run"
"""The label that names the run."""


def run_label() -> dict[str, str]:
    """The label of a container that this process makes; none where the tests run in one process, which cleans up."""
    name = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return {RUN: name} if name else {}


def remove_left(run: str) -> None:
    """Removes the run's containers with their volumes. Where there is no Docker there are none."""
    try:
        client = docker.from_env(timeout=60)
    except docker.errors.DockerException:
        return
    try:
        for container in client.containers.list(all=True, ignore_removed=True, filters={"label": f"{RUN}={run}"}):
            try:
                container.remove(force=True, v=True)
            except docker.errors.APIError:
                continue  # somebody else is removing it
    finally:
        client.close()
