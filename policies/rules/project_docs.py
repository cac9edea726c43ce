"""Whether what is written about the platform is what it does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from policies.engine.rule import Fault, rule
from policies.rules.project_tests import is_being_released
from policies.view.project import Project
from policies.view.routes import DOCUMENT, Operation, documented, documented_version, routed
from stacks.model import PROJECT
from stacks.parts.service import Api

CHANGELOG = "CHANGELOG.md"
PAGES = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docs/*.md")
RENEW = "python -m service openapi --write"

COMMAND = re.compile(r"deploy-api\.sh[ \t]+([a-z][a-z-]*)")
"""A verb of the front door, as pages show it."""
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")
"""A link to another file of the tree."""
DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
PROCEDURES = ("dev", "prod", "verify", "rollback", "migrate", "backup", "restore-drill")
"""What somebody who deploys must be able to look up, if the front door has it."""


def _has_service(project: Project) -> bool:
    return bool(project.files("service/**/routes.py"))


@rule(
    "api-docs-current", on=Project, where=_has_service, wanted="an operation for each route, and no other", mend=RENEW
)
def the_api_document_is_that_of_the_routes(project: Project) -> Iterator[Fault]:
    """Who writes a client believes the document. Path, method, code of success and description are compared; a unit
    test compares all of it with the running application."""
    said = documented(project)
    if said is None:
        yield Fault(DOCUMENT, "the API document is missing or can't be read")
        return
    real = routed(project)
    for each in sorted(real - said, key=_order):
        yield Fault(DOCUMENT, f"{each.method} {each.path} is not in the document as it is in the source")
    for each in sorted(said - real, key=_order):
        if not any((other.method, other.path) == (each.method, each.path) for other in real):
            yield Fault(DOCUMENT, f"{each.method} {each.path} is in the document, and there is no such route")


def _order(operation: Operation) -> tuple[str, str]:
    return operation.path, operation.method


@rule("api-docs-current", on=Project, wanted="the version of pyproject.toml",
      mend=f"the default of api.version; {RENEW}",
      where=lambda project: documented_version(project) is not None)  # fmt: skip
def the_api_document_is_of_this_version(project: Project) -> Iterator[Fault]:
    """The version tells which document belongs to which deployment."""
    if documented_version(project) != project.version:
        yield Fault(DOCUMENT, "the document is of another version than the tree")


@rule("image-labels-match-release", on=Project, wanted="the version of pyproject.toml", mend="api.version",
      where=lambda project: project.text("stacks/parts/service.py") is not None)  # fmt: skip
def stacks_deploy_the_version_of_the_tree(project: Project) -> Iterator[Fault]:
    """The API tells what `api.version` says, while its image is labelled with the version of the tree."""
    file = f"Pulumi.{project.stack}.yaml"
    described = project.description.get(f"{PROJECT}:api")
    default = Api.model_fields["version"].default
    given = described.get("version", default) if isinstance(described, dict) else default
    if given != project.version:
        yield Fault(file, "the stack's api.version is not the version of the tree")


@cache
def _verbs_of(text: str) -> frozenset[str]:
    """The commands that a file of the command line declares, and the groups that it adds."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            for each in node.decorator_list:
                if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "command":
                    named = [a.value for a in each.args[:1] if isinstance(a, ast.Constant)]
                    found.add(str(named[0]) if named else node.name.replace("_", "-"))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_typer":
            found |= {
                str(k.value.value) for k in node.keywords if k.arg == "name" and isinstance(k.value, ast.Constant)
            }
    return frozenset(found)


def _verbs(project: Project) -> frozenset[str]:
    files = project.files("ops/cli*.py")
    return frozenset().union(*(_verbs_of(file.read_text(encoding="utf-8")) for file in files))


def _pages(project: Project) -> Iterator[tuple[str, str]]:
    for pattern in PAGES:
        for file in project.files(pattern):
            path = file.relative_to(project.root).as_posix()
            yield path, project.text(path) or ""


def _has_verbs(project: Project) -> bool:
    return bool(project.files("ops/cli*.py"))


