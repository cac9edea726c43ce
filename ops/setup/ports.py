"""The ports a stack publishes are free, or held by the stack itself."""

import contextlib
import errno
import os
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from ops.errors import OperatorError

LOOPBACK = "127.0.0.1"
_LISTENING = "0A"


def check_ports(wanted: Mapping[str, int], own: Collection[int], stack: str) -> None:
    """Raises OperatorError for the first port that something else holds, naming its process where that can be seen.

    `wanted` maps config keys to host ports; `own` are the ports that the stack's containers publish already.
    """
    for key, port in wanted.items():
        if port in own or _is_free(port):
            continue
        holder = holder_of(port)
        raise OperatorError(
            f"port {port} ({key} of stack {stack}) is taken{f' by {holder}' if holder else ''}",
            f"end that program, or choose another port: workflow-platform:{key} in Pulumi.{stack}.yaml",
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                # A low port: the engine, which is root, may bind it though this user may not. Then ask by connecting.
                probe.settimeout(1)
                return probe.connect_ex((LOOPBACK, port)) != 0
            return False
    return True


def holder_of(port: int) -> str:
    """Name and number of the process that listens on the port; empty when this user can't see it."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                if os.readlink(handle) in inodes:  # noqa: PTH115
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
