"""The rules, one file for each family of the catalogue."""

import importlib
import pkgutil


def load() -> None:
    """Imports every family, so that its rules are known."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
