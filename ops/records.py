"""The full log of one command, for what does not fit into one line."""

import contextlib
import time
from pathlib import Path

KEPT = 50


class CommandLog:
    """A file made with the first line written to it; the newest fifty are kept."""

    def __init__(self, folder: Path, command: str) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.path = folder / f"{stamp}-{command}.log"
        self._ready = False

    def write(self, line: str) -> None:
        """Adds one line with the time of day. A log that can't be written never breaks the command."""
        with contextlib.suppress(OSError):
            if not self._ready:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                for old in sorted(self.path.parent.glob("2*-*.log"))[: -KEPT + 1]:
                    old.unlink(missing_ok=True)
                self.path.touch(mode=0o600)
                self._ready = True
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%H:%M:%S')} {line}\n")
