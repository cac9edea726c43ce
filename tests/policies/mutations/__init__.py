"""For every requirement the smallest change of this project that breaks it, one file for each family."""

import importlib
import pkgutil

from tests.policies.mutations.harness import Mutation

NOT_FAMILIES = {"good_tree", "harness", "try_out", "table"}


def all_mutations() -> list[Mutation]:
    """The mutations of all families: each file has them as MUTATIONS."""
    names = [each.name for each in pkgutil.iter_modules(__path__) if each.name not in NOT_FAMILIES]
    return [each for name in names for each in importlib.import_module(f"{__name__}.{name}").MUTATIONS]
