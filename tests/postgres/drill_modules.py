"""The drill's modules as the image runs them: beside one another in one folder, with a driver that is only there."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parents[2] / "images/postgres/files/usr/local/lib/workflow"
NAMES = ("drill_tables", "drill_point", "drill_restore", "restore_drill")


class DriverError(Exception):
    """What the image's driver raises."""


@contextmanager
def drill_modules() -> Iterator[dict[str, Any]]:
    """The modules by name; forgotten after the block."""
    driver = ModuleType("psycopg2")
    driver.Error = driver.OperationalError = DriverError  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in (*NAMES, "psycopg2")}
    sys.modules["psycopg2"] = driver
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
