"""Takes the programs of a stack away and keeps its data."""

from docker import DockerClient
from docker.errors import APIError

from ops.console import Report
from ops.errors import OperatorError
from ops.parts import containers


def stop(client: DockerClient, stack: str, report: Report) -> list[str]:
    """Stops the running containers, last started first, each with its own grace; returns the names of the parts.

    They stay stopped when the engine restarts. `up` sees that they are down and brings them back.
    """
    found = containers(client, stack)
    if not found:
        raise OperatorError(f"stack {stack} has no containers on this machine", "nothing is to be stopped")
    running = [
        (name, item) for name, item in found.items() if item.attrs["State"]["Status"] in {"running", "restarting"}
    ]
    running.sort(key=lambda pair: str(pair[1].attrs["State"]["StartedAt"]), reverse=True)
    for name, item in running:
        report(f"stopping {name}")
        grace = int(item.attrs["Config"].get("StopTimeout") or 30)
        try:
            item.stop(timeout=grace)
        except APIError as error:
            raise OperatorError(
                f"{name} could not be stopped: {error.explanation}", "see its log and try again"
            ) from error
    return [name for name, _item in running]
