"""What callers of the released API rely on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from policies.engine.rule import Fault, rule
from policies.view.interface import Comparison, operations
from policies.view.project import Project

ITEM = "api-versioning"
CURRENT, RELEASED = "service/openapi.json", "docs/api/released.json"
GUIDE = "docs/api/leaving-{version}.md"
"""How callers get from one version of the interface to the next."""

_BESIDE = re.compile(r"/(health(/ready)?|metrics|docs|redoc|openapi\.json)")
"""What stands beside the business routes, at the root: health, figures and documentation."""

_VERSION = re.compile(r"/(v[0-9]+)/")
"""The version in a path: /api/v1/agents is of v1."""


def _document(project: Project, path: str) -> dict[str, Any]:
    try:
        found = json.loads(project.text(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _serves_an_interface(project: Project) -> bool:
    return project.text(CURRENT) is not None


@rule(
    "api-prefix-setting", on=Project, where=_serves_an_interface, wanted="a path below a version, such as /api/v1/runs",
    mend="add the route to the router that is mounted at API_PREFIX",
)  # fmt: skip
def business_routes_are_below_a_version(project: Project) -> Iterator[Fault]:
    """A route outside the prefix is not guarded, counted and versioned with the others."""
    for path in _document(project, CURRENT).get("paths", {}):
        if not _BESIDE.fullmatch(path) and not _VERSION.search(path):
            yield Fault(CURRENT, f"the route {path} is not below the prefix")


@rule(
    ITEM, on=Project, where=_serves_an_interface, wanted="the document of the last release",
    mend=f"copy {CURRENT} there with each release",
)  # fmt: skip
def the_released_interface_is_written_down(project: Project) -> Iterator[Fault]:
    """Without what callers were promised nobody can tell whether it is kept."""
    if not operations(_document(project, RELEASED)):
        yield Fault(RELEASED, "there is no document with operations")


@rule(
    ITEM, on=Project, where=_serves_an_interface, wanted="the operation, until a release has told that it goes",
    mend="put it back and mark it deprecated; take it away one release later",
)  # fmt: skip
def released_operations_are_still_there(project: Project) -> Iterator[Fault]:
    """Callers can't change on the day that we do. An operation goes only after a release in which it was deprecated."""
    current = operations(_document(project, CURRENT))
    for name, operation in operations(_document(project, RELEASED)).items():
        if name not in current and not operation.get("deprecated"):
            yield Fault(CURRENT, f"{name} is gone, and no release said that it would go")


@rule(
    ITEM, on=Project, where=_serves_an_interface, wanted="an interface that callers of before can use",
    mend="bring the change under a new version of the prefix, beside the old one",
)  # fmt: skip
def released_operations_still_work_for_their_callers(project: Project) -> Iterator[Fault]:
    """A field that is gone or newly required breaks programs that we neither know nor can mend."""
    old, new = _document(project, RELEASED), _document(project, CURRENT)
    for name in sorted(operations(old).keys() & operations(new).keys()):
        for what in Comparison(old, new).of(name):
            yield Fault(CURRENT, f"{name}: {what}")


@rule(
    ITEM, on=Project, where=_serves_an_interface, wanted="a guide for callers",
    mend=f"write {GUIDE.format(version='v1')}",
)  # fmt: skip
def callers_are_told_how_to_leave_what_goes(project: Project) -> Iterator[Fault]:
    """A deprecation that does not say what to use instead only worries."""
    found = {**operations(_document(project, RELEASED)), **operations(_document(project, CURRENT))}
    versions = {
        match[1]
        for name, operation in found.items()
        if operation.get("deprecated") and (match := _VERSION.search(name))
    }
    for version in sorted(versions):
        guide = GUIDE.format(version=version)
        if not (project.text(guide) or "").strip():
            yield Fault(guide, f"operations of {version} are deprecated, and there is no guide")
