"""The commands `./deploy-api.sh policy ...`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ops.cli_common import context_of, exit_with
from ops.console import err, out
from ops.errors import OperatorError

CHECK = "check"
FORMATS = ("table", "json", "sarif", "junit", "markdown")


class StackOrVerb(TyperGroup):
    """Takes a first word that is no verb for the name of a stack: `policy dev` is `policy check dev`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """What to run."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [CHECK, *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    help="Judge a stack by the rules of the checklists, without an engine and a cluster: `policy STACK`.",
    cls=StackOrVerb,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(CHECK)
def check(
    stack: Annotated[str, typer.Argument(help="Which stack: the NAME of a Pulumi.NAME.yaml.")] = "dev",
    state: Annotated[
        Path | None, typer.Option(help="Judge this exported state (pulumi stack export) instead of the tree.")
    ] = None,
    manifests: Annotated[
        Path | None, typer.Option(help="Judge the Kubernetes manifests in this folder or file instead of the tree.")
    ] = None,
    reports: Annotated[
        bool, typer.Option("--reports", help="Judge the reports of tests, images and scans too, as before a release.")
    ] = False,
    profile: Annotated[str | None, typer.Option(help="dev or prod; told by the stack's name without it.")] = None,
    waivers: Annotated[Path | None, typer.Option(help="Another file of waivers than policies/waivers.yaml.")] = None,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")] = "table",
    output: Annotated[Path | None, typer.Option(help="Write to this file, not to the screen.")] = None,
) -> None:
    """Judge a stack. Exit code 1 when something blocks its deployment."""
    from ops.policy import findings_table, judge_stack, summary_line

    if form not in FORMATS:
        raise OperatorError(f"there is no format {form}", f"name one of: {', '.join(FORMATS)}")
    judgement = judge_stack(
        context_of("policy"), stack, state=state, manifests=manifests, reports=reports, profile=profile, waivers=waivers
    )
    if form == "table":
        if judgement.findings:
            out.print(findings_table(judgement))
        out.print(summary_line(judgement), markup=False)
    else:
        from policies.report import FORMATS as WRITERS

        text = WRITERS[form](judgement)
        if output is None:
            sys.stdout.write(f"{text}\n")
        else:
            output.write_text(f"{text}\n", encoding="utf-8")
        err.print(summary_line(judgement), markup=False)
    exit_with(1 if judgement.blocked else 0)


@app.command()
def explain(item: Annotated[str, typer.Argument(help="The id of a requirement.")]) -> None:
    """Tell what a requirement asks, why, and which rules check it."""
    from ops.policy import explanation
    from policies.engine.rule import all_rules

    out.print(explanation(item, all_rules()), markup=False)


@app.command("list")
def list_items() -> None:
    """List every requirement that rules check, with what each environment asks."""
    from ops.policy import rules_table
    from policies.engine.rule import all_rules

    out.print(rules_table(all_rules()))
