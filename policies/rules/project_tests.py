"""What the tests and the linters said of exactly the tree that is to be deployed."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from policies.engine.rule import Fault, rule
from policies.view.project import Project
from policies.view.reports import coverage, ring

MINIMUM_PERCENT = 80
LONG_RINGS = ("cluster", "faults")
MARKER = re.compile(r"\b(TODO|FIXME)\b")
COMMENT = re.compile(r"(#|//|--|/\*|<!--|\{#).*\b(TODO|FIXME)\b")
"""A marker after a sign that begins a comment in one of the languages of our packages."""
NOT_TEXT = frozenset({".pyc", ".json", ".svg", ".png"})


def is_released(project: Project) -> bool:
    """Whether the stack is one that releases go to. A rehearsal and a test's copy are there to find out whether a
    commit may be released, so that its tests need not have ended."""
    return not project.is_trial


def is_being_released(project: Project) -> bool:
    """Whether it is asked if this very commit may be released now: what a release has, a proposed change can't have."""
    return is_released(project) and project.reports is not None


@rule("unit-tests-pass", on=Project, where=is_released, wanted="the ring unit passed on this commit",
      mend="./deploy-api.sh test --ring unit, on a tree without changes")  # fmt: skip
def the_unit_tests_passed(project: Project) -> Iterator[Fault]:
    """They say in two minutes that nothing that worked was broken. A run on another commit says nothing of this one."""
    yield from _ring(project, "unit")


@rule("integration-tests-pass", on=Project, where=is_released, wanted="the ring service passed on this commit",
      mend="./deploy-api.sh test --ring service, on a tree without changes")  # fmt: skip
def the_integration_tests_passed(project: Project) -> Iterator[Fault]:
    """They run the service against a real Postgres and a real Kafka, which behave as no stand-in does."""
    yield from _ring(project, "service")


@rule("e2e-tests-pass", on=Project, where=is_released, wanted="the ring stack passed on this commit",
      mend="./deploy-api.sh test --ring stack, on a tree without changes")  # fmt: skip
def the_end_to_end_tests_passed(project: Project) -> Iterator[Fault]:
    """Only a whole stack shows that its parts find each other."""
    yield from _ring(project, "stack")


@rule("e2e-tests-pass", on=Project, wanted="no ring that failed on this commit",
      mend="mend what the ring found, and run it again",
      where=lambda project: is_released(project) and any(ring(project, name) for name in LONG_RINGS))  # fmt: skip
def no_long_ring_failed(project: Project) -> Iterator[Fault]:
    """The rings on a cluster take long and are run when they are named; what they found must not be passed over."""
    for name in LONG_RINGS:
        result = ring(project, name)
        if result is not None and not result.passed:
            yield Fault("reports/tests.json", f"the ring {name} failed on this commit")


@rule("lint-and-format", on=Project, where=is_released, wanted="the ring lint passed on this commit",
      mend="./deploy-api.sh test --ring lint, on a tree without changes")  # fmt: skip
def lint_and_format_are_clean(project: Project) -> Iterator[Fault]:
    """The linters and the type checker find what nobody sees in a review."""
    yield from _ring(project, "lint")


def _ring(project: Project, name: str) -> Iterator[Fault]:
    result = ring(project, name)
    if result is None:
        yield Fault("reports/tests.json", f"the ring {name} was not run on exactly this tree")
    elif not result.passed:
        yield Fault("reports/tests.json", f"the ring {name} failed")


@rule("coverage-threshold", on=Project, where=is_released, wanted="more than 80 %",
      mend="tests for what is not run by any; then coverage.json anew")  # fmt: skip
def the_tests_cover_the_code(project: Project) -> Iterator[Fault]:
    """Code that no test runs is tried out by the users."""
    percent = coverage(project)
    if percent is None:
        yield Fault("reports/coverage.json", "the coverage of exactly this tree was not measured")
    elif not percent > MINIMUM_PERCENT:
        yield Fault("reports/coverage.json", "the tests cover too little of the code")


@rule("no-todo-markers", on=Project, wanted="no such comment in what is shipped", mend="finish it, or open an issue",
      where=lambda project: bool(_packages(project)))  # fmt: skip
def shipped_code_has_no_unfinished_work(project: Project) -> Iterator[Fault]:
    """A note that something is not finished says that it should not be shipped, or that nobody needs it."""
    for package in _packages(project):
        for path in project.files(f"{package}/**/*"):
            if path.suffix in NOT_TEXT or "__pycache__" in path.parts or not path.is_file():
                continue
            place = path.relative_to(project.root).as_posix()
            text = project.text(place) or ""
            if MARKER.search(text):
                for line in _marked(path, text):
                    yield Fault(f"{place}:{line}", "a comment says that something is not finished")


def _packages(project: Project) -> list[str]:
    """The folders that are packaged, which are those that run somewhere; tests are not."""
    find = project.pyproject.get("tool", {}).get("setuptools", {}).get("packages", {}).get("find", {})
    return [str(pattern).rstrip("*") for pattern in find.get("include", [])]


def _marked(path: Path, text: str) -> Iterator[int]:
    """The lines of the comments with a marker. In Python a text in quotes is none."""
    if path.suffix == ".py":
        try:
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                if token.type == tokenize.COMMENT and MARKER.search(token.string):
                    yield token.start[0]
        except (tokenize.TokenError, SyntaxError):
            pass
        return
    yield from (number for number, line in enumerate(text.splitlines(), start=1) if COMMENT.search(line))
