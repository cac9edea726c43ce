"""The file backend's lock on a stack: who holds it, and whether that process still lives."""

import contextlib
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """Who locked a stack; `alive` is None where that can't be told because it was another machine."""

    pid: int
    host: str
    since: str
    alive: bool | None


def holders(backend_url: str, project: str, stack: str) -> list[Holder]:
    """The lock's holders. Empty for an unlocked stack and for a backend that is not a folder of this machine."""
    if not backend_url.startswith("file://"):
        return []
    root = Path(backend_url.removeprefix("file://")).expanduser()
    found = []
    for lock in sorted((root / ".pulumi" / "locks" / "organization" / project / stack).glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            content = json.loads(lock.read_text(encoding="utf-8"))
            pid, host = int(content.get("pid", 0)), str(content.get("hostname", ""))
            alive = _is_pulumi(pid) if host == socket.gethostname() else None
            found.append(Holder(pid, host, str(content.get("timestamp", "")), alive))
    return found


def _is_pulumi(pid: int) -> bool:
    """Whether the process lives and is a Pulumi CLI: after a reboot its number may be somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return b"pulumi" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
