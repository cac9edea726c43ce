"""What must have happened to a commit before it is released: a tag, reviews, scans, an assessment."""

from __future__ import annotations

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.rules.project_tests import is_being_released, is_released
from policies.view.project import Project
from policies.view.reports import Weaknesses, approvals, scan
from policies.view.values import NotKnownError

ANEW = "scan the tree and its images, and write scan.json (policies/view/reports.py has its shape)"


@rule("git-tag-verified", on=Project, where=is_being_released, environments=["prod"],
      wanted="the tag of the version in pyproject.toml, `v1.2.3` or `1.2.3`, at the commit that is deployed",
      mend="git tag -s v<version>, once the tests of the commit have passed")  # fmt: skip
def what_is_deployed_has_the_tag_of_its_version(project: Project) -> Iterator[Fault]:
    """A tag says which of many commits was meant, and stays when branches go on."""
    _need_git(project)
    if not {project.version, f"v{project.version}"} & set(project.tree.tags):
        yield Fault("pyproject.toml", "the commit does not have the tag of the tree's version")


@rule("git-tag-verified", on=Project, where=is_being_released, environments=["prod"],
      wanted="a tree without changes on top of its commit",
      mend="commit them, or git stash --include-untracked")  # fmt: skip
def nothing_but_the_commit_is_deployed(project: Project) -> Iterator[Fault]:
    """What was never committed can be deployed by nobody else, and not a second time."""
    _need_git(project)
    if project.tree.dirty:
        yield Fault("", "the tree has changes that are not committed")


def _need_git(project: Project) -> None:
    if not project.tree.is_versioned:
        raise NotKnownError("the tree's commit")


@rule("code-review-approved", on=Project, where=is_released, environments=["prod"],
      wanted="for each commit since the release before a review by somebody else than its author",
      mend="an approval code-review of each commit in approvals.json")  # fmt: skip
def every_commit_was_reviewed(project: Project) -> Iterator[Fault]:
    """A second pair of eyes is the cheapest way to find what its author can't see."""
    _need_git(project)
    reviewed = {each.of for each in approvals(project, "code-review")}
    missing = sum(1 for commit in project.tree.unreleased if commit not in reviewed)
    if missing:
        yield Fault(
            "reports/approvals.json",
            f"commits since the release before that nobody is recorded to have reviewed: {missing}",
        )


@rule("code-vulnerability-scan", on=Project, where=is_released, mend=ANEW,
      wanted="a scan of this commit without a critical or high finding in code and dependencies")  # fmt: skip
def code_and_dependencies_have_no_known_weakness(project: Project) -> Iterator[Fault]:
    """Known weaknesses are tried out by machines within days after they are published."""
    found = scan(project)
    if found is None:
        yield Fault("reports/scan.json", "no scan of exactly this tree is recorded")
        return
    for what, weaknesses in (("code", found.code), ("dependencies", found.dependencies)):
        if weaknesses.critical or weaknesses.high:
            yield Fault("reports/scan.json", f"the {what} have critical or high weaknesses")


@rule("image-vulnerability-scan", on=Project, where=lambda project: is_released(project) and bool(project.dockerfiles),
      wanted="a scan of each image of this tree without a critical finding", mend=ANEW)  # fmt: skip
def images_have_no_known_weakness(project: Project) -> Iterator[Fault]:
    """An image also holds what its base brought, of which no lock file knows."""
    found = scan(project)
    if found is None:
        yield Fault("reports/scan.json", "no scan of exactly this tree is recorded")
        return
    for name, reference in project.image_references.items():
        weaknesses: Weaknesses | None = found.images.get(reference or "")
        if weaknesses is None:
            yield Fault(f"images/{name}", "the scan has nothing of this image")
        elif weaknesses.critical:
            yield Fault(f"images/{name}", "the image has critical weaknesses")


@rule("signoff-vulnerability-assessment", on=Project, where=is_released, environments=["prod"],
      wanted="the yes of somebody else than the author to this commit",
      mend="an approval vulnerability-assessment of the commit in approvals.json")  # fmt: skip
def a_person_judged_the_weaknesses(project: Project) -> Iterator[Fault]:
    """A scanner counts; whether a weakness can be reached here, and what is not in its lists, a person can tell."""
    if project.tree.commit not in {each.of for each in approvals(project, "vulnerability-assessment")}:
        yield Fault("reports/approvals.json", "no assessment of this commit is recorded")
