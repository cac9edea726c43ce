"""`wfm workflows apply`: the file says what shall be; what differs is shown and stored."""

from typing import Any

from pydantic import BaseModel

from wfm.cli import diff
from wfm.cli.command import Cli
from wfm.cli.documents import Document, read_all
from wfm.cli.exits import CliError
from wfm.cli.refusals import not_valid
from wfm.models import PlanAnswer, WorkflowAnswer, WorkflowRequest


class Applied(BaseModel):
    """What became of one workflow of the file."""

    name: str
    outcome: str
    """``created``, ``changed``, ``unchanged``; with ``--dry-run`` what it would be."""
    version: int | None = None
    difference: list[str] = []
    plan: PlanAnswer | None = None


def apply_all(cli: Cli, file: str, *, dry_run: bool, run_input: Any) -> list[Applied]:
    """Everything is validated before anything is stored."""
    documents = read_all(file)
    for document in documents:
        _validate(cli, document)
    names = [document.value["name"] for document in documents]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise CliError(f"{file} holds {', '.join(sorted(doubled))} more than once", "leave one of each")
    stored = _stored(cli, set(names))
    return [
        _apply(cli, each, stored.get(each.value["name"]), dry_run=dry_run, run_input=run_input) for each in documents
    ]


def _validate(cli: Cli, document: Document) -> None:
    cli.document = document
    if not isinstance(document.value, dict):
        raise CliError(f"{document.place('') or document.name}: a workflow is a mapping of fields")
    answer = cli.client.workflows.validate(document.value)
    if not answer.valid:
        raise not_valid(answer.problems)


def _stored(cli: Cli, names: set[str]) -> dict[str, WorkflowAnswer]:
    found = [each for each in cli.client.workflows.all() if each.name in names]
    return {each.name: cli.client.workflows.get(each.id) for each in found}


def _apply(cli: Cli, document: Document, stored: WorkflowAnswer | None, *, dry_run: bool, run_input: Any) -> Applied:
    cli.document = document
    name = document.value["name"]
    wanted = diff.complete(WorkflowRequest, document.value)
    before = None if stored is None else diff.complete(WorkflowRequest, diff.fields_of(WorkflowRequest, stored))
    if stored is not None and wanted is not None and before == wanted:
        plan = cli.client.workflows.plan(stored.id, run_input) if dry_run else None
        return Applied(name=name, outcome="unchanged", version=stored.version, plan=plan)
    found = diff.lines(before, wanted or document.value, name)
    if cli.output == "table":
        diff.print_lines(found)
    if dry_run:
        outcome = "would be created" if stored is None else "would be changed"
        return Applied(name=name, outcome=outcome, version=stored.version if stored else None, difference=found)
    workflows = cli.client.workflows
    answer = workflows.create(document.value) if stored is None else workflows.replace(stored.id, document.value)
    outcome = "created" if stored is None else "changed"
    return Applied(name=name, outcome=outcome, version=answer.version, difference=found)
