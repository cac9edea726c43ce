"""What is found of mutations: `python -m tests.policies.mutations.try_out [FAMILY|ITEM ...]`; without names, of all.

For whoever writes one; the tests ask the same. Exit code 1 unless each is caught as it says.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.policies.mutations import all_mutations
from tests.policies.mutations.good_tree import GoodTree, good_tree
from tests.policies.mutations.harness import Mutation, judged, mutated


def what_is_wrong(mutation: Mutation, tree: GoodTree) -> str:
    """Why it is not caught as it should be: exactly its requirement, by its rule; nothing when it is."""
    with mutated(mutation, tree) as changed:
        document = judged(changed, mutation.stack, as_released=mutation.as_released)
    blocking = [each for each in document["findings"] if each["blocks"] or each.get("level") == "advisory"]
    found = {each["item"] for each in blocking}
    wanted = {mutation.item, *mutation.consequences}
    told = "\n".join(dict.fromkeys(f"    {_line(each)}" for each in blocking))
    if found != wanted:
        return f"wanted {sorted(wanted)}, found {sorted(found)}\n{told}"
    checks = {each["check"] for each in blocking if each["item"] == mutation.item}
    return "" if mutation.check in checks else f"wanted the rule {mutation.check}, found {sorted(checks)}\n{told}"


def _line(finding: dict[str, Any]) -> str:
    return f"{finding['item']} {finding['check']} {finding.get('path', '')}: {finding.get('what', '')}"


def main(names: list[str]) -> int:
    """Tries them and tells."""
    chosen = [
        each
        for each in all_mutations()
        if not names or each.item in names or any(each in _family(name) for name in names)
    ]
    failed = 0
    with tempfile.TemporaryDirectory() as folder, good_tree(Path(folder)) as tree:
        for mutation in chosen:
            try:
                wrong = what_is_wrong(mutation, tree)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                wrong = str(error)
            failed += bool(wrong)
            sys.stdout.write(f"{'✗' if wrong else '✓'} {mutation.id}  {wrong}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - failed} of {len(chosen)} caught\n")
    return 1 if failed or not chosen else 0


def _family(name: str) -> list[Mutation]:
    try:
        return list(importlib.import_module(f"tests.policies.mutations.{name}").MUTATIONS)
    except ModuleNotFoundError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
