"""Enough free disk for the images, the data and the builds."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from ops.errors import OperatorError

NEEDED_BYTES = 6_000_000_000


def check_disk(folders: Iterable[Path], needed: int = NEEDED_BYTES) -> None:
    """Raises OperatorError for the first folder whose file system has too little left."""
    for folder in folders:
        place = folder
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < needed:
            raise OperatorError(
                f"only {free / 1e9:.1f} GB are free at {place}; {needed / 1e9:.0f} GB are needed",
                "free disk space (docker system prune removes unused images), or set WORKFLOW_HOME to a larger disk",
            )
