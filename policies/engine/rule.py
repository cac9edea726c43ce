"""How a rule is written, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from policies.view.targets import Place
from policies.view.values import Value


@dataclass(frozen=True)
class Fault:
    """What a rule found: where, what is wrong there, and what would be right if the rule itself does not say.

    No text ever holds a value of the deployment: it might be a secret. Paths and names of settings are fine.
    """

    where: Value | Place | str
    """A Place where the rule's subject is more than one resource, so that it is known whose field it is."""
    what: str
    wanted: str = ""
    mend: str = ""

    @property
    def path(self) -> str:
        """The field's path in its resource."""
        return self.where if isinstance(self.where, str) else self.where.path

    @property
    def urn(self) -> str:
        """The resource, where the rule names it."""
        return self.where.resource.urn if isinstance(self.where, Place) else ""


PRODUCTION_ITSELF = "prod itself"
"""For `environments` of a rule: production, and not its rehearsals, whose data are nobody's."""

ASKED_OF = {"dev": {"dev"}, "prod": {"prod", PRODUCTION_ITSELF}, "rehearsal": {"prod"}}
"""Which `environments` of a rule mean a profile."""

Check = Callable[[Any], Iterator[Fault] | Iterable[Fault]]
C = TypeVar("C", bound=Check)


@dataclass(frozen=True)
class Rule:
    """One check of one requirement. A requirement may have several; each looks at as few fields as it can, because an
    unknown field leaves the rest of its own check unevaluated, and only that."""

    item: str
    """The id in the catalogue."""
    name: str
    on: type
    """What it looks at: one of the subjects of policies.engine.subjects."""
    check: Check
    wanted: str
    mend: str
    parts: frozenset[str]
    """Only these parts of our own platform, where its subject is one; empty: all."""
    environments: frozenset[str]
    """Only these, because the requirement differs between them: dev, prod (which its rehearsals are, too), or
    PRODUCTION_ITSELF; empty: all."""
    kinds: frozenset[str]
    """Only these kinds of resource, or what is in them; empty: all."""
    where: Callable[[Any], bool]
    """Only the subjects for which this holds: what it leaves out is not counted as right."""

    @property
    def says(self) -> str:
        """What it demands and why, in a sentence."""
        return (self.check.__doc__ or "").strip()


_RULES: list[Rule] = []


def rule(
    item: str,
    *,
    on: type,
    wanted: str,
    mend: str = "",
    parts: Iterable[str] = (),
    environments: Iterable[str] = (),
    kinds: Iterable[str] = (),
    where: Callable[[Any], bool] = lambda _subject: True,
) -> Callable[[C], C]:
    """Makes a function a rule: it is given one subject and yields a Fault for each thing that is wrong with it.

    `wanted` says what would be right, `mend` names the config key (`api.workers`) or how else to mend it. Values are
    asked for by `.text()`, `.flag()` and the like, which raise NotKnownError for what can't be known: let it through,
    the engine then says "not evaluated". The docstring is what `policy explain` shows.
    """

    def register(check: C) -> C:
        if not (check.__doc__ or "").strip():
            raise TypeError(f"rule {check.__name__} of {item} has no docstring, which people read as its reason")
        made = Rule(
            item,
            check.__name__,
            on,
            check,
            wanted,
            mend,
            frozenset(parts),
            frozenset(environments),
            frozenset(kinds),
            where,
        )
        if any(each.name == made.name for each in _RULES):
            raise TypeError(f"there are two rules with the name {made.name}")
        _RULES.append(made)
        return check

    return register


def all_rules() -> tuple[Rule, ...]:
    """Every rule, by its file and its place in it: whoever imported one of them first."""
    import policies.rules

    policies.rules.load()
    return tuple(sorted(_RULES, key=lambda each: (each.check.__module__, each.check.__code__.co_firstlineno)))
