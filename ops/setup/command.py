"""Runs a program of this machine with a bound, its words reported as they come."""

import os
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence

from ops.console import Report
from ops.errors import OperatorError


def run(
    command: Sequence[str], report: Report, seconds: float, mend: str, environ: Mapping[str, str] | None = None
) -> str:
    """The program's output, its last 2000 lines. Raises OperatorError, with the telling line, unless it ends well."""
    name = os.path.basename(command[0])  # noqa: PTH119
    deadline = time.monotonic() + seconds
    lines: deque[str] = deque(maxlen=2000)
    try:
        process = subprocess.Popen(
            command, env={**os.environ, **(environ or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise OperatorError(f"{name} could not be started: {error.strerror or error}", mend) from error
    assert process.stdout is not None  # noqa: S101
    os.set_blocking(process.stdout.fileno(), False)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            pending = ""
            while True:
                if time.monotonic() > deadline:
                    raise OperatorError(f"{name} did not end within {seconds:.0f} s", mend)
                if not selector.select(timeout=0.5):
                    if process.poll() is not None:
                        break
                    continue
                chunk = os.read(process.stdout.fileno(), 65536).decode(errors="replace")
                if not chunk:
                    break
                *whole, pending = (pending + chunk).split("\n")
                for line in filter(None, map(str.strip, whole)):
                    lines.append(line)
                    report(line)
        code = process.wait(timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise OperatorError(f"{name} did not end within {seconds:.0f} s", mend) from None
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
        process.stdout.close()
    if code:
        told = next((line for line in reversed(lines) if line.startswith(("E:", "error"))), lines[-1] if lines else "")
        raise OperatorError(f"{' '.join(command[:2])} failed: {told or f'exit code {code}'}", mend)
    return "\n".join(lines)
