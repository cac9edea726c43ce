"""The graph of a workflow's steps, seen from what each step needs. Pure; a graph may be wrong in any way."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

Needs = Mapping[str, Sequence[str]]
"""The ids that each step needs, by its id; also of steps that are not there."""


def ancestors(needs: Needs) -> dict[str, frozenset[str]]:
    """All steps that each step needs directly or through others; in a circle a step is its own ancestor."""
    names = list(needs)
    bit = {name: 1 << place for place, name in enumerate(names)}
    reached = dict.fromkeys(names, 0)
    changed = True
    while changed:
        changed = False
        for name in names:
            found = reached[name]
            for need in needs[name]:
                if need in bit:
                    found |= bit[need] | reached[need]
            if found != reached[name]:
                reached[name], changed = found, True
    return {name: frozenset(other for other in names if reached[name] & bit[other]) for name in names}


def circles(needs: Needs, before: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """One circle of each group of steps that need one another, each as a way that ends where it began."""
    found, seen = [], set[str]()
    for name in needs:
        group = {other for other in before[name] if name in before[other]}
        if len(group) < 2 or name in seen:
            continue
        seen |= group
        try:
            TopologicalSorter({one: [x for x in needs[one] if x in group and x != one] for one in group}).prepare()
        except CycleError as error:
            found.append(list(reversed(error.args[1])))
    return found


def stuck(needs: Needs, before: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """The steps that can never start because of another one, which is named: it needs itself or what is not there."""
    broken = [name for name in needs if name in before[name] or any(need not in needs for need in needs[name])]
    return {
        name: next(one for one in broken if one in before[name])
        for name in needs
        if name not in broken and any(one in before[name] for one in broken)
    }


def waves(needs: Needs) -> list[list[str]]:
    """The steps in groups, each of which may start when the group before is done; raises ValueError for a circle."""
    found: list[list[str]] = []
    waiting = dict(needs)
    while waiting:
        free = [name for name, its in waiting.items() if not any(need in waiting for need in its)]
        if not free:
            raise ValueError("the steps need one another in a circle")
        found.append(free)
        for name in free:
            del waiting[name]
    return found
