"""Ending child processes so that they can clean up behind themselves."""

import contextlib
import os
import signal
import subprocess
from typing import Any


def end(process: "subprocess.Popen[Any]", grace: float = 120.0) -> None:
    """Interrupts a child that leads a session of its own, once, and kills what is left of it after `grace` seconds.

    A session of its own keeps the terminal's Ctrl-C away from the child: a second interrupt would cut its clean-up off.
    """
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
