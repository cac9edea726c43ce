"""For every rule the changes under which it turns red, one file for each family."""

import importlib
import pkgutil

from tests.policies.changes import Case


def all_cases() -> list[Case]:
    """The cases of all families: each file has them as CASES."""
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    return [case for module in modules for case in module.CASES]