@rule("deployment-docs-current", on=Project, where=_has_verbs, wanted="verbs that there are", mend="the page")
def pages_name_verbs_that_exist(project: Project) -> Iterator[Fault]:
    """A command that is gone fails just when somebody follows the page in a hurry."""
    known = _verbs(project)
    for path, text in _pages(project):
        for number, line in enumerate(text.splitlines(), start=1):
            if any(verb not in known for verb in COMMAND.findall(line)):
                yield Fault(f"{path}:{number}", "the page names a command that does not exist")


@rule("deployment-docs-current", on=Project, where=_has_verbs, wanted="every verb in README.md", mend="README.md")
def every_verb_is_in_the_readme(project: Project) -> Iterator[Fault]:
    """What is not written down is known to its author only."""
    text = project.text("README.md") or ""
    for verb in sorted(_verbs(project)):
        if not re.search(rf"(`|deploy-api\.sh ){re.escape(verb)}(?![\w-])", text):
            yield Fault("README.md", f"the verb {verb} is not described")


@rule("deployment-docs-current", on=Project, where=_has_verbs, wanted="each procedure with its command",
      mend="README.md or a page in docs/")  # fmt: skip
def the_procedures_of_a_deployment_are_written(project: Project) -> Iterator[Fault]:
    """Deploying, verifying, going back and restoring are done under pressure, by whoever is on duty."""
    shown = {verb for _, text in _pages(project) for verb in COMMAND.findall(text)}
    shown |= {verb for verb in PROCEDURES if re.search(rf"`{verb}( [A-Z]+)?`", project.text("README.md") or "")}
    for verb in PROCEDURES:
        if verb in _verbs(project) and verb not in shown:
            yield Fault("docs", f"no page shows how {verb} is used")


@rule("deployment-docs-current", on=Project, wanted="links to files that there are", mend="the page",
      where=lambda project: bool(list(_pages(project))))  # fmt: skip
def links_between_pages_lead_somewhere(project: Project) -> Iterator[Fault]:
    """A dead link is a procedure that nobody finds."""
    for path, text in _pages(project):
        for target in LINK.findall(text):
            if not ((project.root / path).parent / target).exists():
                yield Fault(path, "the page has a link to a file that does not exist")


def _notes(project: Project) -> tuple[str, str] | None:
    """The heading and the text of the changelog's section about the tree's version."""
    text = project.text(CHANGELOG) or ""
    version = re.escape(project.version or "")
    found = re.search(rf"^##\s+\[?v?{version}\]?(?![\w.+-])([^\n]*)\n(.*?)(?=^##\s|\Z)", text, re.MULTILINE | re.DOTALL)
    return (found[1], found[2]) if found else None


def _has_version(project: Project) -> bool:
    return project.version is not None


@rule("changelog-and-release-notes", on=Project, where=_has_version,
      wanted="`## <version>` in CHANGELOG.md, and below it what it changes for its users", mend=CHANGELOG)  # fmt: skip
def the_changelog_describes_the_version(project: Project) -> Iterator[Fault]:
    """Who is asked to deploy a version, or looks for what broke, must know what is new in it."""
    notes = _notes(project)
    if notes is None:
        yield Fault(CHANGELOG, "the changelog has no section about the tree's version")
    elif not re.search(r"^\s*[-*] \S", notes[1], re.MULTILINE):
        yield Fault(CHANGELOG, "the section about the tree's version says nothing")


@rule("changelog-and-release-notes", on=Project, environments=["prod"], wanted="the date behind the version's number",
      where=lambda project: is_being_released(project) and _notes(project) is not None,
      mend="## <version> - YYYY-MM-DD in CHANGELOG.md, in the commit that is tagged")  # fmt: skip
def the_released_version_has_its_date(project: Project) -> Iterator[Fault]:
    """A section without a date is still being written."""
    notes = _notes(project)
    if notes is not None and not DATE.search(notes[0]):
        yield Fault(CHANGELOG, "the section about the tree's version has no date")
