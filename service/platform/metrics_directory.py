"""Arranges that several worker processes share their metric values.

Apart from ``service.platform.metrics`` because prometheus_client reads the variable when it is imported, and this must
come first.
"""

import os
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def prepare(directory: Path) -> None:
    """Make the processes started from here share their values in ``directory``; what lies there is removed."""
    directory.mkdir(parents=True, exist_ok=True)
    for left_over in directory.glob("*.db"):
        left_over.unlink()
    os.environ[VARIABLE] = str(directory)
