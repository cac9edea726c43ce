"""What programs are made of: whether the same comes again when it is installed again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from policies.engine.rule import Fault, rule
from policies.rules.project_images import has_recipes
from policies.view.project import Project

ITEM = "dependencies-pinned"

LOCKS: Mapping[str, tuple[str, ...]] = {
    "requirements/service.lock": (),
    "requirements/dev.lock": ("ops", "dev"),
}
"""The lock files, and the extras of pyproject.toml that each holds beside the service's own dependencies."""

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
"""`name==version` at the begin of a line."""

MEND = "write the locks anew (CONTRIBUTING.md, Change a dependency)"


def _has_dependencies(project: Project) -> bool:
    return bool(_wanted(project, ()))


def _wanted(project: Project, extras: tuple[str, ...]) -> list[str]:
    described = project.pyproject.get("project", {})
    optional = described.get("optional-dependencies", {})
    return [*described.get("dependencies", []), *(each for extra in extras for each in optional.get(extra, []))]


@cache
def _pins(text: str) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall(text)}


@rule(ITEM, on=Project, where=_has_dependencies, wanted="a lock that holds what pyproject.toml asks for", mend=MEND)
def locks_match_the_declared_dependencies(project: Project) -> Iterator[Fault]:
    """A lock that lags behind installs something else than what was written and reviewed."""
    for path, extras in LOCKS.items():
        text = project.text(path)
        if text is None:
            yield Fault(path, "the lock file is missing")
            continue
        for asked in _wanted(project, extras):
            try:
                requirement = Requirement(asked)
            except InvalidRequirement:
                yield Fault("pyproject.toml", "a dependency can't be understood")
                continue
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            locked = _pins(text).get(canonicalize_name(requirement.name))
            if locked is None:
                yield Fault(path, f"{requirement.name} is not in the lock")
            elif not _fits(requirement, locked):
                yield Fault(path, f"{requirement.name} is locked at a version that pyproject.toml does not allow")


def _fits(requirement: Requirement, locked: str) -> bool:
    try:
        return requirement.specifier.contains(Version(locked), prereleases=True)
    except InvalidVersion:
        return False


@rule(ITEM, on=Project, wanted="name==version with --hash=sha256:... for every package", mend=MEND,
      where=lambda project: bool(project.files("requirements/*.lock")))  # fmt: skip
def locks_name_exact_versions_with_hashes(project: Project) -> Iterator[Fault]:
    """A range is another version tomorrow, and a version without a hash is whatever the index hands out under it."""
    for file in project.files("requirements/*.lock"):
        path = file.relative_to(project.root).as_posix()
        text = (project.text(path) or "").replace("\\\n", " ")
        for number, line in enumerate(text.splitlines(), start=1):
            entry = line.partition(" #")[0].strip()
            if not entry or entry.startswith(("#", "-")):
                continue
            if not PIN.match(entry):
                yield Fault(path, f"entry {number} of the lock has no exact version")
            elif "--hash=sha256:" not in entry:
                yield Fault(path, f"entry {number} of the lock has no hash")


@rule(ITEM, on=Project, wanted="the same versions in both locks", mend=MEND,
      where=lambda project: all(project.text(path) is not None for path in LOCKS))  # fmt: skip
def what_is_tested_is_what_is_shipped(project: Project) -> Iterator[Fault]:
    """Tests run with the versions of dev.lock; the image holds those of service.lock."""
    shipped, tested = (_pins(project.text(path) or "") for path in LOCKS)
    for name, version in shipped.items():
        if tested.get(name) != version:
            yield Fault("requirements/dev.lock", f"{name} is not tested in the version that is shipped")


@rule(ITEM, on=Project, where=has_recipes, wanted="installed from a lock, by hash", mend="the Dockerfile")
def images_install_libraries_from_a_lock(project: Project) -> Iterator[Fault]:
    """Otherwise each build may hold other libraries, and a rollback that builds anew does not bring the old ones back.
    What is copied out of a builder's stage counts as much as what is installed into the image."""
    for recipe in project.recipes.values():
        for stage in recipe.stages:
            for run in stage.of("RUN"):
                if any(_installs_freely(words) for words in run.commands):
                    yield Fault(run.place, "libraries are installed without a lock")


def _installs_freely(words: list[str]) -> bool:
    start = " ".join(words[:3])
    if re.match(r"(pip3?|python[\d.]* -m pip|uv pip) ", start + " ") and "install" in words:
        return "--require-hashes" not in words
    return words[:2] in (["npm", "install"], ["npm", "i"], ["yarn", "add"], ["go", "get"], ["cargo", "add"]) or (
        words[:2] in (["yarn", "install"], ["pnpm", "install"])
        and not {"--frozen-lockfile", "--immutable"} & set(words)
    )


@rule(ITEM, on=Project, where=has_recipes, wanted="a recorded checksum, tested by the same instruction",
      mend="the Dockerfile")  # fmt: skip
def images_check_what_they_download(project: Project) -> Iterator[Fault]:
    """An address may hand out another file tomorrow, or somebody else's."""
    for recipe in project.recipes.values():
        for stage in recipe.stages:
            for run in stage.of("RUN"):
                fetches = any(words[0] in ("curl", "wget", "mvn", "gradle") for words in run.commands)
                if fetches and not re.search(r"\bsha(256|512)sum\b", run.rest):
                    yield Fault(run.place, "something is downloaded, and its checksum is not tested")
            for add in stage.of("ADD"):
                if re.match(r"https?://|git@", add.arguments) and "checksum" not in add.flags:
                    yield Fault(add.place, "something is downloaded, and its checksum is not tested")
