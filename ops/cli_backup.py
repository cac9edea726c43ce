"""The commands of backups: making and listing them, and proving that they can be restored."""

from typing import Annotated

import typer

from ops.cli_common import AsJson, app, context_of, exit_with, print_json
from ops.console import out

Backed = Annotated[str, typer.Argument(help="Which stack: the NAME of a Pulumi.NAME.yaml.", metavar="[STACK]")]


@app.command()
def backup(
    stack: Backed = "prod",
    full: Annotated[bool, typer.Option("--full", help="All of it, not only what changed.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Make none; list those that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup of the database now, and list what the repository holds."""
    from ops.backups import back_up, backups_of, backups_table

    context = context_of("backup")
    made, found = (None, backups_of(context, stack)) if only_list else back_up(context, stack, full)
    if as_json:
        print_json({"stack": stack, "made": made, "backups": [each.as_json() for each in found]})
        return
    out.print(backups_table(found))
    if made:
        out.print(f"made {made}", markup=False)


@app.command("restore-drill")
def restore_drill(
    stack: Backed = "prod",
    to: Annotated[
        str | None, typer.Option(metavar="TIME", help="ISO 8601 with a zone; now without it, which compares all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into a scratch server and compare it with the live tables. Exit code 1 on a difference."""
    from ops.restore_drill import drill, drill_lines, drill_table, point_in_time

    result = drill(context_of("restore-drill"), stack, point_in_time(to))
    if as_json:
        print_json(result)
    else:
        out.print(drill_table(result))
        for line in drill_lines(result):
            out.print(line, markup=False)
    exit_with(0 if result["passed"] else 1)
